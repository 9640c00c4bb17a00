//! Pulling through XML: bounded in depth and element size, without document types and without
//! entities of its own (contract D1, F3 rows 38 and 39).
//!
//! Of XML only what statements are made of is understood: elements, attributes as they are
//! written, text, references to characters, CDATA; comments and processing instructions are
//! passed over. The reader looks at the text where it lies and copies what is asked for, since a
//! statement has a few dozen tags in each line.

use super::fault::{FaultCode, StatementFault};
use super::input::Input;

/// Deepest nesting (contract D1).
pub const DEPTH_MAX: usize = 64;
/// Largest tag or run of text, in bytes.
const PIECE_BYTES_MAX: usize = 256 << 10;
/// Longer names match nothing that is looked for.
const NAME_BYTES: usize = 32;
/// Longest reference to a character, in bytes.
const REFERENCE_BYTES: usize = 32;

/// The local name of an element, cut to what any reader asks for.
#[derive(Clone, Copy)]
pub struct Name {
    bytes: [u8; NAME_BYTES],
    len: usize,
}

impl Name {
    fn new(name: &str) -> Self {
        let mut bytes = [0; NAME_BYTES];
        // One that is too long is kept as nothing: it can equal no name of a message.
        let len = if name.len() <= NAME_BYTES {
            name.len()
        } else {
            0
        };
        bytes[..len].copy_from_slice(&name.as_bytes()[..len]);
        Self { bytes, len }
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }
}

/// What comes next.
pub enum Step {
    /// An element begins.
    Open(Name),
    /// The innermost element ends.
    Close,
    /// Text was added to the buffer.
    Text,
    /// The document is over.
    End,
}

/// A document being read. Text gathers in one buffer that [`Xml::text`] hands out.
pub struct Xml<'r> {
    input: Input<'r>,
    /// Full names of the open elements, one behind the other, and where each begins.
    names: String,
    starts: Vec<usize>,
    /// The element just opened is empty: its end comes next.
    empty: bool,
    text: String,
    attributes: String,
}

impl<'r> Xml<'r> {
    /// A document from its first byte.
    pub fn new(input: Input<'r>) -> Self {
        Self {
            input,
            names: String::new(),
            starts: Vec::new(),
            empty: false,
            text: String::new(),
            attributes: String::new(),
        }
    }

    /// Line of the next byte.
    pub fn line(&self) -> u64 {
        self.input.line()
    }

    /// The input, for its deviations.
    pub fn input(&self) -> &Input<'r> {
        &self.input
    }

    /// A file that is not a whole document.
    pub fn broken(&self, detail: impl Into<String>) -> StatementFault {
        StatementFault::unreadable(self.line(), detail)
    }

    fn depth(&self) -> usize {
        self.starts.len()
    }

    /// The next step. Comments and processing instructions are passed over.
    ///
    /// # Errors
    /// `xml_dtd_refused`, `statement_unreadable`, and those of the input.
    pub fn step(&mut self) -> Result<Step, StatementFault> {
        if self.empty {
            self.empty = false;
            self.pop();
            return Ok(Step::Close);
        }
        loop {
            let rest = self.input.rest().as_bytes();
            match rest {
                [] => {
                    if self.input.more()? {
                        continue;
                    }
                    return match self.depth() {
                        0 => Ok(Step::End),
                        _ => Err(self.broken("the document ends inside an element")),
                    };
                }
                [b'<', ..] => {
                    if let Some(step) = self.markup()? {
                        return Ok(step);
                    }
                }
                [b'&', ..] => {
                    self.reference()?;
                    return Ok(Step::Text);
                }
                _ => {
                    self.run_of_text()?;
                    return Ok(Step::Text);
                }
            }
        }
    }

    /// Text up to the next mark, however the input is cut.
    fn run_of_text(&mut self) -> Result<(), StatementFault> {
        loop {
            let rest = self.input.rest();
            let end = memchr::memchr2(b'<', b'&', rest.as_bytes());
            let taken = end.unwrap_or(rest.len());
            self.text.push_str(&rest[..taken]);
            self.input.take(taken);
            if self.text.len() > PIECE_BYTES_MAX {
                return Err(self.broken("a text is larger than its bound"));
            }
            if end.is_some() || !self.input.more()? {
                return Ok(());
            }
        }
    }

    fn reference(&mut self) -> Result<(), StatementFault> {
        let end = self.piece(|bytes| {
            let end = memchr::memchr3(b';', b'<', b'&', &bytes[1..])?;
            Some(end + 2)
        })?;
        let whole = &self.input.rest()[..end];
        let name = whole[1..].strip_suffix(';');
        let Some(name) = name.filter(|name| name.len() <= REFERENCE_BYTES) else {
            return Err(self.broken("not well-formed XML: a reference without its end"));
        };
        let letter = resolve(name).map_err(|code| refused(code, self.line()))?;
        self.text.push(letter);
        self.input.take(end);
        Ok(())
    }

    /// Finds the end of the piece that begins here, bringing in what is needed.
    fn piece(&mut self, find: impl Fn(&[u8]) -> Option<usize>) -> Result<usize, StatementFault> {
        loop {
            let rest = self.input.rest().as_bytes();
            match find(rest) {
                Some(end) if end <= PIECE_BYTES_MAX => return Ok(end),
                None if rest.len() <= PIECE_BYTES_MAX => {}
                _ => return Err(self.broken("a tag or text is larger than its bound")),
            }
            if !self.input.more()? {
                return Err(self.broken("not well-formed XML: the document ends inside a tag"));
            }
        }
    }

    /// A tag, or what is passed over.
    fn markup(&mut self) -> Result<Option<Step>, StatementFault> {
        // Enough to tell the kinds apart; a shorter document is broken anyway.
        while self.input.rest().len() < "<![CDATA[".len() && self.input.more()? {}
        match self.input.rest().as_bytes() {
            [_, b'/', ..] => self.close().map(Some),
            [_, b'?', ..] => self.pass_over(b"?>").map(|()| None),
            [_, b'!', b'-', b'-', ..] => self.pass_over(b"-->").map(|()| None),
            [_, b'!', more @ ..] if more.starts_with(b"[CDATA[") => self.cdata().map(Some),
            [_, b'!', ..] => Err(refused(FaultCode::XmlDtdRefused, self.line())),
            _ => self.open().map(Some),
        }
    }

    fn pass_over(&mut self, end: &'static [u8]) -> Result<(), StatementFault> {
        // Behind the mark that begins it: `<!-->` ends nothing.
        let begin = end.len() + usize::from(end.len() > 2);
        let find = |bytes: &[u8]| {
            let found = memchr::memmem::find(bytes.get(begin..)?, end)?;
            Some(begin + found + end.len())
        };
        let end = self.piece(find)?;
        self.input.take(end);
        Ok(())
    }

    fn cdata(&mut self) -> Result<Step, StatementFault> {
        const BEGIN: usize = "<![CDATA[".len();
        const END: &[u8] = b"]]>";
        let find = |bytes: &[u8]| {
            let found = memchr::memmem::find(bytes.get(BEGIN..)?, END)?;
            Some(BEGIN + found + END.len())
        };
        let end = self.piece(find)?;
        let content = &self.input.rest()[BEGIN..end - END.len()];
        self.text.push_str(content);
        self.input.take(end);
        Ok(Step::Text)
    }

    fn open(&mut self) -> Result<Step, StatementFault> {
        let end = self.piece(tag_end)?;
        let tag = &self.input.rest()[1..end - 1];
        let (tag, empty) = match tag.as_bytes().last() {
            Some(b'/') => (&tag[..tag.len() - 1], true),
            _ => (tag, false),
        };
        // One pass: where the name ends, and where its local part begins.
        let (mut length, mut local) = (0, 0);
        for &byte in tag.as_bytes() {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => break,
                b'<' | b'&' | b'=' | b'"' | b'\'' | b'/' => {
                    return Err(self.broken("not well-formed XML: a tag without a name"));
                }
                b':' => local = length + 1,
                _ => {}
            }
            length += 1;
        }
        if length == 0 {
            return Err(self.broken("not well-formed XML: a tag without a name"));
        }
        let name = Name::new(&tag[local..length]);
        self.starts.push(self.names.len());
        self.names.push_str(&tag[..length]);
        self.attributes.clear();
        self.attributes.push_str(&tag[length..]);
        self.input.take(end);
        self.empty = empty;
        if self.depth() > DEPTH_MAX {
            return Err(self.broken("the document is nested deeper than 64 elements"));
        }
        Ok(Step::Open(name))
    }

    fn close(&mut self) -> Result<Step, StatementFault> {
        // Nearly always it is the end of the open element, without blanks.
        if let Some(start) = self.starts.last() {
            let open = &self.names.as_bytes()[*start..];
            let rest = self.input.rest().as_bytes();
            let end = open.len() + "</".len();
            if rest.get(end) == Some(&b'>') && &rest[2..end] == open {
                self.input.take(end + 1);
                self.pop();
                return Ok(Step::Close);
            }
        }
        let end = self.piece(|bytes| Some(memchr::memchr(b'>', bytes)? + 1))?;
        let name = self.input.rest()[2..end - 1].trim_ascii_end();
        let open = self.starts.last().map(|start| &self.names[*start..]);
        if open != Some(name) {
            let shown: String = name.chars().take(NAME_BYTES).collect();
            return Err(self.broken(format!(
                "not well-formed XML: the end of `{shown}` is not that of the open element"
            )));
        }
        self.input.take(end);
        self.pop();
        Ok(Step::Close)
    }

    fn pop(&mut self) {
        if let Some(start) = self.starts.pop() {
            self.names.truncate(start);
        }
    }

    /// An attribute of the element that was opened last, as written.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        attributes(&self.attributes)
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    }

    /// All attributes of the element that was opened last.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        attributes(&self.attributes)
    }

    /// The text of the element just opened, without blanks around it, up to its end; elements
    /// inside are passed over.
    ///
    /// # Errors
    /// As [`Xml::step`].
    pub fn text(&mut self) -> Result<&str, StatementFault> {
        self.text.clear();
        if self.empty {
            self.step()?;
            return Ok("");
        }
        let level = self.depth();
        while self.depth() >= level {
            match self.step()? {
                Step::Open(_) => {
                    let length = self.text.len();
                    self.skip()?;
                    self.text.truncate(length);
                }
                Step::End => return Err(self.broken("the document ends inside an element")),
                Step::Close | Step::Text => {}
            }
            if self.text.len() > PIECE_BYTES_MAX {
                return Err(self.broken("a text is larger than its bound"));
            }
        }
        Ok(self.text.trim())
    }

    /// The text gathered since the last element or call.
    pub fn taken(&mut self) -> String {
        std::mem::take(&mut self.text)
    }

    /// Passes over the element just opened.
    ///
    /// # Errors
    /// As [`Xml::step`].
    pub fn skip(&mut self) -> Result<(), StatementFault> {
        let level = self.depth();
        while self.depth() >= level {
            let length = self.text.len();
            if let Step::End = self.step()? {
                return Err(self.broken("the document ends inside an element"));
            }
            self.text.truncate(length);
        }
        Ok(())
    }

    /// Calls `visit` for each element inside the one just opened, up to its end. What `visit`
    /// leaves unread of an element is passed over.
    ///
    /// # Errors
    /// As [`Xml::step`], and those of `visit`.
    pub fn children(
        &mut self,
        visit: &mut dyn FnMut(&mut Self, &str) -> Result<(), StatementFault>,
    ) -> Result<(), StatementFault> {
        let level = self.depth();
        loop {
            self.text.clear();
            match self.step()? {
                Step::Open(name) => {
                    visit(self, name.as_str())?;
                    if self.depth() > level {
                        self.finish(level)?;
                    }
                }
                Step::Close => return Ok(()),
                Step::Text => {}
                Step::End => return Err(self.broken("the document ends inside an element")),
            }
        }
    }

    /// Passes over everything down to `level`.
    fn finish(&mut self, level: usize) -> Result<(), StatementFault> {
        while self.depth() > level {
            self.text.clear();
            if let Step::End = self.step()? {
                return Err(self.broken("the document ends inside an element"));
            }
        }
        Ok(())
    }
}

/// Behind the `>` that ends a tag; one inside quotes ends nothing.
fn tag_end(bytes: &[u8]) -> Option<usize> {
    /// Most tags are shorter than what a search by vectors costs to begin.
    const SHORT: usize = 24;
    for (at, byte) in bytes.iter().enumerate().take(SHORT) {
        match byte {
            b'>' => return Some(at + 1),
            b'"' | b'\'' => break,
            _ => {}
        }
    }
    let mut at = 1;
    loop {
        let mark = at + memchr::memchr3(b'>', b'"', b'\'', &bytes[at..])?;
        if bytes[mark] == b'>' {
            return Some(mark + 1);
        }
        at = mark + 2 + memchr::memchr(bytes[mark], &bytes[mark + 1..])?;
    }
}

fn attributes(raw: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = raw;
    std::iter::from_fn(move || {
        let (name, value) = rest.trim_start().split_once('=')?;
        let value = value.trim_start();
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let (value, after) = value[1..].split_once(quote)?;
        rest = after;
        Some((name.trim_end(), value))
    })
}

fn resolve(reference: &str) -> Result<char, FaultCode> {
    let number = match reference {
        "amp" => return Ok('&'),
        "lt" => return Ok('<'),
        "gt" => return Ok('>'),
        "quot" => return Ok('"'),
        "apos" => return Ok('\''),
        _ => reference
            .strip_prefix('#')
            .ok_or(FaultCode::XmlDtdRefused)?,
    };
    let code = match number.strip_prefix('x') {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => number.parse(),
    };
    let letter = code.ok().and_then(char::from_u32).filter(|c| *c != '\0');
    letter.ok_or(FaultCode::StatementUnreadable)
}

fn refused(code: FaultCode, line: u64) -> StatementFault {
    let detail = match code {
        FaultCode::XmlDtdRefused => "Document types and entities are not read.",
        _ => "A character reference names no character.",
    };
    StatementFault::new(code, detail).at(line)
}

#[cfg(test)]
#[path = "xml_tests.rs"]
mod tests;
