//! `GET /console/wallets/{id}`: a wallet with its figures, limits and their use, balance over
//! time, holds, transactions; and what may be done to it.

use florin_base::Timestamp;
use florin_platform::http::router::Routes;
use futures_util::future::join;
use maud::{Markup, html};
use serde_json::Value;

use super::{actions, holds, limits, statement, transaction};
use crate::Console;
use crate::api::{ApiError, items, segment, shown, text};
use crate::pages::ledger::account_link;
use crate::reply::{Outcome, Page};
use crate::ui::badge::badge;
use crate::ui::chart::{Line, Point, lines};
use crate::ui::export::Export;
use crate::ui::facts::{Facts, Figure, figures};
use crate::ui::filter::Filter;
use crate::ui::money::money;
use crate::ui::table::{PAGE, pager};
use crate::ui::{either, section, short, time};
use crate::visit::{Visit, get};

/// Days of the picture, in microseconds.
const PICTURE: i64 = 30 * 86_400 * 1_000_000;
/// Entries of the picture.
const ENTRIES: &str = "500";
const FILTERS: [&str; 5] = ["type", "status", "direction", "referenceId", "axis"];

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    get(routes, "/console/wallets/{id}", show)
}

async fn show(visit: Visit) -> Outcome {
    let path = format!("/api/v1/wallets/{}", segment(visit.param("id")));
    let list = format!("{path}/transactions");
    let period = crate::pages::ledger::period(&visit)?;
    let mut query = FILTERS
        .map(|name| (name.to_owned(), visit.query(name).to_owned()))
        .to_vec();
    query.extend(period.map(|(name, value)| (name.to_owned(), value)));
    if visit.exports() {
        let export = Export {
            name: "wallet-transactions",
            path: list,
            query,
            columns: transaction::COLUMNS,
        };
        return export.reply(&visit).await;
    }
    let wallet = visit.api.get(path.as_str()).json().await?;
    let pairs = query.iter().map(|(n, v)| (n.as_str(), v.as_str()));
    let transactions = visit.api.get(list.as_str()).queries(pairs);
    let transactions = transactions
        .query("limit", PAGE)
        .query("cursor", visit.query("cursor"))
        .json();
    let limits = visit.api.get(format!("{path}/limits")).json();
    let held = visit.api.get(format!("{path}/holds"));
    let held = held.query("limit", PAGE).json();
    let recent = recent(&visit, &path);
    let ((transactions, limits), (held, recent)) =
        join(join(transactions, limits), join(held, recent)).await;
    let currency = text(&wallet, "currency");
    let content = html! {
        (totals(&wallet))
        (facts(&visit, &wallet))
        div.columns {
            (section("limits", "Limits and their use", either(&limits, |limits| {
                limits::table(limits, currency)
            })))
            (section("statement", "Statement", statement::form(&visit, &wallet)))
        }
        (section("history", "Balance, last 30 days", either(&recent, |page| picture(page, currency))))
        (section("holds", "Holds", either(&held, |page| holds::table(&visit, page))))
        (section("transactions", "Transactions", list_of(&visit, &transactions)))
    };
    let beside = html! {
        (short(text(&wallet, "walletId"))) " " (badge(text(&wallet, "status"))) " "
        (actions::buttons(&visit, &wallet))
    };
    let title = match text(&wallet, "label") {
        "" => format!("Wallet of {}", text(&wallet, "userId")),
        label => format!("{label} of {}", text(&wallet, "userId")),
    };
    Ok(Page::new(title, content).beside(beside).into())
}

fn totals(wallet: &Value) -> Markup {
    let currency = text(wallet, "currency");
    let figure =
        |name: &str, member: &str| Figure::new(name, money(text(wallet, member), currency));
    figures(&[
        figure("Balance", "balance").href("#transactions"),
        figure("Held", "held").href("#holds"),
        figure("Available", "available").href("#transactions"),
    ])
}

fn facts(visit: &Visit, wallet: &Value) -> Facts {
    let user = text(wallet, "userId");
    let mut facts = Facts::new()
        .add("Id", html! { code { (text(wallet, "walletId")) } })
        .add(
            "User",
            html! { a href={ "/console/wallets?userId=" (segment(user)) } { (user) } },
        )
        .add_text("Currency", text(wallet, "currency"))
        .add_text("Tier", text(wallet, "tier"))
        .add_text("Version", &shown(wallet, "version"))
        .add("Created", time::time(text(wallet, "createdAt")))
        .add("Changed", time::time(text(wallet, "updatedAt")));
    if visit.me.may("ledger:read") {
        let account = format!("florin:wallet:{}", text(wallet, "walletId"));
        facts = facts.add("In the ledger", account_link(&account));
    }
    if let Some(pairs) = wallet["metadata"].as_object() {
        for (name, value) in pairs {
            facts = facts.add(name, value.as_str().unwrap_or_default());
        }
    }
    facts
}

async fn recent(visit: &Visit, path: &str) -> Result<Value, ApiError> {
    let now = visit.console.now();
    let ask = visit.api.get(format!("{path}/statement"));
    ask.query("from", time::rfc3339(now - PICTURE))
        .query("to", time::rfc3339(now))
        .query("limit", ENTRIES)
        .json()
        .await
}

/// From the opening balance of the period to its end.
fn picture(page: &Value, currency: &str) -> Markup {
    let at = |text: &str| Timestamp::parse(text).map_or(0, Timestamp::micros);
    let point = |when: &str, amount: &str| Point {
        at: at(when),
        // A position in a picture; what is read is the text.
        height: amount.parse().unwrap_or(0.0),
        shown: format!("{amount} {currency}"),
    };
    let mut points = vec![point(text(page, "from"), text(page, "opening"))];
    for item in items(page, "items") {
        points.push(point(text(item, "recordedAt"), text(item, "balanceAfter")));
    }
    let whole = text(page, "nextCursor").is_empty();
    if whole {
        points.push(point(text(page, "to"), text(page, "closing")));
    }
    let line = Line {
        name: "Balance".to_owned(),
        points,
        steps: true,
    };
    html! {
        (lines(&format!("Balance in {currency}"), &[line]))
        @if !whole { p.note { "The first " (ENTRIES) " movements of the period; the statement has all." } }
    }
}

fn list_of(visit: &Visit, transactions: &Result<Value, ApiError>) -> Markup {
    let filter = Filter::new(visit)
        .choice("direction", "Direction", &["IN", "OUT"])
        .text("type", "Type")
        .text("referenceId", "Reference")
        .time("from", "From")
        .time("to", "To")
        .one_of("axis", "Time", &["recorded", "effective"]);
    html! {
        (filter.render())
        (either(transactions, |page| html! {
            (transaction::table(items(page, "items")))
            (pager(visit, page, true))
        }))
    }
}
