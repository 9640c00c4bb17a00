//! What must not reach a log: decided by the name of the field, and for credentials inside
//! text by the scheme in front of them.

use std::borrow::Cow;

/// What stands in place of a secret.
pub(super) const REDACTED: &str = "[redacted]";

/// Parts of field names (lower case, `-` as `_`) whose values are secret.
const SECRET_NAMES: [&str; 10] = [
    "authorization",
    "api_key",
    "apikey",
    "password",
    "passwd",
    "secret",
    "token",
    "cookie",
    "private_key",
    "signature",
];

/// True when the field's value must not be shown.
pub(super) fn is_secret(field: &str) -> bool {
    let name = field.to_ascii_lowercase().replace('-', "_");
    SECRET_NAMES.iter().any(|part| name.contains(part))
}

/// Replaces what follows `Bearer ` or `Basic `.
pub(super) fn scrub(text: &str) -> Cow<'_, str> {
    let mut found = Cow::Borrowed(text);
    for scheme in ["Bearer ", "bearer ", "Basic "] {
        if found.contains(scheme) {
            found = Cow::Owned(scrub_scheme(&found, scheme));
        }
    }
    found
}

fn scrub_scheme(text: &str, scheme: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(scheme) {
        let (before, after) = rest.split_at(at + scheme.len());
        out.push_str(before);
        let end = after
            .find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ','))
            .unwrap_or(after.len());
        // Short words are prose ("Bearer token"), not credentials.
        out.push_str(if end >= 12 { REDACTED } else { &after[..end] });
        rest = &after[end..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// DEP-120 of the deployment contract.
    #[test]
    fn secrets_are_known_by_name() {
        for name in [
            "Authorization",
            "X-API-Key",
            "password",
            "refresh_token",
            "clientSecret",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in ["traceId", "route", "key", "message"] {
            assert!(!is_secret(name), "{name}");
        }
    }

    #[test]
    fn credentials_inside_text_are_replaced() {
        let text =
            "header \"Bearer eyJhbGciOiJFZERTQSJ9.e30.c2ln\", then Basic dXNlcjpwYXNzd29yZA==";
        assert_eq!(
            scrub(text),
            "header \"Bearer [redacted]\", then Basic [redacted]"
        );
        assert!(
            matches!(scrub("a Bearer token is needed"), Cow::Owned(text) if text == "a Bearer token is needed")
        );
        assert!(matches!(scrub("nothing here"), Cow::Borrowed(_)));
    }
}
