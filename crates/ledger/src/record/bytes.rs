//! Building blocks of the journal's encoding: variable-length integers, compact strings.

use florin_base::ids::parse_canonical_uuid;

/// The bytes are not what was written; for logs only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed journal entry: {0}")]
pub struct Malformed(pub &'static str);

/// Result of reading.
pub type Read<T> = Result<T, Malformed>;

// First byte of a string: its length, or one of these.
const LONG: u8 = 0xF0;
const UUID: u8 = 0xFE;
const UUID_SUFFIX: u8 = 0xFD;
const PREFIX_UUID: u8 = 0xFC;
const UUID_TEXT: usize = 36;

/// Appends integers and strings.
pub trait Put {
    /// LEB128.
    fn varint(&mut self, value: u128);
    /// A string; UUIDs in it take 16 bytes.
    fn text(&mut self, text: &str);
    /// An optional string, told apart by a flag kept elsewhere: writes nothing for `None`.
    fn maybe_text(&mut self, text: Option<&str>) {
        if let Some(text) = text {
            self.text(text);
        }
    }
    /// Signed microseconds.
    fn micros(&mut self, micros: i64);
}

impl Put for Vec<u8> {
    fn varint(&mut self, mut value: u128) {
        while value >= 0x80 {
            self.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.push(value as u8);
    }

    fn text(&mut self, text: &str) {
        if text.len() >= UUID_TEXT {
            let split = |at: usize| text.is_char_boundary(at).then(|| text.split_at(at));
            if let Some((head, tail)) = split(UUID_TEXT)
                && tail.len() < 0x80
                && let Some(uuid) = parse_canonical_uuid(head)
            {
                if tail.is_empty() {
                    self.push(UUID);
                } else {
                    self.push(UUID_SUFFIX);
                    self.push(tail.len() as u8);
                    self.extend_from_slice(tail.as_bytes());
                }
                self.extend_from_slice(uuid.as_bytes());
                return;
            }
            if let Some((head, tail)) = split(text.len() - UUID_TEXT)
                && head.len() < 0x80
                && let Some(uuid) = parse_canonical_uuid(tail)
            {
                self.push(PREFIX_UUID);
                self.push(head.len() as u8);
                self.extend_from_slice(head.as_bytes());
                self.extend_from_slice(uuid.as_bytes());
                return;
            }
        }
        if text.len() < usize::from(LONG) {
            self.push(text.len() as u8);
        } else {
            self.push(LONG);
            self.varint(text.len() as u128);
        }
        self.extend_from_slice(text.as_bytes());
    }

    fn micros(&mut self, micros: i64) {
        self.extend_from_slice(&micros.to_le_bytes());
    }
}

/// Reads what [`Put`] wrote.
#[derive(Debug, Clone, Copy)]
pub struct Take<'a> {
    rest: &'a [u8],
}

impl<'a> Take<'a> {
    /// Starts at the first byte.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Nothing is left.
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `count` bytes.
    pub fn bytes(&mut self, count: usize) -> Read<&'a [u8]> {
        let (head, tail) = self
            .rest
            .split_at_checked(count)
            .ok_or(Malformed("cut short"))?;
        self.rest = tail;
        Ok(head)
    }

    /// One byte.
    pub fn byte(&mut self) -> Read<u8> {
        Ok(self.bytes(1)?[0])
    }

    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        self.bytes(N)?
            .try_into()
            .map_err(|_| Malformed("cut short"))
    }

    /// 4 bytes, little-endian.
    pub fn u32(&mut self) -> Read<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// 8 bytes, little-endian.
    pub fn u64(&mut self) -> Read<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// 16 bytes, big-endian.
    pub fn u128_be(&mut self) -> Read<u128> {
        self.array().map(u128::from_be_bytes)
    }

    /// Signed microseconds.
    pub fn micros(&mut self) -> Read<i64> {
        self.array().map(i64::from_le_bytes)
    }

    /// LEB128.
    pub fn varint(&mut self) -> Read<u128> {
        let mut value = 0u128;
        for shift in (0..).step_by(7) {
            let byte = self.byte()?;
            let bits = u128::from(byte & 0x7F);
            if shift > 126 || (shift == 126 && bits > 3) {
                return Err(Malformed("integer too large"));
            }
            value |= bits << shift;
            if byte < 0x80 {
                break;
            }
        }
        Ok(value)
    }

    /// LEB128 that fits 64 bits.
    pub fn varint_u64(&mut self) -> Read<u64> {
        u64::try_from(self.varint()?).map_err(|_| Malformed("integer too large"))
    }

    /// LEB128 that fits 32 bits.
    pub fn varint_u32(&mut self) -> Read<u32> {
        u32::try_from(self.varint()?).map_err(|_| Malformed("integer too large"))
    }

    /// A string.
    pub fn text(&mut self) -> Read<Box<str>> {
        let uuid = |bytes: [u8; 16]| uuid::Uuid::from_bytes(bytes).to_string();
        Ok(match self.byte()? {
            UUID => uuid(self.array()?).into(),
            UUID_SUFFIX => {
                let length = self.byte()?;
                let suffix = self.utf8(usize::from(length))?;
                let uuid = uuid(self.array()?);
                (uuid + suffix).into()
            }
            PREFIX_UUID => {
                let length = self.byte()?;
                let prefix = self.utf8(usize::from(length))?;
                format!("{prefix}{}", uuid(self.array()?)).into()
            }
            LONG => {
                let length = self.varint_u32()?;
                self.utf8(length as usize)?.into()
            }
            length if length < LONG => self.utf8(usize::from(length))?.into(),
            _ => return Err(Malformed("unknown string form")),
        })
    }

    fn utf8(&mut self, length: usize) -> Read<&'a str> {
        std::str::from_utf8(self.bytes(length)?).map_err(|_| Malformed("not UTF-8"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_round_trip_and_uuids_are_small() {
        let uuid = "0190f000-0000-7000-8000-00000000000a";
        let long = "x".repeat(300);
        for (text, at_most) in [
            ("", 1),
            ("short", 6),
            (uuid, 17),
            (&format!("{uuid}:rev"), 22),
            (&format!("key:{uuid}"), 22),
            ("0190F000-0000-7000-8000-00000000000A", 37),
            (&long, 303),
        ] {
            let mut bytes = Vec::new();
            bytes.text(text);
            assert!(bytes.len() <= at_most, "{text}: {} bytes", bytes.len());
            let mut take = Take::new(&bytes);
            assert_eq!(&*take.text().expect(text), text);
            assert!(take.is_empty());
        }
    }

    #[test]
    fn integers_round_trip_and_overlong_ones_are_refused() {
        for value in [0, 127, 128, u128::from(u64::MAX), u128::MAX] {
            let mut bytes = Vec::new();
            bytes.varint(value);
            assert_eq!(Take::new(&bytes).varint(), Ok(value));
        }
        assert!(Take::new(&[0xFF; 20]).varint().is_err());
        assert!(Take::new(&[0x80]).varint().is_err());
    }
}
