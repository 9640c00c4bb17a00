//! Lists: `?limit=`, signed opaque cursors, `{"items", "nextCursor"}`.
//!
//! A cursor holds the position after the last item shown, the snapshot sequence of the first
//! page and a digest of the list's name and filters; it never expires. The signature
//! (HMAC-SHA256, truncated to 128 bits) keeps callers from making positions up: altered cursors
//! are `cursor_invalid`, cursors of another list or other filters `cursor_mismatch`
//! (ledger-wallets contract, section A7).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde::Serialize;

use super::problem::{Problem, Status};

/// Items on a page unless the caller asks otherwise.
pub const DEFAULT_LIMIT: u32 = 50;
/// Most items on a page.
pub const MAX_LIMIT: u32 = 500;

const VERSION: u8 = 1;
const FILTER_LEN: usize = 16;
const MAC_LEN: usize = 16;
const HEAD_LEN: usize = 1 + FILTER_LEN + 8;
/// Longest accepted cursor text, in bytes.
const MAX_TEXT: usize = 1024;

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Page<T> {
    /// The items, in the list's stable order.
    pub items: Vec<T>,
    /// Where the next page starts; `None` on the last one.
    pub next_cursor: Option<String>,
}

/// Bounds of `?limit=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageLimits {
    /// Without `limit`.
    pub default: u32,
    /// Largest accepted.
    pub max: u32,
}

impl Default for PageLimits {
    fn default() -> Self {
        Self {
            default: DEFAULT_LIMIT,
            max: MAX_LIMIT,
        }
    }
}

impl PageLimits {
    /// The page size for a given `?limit=`; 400 `validation_failed` outside `1..=max`.
    pub fn resolve(self, limit: Option<u32>) -> Result<usize, Problem> {
        let limit = limit.unwrap_or(self.default);
        if limit == 0 || limit > self.max {
            let message = format!("The limit must be 1 to {}.", self.max);
            return Err(Problem::validation("limit", message));
        }
        Ok(limit as usize)
    }
}

/// Digest of a list's name and the filters in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilterDigest([u8; FILTER_LEN]);

impl FilterDigest {
    /// Digests the list's name and its filters, in a fixed order and without `limit` and
    /// `cursor`; a filter that is not given is left out. The caller's identity belongs in it
    /// where it narrows the list.
    pub fn new<'a>(list: &str, filters: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut context = ring::digest::Context::new(&ring::digest::SHA256);
        let mut add = |text: &str| {
            // The length in front keeps ("a", "bc") and ("ab", "c") apart.
            context.update(&(text.len() as u64).to_le_bytes());
            context.update(text.as_bytes());
        };
        add(list);
        for (name, value) in filters {
            add(name);
            add(value);
        }
        let mut short = [0; FILTER_LEN];
        short.copy_from_slice(&context.finish().as_ref()[..FILTER_LEN]);
        Self(short)
    }
}

/// What a cursor says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// Sequence number as of which the whole walk is shown; 0 where the list has none.
    pub snapshot: u64,
    /// The list's own encoding of the last item shown.
    pub after: Vec<u8>,
}

/// Makes and reads cursors.
#[derive(Clone)]
pub struct Cursors {
    key: hmac::Key,
}

impl Cursors {
    /// With a key of at least 16 bytes that all processes of an installation share.
    pub fn new(key: &[u8]) -> Self {
        debug_assert!(key.len() >= 16, "cursor keys have at least 16 bytes");
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, key),
        }
    }

    /// With a key made from a secret of the configuration, the same in every process.
    pub fn from_secret(secret: &str) -> Self {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        Self::new(hmac::sign(&secret, b"florin cursors").as_ref())
    }

    /// The cursor for the page after `position`.
    pub fn seal(&self, filters: FilterDigest, position: &Position) -> String {
        let mut bytes = Vec::with_capacity(HEAD_LEN + position.after.len() + MAC_LEN);
        bytes.push(VERSION);
        bytes.extend_from_slice(&filters.0);
        bytes.extend_from_slice(&position.snapshot.to_le_bytes());
        bytes.extend_from_slice(&position.after);
        let tag = hmac::sign(&self.key, &bytes);
        bytes.extend_from_slice(&tag.as_ref()[..MAC_LEN]);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a cursor. 400 `cursor_invalid` when it was not made here, 400 `cursor_mismatch`
    /// when it was made for another list or other filters.
    pub fn open(&self, filters: FilterDigest, text: &str) -> Result<Position, Problem> {
        let bytes = self.verify(text).ok_or_else(|| {
            let message = "The cursor was altered or was not made by this server.";
            Problem::field(Status::BadRequest, "cursor_invalid", "cursor", message)
        })?;
        if bytes[1..=FILTER_LEN] != filters.0 {
            let message = "The cursor belongs to another list or to other filters.";
            return Err(Problem::field(
                Status::BadRequest,
                "cursor_mismatch",
                "cursor",
                message,
            ));
        }
        let mut snapshot = [0; 8];
        snapshot.copy_from_slice(&bytes[1 + FILTER_LEN..HEAD_LEN]);
        Ok(Position {
            snapshot: u64::from_le_bytes(snapshot),
            after: bytes[HEAD_LEN..].to_vec(),
        })
    }

    /// Reads `?cursor=`: absent or empty means the first page.
    pub fn open_optional(
        &self,
        filters: FilterDigest,
        text: Option<&str>,
    ) -> Result<Option<Position>, Problem> {
        match text {
            None | Some("") => Ok(None),
            Some(text) => self.open(filters, text).map(Some),
        }
    }

    fn verify(&self, text: &str) -> Option<Vec<u8>> {
        if text.len() > MAX_TEXT {
            return None;
        }
        let mut bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        if bytes.len() < HEAD_LEN + MAC_LEN || bytes[0] != VERSION {
            return None;
        }
        let given = bytes.split_off(bytes.len() - MAC_LEN);
        let tag = hmac::sign(&self.key, &bytes);
        let equal = subtle::ConstantTimeEq::ct_eq(&tag.as_ref()[..MAC_LEN], &given[..]);
        bool::from(equal).then_some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursors() -> Cursors {
        Cursors::new(b"an example key of 32 bytes......")
    }

    fn digest(status: &str) -> FilterDigest {
        FilterDigest::new("wallets", [("status", status)])
    }

    #[test]
    fn a_cursor_gives_back_its_position() {
        let position = Position {
            snapshot: 42,
            after: b"w-17".to_vec(),
        };
        let text = cursors().seal(digest("ACTIVE"), &position);
        assert_eq!(
            cursors().open(digest("ACTIVE"), &text).expect("good"),
            position
        );
        assert_eq!(
            cursors()
                .open_optional(digest("ACTIVE"), None)
                .expect("first"),
            None
        );
    }

    /// Case 66: other filters and altered cursors.
    #[test]
    fn other_filters_mismatch_and_any_change_is_invalid() {
        let position = Position {
            snapshot: 42,
            after: b"w-17".to_vec(),
        };
        let text = cursors().seal(digest("ACTIVE"), &position);
        let problem = cursors()
            .open(digest("CLOSED"), &text)
            .expect_err("other filter");
        assert_eq!(problem.code(), "cursor_mismatch");
        for index in 0..text.len() {
            let mut altered = text.clone().into_bytes();
            altered[index] = if altered[index] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(altered).expect("ASCII");
            let problem = cursors()
                .open(digest("ACTIVE"), &altered)
                .expect_err("altered");
            assert_eq!(problem.code(), "cursor_invalid", "byte {index}");
        }
        for bad in ["", "x", "!!", &text[..text.len() - 1], &"A".repeat(2000)] {
            let problem = cursors().open(digest("ACTIVE"), bad).expect_err("bad");
            assert_eq!(problem.code(), "cursor_invalid");
        }
        let other = Cursors::new(b"another key of 32 bytes.........");
        let problem = other.open(digest("ACTIVE"), &text).expect_err("other key");
        assert_eq!(problem.code(), "cursor_invalid");
    }

    #[test]
    fn digests_keep_field_borders() {
        let a = FilterDigest::new("l", [("a", "bc")]);
        let b = FilterDigest::new("l", [("ab", "c")]);
        assert_ne!(a, b);
    }

    #[test]
    fn limits() {
        let limits = PageLimits::default();
        assert_eq!(limits.resolve(None).expect("default"), 50);
        assert_eq!(limits.resolve(Some(500)).expect("most"), 500);
        for bad in [0, 501] {
            let problem = limits.resolve(Some(bad)).expect_err("out of range");
            assert_eq!(problem.errors()[0].field, "limit");
        }
    }
}
