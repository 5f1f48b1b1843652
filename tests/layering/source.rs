//! A source file as the rules see it: words and signs without comments and literals, and the paths among them.

/// One source file, lexed.
pub(crate) struct Source {
    /// Relative to the package, with forward slashes.
    pub(crate) path: String,
    pub(crate) lines: usize,
    pub(crate) tokens: Vec<Token>,
    /// For each token: is it inside a module under `cfg(test)`, and the inline modules around it.
    pub(crate) places: Vec<Place>,
}

#[derive(Clone, Default)]
pub(crate) struct Place {
    pub(crate) in_tests: bool,
    pub(crate) modules: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) line: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Word(String),
    /// `::`
    Path,
    Sign(char),
}

/// A path as written in the source, with the groups of a `use` tree spread out.
pub(crate) struct Named {
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
    pub(crate) place: Place,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let tokens = lex(text);
        let places = places(&tokens);
        Self { path: path.to_owned(), lines: text.lines().count(), tokens, places }
    }

    /// The module that the file is, from the crate's root. `main.rs` and `lib.rs` are roots.
    pub(crate) fn module(&self) -> Vec<String> {
        let path = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        let mut module: Vec<String> = path.split('/').map(str::to_owned).collect();
        if module.last().is_some_and(|last| last == "mod") {
            module.pop();
        }
        if self.is_root() {
            module.clear();
        }
        module
    }

    fn is_root(&self) -> bool {
        matches!(self.path.as_str(), "src/main.rs" | "src/lib.rs")
    }

    /// The row of the table that rules this file.
    pub(crate) fn row(&self) -> String {
        match self.path.as_str() {
            "src/main.rs" => "main".to_owned(),
            "src/lib.rs" => "lib".to_owned(),
            _ => self.module().first().cloned().unwrap_or_default(),
        }
    }

    pub(crate) fn word(&self, index: usize) -> Option<&str> {
        match self.tokens.get(index).map(|token| &token.kind) {
            Some(Kind::Word(word)) => Some(word),
            _ => None,
        }
    }

    pub(crate) fn is(&self, index: usize, kind: &Kind) -> bool {
        self.tokens.get(index).is_some_and(|token| token.kind == *kind)
    }

    /// Every path in the file that starts with a word for which `starts` holds.
    pub(crate) fn paths(&self, starts: impl Fn(&str) -> bool) -> Vec<Named> {
        let mut found = Vec::new();
        for (index, token) in self.tokens.iter().enumerate() {
            let Some(word) = self.word(index) else { continue };
            let continues = self.is(index + 1, &Kind::Path) || self.word(index + 1) == Some("as");
            let is_start = index == 0 || !self.is(index - 1, &Kind::Path);
            if starts(word) && is_start && continues {
                let mut spread = Vec::new();
                self.spread(index, &mut Vec::new(), &mut spread);
                let place = &self.places[index];
                found.extend(spread.into_iter().map(|segments| Named {
                    segments,
                    line: token.line,
                    place: place.clone(),
                }));
            }
        }
        found
    }

    /// Spreads the `use` tree (or plain path) at `index` into full paths; gives the index behind it.
    fn spread(&self, mut index: usize, prefix: &mut Vec<String>, found: &mut Vec<Vec<String>>) -> usize {
        let depth = prefix.len();
        while let Some(word) = self.word(index) {
            prefix.push(word.to_owned());
            index += 1;
            if !self.is(index, &Kind::Path) {
                break;
            }
            index += 1;
        }
        if self.is(index, &Kind::Sign('{')) && self.is(index - 1, &Kind::Path) {
            index += 1;
            while index < self.tokens.len() && !self.is(index, &Kind::Sign('}')) {
                let next = self.spread(index, prefix, found);
                index = next.max(index + 1);
            }
            index += 1;
        } else {
            if self.is(index, &Kind::Sign('*')) {
                prefix.push("*".to_owned());
                index += 1;
            }
            if prefix.len() > depth {
                found.push(prefix.clone());
            }
            if self.word(index) == Some("as") {
                index += 2;
            }
        }
        prefix.truncate(depth);
        index
    }
}

fn lex(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let at = |index: usize| chars.get(index).copied().unwrap_or('\0');
    let mut tokens = Vec::new();
    let (mut index, mut line) = (0, 1);
    while index < chars.len() {
        let start = index;
        let c = chars[index];
        let mut kind = None;
        if c == '/' && at(index + 1) == '/' {
            index = (index..chars.len()).find(|i| chars[*i] == '\n').unwrap_or(chars.len());
        } else if c == '/' && at(index + 1) == '*' {
            index = end_of_comment(&chars, index);
        } else if c == '"' {
            index = end_of_quoted(&chars, index, '"');
        } else if c == '\'' {
            // A character, or else a lifetime, of which only the name is left over.
            let is_character = at(index + 1) == '\\' || at(index + 2) == '\'';
            index = if is_character { end_of_quoted(&chars, index, '\'') } else { index + 1 };
        } else if c.is_alphanumeric() || c == '_' {
            index = (index..chars.len())
                .find(|i| !(chars[*i].is_alphanumeric() || chars[*i] == '_'))
                .unwrap_or(chars.len());
            let word: String = chars[start..index].iter().collect();
            let is_raw = matches!(word.as_str(), "r" | "br" | "cr") && matches!(at(index), '"' | '#');
            if let Some(end) = is_raw.then(|| end_of_raw(&chars, index)).flatten() {
                index = end;
            } else if !matches!(word.as_str(), "b" | "c") || !matches!(at(index), '"' | '\'') {
                kind = Some(Kind::Word(word));
            }
        } else if c == ':' && at(index + 1) == ':' {
            index += 2;
            kind = Some(Kind::Path);
        } else {
            index += 1;
            kind = (!c.is_whitespace()).then_some(Kind::Sign(c));
        }
        tokens.extend(kind.map(|kind| Token { kind, line }));
        line += chars[start..index].iter().filter(|c| **c == '\n').count();
    }
    tokens
}

fn end_of_comment(chars: &[char], start: usize) -> usize {
    let (mut index, mut depth) = (start, 0);
    while index + 1 < chars.len() {
        match (chars[index], chars[index + 1]) {
            ('/', '*') => (depth, index) = (depth + 1, index + 2),
            ('*', '/') => (depth, index) = (depth - 1, index + 2),
            _ => index += 1,
        }
        if depth == 0 {
            return index;
        }
    }
    chars.len()
}

fn end_of_quoted(chars: &[char], start: usize, quote: char) -> usize {
    let mut index = start + 1;
    while index < chars.len() {
        match chars[index] {
            '\\' => index += 2,
            c if c == quote => return index + 1,
            _ => index += 1,
        }
    }
    chars.len()
}

/// The end of a raw string whose hashes start at `start`; `None` for a raw identifier such as `r#type`.
fn end_of_raw(chars: &[char], start: usize) -> Option<usize> {
    let hashes = chars[start..].iter().take_while(|c| **c == '#').count();
    let open = start + hashes;
    if chars.get(open) != Some(&'"') {
        return None;
    }
    let closes = |index: usize| {
        chars[index] == '"' && chars[index + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes
    };
    Some((open + 1..chars.len()).find(|index| closes(*index)).map_or(chars.len(), |index| index + 1 + hashes))
}

/// Where each token stands: the inline modules around it, and whether one of them is only for tests.
fn places(tokens: &[Token]) -> Vec<Place> {
    let word = |index: usize| match tokens.get(index).map(|token| &token.kind) {
        Some(Kind::Word(word)) => Some(word.as_str()),
        _ => None,
    };
    let mut places = Vec::with_capacity(tokens.len());
    let mut open: Vec<(usize, Place)> = Vec::new();
    let mut depth = 0;
    for (index, token) in tokens.iter().enumerate() {
        match token.kind {
            Kind::Sign('{') => {
                depth += 1;
                if index >= 2 && word(index - 2) == Some("mod") {
                    let mut place = open.last().map(|(_, place)| place.clone()).unwrap_or_default();
                    place.modules.extend(word(index - 1).map(str::to_owned));
                    place.in_tests |= is_for_tests(tokens, index - 2);
                    open.push((depth, place));
                }
            }
            Kind::Sign('}') => {
                open.pop_if(|(opened, _)| *opened == depth);
                depth = depth.saturating_sub(1);
            }
            _ => {}
        }
        places.push(open.last().map(|(_, place)| place.clone()).unwrap_or_default());
    }
    places
}

/// Looks back from `mod` over visibility and attributes for `cfg(test)`.
fn is_for_tests(tokens: &[Token], module: usize) -> bool {
    let boundary = |kind: &Kind| matches!(kind, Kind::Sign(';' | '{' | '}'));
    let before: Vec<&Kind> =
        tokens[..module].iter().rev().map(|token| &token.kind).take_while(|k| !boundary(k)).collect();
    let has = |wanted: &str| before.iter().any(|kind| **kind == Kind::Word(wanted.to_owned()));
    has("cfg") && has("test")
}
