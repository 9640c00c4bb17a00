//! `GET /console/admin/keys`: API keys; a new one is shown once, and any can be revoked.

use florin_platform::http::router::Routes;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::{list_of, once, page_of, words};
use crate::Console;
use crate::api::{items, segment, text};
use crate::pages::listing::Listing;
use crate::reply::{Failure, Outcome, Page, Reply};
use crate::ui::badge::{Mood, badge_as};
use crate::ui::confirm::Confirm;
use crate::ui::facts::Facts;
use crate::ui::filter::Filter;
use crate::ui::table::{Table, pager};
use crate::ui::{form, link_short, section, short, time};
use crate::visit::{Visit, get, post};

const HERE: &str = "/console/admin/keys";
const API: &str = "/api/v1/keys";
const COLUMNS: &[(&str, &str)] = &[
    ("Key", "id"),
    ("Name", "name"),
    ("User", "userId"),
    ("Made by", "createdBy"),
    ("Created", "createdAt"),
    ("Expires", "expiresAt"),
    ("Revoked", "revokedAt"),
];

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    let routes = get(routes, HERE, list);
    let routes = get(routes, "/console/admin/keys/{id}", show);
    let routes = post(routes, HERE, create);
    post(routes, "/console/admin/keys/{id}/revoke", revoke)
}

fn state(key: &Value, now: &str) -> Markup {
    let expires = text(key, "expiresAt");
    if !text(key, "revokedAt").is_empty() {
        badge_as("revoked", Mood::Bad)
    } else if !expires.is_empty() && expires <= now {
        badge_as("expired", Mood::Plain)
    } else {
        badge_as("active", Mood::Good)
    }
}

async fn list(visit: Visit) -> Outcome {
    let list = Listing::new(&visit, API).filters(&["userId"]);
    if visit.exports() {
        return list.export("api-keys", COLUMNS).await;
    }
    let page = list.page().await?;
    let now = time::rfc3339(visit.console.now());
    let filter = Filter::new(&visit).text("userId", "User");
    let table = Table::new("API keys")
        .columns(&["Key", "Name", "User", "Roles", "State", "Created", "Expires", ""])
        .empty("No key matches.")
        .rows(items(&page, "items"), |key| {
            let id = text(key, "id");
            let user = text(key, "userId");
            vec![
                link_short(&page_of("keys", id), id),
                html! { (text(key, "name")) },
                html! { @if user.is_empty() { span.note { "itself" } } @else { (link_short(&page_of("users", user), user)) } },
                html! { (words(key, "roles")) },
                state(key, &now),
                time::time(text(key, "createdAt")),
                time::time(text(key, "expiresAt")),
                button(&visit, key),
            ]
        });
    let content = html! {
        (filter.render())
        (table)
        (pager(&visit, &page, true))
        (section("create", "New key", ask(&visit)))
    };
    Ok(Page::new("API keys", content).into())
}

fn button(visit: &Visit, key: &Value) -> Markup {
    if !text(key, "revokedAt").is_empty() {
        return html! {};
    }
    let id = text(key, "id");
    let ask = Confirm {
        id: &format!("revoke-{id}"),
        label: "Revoke",
        text: html! { "“" (text(key, "name")) "” is refused from now on. This cannot be undone." },
        action: &format!("{}/revoke", page_of("keys", id)),
        fields: html! {},
        danger: true,
    };
    ask.render(visit)
}

fn ask(visit: &Visit) -> Markup {
    html! {
        form.form method="post" action=(HERE) {
            (form::hidden(visit))
            (form::text("name", "Name", "", true))
            (form::text("roles", "Roles, parted by commas", "service", true))
            (form::text("userId", "User whose key it is; empty: it speaks for itself", visit.query("userId"), false))
            (form::text("scopes", "Only these permissions", "", false))
            (form::text("accounts", "Accounts of the shadow ledger", "", false))
            (time::field("expiresAt", "Expires", ""))
            div.buttons { button.primary type="submit" { "Create" } }
        }
    }
}

async fn create(visit: Visit) -> Outcome {
    let mut body = json!({
        "name": visit.form("name"),
        "roles": list_of(visit.form("roles")),
    });
    if !visit.form("userId").is_empty() {
        body["userId"] = visit.form("userId").into();
    }
    for name in ["scopes", "accounts"] {
        let all = list_of(visit.form(name));
        if !all.is_empty() {
            body[name] = all.into();
        }
    }
    let expires = time::sent(visit.form("expiresAt"));
    let expires = expires.ok_or_else(|| Failure::Bad("That is no time.".to_owned()))?;
    if !expires.is_empty() {
        body["expiresAt"] = expires.into();
    }
    let ask = visit.api.post(API).idempotency_key(visit.once());
    let made = match ask.json_body(&body).json().await {
        Ok(made) => made,
        Err(error) => return Reply::refused(error, HERE),
    };
    // Nowhere but in this answer: neither in an address nor in a cookie.
    let content = html! {
        @match text(&made, "key") {
            "" => div.notice { "This key was made by an earlier try, which showed it." },
            key => (once("X-API-Key:", key)),
        }
        (facts(&made))
        p { a href=(HERE) { "All keys" } }
    };
    Ok(Page::new("The key is made", content).into())
}

fn facts(key: &Value) -> Facts {
    Facts::new()
        .add("Id", html! { code { (text(key, "id")) } })
        .add_text("Name", text(key, "name"))
        .add_text("User", text(key, "userId"))
        .add_text("Roles", &words(key, "roles"))
        .add_text("Only these permissions", &words(key, "scopes"))
        .add_text("Accounts of the shadow ledger", &words(key, "accounts"))
        .add_text("Made by", text(key, "createdBy"))
        .add("Created", time::time(text(key, "createdAt")))
        .add("Expires", time::time(text(key, "expiresAt")))
        .add("Revoked", time::time(text(key, "revokedAt")))
}

async fn show(visit: Visit) -> Outcome {
    let id = visit.param("id");
    let key = visit.api.get(format!("{API}/{}", segment(id)));
    let key = key.json().await?;
    let now = time::rfc3339(visit.console.now());
    let beside = html! { (short(id)) " " (state(&key, &now)) " " (button(&visit, &key)) };
    let content = html! { (facts(&key)) };
    Ok(Page::new("API key", content).beside(beside).into())
}

async fn revoke(visit: Visit) -> Outcome {
    let ask = visit
        .api
        .delete(format!("{API}/{}", segment(visit.param("id"))));
    Reply::after(ask.json().await, HERE, "The key is revoked.")
}
