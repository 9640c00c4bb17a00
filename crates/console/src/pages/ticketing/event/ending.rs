//! Postponing an event and calling it off, and the job that then pays everybody back.
//!
//! The job's page is asked for again until all money has gone back. It can be left: the event and
//! the list of its refunds lead to it.

use florin_platform::http::router::Routes;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::super::{api_event, event_of, event_page, event_path};
use crate::Console;
use crate::api::{items, number, segment, text};
use crate::reply::{Outcome, Reply};
use crate::ui::confirm::{Confirm, reason};
use crate::ui::facts::Facts;
use crate::ui::money::{count, money};
use crate::ui::progress::Progress;
use crate::ui::{live, section, time};
use crate::visit::{Visit, get, post};

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    let routes = post(routes, "/console/ticketing/events/{id}/cancel", cancel);
    let routes = post(routes, "/console/ticketing/events/{id}/postpone", postpone);
    get(
        routes,
        "/console/ticketing/events/{id}/refund-jobs/{job}",
        job,
    )
}

/// The page of a job.
pub fn job_path(event: &str, job: &str) -> String {
    format!("{}/refund-jobs/{}", event_path(event), segment(job))
}

/// What may be done to the event, or the way to its refunds.
pub async fn part(visit: &Visit, event: &Value) -> Markup {
    let status = text(event, "status");
    if status == "cancelled" {
        let found = find_job(visit).await;
        return section(
            "ending",
            "Money back",
            html! {
                @match found {
                    Some(id) => p { a href=(job_path(text(event, "id"), &id)) { "How far the refunds are" } },
                    None => p.empty { "No order has been refunded." },
                }
            },
        );
    }
    let on_sale = matches!(status, "published" | "sold_out");
    if !visit.me.may("events:write") || !(on_sale || status == "postponed") {
        return html! {};
    }
    let path = event_path(text(event, "id"));
    let ask = |id: &str, label: &str, words: &str, danger: bool| {
        Confirm {
            id,
            label,
            text: html! { (words) },
            action: &format!("{path}/{id}"),
            fields: reason(),
            danger,
        }
        .render(visit)
    };
    section(
        "ending",
        "Postpone or call off",
        html! {
            p {
                @if on_sale {
                    (ask("postpone", "Postpone", "Nothing is sold until there is a new date; tickets \
                        stay good, and buyers may have all their money back. They see the reason.", false)) " "
                }
                (ask("cancel", "Call off", "For good: every ticket ends, and all money of every order \
                    goes back. Buyers see the reason. This cannot be undone.", true))
            }
        },
    )
}

/// The newest job.
async fn find_job(visit: &Visit) -> Option<String> {
    let jobs = visit.api.get(api_event(visit, "/refund-jobs")).json();
    let jobs = jobs.await.ok()?;
    let newest = items(&jobs, "items").last();
    newest.map(|job| text(job, "id").to_owned())
}

async fn cancel(visit: Visit) -> Outcome {
    let id = visit.param("id");
    let ask = visit.api.post(api_event(&visit, "/cancel"));
    let ask = ask.idempotency_key(visit.once());
    let body = json!({"reason": visit.form("reason")});
    let result = ask.json_body(&body).json().await;
    let place = match &result {
        Ok(answer) => job_path(id, text(answer, "refundJobId")),
        Err(_) => event_path(id),
    };
    Reply::after(result, place, "The event is called off; money goes back.")
}

async fn postpone(visit: Visit) -> Outcome {
    let ask = visit.api.post(api_event(&visit, "/postpone"));
    let body = json!({"reason": visit.form("reason")});
    let result = ask.json_body(&body).json().await;
    let place = event_path(visit.param("id"));
    Reply::after(result, place, "The event is postponed.")
}

async fn job(visit: Visit) -> Outcome {
    let rest = format!("/refund-jobs/{}", segment(visit.param("job")));
    let job = visit.api.get(api_event(&visit, &rest)).json().await?;
    let event = event_of(&visit).await?;
    let (total, done, failed) = (
        number(&job, "total"),
        number(&job, "done"),
        number(&job, "failed"),
    );
    let orders = format!("{}/orders", event_path(text(&event, "id")));
    let of_job = format!(
        "{}/refunds?jobId={}&status=",
        event_path(text(&event, "id")),
        segment(visit.param("job"))
    );
    let note = html! {
        (Facts::new()
            .add("Orders to pay back", html! { a href=(orders) { (count(total)) } })
            .add("Paid back", html! { a href={ (of_job) "succeeded" } { (count(done)) } })
            .add("Failed", html! { a href={ (of_job) "failed" } { (count(failed)) } })
            .add("Money that went back", money(text(&job, "amount"), text(&job, "currency")))
            .add("Began", time::time(text(&job, "createdAt")))
            .add("All was decided", time::time(text(&job, "finishedAt"))))
        @if failed > 0 {
            p.notice { "A refund that failed is tried again on the page of its order." }
        }
    };
    let running = text(&job, "status") == "running";
    let progress = Progress {
        state: text(&job, "status"),
        ended: !running,
        parts: Some((done, total)),
        note,
    };
    let open = total.saturating_sub(done + failed);
    let content = html! {
        h2 { "Refunds of all orders" }
        @if running { (progress.render("refund-job")) }
        @else if open == 0 { div #refund-job { (progress.render("refund-state")) } }
        @else {
            // Everything is decided; providers take their time, disputes theirs.
            (live("refund-job", 10, html! {
                (progress.render("refund-state"))
                p.note { (count(open)) " are on their way, or wait for a dispute to end." }
            }))
        }
    };
    Ok(event_page(&visit, &event, "-", content).into())
}
