//! JSON bodies of part D, with the codes of contract section 0.

use axum::extract::{FromRequest, Request};
use florin_platform::http::json::RawBody;
use florin_platform::http::problem::{Problem, Status};
use serde::de::DeserializeOwned;

use crate::api::problem::{field, ours};

/// A JSON body as `T`, which denies unknown fields.
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let json = request
            .headers()
            .get(http::header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|text| {
                let essence = text.split(';').next().unwrap_or(text);
                essence.trim().eq_ignore_ascii_case("application/json")
            });
        if !json {
            let detail = "The body must be sent as `Content-Type: application/json`.";
            let status = Status::UnsupportedMediaType;
            return Err(ours(Problem::new(status, "unsupported_media_type", detail)));
        }
        let RawBody(bytes) = RawBody::from_request(request, state).await.map_err(ours)?;
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|error| explain(&error))
    }
}

fn explain(error: &serde_json::Error) -> Problem {
    let text = error.to_string();
    let quoted = |prefix: &str| {
        let (_, rest) = text.split_once(prefix)?;
        rest.split('`')
            .next()
            .map(|name| name.chars().take(100).collect::<String>())
    };
    if let Some(name) = quoted("unknown field `") {
        return field(
            &name,
            "unknown_field",
            format!("The field `{name}` is not known here."),
        );
    }
    if let Some(name) = quoted("missing field `") {
        return field(&name, "required", "This field is required.");
    }
    if let Some(name) = quoted("duplicate field `") {
        return field(
            &name,
            "duplicate_field",
            "This field is given more than once.",
        );
    }
    let (code, detail) = match error.is_data() {
        true => (
            "validation_failed",
            "The body has another shape than it should.",
        ),
        false => ("malformed_json", "The body is not valid JSON."),
    };
    let place = format!("{detail} Line {}, column {}.", error.line(), error.column());
    ours(Problem::new(Status::BadRequest, code, place))
}
