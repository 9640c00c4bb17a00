//! Why a line is refused, with the member at fault.

use std::{borrow::Cow, fmt};

use serde::Deserialize;

/// A line that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", field.as_deref().unwrap_or("line"))]
pub struct LineError {
    /// `unknown_field`, `field_required`, `field_invalid`, `reserved_prefix`, or
    /// `validation_failed` for what is no JSON object at all.
    pub code: &'static str,
    /// The member at fault, by its path in the line.
    pub field: Option<Cow<'static, str>>,
    /// What is wrong, for people.
    pub message: Box<str>,
}

/// A member whose value is not in its grammar.
pub(super) fn wrong(field: &'static str, why: impl fmt::Display) -> LineError {
    LineError {
        code: "field_invalid",
        field: Some(Cow::Borrowed(field)),
        message: why.to_string().into(),
    }
}

impl LineError {
    /// Names the member that made reading `bytes` as a `T` fail; `within` is the member of the
    /// line that `bytes` stand in.
    pub(super) fn from_json<'a, T: Deserialize<'a>>(
        bytes: &'a [u8],
        error: &serde_json::Error,
        within: &str,
    ) -> Self {
        let reader = &mut serde_json::Deserializer::from_slice(bytes);
        // Read again with the path followed: only refused lines pay for it.
        let path = match serde_path_to_error::deserialize::<_, T>(reader) {
            Err(found) => found.path().to_string(),
            Ok(_) => String::new(),
        };
        let path = if path == "." { "" } else { &path };
        let text = error.to_string();
        let quoted = |prefix: &str| {
            let rest = text.strip_prefix(prefix)?;
            rest.split_once('`').map(|(name, _)| name)
        };
        let missing = quoted("missing field `");
        let named = missing
            .or_else(|| quoted("unknown field `"))
            .or_else(|| quoted("duplicate field `"));
        let code = if error.is_syntax() || error.is_eof() {
            "validation_failed"
        } else if missing.is_some() {
            "field_required"
        } else if text.starts_with("unknown field") {
            "unknown_field"
        } else {
            "field_invalid"
        };
        let mut parts: Vec<&str> = [within, path]
            .into_iter()
            .filter(|p| !p.is_empty())
            .collect();
        if let Some(name) = named
            && parts
                .last()
                .is_none_or(|last| *last != name && !last.ends_with(&format!(".{name}")))
        {
            parts.push(name);
        }
        let field = parts.join(".");
        Self {
            code,
            field: (!field.is_empty() && code != "validation_failed").then_some(field.into()),
            message: text.into(),
        }
    }
}
