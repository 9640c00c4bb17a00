//! `GET /console/admin/webhooks` and `/{id}`: receivers of events; a secret is shown once.

use florin_platform::http::router::Routes;
use futures_util::future::join;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::{deliveries, list_of, once, page_of, words};
use crate::Console;
use crate::api::{items, number, segment, shown, text};
use crate::pages::listing::Listing;
use crate::reply::{Outcome, Page, Reply};
use crate::ui::badge::{Mood, badge_as};
use crate::ui::confirm::Confirm;
use crate::ui::facts::Facts;
use crate::ui::filter::Filter;
use crate::ui::table::{Table, pager};
use crate::ui::{either, form, link_short, section, short, time};
use crate::visit::{Visit, get, post};

const HERE: &str = "/console/admin/webhooks";
pub(super) const API: &str = "/api/v1/webhooks";
const COLUMNS: &[(&str, &str)] = &[
    ("Webhook", "id"),
    ("URL", "url"),
    ("Wallet", "walletId"),
    ("State", "status"),
    ("Why disabled", "disabledReason"),
    ("Since record", "sinceSeq"),
    ("Created", "createdAt"),
];

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    let routes = get(routes, HERE, list);
    let routes = get(routes, "/console/admin/webhooks/{id}", show);
    let routes = post(routes, HERE, create);
    let routes = post(routes, "/console/admin/webhooks/{id}/rotate", rotate);
    let routes = post(routes, "/console/admin/webhooks/{id}/replay", replay);
    post(routes, "/console/admin/webhooks/{id}/delete", delete)
}

fn state(hook: &Value) -> Markup {
    let word = text(hook, "status");
    match word {
        "enabled" => badge_as(word, Mood::Good),
        _ => badge_as(word, Mood::Bad),
    }
}

fn wanted(hook: &Value) -> String {
    match words(hook, "events") {
        none if none.is_empty() => "all".to_owned(),
        some => some,
    }
}

async fn list(visit: Visit) -> Outcome {
    let list = Listing::new(&visit, API);
    if visit.exports() {
        return list.export("webhooks", COLUMNS).await;
    }
    let page = list.page().await?;
    let table = Table::new("Webhooks")
        .columns(&["Webhook", "URL", "Events", "State", "Created"])
        .empty("Nobody listens yet.")
        .rows(items(&page, "items"), |hook| {
            let id = text(hook, "id");
            vec![
                link_short(&page_of("webhooks", id), id),
                html! { (text(hook, "url")) },
                html! { (wanted(hook)) @if !text(hook, "walletId").is_empty() { " of " (short(text(hook, "walletId"))) } },
                html! { (state(hook)) @if !text(hook, "disabledReason").is_empty() { " " span.note { (text(hook, "disabledReason")) } } },
                time::time(text(hook, "createdAt")),
            ]
        });
    let ask = html! {
        form.form method="post" action=(HERE) {
            (form::hidden(&visit))
            (form::text("url", "URL, https and public", "", true))
            (form::text("events", "Only these events, parted by commas", "", false))
            (form::text("walletId", "Only of this wallet", "", false))
            div.buttons { button.primary type="submit" { "Register" } }
        }
    };
    let content = html! {
        (table)
        (pager(&visit, &page, true))
        (section("create", "New webhook", ask))
    };
    Ok(Page::new("Webhooks", content).into())
}

async fn create(visit: Visit) -> Outcome {
    let mut body = json!({"url": visit.form("url")});
    let events = list_of(visit.form("events"));
    if !events.is_empty() {
        body["events"] = events.into();
    }
    if !visit.form("walletId").is_empty() {
        body["walletId"] = visit.form("walletId").into();
    }
    let ask = visit.api.post(API).idempotency_key(visit.once());
    match ask.json_body(&body).json().await {
        Ok(made) => Ok(secret_page("The webhook is registered", &made)),
        Err(error) => Reply::refused(error, HERE),
    }
}

/// The one answer that holds the secret.
fn secret_page(title: &str, made: &Value) -> Reply {
    let until = text(made, "previousValidUntil");
    let content = html! {
        (once("Secret for signatures:", text(made, "secret")))
        @if !until.is_empty() {
            p { "Until " (time::time(until)) " the former secret signs too." }
        }
        p { a href=(page_of("webhooks", text(made, "id"))) { "To the webhook" } }
    };
    Page::new(title, content).into()
}

async fn show(visit: Visit) -> Outcome {
    let id = visit.param("id");
    let path = format!("{API}/{}", segment(id));
    let list = Listing::new(&visit, format!("{path}/deliveries")).filters(&["state"]);
    if visit.exports() {
        return list.export("deliveries", deliveries::COLUMNS).await;
    }
    let (hook, page) = join(visit.api.get(path.as_str()).json(), list.page()).await;
    let hook = hook?;
    let facts = Facts::new()
        .add_text("URL", text(&hook, "url"))
        .add_text("Events", &wanted(&hook))
        .add_text("Only of the wallet", text(&hook, "walletId"))
        .add_text("Why disabled", text(&hook, "disabledReason"))
        .add_text("Since record", &shown(&hook, "sinceSeq"))
        .add("Created", time::time(text(&hook, "createdAt")));
    let filter = Filter::new(&visit).choice(
        "state",
        "State",
        &["ready", "waiting", "accepted", "parked"],
    );
    let content = html! {
        (facts)
        (section("deliveries", "Deliveries", html! {
            (filter.render())
            (either(&page, |page| html! {
                (deliveries::table(&visit, id, items(page, "items")))
                (pager(&visit, page, true))
            }))
        }))
    };
    let beside = html! { (short(id)) " " (state(&hook)) " " (buttons(&visit, id)) };
    Ok(Page::new("Webhook", content).beside(beside).into())
}

fn buttons(visit: &Visit, id: &str) -> Markup {
    let path = page_of("webhooks", id);
    let ask = |id: &str, label: &str, words: &str, danger: bool| {
        Confirm {
            id,
            label,
            text: html! { (words) },
            action: &format!("{path}/{id}"),
            fields: html! {},
            danger,
        }
        .render(visit)
    };
    html! {
        (ask("replay", "Replay parked", "Everything parked is sent again, in order; a disabled webhook is enabled.", false)) " "
        (ask("rotate", "New secret", "For 24 hours messages carry signatures of both secrets.", true)) " "
        (ask("delete", "Remove", "The webhook goes, with its deliveries and their log. This cannot be undone.", true))
    }
}

async fn rotate(visit: Visit) -> Outcome {
    let id = visit.param("id");
    let ask = visit.api.post(format!("{API}/{}/rotate", segment(id)));
    match ask.json().await {
        Ok(made) => Ok(secret_page("The secret is new", &made)),
        Err(error) => Reply::refused(error, page_of("webhooks", id)),
    }
}

async fn replay(visit: Visit) -> Outcome {
    let id = visit.param("id");
    let ask = visit.api.post(format!("{API}/{}/replay", segment(id)));
    let result = ask.json().await;
    let queued = result.as_ref().map_or(0, |done| number(done, "queued"));
    let words = format!("{queued} deliveries are queued again.");
    Reply::after(result, page_of("webhooks", id), words)
}

async fn delete(visit: Visit) -> Outcome {
    let id = visit.param("id");
    let ask = visit.api.delete(format!("{API}/{}", segment(id)));
    let result = ask.json().await;
    let place = match &result {
        Ok(_) => HERE.to_owned(),
        Err(_) => page_of("webhooks", id),
    };
    Reply::after(result, place, "The webhook is removed.")
}
