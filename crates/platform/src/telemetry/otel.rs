//! OpenTelemetry traces: one server span for each sampled request, sent in batches as
//! OTLP/HTTP with JSON (OTLP 1.x, section "OTLP/HTTP"; JSON protobuf encoding: ids in hex,
//! 64-bit numbers as strings).
//!
//! The protocol is small enough to speak directly, which spares the release build the SDK and
//! its code generation. Invariants: a full queue drops spans and counts them, a collector that
//! is away never delays a request.

use std::time::Duration;

use axum::extract::Request;
use florin_base::clock::{Clock, SystemClock};
use florin_base::secret::Secret;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use crate::http::client::{ClientConfig, ClientError, Outgoing, Targets};
use crate::http::problem::Outcome;
use crate::http::trace::TraceContext;

/// Spans waiting to be sent.
const QUEUE: usize = 8192;
/// Most spans in one call.
const BATCH: usize = 512;
/// Longest wait of a span.
const INTERVAL: Duration = Duration::from_secs(2);

/// Settings of the exporter.
#[derive(Debug, Clone)]
pub struct OtelConfig {
    /// Base URL of the collector (`http://localhost:4318`); `/v1/traces` is added.
    pub endpoint: String,
    /// `service.name`.
    pub service_name: String,
    /// `service.version`.
    pub service_version: String,
    /// Extra headers, such as the collector's credential.
    pub headers: Vec<(String, Secret<String>)>,
    /// Share of requests recorded when the caller did not decide, 0 to 1.
    pub sample_ratio: f64,
}

/// Records requests; cheap to clone.
#[derive(Clone)]
pub struct Tracer {
    queue: mpsc::Sender<Message>,
    /// Requests whose trace id's low half is below are recorded.
    threshold: u64,
}

/// A request being recorded.
pub struct ServerSpan {
    context: TraceContext,
    start_micros: i64,
    method: String,
    path: String,
    user_agent: Option<String>,
    version: &'static str,
}

struct Finished {
    span: ServerSpan,
    end_micros: i64,
    route: &'static str,
    status: u16,
    outcome: Outcome,
}

enum Message {
    Span(Box<Finished>),
    Flush(oneshot::Sender<()>),
}

impl Tracer {
    /// Starts the sending task; must run inside a tokio runtime.
    pub fn start(config: OtelConfig) -> Result<Self, ClientError> {
        let client = Outgoing::new(&ClientConfig::new(Targets::Any))?;
        let (queue, receiver) = mpsc::channel(QUEUE);
        let ratio = config.sample_ratio.clamp(0.0, 1.0);
        let exporter = Exporter { client, config };
        tokio::spawn(exporter.run(receiver));
        Ok(Self {
            queue,
            // The product saturates at the largest number, which records everything.
            threshold: (ratio * u64::MAX as f64) as u64,
        })
    }

    /// Decides whether a request is recorded, unless the caller did, so that the decision is
    /// passed on.
    pub(crate) fn decide(&self, context: &mut TraceContext) {
        if context.sampled.is_none() {
            let low = context.w3c_trace as u64;
            context.sampled = Some(self.threshold == u64::MAX || low < self.threshold);
        }
    }

    pub(crate) fn begin(&self, context: &TraceContext, request: &Request) -> Option<ServerSpan> {
        if context.sampled != Some(true) {
            return None;
        }
        let user_agent = request.headers().get(http::header::USER_AGENT);
        let user_agent = user_agent.and_then(|value| value.to_str().ok());
        Some(ServerSpan {
            context: *context,
            start_micros: SystemClock.wall_micros(),
            method: request.method().to_string(),
            path: request.uri().path().to_string(),
            user_agent: user_agent.map(str::to_owned),
            version: match request.version() {
                http::Version::HTTP_2 => "2",
                http::Version::HTTP_10 => "1.0",
                _ => "1.1",
            },
        })
    }

    pub(crate) fn end(&self, span: ServerSpan, route: &'static str, status: u16, outcome: Outcome) {
        let finished = Finished {
            span,
            end_micros: SystemClock.wall_micros(),
            route,
            status,
            outcome,
        };
        if self
            .queue
            .try_send(Message::Span(Box::new(finished)))
            .is_err()
        {
            metrics::counter!("otel_spans_dropped_total").increment(1);
        }
    }

    /// Sends what waits; returns when the collector has it or refused it.
    pub async fn flush(&self) {
        let (done, finished) = oneshot::channel();
        if self.queue.send(Message::Flush(done)).await.is_ok() {
            // An error means that the exporter ended, so that nothing waits any more.
            let _ = finished.await;
        }
    }
}

struct Exporter {
    client: Outgoing,
    config: OtelConfig,
}

impl Exporter {
    async fn run(self, mut receiver: mpsc::Receiver<Message>) {
        let mut batch = Vec::with_capacity(BATCH);
        let mut ticks = tokio::time::interval(INTERVAL);
        loop {
            let message = tokio::select! {
                message = receiver.recv() => message,
                _ = ticks.tick() => {
                    self.send(&mut batch).await;
                    continue;
                }
            };
            match message {
                Some(Message::Span(finished)) => batch.push(span_json(&finished)),
                Some(Message::Flush(done)) => {
                    self.send(&mut batch).await;
                    // The asker may have given up waiting.
                    let _ = done.send(());
                }
                None => break,
            }
            if batch.len() >= BATCH {
                self.send(&mut batch).await;
            }
        }
        self.send(&mut batch).await;
    }

    async fn send(&self, batch: &mut Vec<Value>) {
        if batch.is_empty() {
            return;
        }
        let count = batch.len() as u64;
        let body = self.body(std::mem::take(batch));
        if let Err(error) = self.post(&body).await {
            metrics::counter!("otel_spans_dropped_total").increment(count);
            tracing::warn!(spans = count, %error, "the trace collector did not take spans");
        }
    }

    async fn post(&self, body: &Value) -> Result<(), ExportError> {
        let base = self.config.endpoint.trim_end_matches('/');
        let mut request = self.client.post(&format!("{base}/v1/traces"))?.json(body);
        for (name, value) in &self.config.headers {
            request = request.header(name, value.expose());
        }
        request.send().await?.error_for_status()?;
        Ok(())
    }

    fn body(&self, spans: Vec<Value>) -> Value {
        json!({"resourceSpans": [{
            "resource": {"attributes": [
                text("service.name", &self.config.service_name),
                text("service.version", &self.config.service_version),
            ]},
            "scopeSpans": [{
                "scope": {"name": "florin", "version": self.config.service_version},
                "spans": spans,
            }],
        }]})
    }
}

#[derive(Debug, thiserror::Error)]
enum ExportError {
    #[error(transparent)]
    Target(#[from] ClientError),
    #[error(transparent)]
    Call(#[from] reqwest::Error),
}

/// Attribute names of the OpenTelemetry semantic conventions for HTTP server spans.
fn span_json(finished: &Finished) -> Value {
    const SPAN_KIND_SERVER: u8 = 2;
    const STATUS_UNSET: u8 = 0;
    const STATUS_ERROR: u8 = 2;
    let span = &finished.span;
    let mut attributes = vec![
        text("http.request.method", &span.method),
        text("http.route", finished.route),
        text("url.path", &span.path),
        text("network.protocol.version", span.version),
        number("http.response.status_code", finished.status),
        text("florin.outcome", finished.outcome.as_str()),
        text("florin.trace_id", span.context.id.as_str()),
    ];
    if let Some(user_agent) = &span.user_agent {
        attributes.push(text("user_agent.original", user_agent));
    }
    let failed = finished.status >= 500;
    if failed {
        attributes.push(text("error.type", &finished.status.to_string()));
    }
    let parent = span.context.parent_span;
    json!({
        "traceId": format!("{:032x}", span.context.w3c_trace),
        "spanId": format!("{:016x}", span.context.span),
        "parentSpanId": parent.map_or(String::new(), |parent| format!("{parent:016x}")),
        "name": format!("{} {}", span.method, finished.route),
        "kind": SPAN_KIND_SERVER,
        "startTimeUnixNano": nanos(span.start_micros),
        "endTimeUnixNano": nanos(finished.end_micros),
        "attributes": attributes,
        "status": {"code": if failed { STATUS_ERROR } else { STATUS_UNSET }},
    })
}

fn text(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

fn number(key: &str, value: u16) -> Value {
    json!({"key": key, "value": {"intValue": value.to_string()}})
}

fn nanos(micros: i64) -> String {
    format!("{micros}000")
}
