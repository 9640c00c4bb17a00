//! Names of blobs.

use std::fmt;

use serde::Serialize;

/// Bytes of a key.
const LENGTH_MAX: usize = 512;

/// A key: parts of `A-Z a-z 0-9 . _ = @ -` joined by `/`, at most 512 characters; no part begins
/// with a dot, so that a key cannot lead out of its folder nor meet the store's own files.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Key(Box<str>);

/// A text that is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a key has parts of A-Z a-z 0-9 . _ = @ - joined by /, none beginning with a dot, at most 512 characters"
)]
pub struct NoKey;

impl Key {
    /// Reads a key.
    ///
    /// # Errors
    /// [`NoKey`].
    pub fn parse(text: &str) -> Result<Self, NoKey> {
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"._=@-".contains(&byte);
        let part_ok =
            |part: &str| !part.is_empty() && !part.starts_with('.') && part.bytes().all(letter);
        match text.len() <= LENGTH_MAX && text.split('/').all(part_ok) {
            true => Ok(Self(text.into())),
            false => Err(NoKey),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_cannot_lead_out() {
        for good in ["a", "a/b.c", "2026/11/report_1=x@y-z.csv"] {
            assert_eq!(Key::parse(good).expect(good).as_str(), good);
        }
        let long = "a".repeat(513);
        for bad in [
            "", "/", "a//b", "a/", "/a", "..", "a/../b", ".hidden", "a/.b", "a b", "a\\b", "ä",
            &long,
        ] {
            assert_eq!(Key::parse(bad), Err(NoKey), "{bad}");
        }
    }
}
