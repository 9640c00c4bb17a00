//! `GET /console/admin/roles`: which role allows what.

use std::collections::{BTreeMap, BTreeSet};

use florin_platform::http::router::Routes;
use maud::html;

use crate::Console;
use crate::api::{items, text};
use crate::pages::listing::Listing;
use crate::reply::{Outcome, Page};
use crate::ui::table::Table;
use crate::visit::{Visit, get};

const COLUMNS: &[(&str, &str)] = &[("Role", "role"), ("Permission", "permission")];

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    get(routes, "/console/admin/roles", show)
}

async fn show(visit: Visit) -> Outcome {
    let list = Listing::new(&visit, "/api/v1/admin/roles");
    if visit.exports() {
        return list.export("roles", COLUMNS).await;
    }
    let page = list.first("", "").await?;
    let mut roles: BTreeSet<&str> = BTreeSet::new();
    let mut table: BTreeMap<&str, BTreeMap<&str, bool>> = BTreeMap::new();
    for grant in items(&page, "items") {
        let (role, permission) = (text(grant, "role"), text(grant, "permission"));
        roles.insert(role);
        // `@own` behind a permission: only what belongs to the visitor himself.
        let (name, own) = match permission.strip_suffix("@own") {
            Some(name) => (name, true),
            None => (permission, false),
        };
        let held = table.entry(name).or_default().entry(role).or_insert(own);
        *held = *held && own;
    }
    let names: Vec<&str> = roles.into_iter().collect();
    let mut shown = Table::new("Roles and permissions")
        .column("Permission")
        .columns(&names);
    for (permission, held) in &table {
        let mut cells = vec![html! { code { (permission) } }];
        cells.extend(names.iter().map(|role| match held.get(role) {
            Some(true) => html! { "own" },
            Some(false) => html! { "all" },
            None => html! { span.none { "–" } },
        }));
        shown.row(cells);
    }
    let mine = visit.me.roles.join(", ");
    let content = html! {
        p.note {
            "“own” reaches what belongs to the visitor himself. Roles are set in the configuration. "
            "Yours: " (mine) "."
        }
        (shown)
        p { a.export href=(visit.here_with(&[("export", "csv")])) download { "Export CSV" } }
    };
    Ok(Page::new("Roles", content).into())
}
