//! Random pieces of what terminals get.

/// A small generator (xorshift*), so that a seed names a stream for ever.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self((seed.wrapping_add(1)).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    pub fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.next() % count.max(1) as u64).unwrap_or(0)
    }

    fn pick<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }
}

fn number(random: &mut Random) -> String {
    match random.below(16) {
        0 | 1 => String::new(),
        2 => "0".into(),
        3 => "999".into(),
        _ => random.below(14).to_string(),
    }
}

/// Sequences without parameters, and texts that try the widths.
const FIXED: &[&str] = &[
    "\r\n",
    "\r\n",
    "\r",
    "\r\n",
    "\r\n",
    "\r\n",
    "\u{8}",
    "\u{8}",
    "\t",
    "\t",
    "\r\u{b}",
    "\r\u{c}",
    "\u{7}",
    "\u{0}",
    "\r\u{1b}M",
    "\r\u{1b}D",
    "\u{1b}E",
    "\u{f}\u{1b}7",
    "\u{f}\u{1b}8\u{1b}[?6l\u{1b}[H",
    "\u{1b}H",
    "\u{1b}[r\u{1b}[?6l\u{1b}#8\u{1b}[H",
    "\u{1b}c",
    "\u{1b}(0",
    "\u{1b}(B",
    "\u{1b})0",
    "\u{e}",
    "\u{f}",
    "\u{f}\u{1b}[s",
    "\u{f}\u{1b}[u\u{1b}[?6l\u{1b}[H",
    "\u{1b}]0;a title\u{7}",
    "\u{1b}]2;t\u{1b}\\",
    "\u{1b}P$qm\u{1b}\\",
    "\u{1b}_ignored\u{1b}\\",
    "\u{1b}^x\u{1b}\\",
    "\u{1b}Xx\u{1b}\\",
    "漢",
    "字",
    "ひら",
    "ä",
    "│┌─┐",
    "\u{1b}[3g",
    "\u{1b}[g",
    "\u{1b}=",
    "\u{1b}[?7l\u{1b}[5G",
    "\u{1b}[?7h\u{1b}[5G",
    "\u{1b}[999G",
    "\u{1b}>",
    "\u{1b}[>c",
    "\u{1b}[6n",
    "\u{1b}[\u{18}x",
    "\u{1b}[1\u{1a}y",
    "\u{1b}[2\nC",
    "\u{1b}[1;\u{1b}[B",
    "\u{1b}[?u",
    "\u{1b}[=0c",
    "\u{1b}[1 q",
    "\u{1b}[4$p",
    "\u{1b}]8;;http://a/\u{7}link\u{1b}]8;;\u{7}",
    "\u{1b}]52;c;AAAA\u{7}",
    "\u{1b}[22t",
    "\u{1b}[23t",
];

const MODES: &[&str] = &["4", "20", "?1", "?25", "?2004", "?1000"];

/// Without hidden text and blinking, which not all of them have, dim, which each mixes in its own way, and colours
/// that are cut short or out of range, which each reads in its own way.
const PENS: &[&str] = &[
    "",
    "0",
    "1",
    "3",
    "4",
    "7",
    "9",
    "22",
    "23",
    "24",
    "27",
    "29",
    "31",
    "34",
    "39",
    "42",
    "44",
    "49",
    "91",
    "103",
    "38;5;200",
    "48;5;17",
    "38;2;1;2;3",
    "48;2;200;100;50",
    "1;31;44",
    "38:5:99",
    "48:2:9:8:7",
    "0;7",
    "4;32",
    "1;;4",
    "99",
];

/// One piece. Where ours deviates for a reason (see the terminal's documentation), or the two others always differ,
/// the piece first leads to where all do the same: an erasure starts away from the last column, lines are inserted
/// and deleted from the first column, the cursor is moved before an index and after a change of wrapping, origin mode is
/// followed by a position, the shift is saved as SI, REP comes right after its character.
///
/// `regions` says whether scroll regions are set; the cursor is then not moved by rows, which only some keep inside.
/// `wide` allows wide characters, whose halves each erases in its own way.
pub fn piece(random: &mut Random, regions: bool, wide: bool) -> String {
    match random.below(100) {
        0..=29 => {
            let length = 1 + random.below(14);
            (0..length).map(|_| char::from(b'a' + u8::try_from(random.below(26)).unwrap_or(0))).collect()
        }
        30..=49 => loop {
            let piece = random.pick(FIXED);
            if wide || !piece.chars().any(|c| c >= '\u{3000}') {
                break piece.to_owned();
            }
        },
        50..=57 => {
            // Half a wide character that is overwritten leaves a blank that may be inverted.
            let pen = random.pick(PENS);
            format!("\u{1b}[{}m", if wide && pen.ends_with('7') { "27" } else { pen })
        }
        58..=60 => {
            // The others insert a wide character that wraps in the row that it leaves.
            let mode = random.pick(MODES);
            format!("\u{1b}[{}{}", if wide && mode == "4" { "?25" } else { mode }, random.pick(&["h", "l"]))
        }
        61 if regions => {
            format!("\u{1b}[?6{}\u{1b}[{};{}H", random.pick(&["h", "l"]), number(random), number(random))
        }
        62 => {
            format!(
                "\u{f}\u{1b}[?1049l{}\u{1b}[{};{}H",
                random.pick(&["\u{1b}[?1049h", ""]),
                number(random),
                number(random)
            )
        }
        63..=66 => format!("\u{1b}[{};{}{}", number(random), number(random), random.pick(&["H", "H", "f"])),
        67..=68 if regions => {
            format!("\u{1b}[{};{}r", random.pick(&["", "1", "2", "3"]), random.pick(&["", "4", "5"]))
        }
        69..=71 => {
            let column = 1 + random.below(10);
            format!(
                "\r\u{1b}[{column}C\u{1b}[{}{}",
                random.pick(&["", "0", "1", "2", "3", "7"]),
                random.pick(&["J", "K"])
            )
        }
        72..=76 => {
            let column = 1 + random.below(10);
            format!("\r\u{1b}[{column}C\u{1b}[{}{}", random.below(8), random.pick(&["P", "X", "@"]))
        }
        77..=79 => format!("\r\u{1b}[{}{}", number(random), random.pick(&["L", "M"])),
        // More than a screenful is repeated by the others.
        80 => format!("{}\u{1b}[{}b", if wide { "漢" } else { "x" }, random.below(20)),
        _ => {
            let last = if regions {
                random.pick(&["C", "D", "G", "I", "S", "T", "Z", "`"])
            } else {
                random.pick(&["A", "B", "C", "D", "E", "F", "G", "I", "S", "T", "Z", "`", "a", "d", "e"])
            };
            format!("\u{1b}[{}{last}", number(random))
        }
    }
}
