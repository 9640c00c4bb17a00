//! Calls to the server's own routes without a network: demo data, `florin demo`, and ledger
//! commands on a stopped server take the same path as any caller.

use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use florin_platform::http::auth::{Authentication, Authenticator, Principal};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;

/// What is said when an answer breaks off.
const BROKEN_OFF: &str = "the answer ended early";

/// A caller inside the process.
#[derive(Clone)]
pub struct InProcess {
    router: Router,
    api_key: Option<String>,
}

/// What a route answered.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// The body as JSON; `null` when there is none.
    pub fn json(&self) -> anyhow::Result<Value> {
        match self.body.is_empty() {
            true => Ok(Value::Null),
            false => serde_json::from_slice(&self.body).context("the answer is no JSON"),
        }
    }

    /// The JSON of a success; an error with code and detail of anything else.
    pub fn success(&self) -> anyhow::Result<Value> {
        let body = self.json()?;
        if self.status.is_success() {
            return Ok(body);
        }
        let text = |name: &str| body[name].as_str().unwrap_or("?").to_owned();
        anyhow::bail!(
            "{} {}: {}",
            self.status.as_u16(),
            text("code"),
            text("detail")
        )
    }
}

impl InProcess {
    /// A caller whom the kit's authenticator knows anyway, or nobody.
    pub fn new(router: Router) -> Self {
        Self {
            router,
            api_key: None,
        }
    }

    /// The same with another credential.
    #[must_use]
    pub fn with_key(&self, api_key: &str) -> Self {
        Self {
            router: self.router.clone(),
            api_key: Some(api_key.to_owned()),
        }
    }

    /// One call; the body of the answer is not read yet.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: Body,
    ) -> anyhow::Result<axum::response::Response> {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(key) = &self.api_key {
            request = request.header("x-api-key", key);
        }
        let request = request.header("content-type", content_type).body(body)?;
        Ok(self.router.clone().oneshot(request).await?)
    }

    /// One call with JSON, answered whole.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Answer> {
        let body = body.map_or_else(Body::empty, |value| Body::from(value.to_string()));
        let response = self.send(method, path, "application/json", body).await?;
        let (parts, body) = response.into_parts();
        let collected = body.collect().await;
        Ok(Answer {
            status: parts.status,
            headers: parts.headers,
            body: collected.context(BROKEN_OFF)?.to_bytes(),
        })
    }

    /// GET.
    pub async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.call(Method::GET, path, None).await
    }

    /// POST.
    pub async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        self.call(Method::POST, path, Some(body)).await
    }
}

/// Takes every call for the same caller: for routes that no network reaches.
pub struct Always(pub Arc<Principal>);

impl Authenticator for Always {
    fn authenticate<'a>(
        &'a self,
        _headers: &'a HeaderMap,
        _peer: std::net::IpAddr,
    ) -> Authentication<'a> {
        Authentication::Now(Ok(Arc::clone(&self.0)))
    }
}
