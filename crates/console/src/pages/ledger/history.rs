//! Balance over time, on both axes: by the time when things were recorded, and by the time from
//! which they count. Where the two lines differ, something was recorded later than it counts.

use futures_util::future::join;
use maud::{Markup, html};
use serde_json::Value;

use crate::api::{ApiError, items, text};
use crate::ui::chart::{Line, Point, lines};
use crate::ui::failure;
use crate::ui::money::Scales;
use crate::visit::Visit;

use florin_base::Timestamp;

/// Entries of a picture: the newest.
const ENTRIES: &str = "500";

/// Entries by both axes, newest first.
pub struct History {
    recorded: Result<Value, ApiError>,
    effective: Result<Value, ApiError>,
}

/// Asks for both.
pub async fn load(visit: &Visit, path: &str) -> History {
    let ask = |axis: &'static str| {
        let ask = visit.api.get(format!("{path}/history"));
        let ask = ask.query("axis", axis).query("order", "desc");
        ask.query("limit", ENTRIES).json()
    };
    let (recorded, effective) = join(ask("recorded"), ask("effective")).await;
    History {
        recorded,
        effective,
    }
}

/// The picture.
pub fn show(visit: &Visit, history: &History, asset: &str, scales: &Scales) -> Markup {
    let recorded = match &history.recorded {
        Ok(page) => line(page, "By time recorded", "recordedAt", asset, scales),
        Err(error) => return failure::note(error),
    };
    let effective = match &history.effective {
        Ok(page) => line(page, "By effective time", "effectiveAt", asset, scales),
        Err(error) => return failure::note(error),
    };
    let page = history.recorded.as_ref().ok();
    let more = page.is_some_and(|page| !text(page, "nextCursor").is_empty());
    html! {
        (lines(&format!("Balance in {asset}"), &[recorded, effective]))
        @if more {
            p.note {
                "The newest " (ENTRIES) " entries. "
                a href=(visit.here_with(&[("export", "csv")])) { "All transfers as a file" }
            }
        }
    }
}

fn line(page: &Value, name: &str, at: &str, asset: &str, scales: &Scales) -> Line {
    let point = |entry: &Value| {
        let when = Timestamp::parse(text(entry, at)).ok()?;
        let balance = scales.decimal(text(entry, "balanceAfter"), asset);
        Some(Point {
            at: when.micros(),
            // A position in a picture; what is read is the text.
            height: balance.parse().unwrap_or(0.0),
            shown: format!("{balance} {asset}"),
        })
    };
    let mut points: Vec<Point> = items(page, "items").iter().filter_map(point).collect();
    points.reverse();
    Line {
        name: name.to_owned(),
        points,
        steps: true,
    }
}
