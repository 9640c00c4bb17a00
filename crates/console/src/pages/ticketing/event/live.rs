//! Who is inside, as it changes: the API's stream of an event's figures, drawn again whenever
//! something changed.
//!
//! **Invariants.** The stream ends with the access token that opened it, after at most
//! [`LONGEST`], and when the process drains; the browser connects again by itself. One stream is
//! one call of the API, however long it lasts.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use florin_platform::http::router::Routes;
use florin_platform::http::shutdown::Shutdown;
use futures_util::stream;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http_body_util::BodyExt as _;
use maud::{Markup, html};
use serde_json::{Map, Value, json};

use super::super::{event_path, percent};
use crate::Console;
use crate::api::{number, segment, text};
use crate::reply::{Outcome, Reply};
use crate::ui::facts::{Figure, figures};
use crate::ui::money::{count, money};
use crate::ui::time;
use crate::visit::{Visit, get};

/// Longest stream.
const LONGEST: Duration = Duration::from_secs(600);
/// Longest message of the API.
const MESSAGE_MAX: usize = 1 << 20;

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    get(routes, "/console/ticketing/events/{id}/stream", follow)
}

/// The part with its stream.
pub fn part(all: &Value, event: &Value) -> Markup {
    let path = event_path(text(event, "id"));
    html! {
        p.note { "State: " span #gate-state role="status" { "as of the page" } }
        div #attendance data-stream={ (path) "/stream" } data-state="gate-state" data-whole {
            (inside(all, &path))
        }
    }
}

fn inside(all: &Value, path: &str) -> Markup {
    let expected = number(all, "ticketsSold") + number(all, "comps");
    let entries = format!("{path}/check-ins?result=admitted");
    html! {
        (figures(&[
            Figure::new("Inside now", count(number(all, "insideNow"))).href(entries.clone()),
            Figure::new("Came", html! { (count(number(all, "attended"))) " of " (count(expected)) })
                .href(entries.clone()).note(percent(text(all, "attendance"))),
            Figure::new("Entries in the last hour", count(number(all, "checkInsLastHour")))
                .href(entries),
            Figure::new("Did not come", html! {
                @match percent(text(all, "noShow")).as_str() { "" => "open", share => (share) }
            }).href(format!("{path}/attendees?status=valid")),
            Figure::new("Tickets sold", count(number(all, "ticketsSold")))
                .href(format!("{path}/attendees")),
            Figure::new("Gross sales", money(text(all, "grossSales"), text(all, "currency")))
                .href(format!("{path}/sales")),
        ]))
        p.note { "As of " (time::time(text(all, "asOf"))) }
    }
}

struct Following {
    body: Body,
    path: String,
    known: Map<String, Value>,
    rest: Vec<u8>,
    shutdown: Shutdown,
    until: tokio::time::Instant,
    begun: bool,
}

async fn follow(visit: Visit) -> Outcome {
    let id = visit.param("id");
    let ask = visit
        .api
        .get(format!("/api/v1/analytics/events/{}/live", segment(id)));
    let answer = ask.send().await?;
    let left = visit.session().expires_at - visit.console.now();
    let left = Duration::from_micros(u64::try_from(left).unwrap_or(0));
    let following = Following {
        body: answer.into_body(),
        path: event_path(id),
        known: Map::new(),
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
        if let Ok(data) = frame.into_data() {
            self.rest.extend_from_slice(&data);
        }
        if self.rest.len() > MESSAGE_MAX {
            return None;
        }
        match self.take() {
            false => Some(Bytes::from_static(b":\n\n")),
            true => {
                let all = Value::Object(self.known.clone());
                // An event ends at an empty line; the part holds no line ends of its own.
                let shown = inside(&all, &self.path).into_string();
                let shown = shown.replace(['\r', '\n'], " ");
                Some(Bytes::from(format!("data: {shown}\n\n")))
            }
        }
    }

    /// Lays whole messages over what is known; whether there were any.
    fn take(&mut self) -> bool {
        let end = self.rest.windows(2).rposition(|pair| pair == b"\n\n");
        let Some(end) = end else { return false };
        let whole: Vec<u8> = self.rest.drain(..end + 2).collect();
        let before = self.known.clone();
        for line in whole.split(|byte| *byte == b'\n') {
            let Some(data) = line.strip_prefix(b"data:") else {
                continue;
            };
            if let Ok(Value::Object(news)) = serde_json::from_slice(data.trim_ascii()) {
                self.known.extend(news);
            }
        }
        json!(before) != json!(self.known)
    }
}
