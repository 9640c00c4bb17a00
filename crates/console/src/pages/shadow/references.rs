//! `GET /console/shadow/references`: which account a bank's reference is.

use florin_platform::http::router::Routes;
use maud::{Markup, html};
use serde_json::json;

use super::{API, account_link};
use crate::Console;
use crate::api::{items, segment, text};
use crate::pages::listing::Listing;
use crate::reply::{Outcome, Page, Reply};
use crate::ui::table::{Table, pager};
use crate::ui::{form, section};
use crate::visit::{Visit, get, post};

const HERE: &str = "/console/shadow/references";
const COLUMNS: &[(&str, &str)] = &[("Reference", "accountRef"), ("Account", "accountId")];

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    post(get(routes, HERE, show), HERE, map)
}

async fn show(visit: Visit) -> Outcome {
    let list = Listing::new(&visit, format!("{API}/account-refs"));
    if visit.exports() {
        return list.export("references", COLUMNS).await;
    }
    let page = list.page().await?;
    let table = Table::new("References")
        .columns(&["Reference of the bank", "Account"])
        .empty("No reference is mapped.")
        .rows(items(&page, "items"), |one| {
            vec![
                html! { code { (text(one, "accountRef")) } },
                account_link(text(one, "accountId"), ""),
            ]
        });
    let content = html! {
        p.note { "A statement whose reference is not mapped needs its account when it is sent." }
        (table)
        (pager(&visit, &page, true))
        @if visit.me.may("shadow:import") { (section("map", "Map a reference", ask(&visit))) }
    };
    Ok(Page::new("References of banks", content).into())
}

fn ask(visit: &Visit) -> Markup {
    html! {
        form.form method="post" action=(HERE) {
            (form::hidden(visit))
            (form::text("ref", "Reference, such as an IBAN", "", true))
            (form::text("accountId", "Account", "", true))
            div.buttons { button.primary type="submit" { "Map" } }
        }
    }
}

async fn map(visit: Visit) -> Outcome {
    // Banks write blanks between the groups, which the API does not keep.
    let reference: String = visit.form("ref").split_whitespace().collect();
    let path = format!("{API}/account-refs/{}", segment(&reference));
    let ask = visit.api.put(path);
    let body = json!({"accountId": visit.form("accountId")});
    let result = ask.json_body(&body).json().await;
    Reply::after(
        result,
        HERE,
        "Statements with this reference are the account's from now on.",
    )
}
