//! A server that answers as it is told and keeps what it was asked.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::Request;
use axum::response::IntoResponse;
use http::{HeaderMap, StatusCode};
use parking_lot::Mutex;
use serde_json::Value;

/// One call.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: String,
    /// With its query.
    pub path: String,
    headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Asked {
    /// A header; empty when it is not there.
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

/// The server; gone with the runtime of its test.
pub struct Fake {
    pub url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Fake {
    /// Answers JSON by the number of the call, from 0.
    pub async fn start(answer: impl Fn(usize) -> (u16, Value) + Send + Sync + 'static) -> Self {
        let number = std::sync::atomic::AtomicUsize::new(0);
        Self::answering(move |_| {
            let (status, body) = answer(number.fetch_add(1, std::sync::atomic::Ordering::SeqCst));
            (status, body.to_string())
        })
        .await
    }

    /// Answers by what is asked.
    pub async fn answering(
        answer: impl Fn(&Asked) -> (u16, String) + Send + Sync + 'static,
    ) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (kept, answer) = (Arc::clone(&asked), Arc::new(answer));
        let serve = move |request: Request| {
            let (kept, answer) = (Arc::clone(&kept), Arc::clone(&answer));
            async move {
                let (parts, body) = request.into_parts();
                let body = axum::body::to_bytes(body, 1 << 20).await;
                let one = Asked {
                    method: parts.method.to_string(),
                    path: parts.uri.to_string(),
                    headers: parts.headers,
                    body: body.unwrap_or_else(|_| Bytes::new()).to_vec(),
                };
                let (status, text) = answer(&one);
                kept.lock().push(one);
                (StatusCode::from_u16(status).expect("a status"), text).into_response()
            }
        };
        let router = Router::new().fallback(serve);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            axum::serve(listener, router).await.expect("serves");
        });
        Self {
            url: format!("http://{address}"),
            asked,
        }
    }

    /// What was asked, in order.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().clone()
    }
}
