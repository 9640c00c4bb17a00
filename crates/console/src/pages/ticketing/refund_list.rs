//! `GET /console/ticketing/events/{id}/refunds`: what goes back of an event, and the jobs that pay
//! everybody back.

use florin_platform::http::router::Routes;
use futures_util::future::join3;
use maud::{Markup, html};
use serde_json::Value;

use super::event::job_path;
use super::{api_event, event_of, event_page, refunds};
use crate::Console;
use crate::api::{items, number, text};
use crate::pages::listing::Listing;
use crate::reply::Outcome;
use crate::ui::badge::badge;
use crate::ui::filter::Filter;
use crate::ui::money::{count, money};
use crate::ui::table::{Table, pager};
use crate::ui::{either, link_short, section, time};
use crate::visit::{Visit, get};

const FILTERS: [&str; 2] = ["status", "jobId"];
const STATES: &[&str] = &["created", "pending", "succeeded", "failed"];
const COLUMNS: &[(&str, &str)] = &[
    ("Refund", "id"),
    ("Order", "orderId"),
    ("State", "status"),
    ("Amount", "amount"),
    ("Currency", "currency"),
    ("Cause", "cause"),
    ("Reason", "reason"),
    ("By way of", "method"),
    ("Failure", "failure"),
    ("Job", "jobId"),
    ("Created", "createdAt"),
];

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    get(routes, "/console/ticketing/events/{id}/refunds", show)
}

async fn show(visit: Visit) -> Outcome {
    let list = Listing::new(&visit, api_event(&visit, "/refunds")).filters(&FILTERS);
    if visit.exports() {
        return list.export("refunds", COLUMNS).await;
    }
    let jobs = visit.api.get(api_event(&visit, "/refund-jobs")).json();
    let (event, page, jobs) = join3(event_of(&visit), list.page(), jobs).await;
    let (event, page) = (event?, page?);
    let filter = Filter::new(&visit)
        .choice("status", "State", STATES)
        .text("jobId", "Of the job");
    let content = html! {
        (section("jobs", "Of the whole event", either(&jobs, |jobs| {
            table(items(jobs, "items"), text(&event, "id"))
        })))
        (section("refunds", "Refunds", html! {
            (filter.render())
            (refunds::list(&visit, items(&page, "items")))
            (pager(&visit, &page, true))
        }))
    };
    Ok(event_page(&visit, &event, "/refunds", content).into())
}

fn table(jobs: &[Value], event: &str) -> Markup {
    let table = Table::new("Jobs")
        .columns(&["Job", "State"])
        .number("Orders")
        .number("Paid back")
        .number("Failed")
        .number("Money that went back")
        .columns(&["Began", "All was decided"])
        .empty("The event was not called off: nothing goes back as a whole.")
        .rows(jobs, |job| {
            let id = text(job, "id");
            vec![
                link_short(&job_path(event, id), id),
                badge(text(job, "status")),
                count(number(job, "total")),
                count(number(job, "done")),
                count(number(job, "failed")),
                money(text(job, "amount"), text(job, "currency")),
                time::time(text(job, "createdAt")),
                time::time(text(job, "finishedAt")),
            ]
        });
    html! { (table) }
}
