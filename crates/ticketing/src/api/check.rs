//! Grammar of single fields: lengths, countries, addresses.

use florin_base::Timestamp;
use florin_platform::http::problem::Problem;

use super::problem::field;

/// A text of `min` to `max` characters without control characters, blanks at its ends cut off.
///
/// # Errors
/// 400 `validation_failed`.
pub fn line(name: &str, text: &str, min: usize, max: usize) -> Result<String, Problem> {
    let text = text.trim();
    let count = text.chars().count();
    if count < min || count > max || text.chars().any(char::is_control) {
        let message = format!("{min} to {max} characters on one line.");
        return Err(Problem::validation(name.to_owned(), message));
    }
    Ok(text.to_owned())
}

/// A text of at most `max` characters over several lines.
///
/// # Errors
/// 400 `validation_failed`.
pub fn text(name: &str, text: &str, max: usize) -> Result<String, Problem> {
    let bad = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    if text.chars().count() > max || text.chars().any(bad) {
        let message = format!("At most {max} characters, and no control characters.");
        return Err(Problem::validation(name.to_owned(), message));
    }
    Ok(text.to_owned())
}

/// A number between two, both inclusive.
///
/// # Errors
/// 400 `validation_failed`.
pub fn range(name: &str, number: i64, min: i64, max: i64) -> Result<i64, Problem> {
    match (min..=max).contains(&number) {
        true => Ok(number),
        false => Err(Problem::validation(
            name.to_owned(),
            format!("Must be {min} to {max}."),
        )),
    }
}

/// An ISO 3166-1 alpha-2 code.
///
/// # Errors
/// 400 `validation_failed`.
pub fn country(name: &str, code: &str) -> Result<String, Problem> {
    match code.len() == 2 && code.bytes().all(|b| b.is_ascii_uppercase()) {
        true => Ok(code.to_owned()),
        false => Err(Problem::validation(
            name.to_owned(),
            "A country is two capital letters (ISO 3166-1).",
        )),
    }
}

/// An e-mail address: one `@` with something before it and a host with a dot behind it.
///
/// # Errors
/// 400 `validation_failed`.
pub fn email(name: &str, address: &str) -> Result<String, Problem> {
    let address = address.trim();
    let good = || {
        let (local, host) = address.rsplit_once('@')?;
        let plain = !address.chars().any(|c| c.is_control() || c.is_whitespace());
        let host_ok = host.contains('.')
            && !host.starts_with('.')
            && !host.ends_with('.')
            && !host.contains("..");
        let local_ok = !local.is_empty() && local.len() <= 64 && !local.contains('@');
        (plain && host_ok && local_ok && address.len() <= 254).then_some(())
    };
    match good() {
        Some(()) => Ok(address.to_owned()),
        None => Err(Problem::validation(
            name.to_owned(),
            "Must be an e-mail address.",
        )),
    }
}

/// One of some words.
///
/// # Errors
/// 400 `validation_failed` naming the words.
pub fn word<T: Copy>(
    name: &str,
    text: &str,
    all: &[T],
    word: fn(T) -> &'static str,
) -> Result<T, Problem> {
    let found = all.iter().copied().find(|value| word(*value) == text);
    found.ok_or_else(|| {
        let words: Vec<&str> = all.iter().map(|value| word(*value)).collect();
        Problem::validation(name.to_owned(), format!("One of {}.", words.join(", ")))
    })
}

/// An instant (microseconds) of RFC 3339 text with a zone.
///
/// # Errors
/// 400 `validation_failed`.
pub fn instant(name: &str, text: &str) -> Result<i64, Problem> {
    Timestamp::parse(text)
        .map(Timestamp::micros)
        .map_err(|_| Problem::validation(name.to_owned(), "Must be an RFC 3339 time with a zone."))
}

/// An id of a path or body: a UUID in lower case.
///
/// # Errors
/// 400 `invalid_id`.
pub fn id(name: &str, text: &str) -> Result<String, Problem> {
    match florin_base::ids::parse_canonical_uuid(text) {
        Some(_) => Ok(text.to_owned()),
        None => Err(field(name, "invalid_id", "Must be a UUID in lower case.")),
    }
}

/// The version of `If-Match: "<version>"`, if the header is there.
///
/// # Errors
/// 400 `validation_failed`.
pub fn if_match(headers: &http::HeaderMap) -> Result<Option<i64>, Problem> {
    let Some(value) = headers.get(http::header::IF_MATCH) else {
        return Ok(None);
    };
    let version = value.to_str().ok().and_then(|text| {
        let text = text.trim();
        let inner = text.strip_prefix('"')?.strip_suffix('"')?;
        inner.parse().ok()
    });
    match (version, value.as_bytes()) {
        (Some(version), _) => Ok(Some(version)),
        (None, b"*") => Ok(None),
        (None, _) => Err(Problem::validation("If-Match", "Must be \"<version>\".")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_headers() {
        for good in ["a@b.c", " ana.maria+x@mail.example.org "] {
            assert!(email("email", good).is_ok(), "{good}");
        }
        for bad in [
            "", "a", "a@b", "@b.c", "a@.c", "a b@c.d", "a@b..c", "a@b@c.d",
        ] {
            assert!(email("email", bad).is_err(), "{bad}");
        }
        let mut headers = http::HeaderMap::new();
        assert_eq!(if_match(&headers).expect("none"), None);
        headers.insert(
            http::header::IF_MATCH,
            http::HeaderValue::from_static("\"7\""),
        );
        assert_eq!(if_match(&headers).expect("a version"), Some(7));
        headers.insert(http::header::IF_MATCH, http::HeaderValue::from_static("7"));
        assert!(if_match(&headers).is_err());
    }
}
