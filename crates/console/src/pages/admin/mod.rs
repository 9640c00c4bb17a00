//! Administration: users, API keys, roles, webhooks, the audit log, the configuration in force.

mod audit;
mod config;
mod deliveries;
mod keys;
mod roles;
mod users;
mod webhooks;

use florin_platform::http::router::Routes;
use maud::{Markup, html};
use serde_json::Value;

use crate::Console;
use crate::api::{items, segment};

/// The routes of these pages.
pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    let routes = users::routes(routes);
    let routes = keys::routes(routes);
    let routes = roles::routes(routes);
    let routes = webhooks::routes(routes);
    let routes = deliveries::routes(routes);
    let routes = audit::routes(routes);
    config::routes(routes)
}

fn page_of(kind: &str, id: &str) -> String {
    format!("/console/admin/{kind}/{}", segment(id))
}

/// Texts of a list, side by side.
pub fn words(value: &Value, member: &str) -> String {
    let all = items(value, member).iter().filter_map(Value::as_str);
    all.collect::<Vec<_>>().join(", ")
}

/// What was typed into a field for several words: parted by commas or blanks.
pub fn list_of(text: &str) -> Vec<&str> {
    let parts = text.split([',', ' ', '\n', '\r', '\t']);
    parts.filter(|part| !part.is_empty()).collect()
}

/// A secret that is shown this once.
fn once(name: &str, secret: &str) -> Markup {
    html! {
        div.notice.care role="status" {
            p { strong { "Keep it now: it is not shown again." } }
            p { (name) " " code { (secret) } " "
                button type="button" data-copy=(secret) { "Copy" } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_parted_by_commas_and_blanks() {
        assert_eq!(
            list_of(" user, admin\nauditor,,"),
            ["user", "admin", "auditor"]
        );
        assert!(list_of(" ,\n").is_empty());
    }
}
