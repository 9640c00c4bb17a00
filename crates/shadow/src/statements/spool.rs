//! A body on its way to a temporary file: bounded, digested, and of a multipart body only the
//! one file in it.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, Write as _};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::fault::{FaultCode, StatementFault};

/// Longest header of a part.
const PART_HEADER_MAX: usize = 8 << 10;

/// A file as it was sent, in a temporary file that nobody else sees.
#[derive(Debug)]
pub struct Spooled {
    file: File,
    start: u64,
    end: u64,
    digest: [u8; 32],
}

impl Spooled {
    /// SHA-256 of the file.
    pub const fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// A reader of the file from its first byte.
    ///
    /// # Errors
    /// [`FaultCode::Io`].
    pub fn reader(&self) -> Result<BufReader<impl Read + Send + use<>>, StatementFault> {
        let mut file = self.file.try_clone().map_err(io)?;
        file.seek(SeekFrom::Start(self.start)).map_err(io)?;
        let section = file.take(self.end - self.start);
        Ok(BufReader::with_capacity(256 << 10, section))
    }
}

fn io(error: std::io::Error) -> StatementFault {
    StatementFault::new(FaultCode::Io, format!("temporary file: {error}"))
}

/// Takes a body piece by piece.
pub struct Spool {
    file: File,
    length: u64,
    limit: u64,
    digest: Sha256,
}

impl Spool {
    /// An empty one that takes `limit` bytes.
    ///
    /// # Errors
    /// [`FaultCode::Io`].
    pub fn new(limit: u64) -> Result<Self, StatementFault> {
        Ok(Self {
            file: tempfile::tempfile().map_err(io)?,
            length: 0,
            limit,
            digest: Sha256::new(),
        })
    }

    /// Adds a piece. Blocks on the disk for its length only.
    ///
    /// # Errors
    /// 413 `body_too_large`, [`FaultCode::Io`].
    pub fn push(&mut self, piece: &Bytes) -> Result<(), StatementFault> {
        self.length += piece.len() as u64;
        if self.length > self.limit {
            let detail = "The file is larger than the limit.";
            return Err(StatementFault::new(FaultCode::BodyTooLarge, detail));
        }
        self.digest.update(piece);
        self.file.write_all(piece).map_err(io)
    }

    /// The whole body is the file.
    pub fn whole(self) -> Spooled {
        Spooled {
            file: self.file,
            start: 0,
            end: self.length,
            digest: self.digest.finalize().into(),
        }
    }

    /// The body is multipart with one file in it.
    ///
    /// # Errors
    /// 400 `statement_unreadable` when it is not, [`FaultCode::Io`].
    pub fn part(mut self, boundary: &str) -> Result<Spooled, StatementFault> {
        let wrong = |detail: &str| StatementFault::unreadable(1, format!("multipart: {detail}"));
        let mark = format!("--{boundary}").into_bytes();
        self.file.seek(SeekFrom::Start(0)).map_err(io)?;
        let mut head = vec![0; mark.len() + PART_HEADER_MAX];
        let filled = fill(&mut self.file, &mut head)?;
        let head = &head[..filled];
        // A preamble may stand before the first boundary.
        let first =
            memchr::memmem::find(head, &mark).ok_or_else(|| wrong("there is no boundary"))?;
        let header = memchr::memmem::find(&head[first..], b"\r\n\r\n");
        let header = header.ok_or_else(|| wrong("a part has no header"))?;
        let start = (first + header + 4) as u64;
        let ends = self.find_all(start, &[b"\r\n", &mark[..]].concat())?;
        match ends[..] {
            [end] if self.closes(end + 2 + mark.len() as u64)? => self.section(start, end),
            [] => Err(wrong("the part does not end")),
            _ => Err(wrong("one file is expected, and nothing beside it")),
        }
    }

    /// Whether `--` follows: the boundary ends the body.
    fn closes(&mut self, at: u64) -> Result<bool, StatementFault> {
        self.file.seek(SeekFrom::Start(at)).map_err(io)?;
        let mut two = [0; 2];
        Ok(fill(&mut self.file, &mut two)? == 2 && two == *b"--")
    }

    /// The first two places of `needle` from `start` on.
    fn find_all(&mut self, start: u64, needle: &[u8]) -> Result<Vec<u64>, StatementFault> {
        // A part may be empty: its boundary's line end is then that of the header.
        let mut at = start.saturating_sub(2);
        self.file.seek(SeekFrom::Start(at)).map_err(io)?;
        let finder = memchr::memmem::Finder::new(needle);
        let mut window = Vec::new();
        let mut buffer = vec![0; 256 << 10];
        let mut found = Vec::new();
        loop {
            let count = fill(&mut self.file, &mut buffer)?;
            window.extend_from_slice(&buffer[..count]);
            for place in finder.find_iter(&window) {
                found.push(at + place as u64);
                if found.len() == 2 {
                    return Ok(found);
                }
            }
            if count == 0 {
                return Ok(found);
            }
            let keep = window.len().min(needle.len() - 1);
            let cut = window.len() - keep;
            window.drain(..cut);
            at += cut as u64;
        }
    }

    fn section(mut self, start: u64, end: u64) -> Result<Spooled, StatementFault> {
        let end = end.max(start);
        self.file.seek(SeekFrom::Start(start)).map_err(io)?;
        let mut digest = Sha256::new();
        let mut left = (&self.file).take(end - start);
        let mut buffer = vec![0; 256 << 10];
        loop {
            match left.read(&mut buffer).map_err(io)? {
                0 => break,
                count => digest.update(&buffer[..count]),
            }
        }
        Ok(Spooled {
            file: self.file,
            start,
            end,
            digest: digest.finalize().into(),
        })
    }
}

fn fill(file: &mut File, into: &mut [u8]) -> Result<usize, StatementFault> {
    let mut filled = 0;
    while filled < into.len() {
        match file.read(&mut into[filled..]).map_err(io)? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}

/// The boundary of a `multipart/form-data` content type.
pub fn boundary(content_type: &str) -> Option<String> {
    let (essence, parameters) = content_type.split_once(';')?;
    if !essence.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let value = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.trim().split_once('=')?;
        name.eq_ignore_ascii_case("boundary").then_some(value)
    })?;
    let value = value.trim_matches('"');
    let fits = (1..=70).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_graphic());
    fits.then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(body: &str) -> Result<String, StatementFault> {
        let mut spool = Spool::new(1 << 20)?;
        for piece in body.as_bytes().chunks(7) {
            spool.push(&Bytes::copy_from_slice(piece))?;
        }
        let spooled = spool.part("XX")?;
        let mut text = String::new();
        spooled.reader()?.read_to_string(&mut text)?;
        let digest: [u8; 32] = Sha256::digest(text.as_bytes()).into();
        assert_eq!(spooled.digest(), digest);
        Ok(text)
    }

    #[test]
    fn the_one_file_of_a_multipart_body() {
        let body = "--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nline\r\n--X\r\n\r\n--XX--\r\n";
        assert_eq!(part(body).expect("one part"), "line\r\n--X\r\n");
        assert_eq!(part("--XX\r\nA: b\r\n\r\n\r\n--XX--").expect("empty"), "");
        for wrong in [
            "",
            "--XX\r\nA: b\r\n\r\nx",
            "--XX\r\nA: b\r\n\r\nx\r\n--XX\r\nA: c\r\n\r\ny\r\n--XX--",
            "--XX\r\nA: b",
        ] {
            assert_eq!(
                part(wrong).expect_err(wrong).code,
                FaultCode::StatementUnreadable
            );
        }
    }

    #[test]
    fn bodies_are_bounded_and_boundaries_read() {
        let mut spool = Spool::new(3).expect("a file");
        assert!(spool.push(&Bytes::from_static(b"abc")).is_ok());
        let fault = spool
            .push(&Bytes::from_static(b"d"))
            .expect_err("too large");
        assert_eq!(fault.code, FaultCode::BodyTooLarge);
        assert_eq!(
            boundary("multipart/form-data; boundary=\"a-b\"").as_deref(),
            Some("a-b")
        );
        assert_eq!(
            boundary("Multipart/Form-Data; charset=x; Boundary=ab").as_deref(),
            Some("ab")
        );
        for wrong in [
            "text/plain; boundary=a",
            "multipart/form-data",
            "multipart/form-data; boundary=",
        ] {
            assert_eq!(boundary(wrong), None, "{wrong}");
        }
    }
}
