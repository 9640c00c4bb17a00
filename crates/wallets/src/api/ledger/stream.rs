//! Answers that are written while they are read: a bounded queue of chunks between a task and
//! the connection, so that a slow reader holds back the work and not the memory.

use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{HeaderValue, header::CONTENT_TYPE};
use tokio::sync::mpsc;

/// Chunks waiting for a slow reader.
const QUEUE: usize = 4;

/// Media type of lines of JSON.
pub const NDJSON: HeaderValue = HeaderValue::from_static("application/x-ndjson");

/// Why a stream broke off; the connection is closed without its proper end, so that the reader
/// cannot take a part for the whole.
pub type Broken = Box<dyn std::error::Error + Send + Sync>;

/// Where a task puts its chunks.
pub type Sink = mpsc::Sender<Result<Bytes, Broken>>;

/// A streamed answer and the place to put its chunks. `send` fails when the reader went away.
pub fn response(content_type: HeaderValue) -> (Sink, Response) {
    let (sink, mut queue) = mpsc::channel(QUEUE);
    let chunks = futures_util::stream::poll_fn(move |context| queue.poll_recv(context));
    let mut response = Response::new(Body::from_stream(chunks));
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    (sink, response)
}
