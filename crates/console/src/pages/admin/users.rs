//! `GET /console/admin/users` and `/{id}`: people, their roles, whether they may sign in; a new
//! password for one who lost his.

use florin_platform::http::router::Routes;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::{list_of, page_of, words};
use crate::Console;
use crate::api::{flag, items, segment, text};
use crate::pages::listing::Listing;
use crate::reply::{Failure, Outcome, Page, Reply};
use crate::ui::badge::{Mood, badge_as};
use crate::ui::confirm::Confirm;
use crate::ui::facts::Facts;
use crate::ui::filter::Filter;
use crate::ui::table::{Table, pager};
use crate::ui::{form, link_short, section, time};
use crate::visit::{Visit, get, post};

const HERE: &str = "/console/admin/users";
const API: &str = "/api/v1/users";
const COLUMNS: &[(&str, &str)] = &[
    ("User", "id"),
    ("Name", "userName"),
    ("Shown as", "displayName"),
    ("Disabled", "disabled"),
    ("Created", "createdAt"),
    ("Changed", "updatedAt"),
];

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    let routes = get(routes, HERE, list);
    let routes = get(routes, "/console/admin/users/{id}", show);
    let routes = post(routes, HERE, create);
    let routes = post(routes, "/console/admin/users/{id}", change);
    let routes = post(routes, "/console/admin/users/{id}/disable", |visit| {
        switch(visit, true)
    });
    let routes = post(routes, "/console/admin/users/{id}/enable", |visit| {
        switch(visit, false)
    });
    post(routes, "/console/admin/users/{id}/password", password)
}

fn state(user: &Value) -> Markup {
    match flag(user, "disabled") {
        true => badge_as("disabled", Mood::Bad),
        false => badge_as("active", Mood::Good),
    }
}

async fn list(visit: Visit) -> Outcome {
    let list = Listing::new(&visit, API).filters(&["userName", "disabled"]);
    if visit.exports() {
        return list.export("users", COLUMNS).await;
    }
    let page = list.page().await?;
    let filter = Filter::new(&visit)
        .text("userName", "Name, exactly")
        .choice("disabled", "Disabled", &["true", "false"]);
    let table = Table::new("Users")
        .columns(&["User", "Name", "Shown as", "Roles", "State", "Created"])
        .empty("No user matches.")
        .rows(items(&page, "items"), |user| {
            let id = text(user, "id");
            vec![
                link_short(&page_of("users", id), id),
                html! { (text(user, "userName")) },
                html! { (text(user, "displayName")) },
                html! { (words(user, "roles")) },
                state(user),
                time::time(text(user, "createdAt")),
            ]
        });
    let content = html! {
        (filter.render())
        (table)
        (pager(&visit, &page, true))
        (section("create", "New user", ask(&visit)))
    };
    Ok(Page::new("Users", content).into())
}

fn secret(name: &str, label: &str, required: bool) -> Markup {
    html! {
        label.field {
            span { (label) }
            input type="password" name=(name) minlength="12" autocomplete="new-password"
                required[required];
        }
    }
}

fn ask(visit: &Visit) -> Markup {
    html! {
        form.form method="post" action=(HERE) {
            (form::hidden(visit))
            (form::text("userName", "Name for signing in", "", true))
            (form::text("displayName", "Shown as", "", false))
            (form::text("roles", "Roles, parted by commas", "user", true))
            (form::text("accounts", "Accounts of the shadow ledger: ids, beginnings with *, or *", "", false))
            (secret("password", "Password, at least 12 characters; without one nobody can sign in", false))
            div.buttons { button.primary type="submit" { "Create" } }
        }
    }
}

async fn create(visit: Visit) -> Outcome {
    let mut body = json!({
        "userName": visit.form("userName"),
        "roles": list_of(visit.form("roles")),
    });
    for name in ["displayName", "password"] {
        if !visit.form(name).is_empty() {
            body[name] = visit.form(name).into();
        }
    }
    if !visit.form("accounts").is_empty() {
        body["accounts"] = list_of(visit.form("accounts")).into();
    }
    let ask = visit.api.post(API).idempotency_key(visit.once());
    let result = ask.json_body(&body).json().await;
    let place = match &result {
        Ok(user) => page_of("users", text(user, "id")),
        Err(_) => HERE.to_owned(),
    };
    Reply::after(result, place, "The user is made.")
}

async fn show(visit: Visit) -> Outcome {
    let id = visit.param("id");
    let user = visit.api.get(format!("{API}/{}", segment(id)));
    let user = user.json().await?;
    let path = page_of("users", id);
    let facts = Facts::new()
        .add("Id", html! { code { (id) } })
        .add_text("Name", text(&user, "userName"))
        .add_text("Shown as", text(&user, "displayName"))
        .add_text("Roles", &words(&user, "roles"))
        .add_text("Accounts of the shadow ledger", &words(&user, "accounts"))
        .add("Created", time::time(text(&user, "createdAt")))
        .add("Changed", time::time(text(&user, "updatedAt")))
        .add("API keys", html! { a href={ "/console/admin/keys?userId=" (segment(id)) } { "keys of this user" } })
        .add("Audit", html! { a href={ "/console/admin/audit?object=user:" (segment(id)) } { "what was done to this user" } });
    let content = html! {
        (facts)
        div.columns {
            (section("change", "Change", html! {
                form.form method="post" action=(path) {
                    (form::hidden(&visit))
                    (form::text("displayName", "Shown as", text(&user, "displayName"), false))
                    (form::text("roles", "Roles, parted by commas", &words(&user, "roles"), true))
                    (form::text("accounts", "Accounts of the shadow ledger", &words(&user, "accounts"), false))
                    p.note { "With other roles or accounts the access tokens fall at once." }
                    div.buttons { button.primary type="submit" { "Save" } }
                }
            }))
        }
    };
    let beside = html! { (state(&user)) " " (buttons(&visit, &user, &path)) };
    let title = text(&user, "userName");
    Ok(Page::new(title, content).beside(beside).into())
}

fn buttons(visit: &Visit, user: &Value, path: &str) -> Markup {
    let reset = Confirm {
        id: "password",
        label: "Set a password",
        text: html! { "All log-ins of this user end." },
        action: &format!("{path}/password"),
        fields: secret("password", "New password, at least 12 characters", true),
        danger: true,
    };
    let disable = Confirm {
        id: "disable",
        label: "Disable",
        text: html! { "The user is cut off at once, with all API keys. It can be undone." },
        action: &format!("{path}/disable"),
        fields: html! {},
        danger: true,
    };
    html! {
        (reset.render(visit)) " "
        @if flag(user, "disabled") { (form::button(visit, &format!("{path}/enable"), "Enable")) }
        @else { (disable.render(visit)) }
    }
}

async fn patch(visit: &Visit, body: Value, words: &str) -> Outcome {
    let id = visit.param("id");
    let ask = visit.api.patch(format!("{API}/{}", segment(id)));
    let result = ask.json_body(&body).json().await;
    Reply::after(result, page_of("users", id), words)
}

async fn change(visit: Visit) -> Outcome {
    let accounts = list_of(visit.form("accounts"));
    let body = json!({
        "displayName": Some(visit.form("displayName")).filter(|name| !name.is_empty()),
        "roles": list_of(visit.form("roles")),
        "accounts": Some(accounts).filter(|all| !all.is_empty()),
    });
    patch(&visit, body, "It is changed.").await
}

async fn switch(visit: Visit, disabled: bool) -> Outcome {
    let words = match disabled {
        true => "The user is cut off.",
        false => "The user may sign in again.",
    };
    patch(&visit, json!({"disabled": disabled}), words).await
}

async fn password(visit: Visit) -> Outcome {
    let id = visit.param("id");
    if visit.form("password").is_empty() {
        return Err(Failure::Bad("A password is needed.".to_owned()));
    }
    let ask = visit.api.put(format!("{API}/{}/password", segment(id)));
    let ask = ask.json_body(&json!({"password": visit.form("password")}));
    let words = "The password is set; the log-ins have ended.";
    Reply::after(ask.json().await, page_of("users", id), words)
}
