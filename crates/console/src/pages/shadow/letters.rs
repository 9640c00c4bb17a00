//! `GET /console/shadow/dead-letters` and `/{id}`: messages that could not be taken; sent again
//! one by one or many at once, or given up.

use florin_platform::http::router::Routes;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::{API, page_of, state};
use crate::Console;
use crate::api::{items, number, segment, shown, text};
use crate::pages::listing::Listing;
use crate::reply::{Outcome, Page, Reply};
use crate::ui::confirm::{Confirm, reason};
use crate::ui::facts::Facts;
use crate::ui::filter::Filter;
use crate::ui::table::{Table, pager};
use crate::ui::{form, link_short, section, short, time};
use crate::visit::{Visit, get, post};

const HERE: &str = "/console/shadow/dead-letters";
const COLUMNS: &[(&str, &str)] = &[
    ("Letter", "id"),
    ("Topic", "topic"),
    ("Partition", "partition"),
    ("Offset", "offset"),
    ("Received", "receivedAt"),
    ("Reason", "reason"),
    ("State", "status"),
    ("Digest", "digest"),
    ("Encoding", "encoding"),
    ("Payload", "payload"),
];

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    let routes = get(routes, HERE, list);
    let routes = get(routes, "/console/shadow/dead-letters/{id}", show);
    let routes = post(routes, "/console/shadow/dead-letters", redrive_many);
    let routes = post(routes, "/console/shadow/dead-letters/{id}/redrive", redrive);
    post(routes, "/console/shadow/dead-letters/{id}/discard", discard)
}

async fn list(visit: Visit) -> Outcome {
    let list = Listing::new(&visit, format!("{API}/dead-letters"));
    let list = list.filters(&["status", "reason", "topic"]);
    if visit.exports() {
        return list.export("dead-letters", COLUMNS).await;
    }
    let page = list.page().await?;
    let filter = Filter::new(&visit)
        .choice("status", "State", &["parked", "redriven", "discarded"])
        .text("reason", "Reason")
        .text("topic", "Topic");
    let may = visit.me.may("shadow:correct");
    let table = Table::new("Dead letters")
        .columns(&["Letter", "Reason", "Topic"])
        .number("Partition")
        .number("Offset")
        .columns(&["Received", "State", ""])
        .empty("No letter matches.")
        .rows(items(&page, "items"), |letter| {
            let id = text(letter, "id");
            let action = format!("{}/redrive", page_of("dead-letters", id));
            vec![
                link_short(&page_of("dead-letters", id), id),
                html! { code { (text(letter, "reason")) } },
                html! { code { (text(letter, "topic")) } },
                html! { (shown(letter, "partition")) },
                html! { (shown(letter, "offset")) },
                time::time(text(letter, "receivedAt")),
                state(text(letter, "status")),
                html! {
                    @if may && text(letter, "status") == "parked" {
                        (form::button(&visit, &action, "Redrive"))
                    }
                },
            ]
        });
    let content = html! { (filter.render()) (table) (pager(&visit, &page, true)) };
    let page = Page::new("Dead letters", content);
    Ok(page.beside(many(&visit)).into())
}

fn many(visit: &Visit) -> Markup {
    if !visit.me.may("shadow:correct") {
        return html! {};
    }
    let ask = Confirm {
        id: "redrive-many",
        label: "Redrive many",
        text: html! {
            "The original bytes of parked letters are taken once more, in the order of their "
            "arrival. What is still wrong stays parked."
        },
        action: HERE,
        fields: html! {
            (form::text("reason", "Only with this reason", visit.query("reason"), false))
            label.field {
                span { "At most" }
                input type="number" name="limit" min="1" max="1000" value="100" required;
            }
        },
        danger: false,
    };
    ask.render(visit)
}

async fn redrive_many(visit: Visit) -> Outcome {
    let limit = visit.form("limit").parse::<u32>().unwrap_or(100);
    let mut body = json!({"limit": limit});
    if !visit.form("reason").is_empty() {
        body["reason"] = visit.form("reason").into();
    }
    let ask = visit.api.post(format!("{API}/dead-letters/redrive"));
    let ask = ask.idempotency_key(visit.once()).json_body(&body);
    let result = ask.json().await;
    let words = result.as_ref().map_or_else(
        |_| String::new(),
        |done| {
            let all = items(done, "items");
            let parked = all.iter().filter(|one| text(one, "status") == "parked");
            let parked = parked.count();
            format!(
                "{} were taken, {parked} are still parked.",
                all.len() - parked
            )
        },
    );
    Reply::after(result, HERE, words)
}

async fn find(visit: &Visit) -> Result<Value, crate::api::ApiError> {
    let path = format!("{API}/dead-letters/{}", segment(visit.param("id")));
    visit.api.get(path).json().await
}

async fn show(visit: Visit) -> Outcome {
    let letter = find(&visit).await?;
    let facts = Facts::new()
        .add("Reason", html! { code { (text(&letter, "reason")) } })
        .add("Topic", html! { code { (text(&letter, "topic")) } })
        .add_text("Partition", &shown(&letter, "partition"))
        .add_text("Offset", &number(&letter, "offset").to_string())
        .add("Received", time::time(text(&letter, "receivedAt")))
        .add("Digest of all bytes", short(text(&letter, "digest")))
        .add_text("Shown as", text(&letter, "encoding"));
    let payload = html! {
        pre.proof tabindex="0" { (text(&letter, "payload")) }
        p.note {
            "At most the first 64 KiB. Other content needs a new event or a correction: a redrive "
            "sends these bytes, unchanged."
        }
    };
    let content = html! { (facts) (section("payload", "Payload", payload)) };
    let id = visit.param("id");
    let path = page_of("dead-letters", id);
    let parked = text(&letter, "status") == "parked" && visit.me.may("shadow:correct");
    let discard = Confirm {
        id: "discard",
        label: "Give up",
        text: html! { "The letter is kept, but nobody can send it again." },
        action: &format!("{path}/discard"),
        fields: reason(),
        danger: true,
    };
    let beside = html! {
        (short(id)) " " (state(text(&letter, "status"))) " "
        @if parked {
            (form::button(&visit, &format!("{path}/redrive"), "Redrive")) " " (discard.render(&visit))
        }
    };
    Ok(Page::new("Dead letter", content).beside(beside).into())
}

async fn redrive(visit: Visit) -> Outcome {
    let id = visit.param("id");
    let path = page_of("dead-letters", id);
    let ask = visit
        .api
        .post(format!("{API}/dead-letters/{}/redrive", segment(id)));
    let result = ask.idempotency_key(visit.once()).json().await;
    if let Ok(done) = &result
        && text(done, "status") == "parked"
    {
        let words = format!("It is still parked: {}.", text(done, "reason"));
        return Ok(Reply::not_done(path, words));
    }
    let words = match result.as_ref().map(|done| text(done, "result")) {
        Ok("duplicate") => "The event was recorded already.",
        _ => "The event is recorded.",
    };
    Reply::after(result, path, words)
}

async fn discard(visit: Visit) -> Outcome {
    let id = visit.param("id");
    let ask = visit
        .api
        .post(format!("{API}/dead-letters/{}/discard", segment(id)));
    let ask = ask.json_body(&json!({"reason": visit.form("reason")}));
    Reply::after(
        ask.json().await,
        page_of("dead-letters", id),
        "The letter is given up.",
    )
}
