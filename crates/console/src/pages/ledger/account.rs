//! `GET /console/ledger/accounts/{id}`: an account with its figures, its balance over time on both
//! axes, what is pending, and its transfers.

use florin_platform::http::router::Routes;
use futures_util::future::join;
use maud::{Markup, Render, html};
use serde_json::Value;

use super::history;
use super::transfers::{COLUMNS, period, table};
use crate::Console;
use crate::api::{ApiError, items, number, segment, shown, text};
use crate::reply::{Outcome, Page};
use crate::ui::badge::badge;
use crate::ui::export::Export;
use crate::ui::facts::{Facts, Figure, figures};
use crate::ui::filter::Filter;
use crate::ui::money::Scales;
use crate::ui::table::{PAGE, pager};
use crate::ui::{either, section, short, time};
use crate::visit::{Visit, get};

const FILTERS: [&str; 5] = ["side", "code", "mode", "state", "axis"];

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    get(routes, "/console/ledger/accounts/{id}", show)
}

async fn show(visit: Visit) -> Outcome {
    let id = visit.param("id").to_owned();
    let path = format!("/api/v1/ledger/accounts/{}", segment(&id));
    let list = format!("{path}/transfers");
    let period = period(&visit)?;
    let mut query: Vec<(String, String)> = FILTERS
        .iter()
        .map(|name| ((*name).to_owned(), visit.query(name).to_owned()))
        .collect();
    query.push(("order".to_owned(), "desc".to_owned()));
    query.extend(period.map(|(name, value)| (name.to_owned(), value)));
    if visit.exports() {
        let export = Export {
            name: "account-transfers",
            path: list,
            query,
            columns: COLUMNS,
        };
        return export.reply(&visit).await;
    }
    let account = visit.api.get(path.as_str()).json().await?;
    let pairs = query.iter().map(|(n, v)| (n.as_str(), v.as_str()));
    let transfers = visit.api.get(list.as_str()).queries(pairs);
    let transfers = transfers
        .query("limit", PAGE)
        .query("cursor", visit.query("cursor"))
        .json();
    let pending = visit
        .api
        .get(list.as_str())
        .query("state", "pending")
        .query("limit", PAGE)
        .json();
    let balance = visit.api.get(format!("{path}/balance")).json();
    let scales = Scales::load(&visit.api);
    let history = history::load(&visit, &path);
    let ((transfers, pending), (balance, (scales, history))) = join(
        join(transfers, pending),
        join(balance, join(scales, history)),
    )
    .await;
    let scales = scales.unwrap_or_default();
    let asset = text(&account, "asset").to_owned();
    let content = html! {
        (either(&balance, |balance| totals(balance, &scales)))
        (facts(&account, &scales))
        (section("history", "Balance over time", history::show(&visit, &history, &asset, &scales)))
        (section("pending", "Pending", either(&pending, |page| {
            table(items(page, "items"), &scales).empty("Nothing is pending.").render()
        })))
        (section("transfers", "Transfers", list_of(&visit, &transfers, &scales)))
    };
    let page = Page::new("Account", content);
    let beside = html! { (short(&id)) " " (badge(text(&account, "status"))) };
    Ok(page.beside(beside).into())
}

fn totals(balance: &Value, scales: &Scales) -> Markup {
    let asset = text(balance, "asset");
    let figure = |name: &str, member: &str| {
        let shown = scales.money(text(balance, member), asset);
        Figure::new(name, shown).href("#transfers")
    };
    html! {
        (figures(&[
            figure("Balance", "balance"),
            figure("Available", "available"),
            figure("Posted debits", "debitsPosted"),
            figure("Posted credits", "creditsPosted"),
            figure("Pending debits", "debitsPending").href("#pending"),
            figure("Pending credits", "creditsPending").href("#pending"),
        ]))
        p.note { "As of record " (number(balance, "asOfSeq")) "." }
    }
}

fn facts(account: &Value, scales: &Scales) -> Facts {
    let asset = text(account, "asset");
    let floor = text(account, "floorMinor");
    let overdraw = match (account["mayOverdraw"].as_bool(), floor) {
        (Some(true), "") => html! { "without bound" },
        (Some(true), floor) => html! { "down to " (scales.money(floor, asset)) },
        _ => html! { "no" },
    };
    let mut facts = Facts::new()
        .add("Id", html! { code { (text(account, "id")) } })
        .add_text("Asset", asset)
        .add_text("Kind", text(account, "kind"))
        .add_text("Grows on the side", text(account, "normalSide"))
        .add("May overdraw", overdraw)
        .add_text("Version", &shown(account, "version"))
        .add("Created", time::time(text(account, "createdAt")));
    if let Some(pairs) = account["metadata"].as_object() {
        for (name, value) in pairs {
            facts = facts.add(name, value.as_str().unwrap_or_default());
        }
    }
    facts
}

fn list_of(visit: &Visit, transfers: &Result<Value, ApiError>, scales: &Scales) -> Markup {
    let filter = Filter::new(visit)
        .choice("side", "Side", &["debit", "credit"])
        .text("code", "Code")
        .choice("mode", "Mode", &["single", "pending", "post", "void"])
        .choice(
            "state",
            "State",
            &["recorded", "pending", "posted", "voided", "expired"],
        )
        .time("from", "From")
        .time("to", "To")
        .one_of("axis", "Time", &["recorded", "effective"]);
    html! {
        (filter.render())
        (either(transfers, |page| html! {
            (table(items(page, "items"), scales))
            (pager(visit, page, true))
        }))
    }
}
