//! The bytes of a file as text: unpacked, bounded, in one character set, with line numbers.
//!
//! Every reader stands on [`Input`], so that a gzip bomb, a stray byte and a line without end
//! are refused in one place and with one meaning.

use std::cell::Cell;
use std::io::{self, BufRead, Read};

use flate2::bufread::MultiGzDecoder;

use super::fault::{FaultCode, StatementFault};
use super::model::{Deviation, note};

/// Size bounds of a file (contract D1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes as sent.
    pub packed: u64,
    /// Bytes after unpacking.
    pub unpacked: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            packed: 256 << 20,
            unpacked: 1 << 30,
        }
    }
}

/// Longest line of a format that is read by lines, in bytes.
pub const LINE_BYTES_MAX: usize = 64 << 10;
/// Bytes looked at to tell format and character set.
pub const HEAD_BYTES: usize = 4 << 10;
const CHUNK: usize = 64 << 10;
const GZIP: [u8; 2] = [0x1f, 0x8b];
const UTF8_MARK: &[u8] = b"\xef\xbb\xbf";

/// The character set of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charset {
    /// UTF-8, and ASCII with it.
    Utf8,
    /// windows-1252.
    Windows1252,
    /// ISO-8859-1.
    Latin1,
}

impl Charset {
    /// The character set for a name as XML, OFX and profiles write it.
    pub fn from_name(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "utf-8" | "utf8" | "us-ascii" | "ascii" | "usascii" | "unicode" => Some(Self::Utf8),
            "windows-1252" | "cp1252" | "1252" => Some(Self::Windows1252),
            "iso-8859-1" | "iso8859-1" | "latin1" | "8859-1" => Some(Self::Latin1),
            _ => None,
        }
    }
}

/// The letters of windows-1252 at 0x80–0x9F; zero where it has none.
const WINDOWS_1252: [u32; 32] = [
    0x20ac, 0, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160, 0x2039,
    0x0152, 0, 0x017d, 0, 0, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x02dc,
    0x2122, 0x0161, 0x203a, 0x0153, 0, 0x017e, 0x0178,
];

fn windows_1252(byte: u8) -> Option<char> {
    match byte {
        0x80..=0x9f => {
            char::from_u32(WINDOWS_1252[usize::from(byte - 0x80)]).filter(|c| *c != '\0')
        }
        _ => Some(char::from(byte)),
    }
}

/// A file whose beginning can be looked at before anything is read.
pub struct Source<'r> {
    head: Vec<u8>,
    rest: Box<dyn Read + 'r>,
}

impl<'r> Source<'r> {
    /// Unpacks if the content is gzip, and reads the beginning.
    ///
    /// # Errors
    /// 413 `body_too_large`, 400 `statement_unreadable` for broken gzip.
    pub fn open(raw: impl BufRead + 'r, limits: Limits) -> Result<Self, StatementFault> {
        let mut raw = Bounded::new(raw, limits.packed);
        let packed = raw
            .fill_buf()
            .map_err(StatementFault::from)?
            .starts_with(&GZIP);
        let mut rest: Box<dyn Read + 'r> = if packed {
            Box::new(Bounded::new(MultiGzDecoder::new(raw), limits.unpacked))
        } else {
            Box::new(raw)
        };
        let mut head = vec![0; HEAD_BYTES];
        let mut filled = 0;
        while filled < HEAD_BYTES {
            match read_some(&mut rest, &mut head[filled..])? {
                0 => break,
                more => filled += more,
            }
        }
        head.truncate(filled);
        Ok(Self { head, rest })
    }

    /// The first [`HEAD_BYTES`] after unpacking.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// The text. With `fallback`, bytes that are not UTF-8 are read as windows-1252 and noted as
    /// [`Deviation::CharsetFallback`]; without it they are `charset_error`.
    pub fn text(self, charset: Charset, fallback: bool) -> Input<'r> {
        let marked = self.head.starts_with(UTF8_MARK);
        let skip = if marked { UTF8_MARK.len() } else { 0 };
        Input {
            rest: self.rest,
            charset: if marked { Charset::Utf8 } else { charset },
            fallback,
            pending: self.head[skip..].to_vec(),
            text: String::new(),
            at: 0,
            ended: false,
            line: Cell::new(1),
            counted: Cell::new(0),
            deviations: Vec::new(),
        }
    }
}

fn read_some(from: &mut dyn Read, into: &mut [u8]) -> Result<usize, StatementFault> {
    loop {
        match from.read(into) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other.map_err(StatementFault::from),
        }
    }
}

/// Refuses the byte after the last allowed one.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R> Bounded<R> {
    const fn new(inner: R, limit: u64) -> Self {
        Self { inner, left: limit }
    }

    fn take(&mut self, count: usize) -> io::Result<()> {
        let left = self.left.checked_sub(count as u64);
        self.left = left.ok_or_else(|| {
            StatementFault::new(
                FaultCode::BodyTooLarge,
                "The file is larger than the limit, packed or unpacked.",
            )
        })?;
        Ok(())
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(out)?;
        self.take(count)?;
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Bounded<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left == 0 {
            // Whether anything follows decides between whole and too large.
            let more = !self.inner.fill_buf()?.is_empty();
            self.take(usize::from(more))?;
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        let bytes = self.inner.fill_buf()?;
        Ok(&bytes[..bytes.len().min(most)])
    }

    fn consume(&mut self, count: usize) {
        self.inner.consume(count);
        self.left = self.left.saturating_sub(count as u64);
    }
}

/// Valid UTF-8 without byte order mark and without NUL, with a line count.
pub struct Input<'r> {
    rest: Box<dyn Read + 'r>,
    charset: Charset,
    fallback: bool,
    /// Bytes read and not yet turned into text.
    pending: Vec<u8>,
    text: String,
    at: usize,
    ended: bool,
    /// Line at `counted`; line ends are counted when somebody asks, over long runs at once.
    line: Cell<u64>,
    counted: Cell<usize>,
    deviations: Vec<Deviation>,
}

impl Input<'_> {
    /// Line of the next byte, from 1.
    pub fn line(&self) -> u64 {
        let new = lines(&self.text.as_bytes()[self.counted.get()..self.at]);
        self.line.set(self.line.get() + new);
        self.counted.set(self.at);
        self.line.get()
    }

    /// Deviations met so far.
    pub fn deviations(&self) -> &[Deviation] {
        &self.deviations
    }

    /// The text that is there and not yet taken; more may follow.
    #[inline]
    pub fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    /// Takes so many bytes of [`Input::rest`], up to the end of a character.
    #[inline]
    pub const fn take(&mut self, bytes: usize) {
        self.at += bytes;
    }

    /// Brings more text behind what is not yet taken. False at the end of the file.
    ///
    /// # Errors
    /// Those of the source, and `charset_error`.
    pub fn more(&mut self) -> Result<bool, StatementFault> {
        self.line();
        self.text.drain(..self.at);
        (self.at, self.counted) = (0, Cell::new(0));
        let before = self.text.len();
        while self.text.len() == before && !(self.ended && self.pending.is_empty()) {
            self.read_pending()?;
            self.decode()?;
        }
        Ok(self.text.len() > before)
    }

    /// The next line without its end (`\n` or `\r\n`). False at the end of the file.
    ///
    /// # Errors
    /// `statement_unreadable` for a line over [`LINE_BYTES_MAX`], and those of the source.
    pub fn read_line(&mut self, line: &mut String) -> Result<bool, StatementFault> {
        line.clear();
        let mut any = false;
        loop {
            let at = self.line();
            let bytes = self.fill_buf().map_err(StatementFault::from)?;
            if bytes.is_empty() {
                return Ok(any);
            }
            any = true;
            let end = memchr::memchr(b'\n', bytes);
            let part = &bytes[..end.unwrap_or(bytes.len())];
            if line.len() + part.len() > LINE_BYTES_MAX {
                return Err(StatementFault::unreadable(
                    at,
                    "a line is longer than 64 KiB",
                ));
            }
            // A buffer never ends inside a character.
            line.push_str(std::str::from_utf8(part).map_err(|_| charset_error(at))?);
            let taken = part.len() + usize::from(end.is_some());
            self.consume(taken);
            if end.is_some() {
                if line.ends_with('\r') {
                    line.pop();
                }
                return Ok(true);
            }
        }
    }

    fn refill(&mut self) -> Result<(), StatementFault> {
        self.line();
        self.counted.set(0);
        self.text.clear();
        self.at = 0;
        while self.text.is_empty() && !self.ended {
            self.read_pending()?;
            self.decode()?;
        }
        Ok(())
    }

    fn read_pending(&mut self) -> Result<(), StatementFault> {
        let before = self.pending.len();
        if before < CHUNK {
            self.pending.resize(before + CHUNK, 0);
            let read = read_some(&mut self.rest, &mut self.pending[before..]);
            let count = *read.as_ref().unwrap_or(&0);
            self.pending.truncate(before + count);
            read.map_err(|fault| fault.at(self.line.get()))?;
            self.ended = count == 0;
        }
        Ok(())
    }

    /// Turns pending bytes into text; at most three bytes of a cut character stay behind.
    fn decode(&mut self) -> Result<(), StatementFault> {
        let pending = std::mem::take(&mut self.pending);
        let new = self.text.len();
        // Line of the first pending byte: what is not yet taken stands before it.
        let first = self.line() + lines(&self.text.as_bytes()[self.at..]);
        let result = match self.charset {
            Charset::Utf8 => self.decode_utf8(&pending),
            Charset::Latin1 => {
                self.text.extend(pending.iter().copied().map(char::from));
                Ok(0)
            }
            Charset::Windows1252 => self.decode_windows(&pending).map(|()| 0),
        };
        let left = result.map_err(|at| charset_error(first + lines(&pending[..at])))?;
        self.pending = pending;
        let cut = self.pending.len() - left;
        self.pending.drain(..cut);
        let added = &self.text.as_bytes()[new..];
        match memchr::memchr(0, added) {
            Some(at) => Err(charset_error(first + lines(&added[..at]))),
            None => Ok(()),
        }
    }

    /// How many bytes at the end are the beginning of a character; or where the fault is.
    fn decode_utf8(&mut self, bytes: &[u8]) -> Result<usize, usize> {
        let mut from = 0;
        loop {
            let error = match std::str::from_utf8(&bytes[from..]) {
                Ok(text) => {
                    self.text.push_str(text);
                    return Ok(0);
                }
                Err(error) => error,
            };
            let valid = from + error.valid_up_to();
            let text = std::str::from_utf8(&bytes[from..valid]);
            self.text.push_str(text.expect("it is valid up to there"));
            if error.error_len().is_none() && !self.ended {
                return Ok(bytes.len() - valid);
            }
            if !self.fallback {
                return Err(valid);
            }
            note(&mut self.deviations, Deviation::CharsetFallback);
            from = valid + error.error_len().unwrap_or(bytes.len() - valid);
            self.decode_windows(&bytes[valid..from])
                .map_err(|at| valid + at)?;
        }
    }

    fn decode_windows(&mut self, bytes: &[u8]) -> Result<(), usize> {
        for (at, byte) in bytes.iter().enumerate() {
            self.text.push(windows_1252(*byte).ok_or(at)?);
        }
        Ok(())
    }
}

fn lines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

fn charset_error(line: u64) -> StatementFault {
    StatementFault::new(
        FaultCode::CharsetError,
        "The file holds bytes that its character set does not have.",
    )
    .at(line)
}

impl BufRead for Input<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.text.len() && !(self.ended && self.pending.is_empty()) {
            self.refill()?;
        }
        Ok(&self.text.as_bytes()[self.at..])
    }

    fn consume(&mut self, count: usize) {
        self.at += count;
    }
}

impl Read for Input<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let bytes = self.fill_buf()?;
        let count = bytes.len().min(out.len());
        out[..count].copy_from_slice(&bytes[..count]);
        self.consume(count);
        Ok(count)
    }
}

#[cfg(test)]
#[path = "input_tests.rs"]
mod tests;
