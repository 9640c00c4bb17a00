//! One small signed client for the few calls that are made; a crate per service would double
//! the build. Speaks the three dialects of AWS: query with XML, JSON with a target, and REST.

use std::time::Duration;

use anyhow::Context as _;
use florin_base::clock::Clock;
use florin_base::{Secret, time::Timestamp};
use serde_json::Value;

use super::sigv4::{self, Credentials, Unsigned};
use crate::fail::failure;

/// Where calls go and who makes them.
pub struct Client<C> {
    http: reqwest::Client,
    credentials: Credentials,
    /// Region of the calls.
    pub region: String,
    endpoint: Option<String>,
    clock: C,
}

/// Why a call gave no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Nothing came back.
    #[error("no answer from {0}: {1}")]
    Silent(&'static str, String),
    /// A refusal, with its code.
    #[error("{service} refused with {status}: {code}")]
    Refused {
        /// Which service.
        service: &'static str,
        /// HTTP status.
        status: u16,
        /// Its code, or the first words of its body.
        code: String,
    },
}

/// What of the environment the client reads.
#[derive(Debug, Default)]
pub struct Settings {
    /// `AWS_ACCESS_KEY_ID`.
    pub key_id: Option<String>,
    /// `AWS_SECRET_ACCESS_KEY`.
    pub secret: Option<Secret<String>>,
    /// `AWS_SESSION_TOKEN`.
    pub session: Option<Secret<String>>,
    /// `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI`, inside a task.
    pub container_uri: Option<String>,
    /// `AWS_REGION`, else `AWS_DEFAULT_REGION`.
    pub region: Option<String>,
    /// `AWS_ENDPOINT_URL`, for another endpoint than AWS.
    pub endpoint: Option<String>,
}

impl Settings {
    /// From the environment of the process.
    pub fn from_environment() -> Self {
        let read = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            key_id: read("AWS_ACCESS_KEY_ID"),
            secret: read("AWS_SECRET_ACCESS_KEY").map(Secret::new),
            session: read("AWS_SESSION_TOKEN").map(Secret::new),
            container_uri: read("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
            region: read("AWS_REGION").or_else(|| read("AWS_DEFAULT_REGION")),
            endpoint: read("AWS_ENDPOINT_URL"),
        }
    }
}

/// Address at which a task of ECS learns its role's credentials.
const CONTAINER_HOST: &str = "http://169.254.170.2";

async fn credentials(http: &reqwest::Client, settings: &Settings) -> anyhow::Result<Credentials> {
    if let (Some(key_id), Some(secret)) = (&settings.key_id, &settings.secret) {
        return Ok(Credentials {
            key_id: key_id.clone(),
            secret: secret.clone(),
            session: settings.session.clone(),
        });
    }
    let Some(uri) = &settings.container_uri else {
        return Err(failure(
            "no credentials of AWS",
            "take a role first, so that AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN are set",
        ));
    };
    let answer = http.get(format!("{CONTAINER_HOST}{uri}")).send().await?;
    let given: Value = answer.error_for_status()?.json().await?;
    let text = |name: &str| {
        let value = given.get(name).and_then(Value::as_str).map(str::to_owned);
        value.with_context(|| format!("the task's credentials have no {name}"))
    };
    Ok(Credentials {
        key_id: text("AccessKeyId")?,
        secret: Secret::new(text("SecretAccessKey")?),
        session: Some(Secret::new(text("Token")?)),
    })
}

/// A request of the REST dialect.
#[derive(Debug)]
pub struct Rest<'a> {
    /// GET or PUT.
    pub method: &'a str,
    /// Path, encoded.
    pub path: &'a str,
    /// Query pairs, not encoded.
    pub query: &'a [(&'a str, &'a str)],
    /// The body.
    pub body: &'a [u8],
}

impl<'a> Rest<'a> {
    /// A GET of a path.
    pub fn get(path: &'a str, query: &'a [(&'a str, &'a str)]) -> Self {
        Self {
            method: "GET",
            path,
            query,
            body: b"",
        }
    }
}

impl<C: Clock> Client<C> {
    /// Finds credentials and region.
    pub async fn open(settings: Settings, clock: C) -> anyhow::Result<Self> {
        florin_platform::http::client::install_crypto();
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(5))
            .timeout(Duration::from_secs(20))
            .build()?;
        let credentials = credentials(&http, &settings).await?;
        let region = settings
            .region
            .ok_or_else(|| failure("no region of AWS", "set AWS_REGION"))?;
        Ok(Self {
            http,
            credentials,
            region,
            endpoint: settings.endpoint,
            clock,
        })
    }

    /// Wall clock, microseconds.
    pub fn now(&self) -> i64 {
        self.clock.wall_micros()
    }

    async fn send(
        &self,
        service: &'static str,
        rest: Rest<'_>,
        headers: &[(&str, &str)],
    ) -> Result<String, CallError> {
        let silent = |error: String| CallError::Silent(service, error);
        let endpoint = match &self.endpoint {
            Some(endpoint) => endpoint.trim_end_matches('/').to_owned(),
            None => format!("https://{service}.{}.amazonaws.com", self.region),
        };
        let host = endpoint.split("://").nth(1).unwrap_or(&endpoint).to_owned();
        let stamp = Timestamp(self.now()).to_string();
        let date: String = stamp[..19]
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .chain(['Z'])
            .collect();
        let signed = sigv4::sign(
            &self.credentials,
            &Unsigned {
                method: rest.method,
                host: &host,
                path: rest.path,
                query: rest.query,
                headers,
                body: rest.body,
                region: &self.region,
                service: scope(service),
            },
            &date,
        );
        let query = sigv4::query_string(rest.query);
        let mark = if query.is_empty() { "" } else { "?" };
        let method = reqwest::Method::from_bytes(rest.method.as_bytes())
            .map_err(|error| silent(error.to_string()))?;
        let mut request = self
            .http
            .request(method, format!("{endpoint}{}{mark}{query}", rest.path))
            .body(rest.body.to_vec());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        for (name, value) in &signed {
            request = request.header(name, value);
        }
        let answer = request.send().await.map_err(|e| silent(e.to_string()))?;
        let status = answer.status().as_u16();
        let text = answer.text().await.map_err(|e| silent(e.to_string()))?;
        if (200..300).contains(&status) {
            return Ok(text);
        }
        Err(CallError::Refused {
            service,
            status,
            code: code_of(&text),
        })
    }

    /// A call of the query dialect; the answer is XML.
    pub async fn query(
        &self,
        service: &'static str,
        version: &str,
        action: &str,
        parameters: &[(&str, &str)],
    ) -> Result<String, CallError> {
        let mut pairs = vec![("Action", action), ("Version", version)];
        pairs.extend_from_slice(parameters);
        let body = sigv4::query_string(&pairs);
        let rest = Rest {
            method: "POST",
            path: "/",
            query: &[],
            body: body.as_bytes(),
        };
        let form = "application/x-www-form-urlencoded; charset=utf-8";
        self.send(service, rest, &[("content-type", form)]).await
    }

    /// A call of the JSON dialect.
    pub async fn json(
        &self,
        service: &'static str,
        target: &str,
        body: &Value,
    ) -> Result<Value, CallError> {
        let body = body.to_string();
        let rest = Rest {
            method: "POST",
            path: "/",
            query: &[],
            body: body.as_bytes(),
        };
        let headers = [
            ("content-type", "application/x-amz-json-1.1"),
            ("x-amz-target", target),
        ];
        let text = self.send(service, rest, &headers).await?;
        serde_json::from_str(&text).map_err(|e| CallError::Silent(service, e.to_string()))
    }

    /// A call of the REST dialect; the answer is text.
    pub async fn rest(&self, service: &'static str, rest: Rest<'_>) -> Result<String, CallError> {
        self.send(service, rest, &[]).await
    }
}

/// Name of a service in the scope of a signature, where its host says something else.
fn scope(service: &'static str) -> &'static str {
    match service {
        "email" => "ses",
        other => other,
    }
}

/// The code of a refusal: from XML, from JSON, else the first words.
fn code_of(text: &str) -> String {
    if let Some(code) = super::xml::first(text, "Code") {
        return code.to_owned();
    }
    if let Ok(value) = serde_json::from_str::<Value>(text) {
        for name in ["__type", "code", "Code", "message", "Message"] {
            if let Some(code) = value.get(name).and_then(Value::as_str) {
                return code.rsplit('#').next().unwrap_or(code).to_owned();
            }
        }
    }
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_named_in_both_forms() {
        let xml = "<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>";
        assert_eq!(code_of(xml), "AccessDenied");
        let json = r#"{"__type":"com.amazon#ResourceNotFoundException"}"#;
        assert_eq!(code_of(json), "ResourceNotFoundException");
        assert_eq!(code_of("what is this"), "what is this");
    }
}
