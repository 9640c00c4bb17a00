//! A strict, streaming CSV reader (RFC 4180) with a bound on everything.
//!
//! It reads exactly the format of the RFC, plus any single ASCII delimiter and quote, `\n` beside
//! `\r\n` and a UTF-8 byte order mark, and refuses the rest by line: a stray quote, a quote never
//! closed, a lone carriage return. Lenient readers guess there, and a wrong guess swallows
//! lines, which an import of money must not. Blank lines are passed over. Memory: one record
//! of at most [`MAX_RECORD_BYTES`] and one buffer.

use std::io::{ErrorKind, Read};

/// Longest record in bytes, line breaks inside quotes included.
pub const MAX_RECORD_BYTES: usize = 64 * 1024;
/// Most fields of a record.
pub const MAX_FIELDS: usize = 256;
const BUFFER_BYTES: usize = 64 * 1024;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Why a record cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The input failed.
    #[error("the input cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// The text is not CSV.
    #[error("line {}, field {}: {} (hint: {})", .0.line, .0.field, .0.problem, .0.fix)]
    Structure(Structure),
}

/// Where and how a text departs from CSV.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Structure {
    /// Line on which the record starts, from 1.
    pub line: u64,
    /// Field of the record, from 1.
    pub field: usize,
    /// What is wrong.
    pub problem: &'static str,
    /// What would be right.
    pub fix: &'static str,
}

/// One record; reused from line to line.
#[derive(Debug, Default)]
pub struct Record {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// Line on which it starts, from 1.
    pub line: u64,
}

impl Record {
    /// Number of fields.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no field: before the first read.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Field `index` (below [`Record::len`]) as text; `None` when it is not UTF-8.
    pub fn field(&self, index: usize) -> Option<&str> {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        std::str::from_utf8(&self.bytes[start..self.ends[index]]).ok()
    }

    fn clear(&mut self, line: u64) {
        self.bytes.clear();
        self.ends.clear();
        self.line = line;
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    FieldStart,
    Plain,
    Quoted,
    /// After a quote inside a quoted field: its end, or the first half of `""`.
    QuoteSeen,
    /// After `\r` outside quotes.
    CarriageReturn,
}

/// Splits a byte stream into records.
pub struct Reader<R> {
    input: R,
    delimiter: u8,
    quote: u8,
    buffer: Box<[u8]>,
    filled: usize,
    at: usize,
    /// Line of the next byte, from 1.
    line: u64,
}

impl<R: Read> Reader<R> {
    /// `delimiter` is neither `"` nor a line break (the profile has checked it).
    pub fn new(input: R, delimiter: u8) -> Self {
        Self::with_quote(input, delimiter, b'"')
    }

    /// With another quote than `"`; the two differ from each other and from line breaks.
    pub fn with_quote(input: R, delimiter: u8, quote: u8) -> Self {
        Self {
            input,
            delimiter,
            quote,
            buffer: vec![0; BUFFER_BYTES].into_boxed_slice(),
            filled: 0,
            at: 0,
            line: 1,
        }
    }

    fn next_byte(&mut self) -> Result<Option<u8>, ReadError> {
        while self.at == self.filled {
            self.at = 0;
            self.filled = match self.input.read(&mut self.buffer) {
                Ok(0) => {
                    self.filled = 0;
                    return Ok(None);
                }
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => 0,
                Err(error) => return Err(ReadError::Io(error)),
            };
        }
        let byte = self.buffer[self.at];
        self.at += 1;
        Ok(Some(byte))
    }

    /// The input, for what it knows about itself.
    pub fn get_ref(&self) -> &R {
        &self.input
    }

    /// Reads the next record that is not blank. False at the end of the input.
    ///
    /// # Errors
    /// [`ReadError`]; the reader is of no use after one.
    pub fn read(&mut self, record: &mut Record) -> Result<bool, ReadError> {
        loop {
            record.clear(self.line);
            let more = self.read_one(record)?;
            let blank = record.bytes.is_empty() && record.len() == 1;
            if !blank || !more {
                return Ok(!blank);
            }
        }
    }

    /// Reads up to and including a line end. False when the input ended instead.
    fn read_one(&mut self, record: &mut Record) -> Result<bool, ReadError> {
        let first_line = self.line == 1;
        let mut state = State::FieldStart;
        loop {
            let Some(byte) = self.next_byte()? else {
                return match state {
                    State::Quoted => Err(structure(
                        record,
                        "a quoted field is never closed",
                        "close it with \" (and write \" inside a field as \"\")",
                    )),
                    State::CarriageReturn => Err(lone_return(record)),
                    _ => {
                        record.ends.push(record.bytes.len());
                        Ok(false)
                    }
                };
            };
            if byte == b'\n' {
                self.line += 1;
                if state != State::Quoted {
                    record.ends.push(record.bytes.len());
                    return Ok(true);
                }
            }
            state = self.step(state, byte, record)?;
            let plain_start = first_line && state == State::Plain && record.ends.is_empty();
            if plain_start && record.bytes == BYTE_ORDER_MARK {
                record.bytes.clear();
                state = State::FieldStart;
            }
        }
    }

    fn step(&self, state: State, byte: u8, record: &mut Record) -> Result<State, ReadError> {
        let next = match (state, byte) {
            (State::CarriageReturn, _) => return Err(lone_return(record)),
            (State::Quoted, quote) if quote == self.quote => return Ok(State::QuoteSeen),
            (State::FieldStart, quote) if quote == self.quote => return Ok(State::Quoted),
            (State::QuoteSeen, quote) if quote == self.quote => State::Quoted,
            (State::Quoted, _) => State::Quoted,
            (_, b'\r') => return Ok(State::CarriageReturn),
            (_, delimiter) if delimiter == self.delimiter => {
                if record.ends.len() + 1 >= MAX_FIELDS {
                    return Err(structure(
                        record,
                        "more than 256 fields",
                        "check the delimiter in the profile",
                    ));
                }
                record.ends.push(record.bytes.len());
                return Ok(State::FieldStart);
            }
            (State::QuoteSeen, _) => {
                return Err(structure(
                    record,
                    "text follows the closing quote of a field",
                    "write \" inside a quoted field as \"\"",
                ));
            }
            (_, quote) if quote == self.quote => {
                return Err(structure(
                    record,
                    "a quote inside a field that is not quoted",
                    "quote the whole field and write the quote as \"\"",
                ));
            }
            _ => State::Plain,
        };
        if record.bytes.len() >= MAX_RECORD_BYTES {
            return Err(structure(
                record,
                "longer than 64 KiB",
                "look for a quote that is never closed",
            ));
        }
        record.bytes.push(byte);
        Ok(next)
    }
}

fn lone_return(record: &Record) -> ReadError {
    structure(
        record,
        "a carriage return without a line feed",
        "end lines with LF or CR LF",
    )
}

fn structure(record: &Record, problem: &'static str, fix: &'static str) -> ReadError {
    ReadError::Structure(Structure {
        line: record.line,
        field: record.ends.len() + 1,
        problem,
        fix,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Result<Vec<(u64, Vec<String>)>, String> {
        // One byte at a time: a record must not depend on how reads cut the input.
        struct Dribble<'a>(&'a [u8]);
        impl Read for Dribble<'_> {
            fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
                let count = self.0.len().min(1);
                out[..count].copy_from_slice(&self.0[..count]);
                self.0 = &self.0[count..];
                Ok(count)
            }
        }
        let mut reader = Reader::new(Dribble(text), b',');
        let mut record = Record::default();
        let mut all = Vec::new();
        while reader.read(&mut record).map_err(|e| e.to_string())? {
            let fields = (0..record.len()).map(|i| record.field(i).unwrap().to_owned());
            all.push((record.line, fields.collect()));
        }
        Ok(all)
    }

    fn row(line: u64, fields: &[&str]) -> (u64, Vec<String>) {
        (line, fields.iter().map(|f| (*f).to_owned()).collect())
    }

    #[test]
    fn the_rfc_is_read() {
        let text = b"\xef\xbb\xbfa,b\r\n\"1,\"\"x\"\"\r\ny\",\n\n\"\",2";
        let expected = [
            row(1, &["a", "b"]),
            row(2, &["1,\"x\"\r\ny", ""]),
            row(5, &["", "2"]),
        ];
        assert_eq!(read(text).unwrap(), expected);
        assert_eq!(read(b"").unwrap(), []);
        assert_eq!(read(b"\n\r\n").unwrap(), []);
        assert_eq!(read(b"\xef\xbb\xbf\"a\"").unwrap(), [row(1, &["a"])]);
        assert_eq!(read(b",\n").unwrap(), [row(1, &["", ""])]);
    }

    #[test]
    fn another_quote_is_taken() {
        let mut reader = Reader::with_quote(&b"'a;''b';\"c\"\n"[..], b';', b'\'');
        let mut record = Record::default();
        assert!(reader.read(&mut record).expect("reads"));
        assert_eq!(record.field(0), Some("a;'b"));
        assert_eq!(record.field(1), Some("\"c\""));
    }

    #[test]
    fn guesses_are_refused_by_line() {
        for (text, line, problem) in [
            (&b"a\n\"b\nc"[..], 2, "never closed"),
            (b"a\n\"b\"c\n", 2, "follows the closing quote"),
            (b"a\nb\"c\n", 2, "not quoted"),
            (b"a\rb\n", 1, "carriage return"),
            (b"a\r", 1, "carriage return"),
        ] {
            let error = read(text).unwrap_err();
            let place = format!("line {line},");
            assert!(error.contains(&place) && error.contains(problem), "{error}");
        }
    }

    #[test]
    fn records_are_bounded() {
        let long = vec![b'x'; MAX_RECORD_BYTES];
        assert_eq!(read(&long).unwrap().len(), 1);
        let longer = vec![b'x'; MAX_RECORD_BYTES + 1];
        assert!(read(&longer).unwrap_err().contains("64 KiB"));
        let wide = vec![b','; MAX_FIELDS - 1];
        assert_eq!(read(&wide).unwrap()[0].1.len(), MAX_FIELDS);
        let wider = vec![b','; MAX_FIELDS];
        assert!(read(&wider).unwrap_err().contains("256 fields"));
    }
}
