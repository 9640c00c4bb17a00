//! One call to the provider: form-encoded, with the secret key and an idempotency key, tried
//! again while nothing certain came back.

use std::time::Duration;

use florin_base::Secret;
use florin_platform::http::client::Outgoing;
use serde_json::Value;

use super::read;
use crate::card::provider::{Decline, ProviderError};

/// Version of the API whose shapes are read.
const API_VERSION: &str = "2024-06-20";
/// Waits between tries of one call.
const WAITS: [Duration; 2] = [Duration::from_millis(200), Duration::from_millis(800)];
/// Largest answer that is read.
const ANSWER_MAX: usize = 8 << 20;

/// The way to the provider.
#[derive(Debug, Clone)]
pub struct Wire {
    pub client: Outgoing,
    pub base_url: String,
    pub secret_key: Secret<String>,
}

/// A call to be made.
pub struct Call<'a> {
    pub method: http::Method,
    pub path: String,
    pub form: Vec<(&'a str, String)>,
    pub key: Option<&'a str>,
}

impl<'a> Call<'a> {
    pub fn get(path: String) -> Self {
        Self {
            method: http::Method::GET,
            path,
            form: Vec::new(),
            key: None,
        }
    }

    pub fn post(path: String, key: &'a str) -> Self {
        Self {
            method: http::Method::POST,
            path,
            form: Vec::new(),
            key: Some(key),
        }
    }

    #[must_use]
    pub fn with(mut self, name: &'a str, value: impl Into<String>) -> Self {
        self.form.push((name, value.into()));
        self
    }

    #[must_use]
    pub fn with_some(self, name: &'a str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }
}

impl Wire {
    /// Makes a call. The same key goes with every try, so that trying again does nothing twice.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub async fn call(&self, call: Call<'_>) -> Result<Value, ProviderError> {
        let mut waits = WAITS.iter();
        loop {
            let done = self.once(&call).await;
            match (&done, waits.next()) {
                (Err(ProviderError::Unavailable(_)), Some(wait)) => tokio::time::sleep(*wait).await,
                _ => return done,
            }
        }
    }

    async fn once(&self, call: &Call<'_>) -> Result<Value, ProviderError> {
        let encoded = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&call.form)
            .finish();
        let mut url = format!("{}{}", self.base_url, call.path);
        let is_get = call.method == http::Method::GET;
        if is_get && !encoded.is_empty() {
            url = format!("{url}?{encoded}");
        }
        let request = self.client.request(call.method.clone(), &url);
        let mut request = request
            .map_err(|error| ProviderError::Unavailable(error.to_string()))?
            .header(
                "authorization",
                format!("Bearer {}", self.secret_key.expose()),
            )
            .header("stripe-version", API_VERSION);
        if !is_get {
            request = request
                .header("content-type", "application/x-www-form-urlencoded")
                .body(encoded);
        }
        if let Some(key) = call.key {
            request = request.header("idempotency-key", key);
        }
        let sent = request.send().await;
        // The address of a failed call is left out: it may hold ids, and the log has them.
        let mut answer = sent.map_err(|error| lost(error.without_url()))?;
        let status = answer.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = answer
            .chunk()
            .await
            .map_err(|error| lost(error.without_url()))?
        {
            if body.len() + chunk.len() > ANSWER_MAX {
                return Err(ProviderError::Unavailable("the answer is too large".into()));
            }
            body.extend_from_slice(&chunk);
        }
        judge(status, &body)
    }
}

fn lost(error: impl std::fmt::Display) -> ProviderError {
    ProviderError::Unavailable(error.to_string())
}

/// What an answer means.
fn judge(status: u16, body: &[u8]) -> Result<Value, ProviderError> {
    let parsed: Result<Value, _> = serde_json::from_slice(body);
    match (status, parsed) {
        (200..=299, Ok(value)) => Ok(value),
        // 409: another call with the key is at work; 429: too many calls.
        (409 | 429 | 500.., _) | (200..=299, Err(_)) => {
            Err(ProviderError::Unavailable(format!("status {status}")))
        }
        (_, Ok(value)) => Err(refused(status, &value["error"])),
        (_, Err(_)) => Err(ProviderError::Refused {
            code: format!("http_{status}"),
        }),
    }
}

fn refused(status: u16, error: &Value) -> ProviderError {
    let word = |name: &str| error[name].as_str();
    let code = word("code").or(word("type")).unwrap_or("refused");
    let intent = match &error["payment_intent"] {
        Value::Null => None,
        shown => read::intent(shown).ok(),
    };
    match (status, code, intent) {
        (402, _, Some(intent)) => ProviderError::Declined(Box::new(Decline {
            code: word("decline_code").unwrap_or(code).to_owned(),
            intent,
        })),
        (_, "payment_intent_unexpected_state", Some(intent)) => {
            ProviderError::State(Box::new(intent))
        }
        (404, ..) => ProviderError::Missing,
        _ => ProviderError::Refused {
            code: code.to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answer(status: u16, body: &Value) -> Result<Value, ProviderError> {
        judge(status, body.to_string().as_bytes())
    }

    #[test]
    fn only_certain_answers_are_certain() {
        let nothing = json!({});
        for status in [409, 429, 500, 503] {
            let done = answer(status, &nothing);
            assert!(
                matches!(done, Err(ProviderError::Unavailable(_))),
                "{status}"
            );
        }
        assert!(matches!(
            judge(200, b"<html>"),
            Err(ProviderError::Unavailable(_))
        ));
        assert!(matches!(answer(404, &nothing), Err(ProviderError::Missing)));
        let funds = json!({"error": {
            "type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds",
            "payment_intent": {"id": "pi_1", "status": "requires_payment_method", "currency": "eur"},
        }});
        match answer(402, &funds) {
            Err(ProviderError::Declined(decline)) => {
                assert_eq!(decline.code, "insufficient_funds");
                assert_eq!(decline.intent.id, "pi_1");
            }
            other => panic!("{other:?}"),
        }
        let refused =
            json!({"error": {"type": "invalid_request_error", "code": "charge_disputed"}});
        match answer(400, &refused) {
            Err(ProviderError::Refused { code }) => assert_eq!(code, "charge_disputed"),
            other => panic!("{other:?}"),
        }
    }
}
