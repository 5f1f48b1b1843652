//! A console's recorded bytes as an asciicast, version 2 (<https://docs.asciinema.org/manual/asciicast/v2/>): a line of
//! JSON about the recording, and one for each piece of output with its time. `asciinema play` shows it.

use serde::Serialize;
use serde_json::json;

use super::history_file::Printed;

/// How fast output is taken to have come whose time is not on record, in bytes per second: a line of 115,200 bit/s.
const UNTIMED_BYTES_PER_SECOND: u64 = 11_520;

/// What players are asked to make of a longer pause, in seconds: a console is mostly silent.
const IDLE_TIME_LIMIT: f64 = 2.0;

/// The first line.
#[derive(Serialize)]
struct Header<'a> {
    version: u8,
    width: u16,
    height: u16,
    /// When it began, in seconds since 1970; left out when that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<u64>,
    idle_time_limit: f64,
    title: &'a str,
}

/// The cast of what was printed on a screen of this size, oldest first. Times are those of the record; where it has
/// none, output follows at the speed of a serial line. Bytes that are no UTF-8 become U+FFFD, as the format asks for.
pub(super) fn asciicast(title: &str, (width, height): (u16, u16), printed: &[Printed]) -> Vec<u8> {
    let timestamp = printed.first().and_then(|first| first.at).map(|at| at / 1000);
    let header = Header { version: 2, width, height, timestamp, idle_time_limit: IDLE_TIME_LIMIT, title };
    let mut cast = Vec::new();
    line(&mut cast, &header);
    let mut now: u64 = 0;
    let mut last = None;
    // The beginning of a character whose end is in the next piece.
    let mut rest: Vec<u8> = Vec::new();
    for piece in printed {
        match (piece.at, last) {
            // The host's clock may have been set back.
            (Some(at), Some(before)) => now += at.saturating_sub(before),
            (Some(_), None) => {}
            (None, _) => now += piece.bytes.len() as u64 * 1000 / UNTIMED_BYTES_PER_SECOND,
        }
        last = piece.at.or(last);
        rest.extend_from_slice(&piece.bytes);
        let text = whole_characters(&mut rest);
        event(&mut cast, now, &text);
    }
    event(&mut cast, now, &String::from_utf8_lossy(&rest));
    cast
}

/// Takes the text that is complete out of `bytes`.
fn whole_characters(bytes: &mut Vec<u8>) -> String {
    let mut text = String::new();
    let mut taken = 0;
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        taken += chunk.valid().len();
        let invalid = chunk.invalid();
        if invalid.is_empty() {
            continue;
        }
        let at_the_end = taken + invalid.len() == bytes.len();
        if at_the_end && std::str::from_utf8(invalid).is_err_and(|error| error.error_len().is_none()) {
            break;
        }
        text.push(char::REPLACEMENT_CHARACTER);
        taken += invalid.len();
    }
    bytes.drain(..taken);
    text
}

fn event(cast: &mut Vec<u8>, milliseconds: u64, text: &str) {
    if !text.is_empty() {
        // Exact up to 285,000 years.
        #[expect(clippy::cast_precision_loss, reason = "milliseconds are far below 2^53")]
        let seconds = milliseconds as f64 / 1000.0;
        line(cast, &json!([seconds, "o", text]));
    }
}

fn line(cast: &mut Vec<u8>, value: &impl Serialize) {
    // Strings and numbers always have a form in JSON.
    for c in serde_json::to_string(value).unwrap_or_default().chars() {
        if matches!(c, '\u{7f}'..='\u{9f}') {
            // JSON may hold these as they are, but the terminal that the cast is printed on may act on them.
            cast.extend_from_slice(format!("\\u{:04x}", u32::from(c)).as_bytes());
        } else {
            cast.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    cast.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(at: Option<u64>, bytes: &[u8]) -> Printed {
        Printed { at, bytes: bytes.to_vec() }
    }

    fn lines(cast: &[u8]) -> Vec<serde_json::Value> {
        let text = std::str::from_utf8(cast).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn times_are_the_records_and_text_is_whole() {
        let cast = asciicast(
            "web\"1",
            (80, 25),
            &[
                printed(Some(1_700_000_000_250), b"a\x1b[1m\xe2\x82"),
                printed(Some(1_700_000_001_500), b"\xacb\xff"),
                printed(Some(1_600_000_000_000), b"\r\n\xe2"),
            ],
        );
        assert_eq!(
            lines(&cast),
            [
                json!({"version": 2, "width": 80, "height": 25, "timestamp": 1_700_000_000, "idle_time_limit": 2.0,
                    "title": "web\"1"}),
                json!([0.0, "o", "a\u{1b}[1m"]),
                json!([1.25, "o", "€b\u{fffd}"]),
                json!([1.25, "o", "\r\n"]),
                json!([1.25, "o", "\u{fffd}"]),
            ]
        );
    }

    #[test]
    fn a_cast_can_be_printed_on_any_terminal() {
        let cast = asciicast("\u{9b}", (2, 1), &[printed(None, "\x1b[1m\u{9b}5n\x7f\u{80}é\n".as_bytes())]);
        let text = std::str::from_utf8(&cast).unwrap();
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
        assert_eq!(lines(&cast)[1][2], json!("\x1b[1m\u{9b}5n\x7f\u{80}é\n"));
    }

    #[test]
    fn without_times_output_follows_at_the_speed_of_a_line() {
        let second = vec![b'x'; 11_520];
        let cast =
            asciicast("", (2, 1), &[printed(None, &second), printed(None, &second), printed(Some(5), b"y")]);
        let lines = lines(&cast);
        assert_eq!(lines[0].get("timestamp"), None);
        assert_eq!([&lines[1][0], &lines[2][0], &lines[3][0]], [&json!(1.0), &json!(2.0), &json!(2.0)]);
    }
}
