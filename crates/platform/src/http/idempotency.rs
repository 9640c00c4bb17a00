//! The header side of idempotency; where results are kept is the room's business, since a key
//! must be as durable as its effect (contracts, "idempotency").

use axum::extract::FromRequestParts;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::problem::Problem;

/// `Idempotency-Key`.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// `Idempotency-Replayed`.
pub const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Longest key, in bytes.
pub const MAX_KEY_LEN: usize = 255;

/// Extractor: the `Idempotency-Key` of the request, if it has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(pub Option<String>);

impl IdempotencyKey {
    /// The key as text.
    pub fn as_deref(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

impl<S: Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        idempotency_key(&parts.headers).map(|key| Self(key.map(str::to_owned)))
    }
}

/// The key among the headers: 1-255 visible ASCII characters, once; anything else is 400
/// `validation_failed` naming the header.
pub fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut values = headers.get_all(&IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(refused("The header may be given only once."));
    }
    let bytes = value.as_bytes();
    let visible = bytes.iter().all(u8::is_ascii_graphic);
    if bytes.is_empty() || bytes.len() > MAX_KEY_LEN || !visible {
        return Err(refused(
            "The key must be 1 to 255 visible ASCII characters.",
        ));
    }
    let text = std::str::from_utf8(bytes).expect("visible ASCII is UTF-8");
    Ok(Some(text))
}

fn refused(message: &'static str) -> Problem {
    Problem::validation("Idempotency-Key", message)
}

/// Marks an answer as the repetition of an earlier one.
#[must_use]
pub fn replayed(mut response: Response) -> Response {
    response
        .headers_mut()
        .insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(value: &[u8]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let value = HeaderValue::from_bytes(value).expect("header value");
        headers.insert(IDEMPOTENCY_KEY, value);
        headers
    }

    #[test]
    fn visible_ascii_of_1_to_255() {
        assert_eq!(idempotency_key(&HeaderMap::new()).expect("none"), None);
        assert_eq!(idempotency_key(&with(b"a~!")).expect("good"), Some("a~!"));
        assert!(idempotency_key(&with(&[b'k'; 255])).is_ok());
        for bad in [&b""[..], b"a b", b"\xc3\xa9", &[b'k'; 256]] {
            let problem = idempotency_key(&with(bad)).expect_err("bad key");
            assert_eq!(problem.code(), "validation_failed");
            assert_eq!(problem.errors()[0].field, "Idempotency-Key");
        }
        let mut twice = with(b"a");
        twice.append(IDEMPOTENCY_KEY, HeaderValue::from_static("b"));
        assert!(idempotency_key(&twice).is_err());
    }
}
