//! Answers and Stripe's error objects.

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};

use super::objects::Failure;

/// A refusal in Stripe's shape.
#[derive(Debug, Clone)]
pub struct Refusal {
    pub status: u16,
    pub error: Value,
}

impl Refusal {
    /// 400 `invalid_request_error` about a parameter.
    pub fn invalid(param: &str, message: impl Into<String>) -> Self {
        Self::of(400, "invalid_request_error", message).with("param", param)
    }

    /// 404 `resource_missing`.
    pub fn missing(kind: &str, id: &str) -> Self {
        let message = format!("No such {kind}: '{id}'");
        Self::of(404, "invalid_request_error", message)
            .with("code", "resource_missing")
            .with("param", "id")
    }

    /// 400 `payment_intent_unexpected_state`.
    pub fn unexpected_state(message: impl Into<String>, intent: Value) -> Self {
        Self::of(400, "invalid_request_error", message)
            .with("code", "payment_intent_unexpected_state")
            .with("payment_intent", intent)
    }

    /// 402 `card_error` with the intent that was declined.
    pub fn declined(failure: &Failure, charge: &str, intent: Value) -> Self {
        Self {
            status: 402,
            error: failure.json(),
        }
        .with("charge", charge)
        .with("payment_intent", intent)
    }

    pub fn of(status: u16, kind: &str, message: impl Into<String>) -> Self {
        Self {
            status,
            error: json!({"type": kind, "message": message.into()}),
        }
    }

    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.error[name] = value.into();
        self
    }

    pub fn body(&self) -> Value {
        json!({"error": self.error})
    }
}

/// A JSON answer.
pub fn json_answer(status: u16, body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    response.headers_mut().insert(
        CONTENT_TYPE,
        http::HeaderValue::from_static("application/json"),
    );
    response
}
