//! `GET /ledger/export`: the exact feed lines, or transfers as CSV (contract A10).
//!
//! An export shows the ledger as of the `seq` at its start, however long it takes.

use axum::{extract::State, response::Response};
use florin_base::Timestamp;
use florin_ledger::{
    Ledger, ReadView,
    engine::ReadError,
    exchange::{CSV_HEADER, write_csv_row},
    model::{AssetNo, Body, Record, Slot},
    record::line::{Names, write_line},
};
use florin_platform::http::problem::Problem;
use http::{HeaderValue, header::CONTENT_DISPOSITION};

use super::{
    history::read_axis,
    params::Params,
    stream::{self, NDJSON, Sink},
    support::{run, with_seq},
};
use crate::api::{Shared, answer::MinSeq};

/// Bytes gathered before they are sent.
const CHUNK_BYTES: usize = 64 << 10;

/// Names of this ledger's accounts and assets.
struct LedgerNames<'a>(&'a Ledger);

impl Names for LedgerNames<'_> {
    fn account(&self, slot: Slot, out: &mut Vec<u8>) {
        self.0.facts(slot).id.write_to(out);
    }

    fn asset(&self, no: AssetNo, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.asset(no).code.as_bytes());
    }

    fn asset_of(&self, slot: Slot) -> AssetNo {
        self.0.facts(slot).asset
    }
}

/// What to export.
struct Export {
    ledger: Ledger,
    view: ReadView,
    csv: bool,
    /// `from` and `to` bound `effectiveAt`; records without one are bound by `recordedAt`.
    effective: bool,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    /// The records to look at, both inclusive.
    first: u64,
    last: u64,
}

impl Export {
    fn lets(&self, record: &Record) -> bool {
        let at = match &record.body {
            Body::Transfer(t) if self.effective => t.effective_at,
            Body::Expired { effective_at, .. } if self.effective => *effective_at,
            _ => record.recorded_at,
        };
        self.from.is_none_or(|from| at >= from) && self.to.is_none_or(|to| at < to)
    }

    /// Narrows the records to look at by their ledger time.
    fn bound(&mut self) -> Result<(), ReadError> {
        if self.effective {
            return Ok(());
        }
        let before = |at: Timestamp| self.view.seq_at(Timestamp(at.micros() - 1));
        let first = self.from.map(before).transpose()?.map(|seq| seq + 1);
        let last = self.to.map(before).transpose()?;
        self.first = self.first.max(first.unwrap_or(0));
        self.last = self.last.min(last.unwrap_or(u64::MAX));
        Ok(())
    }

    /// Writes everything; ends early when the reader goes away.
    fn write(mut self, sink: &Sink) -> Result<(), ReadError> {
        self.bound()?;
        let mut out = Vec::with_capacity(CHUNK_BYTES + 4_096);
        if self.csv {
            out.extend_from_slice(CSV_HEADER.as_bytes());
        }
        let names = LedgerNames(&self.ledger);
        for seq in self.first..=self.last {
            let record = self.view.record(seq)?;
            if !self.lets(&record) {
                continue;
            }
            if self.csv {
                let asset = record.transfer().map(|t| self.ledger.asset(t.asset));
                write_csv_row(&record, &names, asset.map_or(0, |a| a.scale), &mut out);
            } else {
                write_line(&record, &names, &mut out);
                out.push(b'\n');
            }
            if out.len() >= CHUNK_BYTES {
                let full = std::mem::replace(&mut out, Vec::with_capacity(CHUNK_BYTES + 4_096));
                if sink.blocking_send(Ok(full.into())).is_err() {
                    return Ok(());
                }
            }
        }
        if !out.is_empty() {
            let _ = sink.blocking_send(Ok(out.into()));
        }
        Ok(())
    }
}

/// Streams the ledger as feed lines, which can be verified offline, or transfers as CSV.
#[utoipa::path(
    get, path = "/api/v1/ledger/export", tag = "Ledger",
    params(
        ("format" = Option<String>, Query, description = "ndjson (default) or csv"),
        ("afterSeq" = Option<u64>, Query, description = "Only records after this one"),
        ("axis" = Option<String>, Query, description = "Which time `from` and `to` bound: recorded (default) or effective"),
        ("from" = Option<String>, Query, description = "Not before, inclusive"),
        ("to" = Option<String>, Query, description = "Before, exclusive"),
    ),
    responses((status = 200, description = "Lines of JSON or CSV", content_type = "application/x-ndjson", body = String))
)]
pub async fn get(
    State(api): State<Shared>,
    min: MinSeq,
    mut params: Params,
) -> Result<Response, Problem> {
    let format = |text: &str| match text {
        "ndjson" => Some(false),
        "csv" => Some(true),
        _ => None,
    };
    let csv = params
        .with("format", "ndjson or csv", format)?
        .unwrap_or(false);
    let after: u64 = params.parsed("afterSeq", "a whole number")?.unwrap_or(0);
    let effective = read_axis(&mut params)?;
    let (from, to) = (params.time("from")?, params.time("to")?);
    params.end()?;
    let view = api.view(min, after).await?;
    let seq = view.seq();
    let export = Export {
        ledger: api.ledger.clone(),
        csv,
        effective,
        from,
        to,
        first: after.saturating_add(1),
        last: seq,
        view,
    };
    let (content_type, name) = match csv {
        true => (HeaderValue::from_static("text/csv; charset=utf-8"), "csv"),
        false => (NDJSON, "ndjson"),
    };
    let (sink, mut response) = stream::response(content_type);
    let disposition = format!("attachment; filename=\"florin-ledger-{seq}.{name}\"");
    if let Ok(value) = HeaderValue::from_str(&disposition) {
        response.headers_mut().insert(CONTENT_DISPOSITION, value);
    }
    tokio::spawn(async move {
        let writer = sink.clone();
        if let Err(problem) = run(move || export.write(&writer)).await {
            tracing::warn!(cause = problem.cause(), "an export broke off");
            let _ = sink.send(Err(problem.into())).await;
        }
    });
    Ok(with_seq(response, seq))
}
