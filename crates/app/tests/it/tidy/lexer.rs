//! Just enough of Rust's lexical rules to tell code from text.
//!
//! **Boundary.** Knows comments, strings, characters and braces; knows no grammar beyond `fn`.
//!
//! **Invariants.** The blanked text has the same lines as the source, and each character of
//! code stands on its old line.

/// A function with a body, as found in blanked text.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    pub name: String,
    /// Line of the `fn`, from 1.
    pub line: usize,
    /// Lines from the `fn` to its closing brace, both included.
    pub lines: usize,
}

/// `source` with comments, string and character literals replaced by spaces.
pub fn blank(source: &str) -> String {
    Blanker {
        chars: source.chars().collect(),
        at: 0,
        out: String::with_capacity(source.len()),
    }
    .run()
}

struct Blanker {
    chars: Vec<char>,
    at: usize,
    out: String,
}

impl Blanker {
    fn run(mut self) -> String {
        while let Some(c) = self.peek(0) {
            match c {
                '/' if self.peek(1) == Some('/') => self.blank_while(|c| c != '\n'),
                '/' if self.peek(1) == Some('*') => self.block_comment(),
                '"' => self.quoted('"'),
                '\'' if self.starts_char() => self.quoted('\''),
                c if c.is_alphabetic() || c == '_' => self.word(),
                _ => self.keep(),
            }
        }
        self.out
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn keep(&mut self) {
        self.out.push(self.chars[self.at]);
        self.at += 1;
    }

    fn blank_one(&mut self) {
        if let Some(c) = self.peek(0) {
            self.out.push(if c == '\n' { '\n' } else { ' ' });
            self.at += 1;
        }
    }

    fn blank_while(&mut self, mut inside: impl FnMut(char) -> bool) {
        while self.peek(0).is_some_and(&mut inside) {
            self.blank_one();
        }
    }

    /// Rust's block comments nest.
    fn block_comment(&mut self) {
        let mut depth = 0;
        while self.peek(0).is_some() {
            let step = match (self.peek(0), self.peek(1)) {
                (Some('/'), Some('*')) => 1,
                (Some('*'), Some('/')) => -1,
                _ => 0,
            };
            depth += step;
            self.blank_one();
            if step != 0 {
                self.blank_one();
            }
            if depth == 0 {
                return;
            }
        }
    }

    /// `'a'` and `'\n'` are characters; `'a` is a lifetime.
    fn starts_char(&self) -> bool {
        self.peek(1) == Some('\\') || self.peek(2) == Some('\'')
    }

    fn quoted(&mut self, end: char) {
        self.blank_one();
        while let Some(c) = self.peek(0) {
            self.blank_one();
            match c {
                '\\' => self.blank_one(),
                c if c == end => return,
                _ => {}
            }
        }
    }

    /// An identifier, or the prefix of a literal: `b"…"`, `c"…"`, `b'…'`, `r#"…"#`, `br"…"`.
    fn word(&mut self) {
        let start = self.at;
        let mut end = start;
        while self
            .chars
            .get(end)
            .is_some_and(|c| c.is_alphanumeric() || *c == '_')
        {
            end += 1;
        }
        let word: String = self.chars[start..end].iter().collect();
        self.out.push_str(&word);
        self.at = end;
        match word.as_str() {
            "b" if self.peek(0) == Some('\'') => self.quoted('\''),
            "r" | "br" | "cr" => self.raw_string(),
            _ => {}
        }
    }

    fn raw_string(&mut self) {
        let hashes = self.chars[self.at..]
            .iter()
            .take_while(|c| **c == '#')
            .count();
        if self.peek(hashes) != Some('"') {
            return; // r#type is an identifier
        }
        for _ in 0..=hashes {
            self.blank_one();
        }
        while let Some(c) = self.peek(0) {
            self.blank_one();
            let closes = c == '"' && (0..hashes).all(|i| self.peek(i) == Some('#'));
            if closes {
                (0..hashes).for_each(|_| self.blank_one());
                return;
            }
        }
    }
}

/// All functions with a body in blanked text, in order; nested ones too.
pub fn functions(blanked: &str) -> Vec<Function> {
    let chars: Vec<char> = blanked.chars().collect();
    let mut found = Vec::new();
    let mut line = 1;
    for (at, c) in chars.iter().enumerate() {
        if *c == '\n' {
            line += 1;
        }
        if let Some(name) = function_name(&chars, at)
            && let Some(length) = body_end(&chars, at).map(|end| newlines(&chars[at..end]) + 1)
        {
            found.push(Function {
                name,
                line,
                lines: length,
            });
        }
    }
    found
}

fn newlines(chars: &[char]) -> usize {
    chars.iter().filter(|c| **c == '\n').count()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The name if the word `fn` followed by a name stands at `at`; `fn(u8)` is a type.
fn function_name(chars: &[char], at: usize) -> Option<String> {
    let before = at.checked_sub(1).map(|i| chars[i]);
    if chars[at..].get(..3) != Some(&['f', 'n', ' ']) || before.is_some_and(is_word) {
        return None;
    }
    let name: String = chars[at + 3..]
        .iter()
        .skip_while(|c| c.is_whitespace())
        .take_while(|c| is_word(**c) || **c == '#')
        .collect();
    (!name.is_empty()).then_some(name)
}

/// The end of the body of the function at `at`; none if it ends with `;` (a trait's method).
fn body_end(chars: &[char], at: usize) -> Option<usize> {
    let mut parens = 0i32;
    let mut braces = 0i32;
    for (offset, c) in chars[at..].iter().enumerate() {
        match c {
            '(' | '[' => parens += 1,
            ')' | ']' => parens -= 1,
            ';' if parens == 0 && braces == 0 => return None,
            '{' => braces += 1,
            '}' => {
                braces -= 1;
                if braces == 0 && parens == 0 {
                    return Some(at + offset);
                }
            }
            _ => {}
        }
    }
    None
}

#[test]
fn blanking_keeps_code_and_lines() {
    let source = "let a = \"{ // no\"; // } why\nlet b = '{'; let c: &'a str = r#\"}\"}\"#;\n/* { /* } */ { */ x";
    let blanked = blank(source);
    assert_eq!(blanked.lines().count(), source.lines().count());
    let code: Vec<String> = blanked
        .lines()
        .map(|l| l.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(code, ["let a = ;", "let b = ; let c: &'a str = r ;", "x"]);
}

#[test]
fn escapes_and_prefixes_end_where_they_end() {
    assert_eq!(
        blank(r#"f(b'\'', '\\', "\"{", b"{")"#).replace(' ', ""),
        "f(b,,,b)"
    );
    assert_eq!(
        blank("r#type { br##\"}\"#}\"## }"),
        "r#type { br           }"
    );
}

#[test]
fn functions_are_measured_with_their_bodies() {
    let source = "trait T {\n fn no_body(&self, a: [u8; 4]);\n}\npub async fn two(\n  f: fn(u8) -> u8,\n) -> [u8; 2]\nwhere\n  A: B,\n{\n  if x { \"}\" } else { }\n}\nfn one() {}\n";
    let found = functions(&blank(source));
    assert_eq!(
        found,
        [
            Function {
                name: "two".into(),
                line: 4,
                lines: 8
            },
            Function {
                name: "one".into(),
                line: 12,
                lines: 1
            },
        ]
    );
}
