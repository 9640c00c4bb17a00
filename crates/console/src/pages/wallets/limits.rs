//! Limits of a wallet and how much of them is used.

use maud::{Markup, Render, html};
use serde_json::Value;

use crate::api::text;
use crate::ui::money::{minor, money};
use crate::ui::table::Table;
use crate::ui::time;

/// Places that are enough to compare two amounts of one asset.
const PLACES: usize = 18;

/// Limits as a table.
pub fn table(limits: &Value, currency: &str) -> Markup {
    let mut table = Table::new("Limits")
        .column("Limit")
        .number("Used")
        .number("Of")
        .column("Free again");
    for (direction, name) in [("in", "In"), ("out", "Out")] {
        for (period, words) in [
            ("perTransaction", "each"),
            ("daily", "a day"),
            ("monthly", "a month"),
        ] {
            let found = &limits[direction][period];
            let limit = text(found, "limit");
            if limit.is_empty() {
                continue;
            }
            table.row(row(found, &format!("{name}, {words}"), currency));
        }
    }
    html! {
        p { "Tier: " strong { (text(limits, "tier")) } }
        (table.empty("No limits.").render())
    }
}

fn row(found: &Value, name: &str, currency: &str) -> Vec<Markup> {
    let (limit, used) = (text(found, "limit"), text(found, "used"));
    let share = match (minor(used, PLACES), minor(limit, PLACES)) {
        (Some(used), Some(limit)) if limit > 0 => Some((used.saturating_mul(100) / limit).min(100)),
        _ => None,
    };
    vec![
        html! {
            (name)
            @if let Some(share) = share {
                br; meter min="0" max="100" high="80" value=(share) aria-label={ (share) " % used" } { }
            }
        },
        html! { @if used.is_empty() { span.none { "–" } } @else { (money(used, currency)) } },
        money(limit, currency),
        time::time(text(found, "resetsAt")),
    ]
}
