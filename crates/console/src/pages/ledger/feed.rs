//! `GET /console/ledger/live`: records as they come. The page shows the newest; the stream, server
//! -sent events over the API's change feed, adds those that follow.
//!
//! **Invariants.** A burst is thinned out for the eye: of the records that arrive together at most
//! [`BURST`] are shown, and how many were left out is said. The stream ends with the access token
//! that opened it, after at most [`LONGEST`], and when the process drains; the browser connects
//! again by itself.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use florin_platform::http::router::Routes;
use florin_platform::http::shutdown::Shutdown;
use futures_util::future::join;
use futures_util::stream;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http_body_util::BodyExt as _;
use maud::{Markup, html};
use serde_json::Value;

use super::{account_link, transfer_link};
use crate::Console;
use crate::api::{number, text};
use crate::reply::{Outcome, Page, Reply};
use crate::ui::money::{Scales, count};
use crate::ui::time;
use crate::visit::{Visit, get};

/// Records that the page begins with, and keeps.
const KEPT: u64 = 50;
/// Records shown of those that arrive together.
const BURST: usize = 50;
/// Longest stream.
const LONGEST: Duration = Duration::from_secs(600);
/// Longest line of the feed.
const LINE_MAX: usize = 1 << 20;

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    let routes = get(routes, "/console/ledger/live", show);
    get(routes, "/console/ledger/live/stream", follow)
}

async fn show(visit: Visit) -> Outcome {
    let head = visit.api.get("/api/v1/ledger").json();
    let scales = Scales::load(&visit.api);
    let (head, scales) = join(head, scales).await;
    let last = number(&head?, "lastSeq");
    let after = last.saturating_sub(KEPT);
    let ask = visit.api.get("/api/v1/ledger/changes");
    let ask = ask
        .query("after", after.to_string())
        .query("limit", KEPT.to_string());
    let lines = ask.bytes().await?;
    let scales = scales.unwrap_or_default();
    let records = lines.split(|byte| *byte == b'\n');
    let mut records: Vec<Value> = records
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect();
    records.reverse();
    let newest = records.first().map_or(last, |record| number(record, "seq"));
    let content = html! {
        p {
            "State: " span #feed-state role="status" { "connecting …" } " "
            button type="button" data-pause="feed" { "Pause" }
        }
        div.table tabindex="0" role="region" aria-label="Records" {
            table {
                caption { "Records, newest first" }
                thead { tr {
                    th.number scope="col" { "Record" } th scope="col" { "What" }
                    th scope="col" { "Debit" } th scope="col" { "Credit" }
                    th.number scope="col" { "Amount" } th scope="col" { "Recorded" }
                } }
                tbody #feed data-stream={ "/console/ledger/live/stream?after=" (newest) }
                    data-state="feed-state" data-most="200" {
                    @for record in &records { (row(record, &scales)) }
                }
            }
        }
    };
    Ok(Page::new("Live feed", content).into())
}

fn row(record: &Value, scales: &Scales) -> Markup {
    let data = &record["data"];
    let kind = text(record, "type");
    let moves = matches!(kind, "transfer" | "transfer.expired");
    html! {
        tr {
            td.number { (count(number(record, "seq"))) }
            td {
                @match kind {
                    "transfer" => {
                        (transfer_link(text(data, "id"))) " "
                        span.note { (text(data, "code")) " " (text(data, "mode")) }
                    }
                    "transfer.expired" => {
                        (transfer_link(text(data, "pendingId"))) " " span.note { "expired" }
                    }
                    "account.created" | "account.updated" => {
                        (account_link(text(data, "id"))) " " span.note { (kind) }
                    }
                    _ => { span.note { (kind) } }
                }
            }
            td { @if moves { (account_link(text(data, "debitAccountId"))) } }
            td { @if moves { (account_link(text(data, "creditAccountId"))) } }
            td.number { @if moves { (scales.money(text(data, "amountMinor"), text(data, "asset"))) } }
            td { (time::time(text(record, "recordedAt"))) }
        }
    }
}

struct Following {
    body: Body,
    scales: Scales,
    rest: Vec<u8>,
    shutdown: Shutdown,
    until: tokio::time::Instant,
    begun: bool,
}

async fn follow(visit: Visit) -> Outcome {
    // A browser that connects again says what it had.
    let had = visit.headers.get("last-event-id");
    let had = had.and_then(|value| value.to_str().ok());
    let after = had.unwrap_or_else(|| visit.query("after")).to_owned();
    let ask = visit.api.get("/api/v1/ledger/changes");
    let ask = ask.query("after", &after).query("follow", "true");
    let answer = ask.send().await?;
    let scales = Scales::load(&visit.api).await.unwrap_or_default();
    let left = visit.session().expires_at - visit.console.now();
    let left = Duration::from_micros(u64::try_from(left).unwrap_or(0));
    let following = Following {
        body: answer.into_body(),
        scales,
        rest: Vec::new(),
        shutdown: visit.console.shutdown().clone(),
        until: tokio::time::Instant::now() + left.min(LONGEST),
        begun: false,
    };
    let body = stream::unfold(following, |mut following| async {
        let event = following.next().await?;
        Some((Ok::<_, std::convert::Infallible>(event), following))
    });
    let mut response = Response::new(Body::from_stream(body));
    let headers = response.headers_mut();
    let kind = HeaderValue::from_static("text/event-stream");
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(Reply::Raw(response))
}

impl Following {
    /// The next event; `None` ends the stream.
    async fn next(&mut self) -> Option<Bytes> {
        if !self.begun {
            // Tells the browser that it is connected, before anything happens.
            self.begun = true;
            return Some(Bytes::from_static(b"retry: 2000\n\n"));
        }
        let frame = tokio::select! {
            frame = self.body.frame() => frame?.ok()?,
            () = self.shutdown.drain() => return None,
            () = tokio::time::sleep_until(self.until) => return None,
        };
        let Ok(data) = frame.into_data() else {
            return Some(Bytes::from_static(b":\n\n"));
        };
        self.rest.extend_from_slice(&data);
        let end = self.rest.iter().rposition(|byte| *byte == b'\n');
        let Some(end) = end else {
            return (self.rest.len() < LINE_MAX).then(|| Bytes::from_static(b":\n\n"));
        };
        let whole: Vec<u8> = self.rest.drain(..=end).collect();
        Some(self.event(&whole))
    }

    fn event(&self, lines: &[u8]) -> Bytes {
        let lines: Vec<&[u8]> = lines
            .split(|byte| *byte == b'\n')
            .filter(|line| line.len() > 1)
            .collect();
        let left_out = lines.len().saturating_sub(BURST);
        let records = lines[left_out..].iter();
        let records: Vec<Value> = records
            .filter_map(|line| serde_json::from_slice(line).ok())
            .filter(|record: &Value| !text(record, "type").is_empty())
            .collect();
        let Some(last) = records.last() else {
            return Bytes::from_static(b":\n\n");
        };
        let id = number(last, "seq");
        let rows = html! {
            @if left_out > 0 {
                tr { td colspan="6" { span.note { "… " (left_out) " more records" } } }
            }
            @for record in &records { (row(record, &self.scales)) }
        };
        // An event ends at an empty line; rows hold no line ends of their own.
        let rows = rows.into_string().replace(['\r', '\n'], " ");
        Bytes::from(format!("id: {id}\ndata: {rows}\n\n"))
    }
}
