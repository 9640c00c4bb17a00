//! JSON Web Signatures and Tokens, as little of them as Florin needs (RFC 7515, 7517, 7519, 8725).
//!
//! **Boundary.** Compact tokens in, claims out; no keys are fetched or kept here.
//!
//! **Invariants.**
//! - A key knows its one algorithm, and a token whose header names another is refused: neither
//!   `none` nor an HMAC over a public key can pass.
//! - Nothing of a token is believed before its signature was checked, save `iss` and `kid`, which
//!   only choose the key.
//! - A token with critical extensions (`crit`) is refused, since none is understood.

mod claims;
mod jwk;

pub use claims::{Claims, Expected};
pub use jwk::{Jwk, JwkSet, VerifyingKey};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

/// Longest token that is looked at, in bytes.
pub const MAX_TOKEN_LEN: usize = 8 * 1024;

/// Tolerated difference between clocks, in seconds.
pub const LEEWAY_SECONDS: i64 = 60;

/// Signature algorithms that exist here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    /// Ed25519 (RFC 8037).
    EdDSA,
    /// RSA PKCS #1 v1.5 with SHA-256.
    RS256,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// HMAC with SHA-256: only with a secret from configuration.
    HS256,
    /// HMAC with SHA-384: only with a secret configured so.
    HS384,
    /// HMAC with SHA-512: only with a secret configured so.
    HS512,
}

impl Algorithm {
    /// Size of the hash of an HMAC, which is also the smallest secret (RFC 7518, section 3.2);
    /// `None` for signatures.
    pub const fn hmac_bytes(self) -> Option<usize> {
        match self {
            Self::HS256 => Some(32),
            Self::HS384 => Some(48),
            Self::HS512 => Some(64),
            Self::EdDSA | Self::RS256 | Self::ES256 => None,
        }
    }
}

/// Why a token is not accepted. The texts go to logs; callers only learn `unauthenticated`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JoseError {
    /// Not three base64url parts with JSON inside.
    #[error("the token is malformed")]
    Malformed,
    /// An algorithm that does not exist here, `none` among them.
    #[error("the token's algorithm is not supported")]
    Algorithm,
    /// The header asks for another algorithm than the key's.
    #[error("the token's algorithm is not the key's")]
    AlgorithmMismatch,
    /// The header has critical extensions.
    #[error("the token has critical extensions")]
    Critical,
    /// No key signed this.
    #[error("the token's signature is wrong")]
    Signature,
    /// `iss` is missing or another.
    #[error("the token's issuer is not accepted")]
    Issuer,
    /// `aud` is missing or does not name this service.
    #[error("the token is not meant for this service")]
    Audience,
    /// `exp` is missing or past.
    #[error("the token has expired")]
    Expired,
    /// `nbf` or `iat` lies ahead.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// A claim that is needed is missing or has the wrong type.
    #[error("the token lacks a claim")]
    Claim,
    /// No key has the name that the token gives.
    #[error("the token's key is not known")]
    UnknownKey,
    /// The key cannot be used: wrong size, type or use.
    #[error("the key cannot be used")]
    Key,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<serde_json::Value>,
}

/// A token taken apart, not yet verified.
#[derive(Debug)]
pub struct Unverified<'a> {
    algorithm: Algorithm,
    kid: Option<String>,
    claims: Claims,
    signed: &'a [u8],
    signature: Vec<u8>,
}

impl<'a> Unverified<'a> {
    /// Takes a compact token apart.
    ///
    /// # Errors
    /// [`JoseError::Malformed`], [`JoseError::Algorithm`], [`JoseError::Critical`].
    pub fn parse(token: &'a str) -> Result<Self, JoseError> {
        if token.len() > MAX_TOKEN_LEN {
            return Err(JoseError::Malformed);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(JoseError::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(JoseError::Malformed)?;
        let header: Header = json(header)?;
        let algorithm = match header.alg.as_str() {
            "EdDSA" => Algorithm::EdDSA,
            "RS256" => Algorithm::RS256,
            "ES256" => Algorithm::ES256,
            "HS256" => Algorithm::HS256,
            "HS384" => Algorithm::HS384,
            "HS512" => Algorithm::HS512,
            _ => return Err(JoseError::Algorithm),
        };
        if header.crit.is_some() {
            return Err(JoseError::Critical);
        }
        Ok(Self {
            algorithm,
            kid: header.kid,
            claims: Claims(json(payload)?),
            signed: signed.as_bytes(),
            signature: decode(signature)?,
        })
    }

    /// What the header says; only to choose a key.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// What the header says; only to choose a key.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// What the payload says; only to choose a key.
    pub fn issuer(&self) -> Option<&str> {
        self.claims.text("iss")
    }

    /// Checks signature and registered claims; only then the claims can be had.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn verify(self, key: &VerifyingKey, expected: &Expected<'_>) -> Result<Claims, JoseError> {
        if self.algorithm != key.algorithm() {
            return Err(JoseError::AlgorithmMismatch);
        }
        key.verify(self.signed, &self.signature)?;
        self.claims.check(expected)?;
        Ok(self.claims)
    }
}

/// Puts a token together: header and claims as JSON, and a signature over both.
pub fn compact(
    algorithm: Algorithm,
    kid: &str,
    claims: &serde_json::Value,
    sign: impl FnOnce(&[u8]) -> Vec<u8>,
) -> String {
    let header = serde_json::json!({ "alg": algorithm, "kid": kid, "typ": "at+jwt" });
    let mut token = String::with_capacity(512);
    token.push_str(&URL_SAFE_NO_PAD.encode(header.to_string()));
    token.push('.');
    token.push_str(&URL_SAFE_NO_PAD.encode(claims.to_string()));
    let signature = sign(token.as_bytes());
    token.push('.');
    token.push_str(&URL_SAFE_NO_PAD.encode(signature));
    token
}

fn decode(part: &str) -> Result<Vec<u8>, JoseError> {
    URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| JoseError::Malformed)
}

fn json<T: serde::de::DeserializeOwned>(part: &str) -> Result<T, JoseError> {
    serde_json::from_slice(&decode(part)?).map_err(|_| JoseError::Malformed)
}

#[cfg(test)]
mod tests;
