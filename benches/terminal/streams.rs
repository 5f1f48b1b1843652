//! What guests write, made up: shared by the benchmark of the terminal and by the comparison with another emulator
//! (`scripts/terminal-oracle bench`).

/// The length of each stream.
pub(crate) const STREAM_BYTES: usize = 8 << 20;
/// A console gives its bytes in pieces of this size.
pub(crate) const PIECE_BYTES: usize = 4096;

/// Repeats what `line` appends.
fn stream(mut line: impl FnMut(usize) -> String) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(STREAM_BYTES + 4096);
    for number in 0.. {
        if bytes.len() >= STREAM_BYTES {
            break;
        }
        bytes.extend(line(number).bytes());
    }
    bytes.truncate(STREAM_BYTES);
    bytes
}

fn letter(number: usize) -> char {
    char::from(b'a' + u8::try_from(number % 26).unwrap_or(0))
}

/// What a Linux kernel and systemd print at a boot.
pub(crate) fn boot_log() -> Vec<u8> {
    let boot = [
        "systemd[1]: Started something or other that was wanted.",
        "xen:events: Using FIFO-based ABI",
        "EXT4-fs (xvda1): mounted filesystem with ordered data mode",
        "\x1b[0;32m  OK  \x1b[0m] Reached target \x1b[0;1;39mLocal File Systems\x1b[0m.",
    ];
    stream(|n| format!("[{:5}.{:06}] {}\r\n", n / 100, n * 7919 % 1_000_000, boot[n % 4]))
}

/// The streams and their names, for a screen of this many columns; those that begin with `hostile` are not what any
/// honest guest writes.
pub(crate) fn streams(columns: usize) -> Vec<(&'static str, Vec<u8>)> {
    let row = |cell: &dyn Fn(usize) -> String| (0..columns).map(cell).collect::<String>();
    let mut region = b"\x1b[3;20r\x1b[20;1H".to_vec();
    region.extend(stream(|n| format!("line {n} in a scrolling region of the screen\r\n")));
    vec![
        ("yes", stream(|_| "y\r\n".into())),
        ("seq", stream(|n| format!("{n}\r\n"))),
        ("full-width ASCII", stream(|n| row(&|i| letter(i + n).to_string()) + "\r\n")),
        ("boot log", boot_log()),
        (
            "dense 256 colours",
            stream(|n| {
                row(&|i| format!("\x1b[38;5;{};48;5;{}m{}", (i + n) % 256, (3 * i + n) % 256, letter(i)))
                    + "\x1b[m\r\n"
            }),
        ),
        (
            "dense true colour",
            stream(|n| {
                row(&|i| format!("\x1b[38;2;{};{};{}m{}", 3 * i % 256, n % 256, (i + n) % 256, letter(i)))
                    + "\x1b[m\r\n"
            }),
        ),
        ("Unicode mix", stream(|n| format!("{n} grüße 漢字かな e\u{301}a\u{308} │┌─┐ привет мир 🙂 ok\r\n"))),
        ("scrolling region", region),
        ("jumps and EL", stream(|n| format!("\x1b[{};{}Htext {n}\x1b[K", n * 7 % 24 + 1, n * 13 % 70 + 1))),
        ("hostile: CSI 65535 b", stream(|_| "x\x1b[65535b".into())),
        ("hostile: RIS", stream(|_| "x\r\ny\x1bc".into())),
        ("hostile: 1049", stream(|_| "\x1b[?1049hx\x1b[?1049l".into())),
        ("hostile: DECALN and DECSED", stream(|_| "\x1b#8\x1b[?2J".into())),
    ]
}
