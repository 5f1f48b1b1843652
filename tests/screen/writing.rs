//! Random things that a guest writes, chosen to reach what a painter must draw and damage must follow.

use proptest::prelude::*;

/// Control sequences that are worth being common.
const SEQUENCES: &[&str] = &[
    "\r\n",
    "\r\n",
    "\n",
    "\n\n\n",
    "\r",
    "\t",
    "\x08",
    "\x1bM",
    "\x1bM",
    "\x1bD",
    "\x1b[H",
    "\x1b[2J",
    "\x1b[J",
    "\x1b[1J",
    "\x1b[K",
    "\x1b[1K",
    "\x1b[2L",
    "\x1b[M",
    "\x1b[3P",
    "\x1b[2@",
    "\x1b[4X",
    "\x1b[2S",
    "\x1b[T",
    "\x1b[2;4r",
    "\x1b[r",
    "\x1b[3;1H",
    "\x1b[4;10H",
    "\x1b[99;99H",
    "\x1b[A",
    "\x1b[B",
    "\x1b[C",
    "\x1b[5D",
    "\x1b[?25l",
    "\x1b[?25h",
    "\x1b[?25h",
    "\x1b[2 q",
    "\x1b[4 q",
    "\x1b[6 q",
    "\x1b[?1049h",
    "\x1b[?1049l",
    "\x1b[m",
    "\x1b[1m",
    "\x1b[2m",
    "\x1b[3m",
    "\x1b[4m",
    "\x1b[7m",
    "\x1b[9m",
    "\x1b[21m",
    "\x1b[8m",
    "\x1b[31m",
    "\x1b[42m",
    "\x1b[38;5;200m",
    "\x1b[48;2;1;2;3m",
    "\x1b[?5h",
    "\x1b[?5l",
    "\x1b7",
    "\x1b8",
    "\x1b[?7l",
    "\x1b[?7h",
    "\x1b]4;1;rgb:12/34/56\x07",
    "\x1bc",
    "\x1b#8",
];

/// Texts: plain, wide, with combining marks, drawn by code, missing from the font, blank.
const TEXTS: &[&str] = &[
    "a",
    "hello",
    "  ",
    "x y",
    "漢字",
    "한",
    "e\u{301}",
    "漢\u{301}",
    "┌─┐",
    "█▒",
    "☃",
    "\u{e000}",
    "ﷺ",
    "the quick brown fox jumps over the lazy dog",
];

/// One thing that a guest writes.
pub(crate) fn fragment() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => proptest::sample::select(TEXTS).prop_map(str::to_owned),
        5 => proptest::sample::select(SEQUENCES).prop_map(str::to_owned),
        1 => (1u16..8, 1u16..25).prop_map(|(row, column)| format!("\x1b[{row};{column}H")),
        1 => any::<[u8; 3]>().prop_map(|[r, g, b]| format!("\x1b[38;2;{r};{g};{b}m")),
        1 => any::<u8>().prop_map(|colour| format!("\x1b[48;5;{colour}m")),
    ]
}

/// Up to `most` of them in a row.
pub(crate) fn writing(most: usize) -> impl Strategy<Value = String> {
    prop::collection::vec(fragment(), 0..most).prop_map(|parts| parts.concat())
}
