//! `GET /console/shadow/reconciliations`: runs of matching, and how one is begun.

use florin_platform::http::router::Routes;
use maud::{Markup, html};
use serde_json::json;

use super::{API, account_link, amount_in, page_of, state};
use crate::Console;
use crate::api::{items, number, shown, text};
use crate::pages::listing::Listing;
use crate::reply::{Outcome, Page, Reply};
use crate::ui::filter::Filter;
use crate::ui::money::count;
use crate::ui::table::{Table, pager};
use crate::ui::{form, link_short, section, short, time};
use crate::visit::{Visit, get, post};

const HERE: &str = "/console/shadow/reconciliations";
const COLUMNS: &[(&str, &str)] = &[
    ("Reconciliation", "reconciliationId"),
    ("Account", "accountId"),
    ("Currency", "currency"),
    ("From", "from"),
    ("To", "to"),
    ("State", "state"),
    ("Matches", "matches"),
    ("Bank closing", "bridge.bankClosing"),
    ("Shadow balance", "bridge.shadowBalance"),
    ("Start difference", "bridge.startDifference"),
    ("Gaps", "bridge.gaps"),
    ("Open lines", "bridge.openLines"),
    ("Ignored lines", "bridge.ignoredLines"),
    ("Open entries", "bridge.openEntries"),
    ("Variance", "bridge.variance"),
    ("By", "createdBy"),
    ("Created", "createdAt"),
    ("Finished", "finishedAt"),
];

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    let routes = get(routes, HERE, list);
    post(routes, HERE, begin)
}

async fn list(visit: Visit) -> Outcome {
    let list = Listing::new(&visit, format!("{API}/reconciliations")).exact();
    let list = list.filters(&["accountId"]);
    if visit.exports() {
        return list.export("reconciliations", COLUMNS).await;
    }
    let page = list.page().await?;
    let filter = Filter::new(&visit).text("accountId", "Account");
    let table = Table::new("Reconciliations")
        .columns(&["Reconciliation", "Account", "Period", "State"])
        .number("Matches")
        .number("Open lines")
        .number("Open entries")
        .columns(&["By", "Finished"])
        .empty("Nothing was reconciled yet.")
        .rows(items(&page, "items"), |run| {
            let id = text(run, "reconciliationId");
            let currency = text(run, "currency");
            vec![
                link_short(&page_of("reconciliations", id), id),
                account_link(text(run, "accountId"), currency),
                html! { span.day { (text(run, "from")) } " – " span.day { (text(run, "to")) } },
                html! { (state(text(run, "state"))) @if !shown(run, "problem.code").is_empty() { " " code { (text(run, "problem.code")) } } },
                count(number(run, "matches")),
                amount_in(&run["bridge"], "openLines", currency),
                amount_in(&run["bridge"], "openEntries", currency),
                short(text(run, "createdBy")),
                time::time(text(run, "finishedAt")),
            ]
        });
    let content = html! {
        (filter.render())
        (table)
        (pager(&visit, &page, true))
        @if visit.me.may("shadow:match") { (section("begin", "Reconcile a period", ask(&visit))) }
    };
    Ok(Page::new("Reconciliations", content).into())
}

fn ask(visit: &Visit) -> Markup {
    let day = |name: &str, label: &str| {
        html! {
            label.field {
                span { (label) }
                input type="date" name=(name) required;
            }
        }
    };
    html! {
        form.form method="post" action=(HERE) {
            (form::hidden(visit))
            (form::text("accountId", "Account", visit.query("accountId"), true))
            (form::text("currency", "Currency", "", false))
            (day("from", "First day"))
            (day("to", "Day after the last"))
            div.buttons { button.primary type="submit" { "Reconcile" } }
        }
    }
}

async fn begin(visit: Visit) -> Outcome {
    let mut body = json!({
        "accountId": visit.form("accountId"),
        "from": visit.form("from"),
        "to": visit.form("to"),
    });
    if !visit.form("currency").is_empty() {
        body["currency"] = visit.form("currency").into();
    }
    // The page of the run waits, not this request.
    let ask = visit.api.post(format!("{API}/reconciliations"));
    let ask = ask.query("wait", "0").query("money", "string");
    let ask = ask.idempotency_key(visit.once()).json_body(&body);
    let result = ask.json().await;
    let place = match &result {
        Ok(run) => page_of("reconciliations", text(run, "reconciliationId")),
        Err(_) => HERE.to_owned(),
    };
    Reply::after(result, place, "The reconciliation has begun.")
}
