//! `GET /console/wallets/{id}/statement`: a statement as a file, passed on as the API makes it.

use axum::response::Response;
use florin_platform::http::router::Routes;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use maud::{Markup, html};
use serde_json::Value;

use super::wallet_path;
use crate::Console;
use crate::api::{segment, text};
use crate::reply::{Failure, Outcome, Reply};
use crate::ui::{form, time};
use crate::visit::{Visit, get};

/// Microseconds of 30 days.
const PERIOD: i64 = 30 * 86_400 * 1_000_000;

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    get(routes, "/console/wallets/{id}/statement", download)
}

/// The form that asks for a period.
pub fn form(visit: &Visit, wallet: &Value) -> Markup {
    let now = visit.console.now();
    let action = format!("{}/statement", wallet_path(text(wallet, "walletId")));
    let axes = [
        ("recorded", "when it was recorded"),
        ("effective", "when it counts"),
    ];
    html! {
        form.form method="get" action=(action) {
            (time::field("from", "From", &time::rfc3339(now - PERIOD)))
            (time::field("to", "To", &time::rfc3339(now)))
            (form::select("axis", "By the time", &axes, "recorded"))
            div.buttons { button type="submit" { "Download CSV" } }
        }
    }
}

async fn download(visit: Visit) -> Outcome {
    let id = visit.param("id");
    let read = |name: &str| {
        let sent = time::sent(visit.query(name)).filter(|sent| !sent.is_empty());
        sent.ok_or_else(|| Failure::Bad(format!("“{name}” is no time.")))
    };
    let (from, to) = (read("from")?, read("to")?);
    let ask = visit
        .api
        .get(format!("/api/v1/wallets/{}/statement", segment(id)));
    let ask = ask.query("from", &from).query("to", &to);
    let ask = ask.query("axis", visit.query("axis"));
    let answer = ask.query("format", "csv").send().await?;
    let mut response = Response::new(answer.into_body());
    let headers = response.headers_mut();
    let csv = HeaderValue::from_static("text/csv; charset=utf-8");
    headers.insert(CONTENT_TYPE, csv);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let plain: String = id.chars().filter(char::is_ascii_alphanumeric).collect();
    let day = |text: &str| text.get(..10).unwrap_or_default().to_owned();
    let name = format!(
        "attachment; filename=\"statement-{plain}-{}-{}.csv\"",
        day(&from),
        day(&to)
    );
    if let Ok(name) = HeaderValue::from_str(&name) {
        headers.insert(CONTENT_DISPOSITION, name);
    }
    Ok(Reply::Raw(response))
}
