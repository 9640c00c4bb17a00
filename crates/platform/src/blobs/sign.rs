//! Signed URLs: what they allow, and the signature of those that this process serves.

use std::time::Duration;

use florin_base::Timestamp;
use ring::hmac;
use serde::Serialize;

use super::Key;

/// What a signed URL allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signing {
    /// Reading.
    Get {
        /// For how long.
        lives: Duration,
    },
    /// Writing, whether something is there or not.
    Put {
        /// For how long.
        lives: Duration,
        /// What is written; the writer must say the same.
        content_type: String,
        /// SHA-256 of what is written.
        sha256: Option<[u8; 32]>,
    },
}

impl Signing {
    /// For how long.
    pub const fn lives(&self) -> Duration {
        match self {
            Self::Get { lives } | Self::Put { lives, .. } => *lives,
        }
    }

    /// The method.
    pub const fn method(&self) -> &'static str {
        match self {
            Self::Get { .. } => "GET",
            Self::Put { .. } => "PUT",
        }
    }
}

/// A URL for one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SignedUrl {
    /// `GET` or `PUT`.
    pub method: &'static str,
    /// The URL; whoever has it may use it.
    pub url: String,
    /// Headers that must be sent with it, exactly.
    pub headers: Vec<(String, String)>,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// What a signature of ours covers; joined by newlines, which none of them holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Covered<'a> {
    pub method: &'a str,
    pub key: &'a Key,
    /// Seconds since 1970.
    pub expires: i64,
    pub content_type: &'a str,
    /// Hex; empty: any.
    pub sha256: &'a str,
}

impl Covered<'_> {
    fn text(&self) -> String {
        format!(
            "florin-blob-v1\n{}\n{}\n{}\n{}\n{}",
            self.method, self.key, self.expires, self.content_type, self.sha256
        )
    }

    pub(super) fn sign(&self, key: &hmac::Key) -> String {
        hex::encode(hmac::sign(key, self.text().as_bytes()))
    }

    pub(super) fn verify(&self, key: &hmac::Key, signature: &str) -> bool {
        let tag = hex::decode(signature);
        tag.is_ok_and(|tag| hmac::verify(key, self.text().as_bytes(), &tag).is_ok())
    }
}
