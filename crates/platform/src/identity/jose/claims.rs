//! The payload of a token and the checks of its registered claims (RFC 7519, section 4.1).

use serde_json::{Map, Value};

use super::{JoseError, LEEWAY_SECONDS};

/// What a token must say to be meant for this service, now.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// Exactly this `iss`.
    pub issuer: &'a str,
    /// At least one of these in `aud`.
    pub audiences: &'a [String],
    /// Wall clock in seconds since the epoch.
    pub now: i64,
}

/// The claims of a token.
#[derive(Clone, Debug, PartialEq)]
pub struct Claims(pub(super) Map<String, Value>);

impl Claims {
    pub(super) fn check(&self, expected: &Expected<'_>) -> Result<(), JoseError> {
        if self.text("iss") != Some(expected.issuer) {
            return Err(JoseError::Issuer);
        }
        let meant = |audience: &str| expected.audiences.iter().any(|ours| ours == audience);
        let for_us = match self.0.get("aud") {
            Some(Value::String(audience)) => meant(audience),
            Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).any(meant),
            _ => false,
        };
        if !for_us {
            return Err(JoseError::Audience);
        }
        let expires = self.seconds("exp")?.ok_or(JoseError::Claim)?;
        if expected.now >= expires.saturating_add(LEEWAY_SECONDS) {
            return Err(JoseError::Expired);
        }
        for start in ["nbf", "iat"] {
            let start = self.seconds(start)?;
            if start.is_some_and(|at| at > expected.now.saturating_add(LEEWAY_SECONDS)) {
                return Err(JoseError::NotYetValid);
            }
        }
        Ok(())
    }

    /// A claim that is a string and not empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str().filter(|text| !text.is_empty())
    }

    /// A claim by the path of its name: `realm_access.roles` looks into an object, while a claim
    /// whose own name has dots (`https://example/roles`) is found first.
    pub fn at(&self, path: &str) -> Option<&Value> {
        if let Some(value) = self.0.get(path) {
            return Some(value);
        }
        let mut parts = path.split('.');
        let first = self.0.get(parts.next()?)?;
        parts.try_fold(first, |value, part| value.get(part))
    }

    /// A claim that lists names: an array of strings or one string with spaces between (as in
    /// `scope`).
    pub fn names(&self, path: &str) -> Vec<&str> {
        match self.at(path) {
            Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(text)) => text.split_whitespace().collect(),
            _ => Vec::new(),
        }
    }

    /// A whole number.
    pub fn integer(&self, name: &str) -> Option<i64> {
        self.0.get(name)?.as_i64()
    }

    /// A time in seconds since the epoch; fractions, which the standard allows, are cut off.
    pub fn seconds(&self, name: &str) -> Result<Option<i64>, JoseError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(value) => value
                .as_i64()
                .or_else(|| value.as_f64().map(|seconds| seconds as i64))
                .map(Some)
                .ok_or(JoseError::Claim),
        }
    }
}
