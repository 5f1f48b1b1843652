//! The matrix: what was seen, as tables in Markdown, and what an older run saw, read back from them.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What a run found about one program and one feature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cell {
    /// It was tried, and did what it should.
    Yes,
    /// It was tried, and did not.
    No(String),
    /// The program does not offer it.
    Cannot,
}

impl Cell {
    /// What a check has found; `None` where there was nothing to see.
    pub(crate) fn of(result: Result<(), Stop>) -> Option<Self> {
        match result {
            Ok(()) => Some(Self::Yes),
            Err(Stop::No(why)) => Some(Self::No(why)),
            Err(Stop::Cannot) => Some(Self::Cannot),
            Err(Stop::Unseen) => None,
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No(_) => "no",
            Self::Cannot => "–",
        }
    }
}

/// Why there is no "yes"; what a check stops with.
#[derive(Debug, Clone)]
pub(crate) enum Stop {
    No(String),
    Cannot,
    /// There is no way to look at it here: the cell stays empty.
    Unseen,
}

/// How long something that worked before may take: far beyond what a loaded machine needs.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long something is waited for that did not work before.
pub(crate) const HOPE: Duration = Duration::from_secs(6);

/// How long to wait for a cell in which this is written.
pub(crate) fn patience(written: Option<&str>) -> Duration {
    match written {
        Some("yes") => PATIENCE,
        Some("no" | "–") => HOPE,
        _ => 2 * HOPE,
    }
}

/// What one program does, feature by feature.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// Its name, by which an older run's row is found.
    pub(crate) program: String,
    /// Its version, for readers.
    pub(crate) version: String,
    pub(crate) cells: BTreeMap<String, Cell>,
}

/// Features that are printed beside each other.
pub(crate) struct Table {
    pub(crate) title: &'static str,
    pub(crate) columns: &'static [&'static str],
}

/// The words of earlier runs: title, program and feature to `yes`, `no` or `–`.
pub(crate) type Words = BTreeMap<(String, String, String), String>;

/// Tables in Markdown, with a note for each "no".
pub(crate) fn markdown(tables: &[Table], rows: &[Row]) -> String {
    let mut text = String::new();
    let mut notes = Vec::new();
    for table in tables {
        let _ = write!(text, "### {}\n\n| program |", table.title);
        table.columns.iter().for_each(|column| text.extend([" ", column, " |"]));
        text.push_str("\n|---|");
        table.columns.iter().for_each(|_| text.push_str("---|"));
        for row in rows {
            let _ = write!(text, "\n| {} {} |", row.program, row.version);
            for column in table.columns {
                let cell = row.cells.get(*column);
                let _ = write!(text, " {}", cell.map_or("", Cell::word));
                if let Some(Cell::No(why)) = cell {
                    notes.push(format!("{}, {column}: {why}", row.program));
                    let _ = write!(text, " ({})", notes.len());
                }
                text.push_str(" |");
            }
        }
        text.push_str("\n\n");
    }
    if !notes.is_empty() {
        text.push_str("### What did not work\n\n");
    }
    for (number, note) in notes.iter().enumerate() {
        let _ = writeln!(text, "{}. {}", number + 1, note.replace(['\n', '\r'], " "));
    }
    text
}

/// Puts the text into the document: below the mark, in the place of the section that began with this table.
pub(crate) fn write(document: &str, mark: &str, first: &str, text: &str) {
    static LOCK: Mutex<()> = Mutex::new(());
    let _lock = LOCK.lock().unwrap_or_else(PoisonError::into_inner);
    let old = std::fs::read_to_string(document).unwrap_or_default();
    let (head, generated) = old.split_once(mark).unwrap_or((&old, ""));
    let section = first.split(':').next().unwrap_or_default();
    let title = format!("## {section}\n");
    let mut sections: Vec<String> = generated.split_inclusive('\n').fold(Vec::new(), |mut sections, line| {
        match sections.last_mut() {
            Some(last) if !line.starts_with("## ") => last.push_str(line),
            _ if line.starts_with("## ") => sections.push(line.to_owned()),
            _ => {}
        }
        sections
    });
    let new = format!("{title}\n{}\n\n", text.trim_end());
    match sections.iter_mut().find(|section| section.starts_with(&title)) {
        Some(old) => *old = new,
        None => sections.push(new),
    }
    let all = format!("{head}{mark}\n{}\n", sections.concat().trim_end());
    std::fs::write(document, all).expect("docs/interop.md");
}

/// What this run saw, in the form of [`read`].
pub(crate) fn words(tables: &[Table], rows: &[Row]) -> Words {
    let mut words = Words::new();
    for (table, row) in tables.iter().flat_map(|table| rows.iter().map(move |row| (table, row))) {
        for column in table.columns {
            let word = row.cells.get(*column).map_or("", Cell::word);
            let key = (table.title.to_owned(), row.program.clone(), (*column).to_owned());
            words.insert(key, word.to_owned());
        }
    }
    words
}

/// What is written in a document. A row belongs to the program whose name it begins with.
pub(crate) fn read(document: &str, programs: &[&str]) -> Words {
    let mut words = Words::new();
    let (mut title, mut columns) = ("", Vec::new());
    for line in document.lines() {
        if let Some(heading) = line.strip_prefix("### ") {
            (title, columns) = (heading, Vec::new());
        }
        let Some(inner) = line.strip_prefix("| ").and_then(|line| line.strip_suffix('|')) else { continue };
        let fields: Vec<_> = inner.split('|').map(str::trim).collect();
        let Some((first, cells)) = fields.split_first() else { continue };
        if columns.is_empty() {
            columns = cells.to_vec();
            continue;
        }
        // "libvncclient" must not be taken for "libvnc": the longest name counts.
        let named = programs.iter().filter(|program| first.starts_with(**program));
        let Some(program) = named.max_by_key(|program| program.len()) else { continue };
        for (column, cell) in columns.iter().zip(cells) {
            let word = cell.split(' ').next().unwrap_or_default();
            words.insert((title.to_owned(), (*program).to_owned(), (*column).to_owned()), word.to_owned());
        }
    }
    words
}

/// The cells in which two runs are not of one mind.
pub(crate) fn differences(written: &Words, seen: &Words) -> Vec<String> {
    let none = String::new();
    let keys: std::collections::BTreeSet<_> = written.keys().chain(seen.keys()).collect();
    keys.into_iter()
        .filter_map(|key| {
            let (written, seen) = (written.get(key).unwrap_or(&none), seen.get(key).unwrap_or(&none));
            (written != seen).then(|| format!("{}, {}: written {written:?}, seen {seen:?}", key.1, key.2))
        })
        .collect()
}

#[test]
fn a_table_is_read_back() {
    const TABLES: &[Table] =
        &[Table { title: "One", columns: &["a", "b"] }, Table { title: "Two", columns: &["c"] }];
    let cells = [("a", Cell::Yes), ("b", Cell::No("it hung\nup".into())), ("c", Cell::Cannot)];
    let row = |program: &str| Row {
        program: program.to_owned(),
        version: "1.0".to_owned(),
        cells: cells.iter().map(|(name, cell)| ((*name).to_owned(), cell.clone())).collect(),
    };
    let rows = [row("one"), row("one more")];
    let text = markdown(TABLES, &rows);
    assert!(text.contains("1. one, b: it hung up\n2. one more, b"), "{text}");
    let read = read(&text, &["one", "one more"]);
    assert_eq!(read, words(TABLES, &rows));
    assert_eq!(differences(&read, &read), Vec::<String>::new());
    let mut other = read.clone();
    let key = ("One".to_owned(), "one".to_owned(), "a".to_owned());
    other.insert(key, "no".to_owned());
    assert_eq!(differences(&read, &other), [r#"one, a: written "yes", seen "no""#]);
}
