//! Pulling through XML: bounded in depth and element size, without document types and without
//! entities of its own (contract D1, F3 rows 38 and 39).

use quick_xml::Reader;
use quick_xml::events::Event;

use super::fault::{FaultCode, StatementFault};
use super::input::Input;

/// Deepest nesting (contract D1).
pub const DEPTH_MAX: usize = 64;
/// Largest tag or run of text, in bytes.
const PIECE_BYTES_MAX: usize = 256 << 10;
/// Longer names match nothing that is looked for.
const NAME_BYTES: usize = 32;

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
    reader: Reader<Input<'r>>,
    piece: Vec<u8>,
    text: String,
    attributes: String,
    depth: usize,
}

impl<'r> Xml<'r> {
    /// A document from its first byte.
    pub fn new(input: Input<'r>) -> Self {
        let mut reader = Reader::from_reader(input);
        reader.config_mut().expand_empty_elements = true;
        Self {
            reader,
            piece: Vec::with_capacity(1 << 10),
            text: String::new(),
            attributes: String::new(),
            depth: 0,
        }
    }

    /// Line of the next byte.
    pub fn line(&self) -> u64 {
        self.reader.get_ref().line()
    }

    /// The input, for its deviations.
    pub fn input(&self) -> &Input<'r> {
        self.reader.get_ref()
    }

    /// A file that is not a whole document.
    pub fn broken(&self, detail: impl Into<String>) -> StatementFault {
        StatementFault::unreadable(self.line(), detail)
    }

    /// The next step. Comments and processing instructions are passed over.
    ///
    /// # Errors
    /// `xml_dtd_refused`, `statement_unreadable`, and those of the input.
    pub fn step(&mut self) -> Result<Step, StatementFault> {
        loop {
            self.reader.get_mut().allow(PIECE_BYTES_MAX);
            self.piece.clear();
            let event = match self.reader.read_event_into(&mut self.piece) {
                Ok(event) => event,
                Err(error) => {
                    let line = self.reader.get_ref().line();
                    return Err(fault_of(error, line));
                }
            };
            match event {
                Event::Start(start) => {
                    self.depth += 1;
                    let name = Name::new(start.local_name().as_ref());
                    self.attributes.clear();
                    self.attributes.push_str(start.attributes_raw());
                    if self.depth > DEPTH_MAX {
                        return Err(self.broken("the document is nested deeper than 64 elements"));
                    }
                    return Ok(Step::Open(name));
                }
                Event::End(_) => {
                    self.depth -= 1;
                    return Ok(Step::Close);
                }
                Event::Text(text) => {
                    self.text.push_str(&text);
                    return Ok(Step::Text);
                }
                Event::CData(text) => {
                    self.text.push_str(&text);
                    return Ok(Step::Text);
                }
                Event::GeneralRef(reference) => {
                    let letter = resolve(&reference);
                    let line = self.reader.get_ref().line();
                    self.text.push(letter.map_err(|code| refused(code, line))?);
                    return Ok(Step::Text);
                }
                Event::DocType(_) => {
                    let line = self.reader.get_ref().line();
                    return Err(refused(FaultCode::XmlDtdRefused, line));
                }
                Event::Decl(_) | Event::PI(_) | Event::Comment(_) | Event::Empty(_) => {}
                Event::Eof if self.depth > 0 => {
                    return Err(self.broken("the document ends inside an element"));
                }
                Event::Eof => return Ok(Step::End),
            }
            if self.text.len() > PIECE_BYTES_MAX {
                return Err(self.broken("a text is larger than its bound"));
            }
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
        let level = self.depth;
        while self.depth >= level {
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
        let level = self.depth;
        while self.depth >= level {
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
        let level = self.depth;
        loop {
            self.text.clear();
            match self.step()? {
                Step::Open(name) => {
                    visit(self, name.as_str())?;
                    if self.depth > level {
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
        while self.depth > level {
            self.text.clear();
            if let Step::End = self.step()? {
                return Err(self.broken("the document ends inside an element"));
            }
        }
        Ok(())
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

fn fault_of(error: quick_xml::Error, line: u64) -> StatementFault {
    if let quick_xml::Error::Io(inner) = &error
        && let Some(fault) = inner
            .get_ref()
            .and_then(|e| e.downcast_ref::<StatementFault>())
    {
        return fault.clone();
    }
    let text: String = error.to_string().chars().take(200).collect();
    StatementFault::unreadable(line, format!("not well-formed XML: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statements::input::{Charset, Limits, Source};

    fn walk(text: &str) -> Result<Vec<String>, StatementFault> {
        let source = Source::open(text.as_bytes(), Limits::default())?;
        let mut xml = Xml::new(source.text(Charset::Utf8, false));
        let mut seen = Vec::new();
        loop {
            match xml.step()? {
                Step::Open(name) => seen.push(format!("<{}", name.as_str())),
                Step::Close => seen.push(">".to_owned()),
                Step::Text => seen.push(std::mem::take(&mut xml.text)),
                Step::End => return Ok(seen),
            }
        }
    }

    #[test]
    fn elements_text_and_references() {
        let seen = walk(
            "<?xml version=\"1.0\"?><n:a x='1'><!-- c --><b/>&lt;&#65;&#x42;<![CDATA[<c>]]></n:a>",
        );
        assert_eq!(seen.expect("reads").join(""), "<a<b><AB<c>>");
    }

    /// Row 38.
    #[test]
    fn document_types_and_entities_are_refused() {
        for text in [
            "<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>",
            "<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>",
            "<a>&x;</a>",
        ] {
            let fault = walk(text).expect_err(text);
            assert_eq!(fault.code, FaultCode::XmlDtdRefused, "{text}");
        }
    }

    #[test]
    fn what_is_cut_or_crossed_is_unreadable() {
        for text in [
            "<a>",
            "<a",
            "<a></b>",
            "<a>&#0;</a>",
            "</a>",
            "<a>&#xD800;</a>",
            "<a><![CDATA[x",
        ] {
            let fault = walk(text).expect_err(text);
            assert_eq!(fault.code, FaultCode::StatementUnreadable, "{text}");
            assert!(fault.line.is_some());
        }
        let deep = "<a>".repeat(DEPTH_MAX + 1);
        assert!(walk(&deep).expect_err("deep").detail.contains("deeper"));
        let huge = format!("<a b=\"{}\"/>", "x".repeat(PIECE_BYTES_MAX));
        assert_eq!(
            walk(&huge).expect_err("huge").code,
            FaultCode::StatementUnreadable
        );
    }
}
