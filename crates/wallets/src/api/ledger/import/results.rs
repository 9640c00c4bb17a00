//! The answer of an import: result lines in the order of the lines, then the summary.

use std::{borrow::Cow, collections::BTreeSet, collections::VecDeque};

use bytes::Bytes;
use florin_ledger::{call::LineResult, model::AccountId};
use serde::Serialize;

use super::Stopped;
use crate::api::ledger::stream::Sink;

/// Bytes of results that may wait while the client still sends lines.
pub const RESULTS_MAX: usize = 64 << 20;
/// Bytes gathered before they are sent.
const CHUNK_BYTES: usize = 32 << 10;
/// Most accounts named as below their floor.
const BELOW_MAX: usize = 100_000;

/// A line whose result stands out.
#[derive(Debug)]
pub enum Place {
    /// The ledger judges it.
    Judged(u64),
    /// It was refused before: number, code, member at fault.
    Refused(u64, &'static str, Option<Cow<'static, str>>),
}

#[derive(Serialize)]
struct ResultLine<'a> {
    line: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    created: u64,
    exists: u64,
    refused: u64,
    below_floor: Vec<String>,
}

/// Results on their way.
pub struct Results {
    sink: Sink,
    line: u64,
    places: VecDeque<Place>,
    out: Vec<u8>,
    waiting: VecDeque<Bytes>,
    waiting_bytes: usize,
    summary: Summary,
    below: BTreeSet<AccountId>,
}

impl Results {
    /// Results that go to a stream.
    pub fn new(sink: Sink) -> Self {
        Self {
            sink,
            line: 0,
            places: VecDeque::new(),
            out: Vec::new(),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            summary: Summary::default(),
            below: BTreeSet::new(),
        }
    }

    /// Number of the next line, from 1.
    pub fn next_line(&mut self) -> u64 {
        self.line += 1;
        self.line
    }

    /// Notes that a line will have a result.
    pub fn expect(&mut self, place: Place) {
        self.places.push_back(place);
        // Nothing the ledger judges stands before it: its result is known.
        self.write_refused();
    }

    fn write(&mut self, line: &ResultLine<'_>) {
        match line.code {
            "created" => self.summary.created += 1,
            "exists" => self.summary.exists += 1,
            _ => self.summary.refused += 1,
        }
        serde_json::to_writer(&mut self.out, line).expect("a line has only strings and numbers");
        self.out.push(b'\n');
    }

    /// Writes the refused lines up to the next one that the ledger judges.
    fn write_refused(&mut self) {
        while let Some(Place::Refused(..)) = self.places.front() {
            if let Some(Place::Refused(line, code, field)) = self.places.pop_front() {
                let field = field.as_deref();
                self.write(&ResultLine {
                    line,
                    id: None,
                    code,
                    field,
                });
            }
        }
    }

    /// Takes the results of a call, in order.
    pub async fn judged(
        &mut self,
        results: Vec<LineResult>,
        below: Vec<AccountId>,
    ) -> Result<(), Stopped> {
        for result in results {
            self.write_refused();
            if let Some(Place::Judged(line)) = self.places.pop_front() {
                let (id, field) = (Some(&*result.id), result.field.as_deref());
                self.write(&ResultLine {
                    line,
                    id,
                    code: result.code,
                    field,
                });
            }
        }
        self.write_refused();
        let room = BELOW_MAX.saturating_sub(self.below.len());
        self.below.extend(below.into_iter().take(room));
        self.send().await
    }

    /// Sends what the stream takes; waits only when too much is waiting.
    async fn send(&mut self) -> Result<(), Stopped> {
        if self.out.len() >= CHUNK_BYTES {
            self.waiting_bytes += self.out.len();
            self.waiting.push_back(std::mem::take(&mut self.out).into());
        }
        while let Some(chunk) = self.waiting.front() {
            if self.waiting_bytes > RESULTS_MAX {
                let sent = self.sink.send(Ok(chunk.clone())).await;
                sent.map_err(|_| Stopped::Gone)?;
            } else {
                use tokio::sync::mpsc::error::TrySendError;
                match self.sink.try_send(Ok(chunk.clone())) {
                    Ok(()) => {}
                    Err(TrySendError::Full(_)) => return Ok(()),
                    Err(TrySendError::Closed(_)) => return Err(Stopped::Gone),
                }
            }
            self.waiting_bytes -= chunk.len();
            self.waiting.pop_front();
        }
        Ok(())
    }

    /// Sends the summary and everything before it.
    pub async fn finish(&mut self) -> Result<(), Stopped> {
        self.write_refused();
        self.summary.below_floor = self.below.iter().map(AccountId::to_string).collect();
        let summary = serde_json::json!({ "summary": self.summary });
        self.flush(&summary).await
    }

    /// Ends with a line that says why the rest was not done.
    pub async fn fail(&mut self, code: &str, detail: &str) {
        let error =
            serde_json::json!({"error": {"code": code, "detail": detail, "line": self.line}});
        let _ = self.flush(&error).await;
    }

    async fn flush(&mut self, last: &serde_json::Value) -> Result<(), Stopped> {
        let mut out = std::mem::take(&mut self.out);
        out.extend_from_slice(last.to_string().as_bytes());
        out.push(b'\n');
        self.waiting.push_back(out.into());
        while let Some(chunk) = self.waiting.pop_front() {
            let sent = self.sink.send(Ok(chunk)).await;
            sent.map_err(|_| Stopped::Gone)?;
        }
        Ok(())
    }
}
