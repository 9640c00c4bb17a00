//! Cuts a body into lines, however its bytes arrive, without keeping more than one line.

use bytes::{Buf, BytesMut};
use florin_ledger::exchange::LINE_BYTES_MAX;

/// Bytes that arrived and are not read yet.
#[derive(Debug, Default)]
pub struct Lines {
    bytes: BytesMut,
    /// Bytes known to hold no line end.
    searched: usize,
    /// In the rest of a line that is too long; its beginning was given out.
    skipping: bool,
}

impl Lines {
    /// Adds bytes. Call [`Lines::next`] until it has nothing before adding more.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next line without its end. A line that is too long is cut one byte above the limit,
    /// so that it is refused as what it is.
    pub fn next(&mut self) -> Option<BytesMut> {
        loop {
            let end = self.bytes[self.searched..]
                .iter()
                .position(|byte| *byte == b'\n');
            let Some(end) = end.map(|end| end + self.searched) else {
                if self.skipping {
                    self.bytes.clear();
                } else if self.bytes.len() > LINE_BYTES_MAX {
                    self.skipping = true;
                    self.searched = 0;
                    let line = self.bytes.split_to(LINE_BYTES_MAX + 1);
                    self.bytes.clear();
                    return Some(line);
                }
                self.searched = self.bytes.len();
                return None;
            };
            let mut line = self.bytes.split_to(end);
            self.bytes.advance(1);
            self.searched = 0;
            if std::mem::take(&mut self.skipping) {
                continue;
            }
            line.truncate(LINE_BYTES_MAX + 1);
            return Some(line);
        }
    }

    /// The last line, if it has no end.
    pub fn rest(self) -> Option<BytesMut> {
        (!self.skipping && !self.bytes.is_empty()).then_some(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(parts: &[&[u8]]) -> Vec<usize> {
        let mut lines = Lines::default();
        let mut lengths = Vec::new();
        for part in parts {
            lines.feed(part);
            while let Some(line) = lines.next() {
                lengths.push(line.len());
            }
        }
        lengths.extend(lines.rest().map(|line| line.len()));
        lengths
    }

    #[test]
    fn lines_are_found_across_the_parts_of_a_body() {
        assert_eq!(read(&[b"ab\nc", b"d", b"\n\nef"]), [2, 2, 0, 2]);
        assert_eq!(read(&[b""]), [] as [usize; 0]);
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_and_the_next_one_is_whole() {
        let long = vec![b'x'; 3 * LINE_BYTES_MAX];
        let parts: Vec<&[u8]> = long.chunks(10_000).chain([&b"\nok\n"[..]]).collect();
        assert_eq!(read(&parts), [LINE_BYTES_MAX + 1, 2]);
        let whole = [&long[..], b"\nok"].concat();
        assert_eq!(read(&[&whole]), [LINE_BYTES_MAX + 1, 2]);
        let exact = vec![b'x'; LINE_BYTES_MAX];
        assert_eq!(read(&[&exact, b"\n"]), [LINE_BYTES_MAX]);
    }
}
