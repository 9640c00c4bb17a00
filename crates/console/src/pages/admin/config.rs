//! `GET /console/admin/config`: the configuration in force, with where each value came from.
//! Secrets never leave the API.

use florin_platform::http::router::Routes;
use maud::{Markup, html};

use crate::Console;
use crate::api::{items, text};
use crate::pages::listing::Listing;
use crate::reply::{Outcome, Page};
use crate::ui::filter::Filter;
use crate::ui::table::Table;
use crate::visit::{Visit, get};

const COLUMNS: &[(&str, &str)] = &[
    ("Setting", "name"),
    ("Value", "value"),
    ("From", "origin"),
    ("What it does", "about"),
];

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    get(routes, "/console/admin/config", show)
}

async fn show(visit: Visit) -> Outcome {
    let list = Listing::new(&visit, "/api/v1/admin/config");
    if visit.exports() {
        return list.export("configuration", COLUMNS).await;
    }
    let page = list.first("", "").await?;
    let wanted = visit.query("name").to_ascii_lowercase();
    let filter =
        Filter::new(&visit)
            .text("name", "Name")
            .choice("origin", "From", &["given", "default"]);
    let mut table = Table::new("Configuration in force")
        .columns(&["Setting", "Value", "From", "What it does"])
        .empty("No setting matches.");
    for setting in items(&page, "items") {
        let (name, origin) = (text(setting, "name"), text(setting, "origin"));
        let given = origin != "default";
        let fits = match visit.query("origin") {
            "given" => given,
            "default" => !given,
            _ => true,
        };
        if !fits || !name.contains(&wanted) {
            continue;
        }
        let cells = vec![
            html! { code { (name) } },
            html! { code.wrap { (text(setting, "value")) } },
            html! { (origin) },
            with_code(text(setting, "about")),
        ];
        match given {
            true => table.row_as("good", cells),
            false => table.row(cells),
        }
    }
    let content = html! {
        p.note { "Of the process that answered. Secrets are shown as the reference to them, or redacted." }
        (filter.render())
        (table)
        p { a.export href=(visit.here_with(&[("export", "csv")])) download { "Export CSV" } }
    };
    Ok(Page::new("Configuration", content).into())
}

/// A description whose names stand between backticks.
fn with_code(about: &str) -> Markup {
    html! {
        @for (place, part) in about.split('`').enumerate() {
            @if place % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}
