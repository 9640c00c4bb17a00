//! `GET /console/ledger/checkpoints` and `/{n}`: signed statements about the whole ledger, the
//! keys that sign them, and that each continues the one before.

use florin_platform::http::router::Routes;
use futures_util::future::join;
use maud::{Markup, Render, html};
use serde_json::Value;

use crate::Console;
use crate::api::{ApiError, items, number, segment, text};
use crate::reply::{Outcome, Page};
use crate::ui::export::Export;
use crate::ui::facts::Facts;
use crate::ui::money::count;
use crate::ui::table::{PAGE, Table, pager};
use crate::ui::{either, form, section, short, time};
use crate::visit::{Visit, get};

const COLUMNS: &[(&str, &str)] = &[
    ("Number", "number"),
    ("Records", "treeSize"),
    ("Batch", "batch"),
    ("Root", "rootHash"),
    ("Chain", "chainHash"),
    ("Note", "note"),
];

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    let routes = get(routes, "/console/ledger/checkpoints", list);
    get(routes, "/console/ledger/checkpoints/{n}", show)
}

async fn list(visit: Visit) -> Outcome {
    let path = "/api/v1/ledger/checkpoints";
    if visit.exports() {
        let export = Export {
            name: "checkpoints",
            path: path.to_owned(),
            query: Vec::new(),
            columns: COLUMNS,
        };
        return export.reply(&visit).await;
    }
    let page = visit.api.get(path).query("limit", PAGE);
    let page = page.query("cursor", visit.query("cursor")).json();
    let keys = visit.api.get("/api/v1/ledger/checkpoints/keys").json();
    let (page, keys) = join(page, keys).await;
    let page = page?;
    let table = Table::new("Checkpoints")
        .column("Number")
        .number("Records")
        .number("Batch")
        .columns(&["Root", "Chain"])
        .empty("No checkpoint was made yet.")
        .rows(items(&page, "items"), |checkpoint| {
            let n = number(checkpoint, "number");
            vec![
                html! { a href={ "/console/ledger/checkpoints/" (n) } { "№ " (count(n)) } },
                count(number(checkpoint, "treeSize")),
                count(number(checkpoint, "batch")),
                short(text(checkpoint, "rootHash")),
                short(text(checkpoint, "chainHash")),
            ]
        });
    let content = html! {
        p.note {
            "A checkpoint is a signed note: so many records, this root of their Merkle tree, this "
            "end of their hash chain. Whoever keeps one can prove any later change."
        }
        (table)
        (pager(&visit, &page, true))
        (section("keys", "Keys", keys_of(&keys)))
    };
    let page = Page::new("Checkpoints", content);
    let beside = html! {
        @if visit.me.may("ledger:checkpoint") {
            (form::button(&visit, "/console/ledger/checkpoints", "Make one now"))
        }
    };
    Ok(page.beside(beside).into())
}

fn keys_of(keys: &Result<Value, ApiError>) -> Markup {
    either(keys, |keys| {
        Table::new("Keys that sign checkpoints")
            .columns(&["Key", "From", "Until"])
            .rows(items(keys, "items"), |key| {
                vec![
                    html! { code { (text(key, "key")) } },
                    time::time(text(key, "validFrom")),
                    time::time(text(key, "validUntil")),
                ]
            })
            .render()
    })
}

async fn show(visit: Visit) -> Outcome {
    let n = visit.param("n").to_owned();
    let path = format!("/api/v1/ledger/checkpoints/{}", segment(&n));
    let found = visit.api.get(path.as_str()).json().await?;
    let number_of = number(&found, "number");
    let before = number_of.saturating_sub(1);
    let consistency = match before {
        0 => None,
        before => {
            let ask = visit.api.get(format!("{path}/consistency"));
            Some(ask.query("from", before.to_string()).json().await)
        }
    };
    let content = html! {
        (Facts::new()
            .add("Number", count(number_of))
            .add("Records", count(number(&found, "treeSize")))
            .add("Batch", count(number(&found, "batch")))
            .add("Root of the tree", html! { code { (text(&found, "rootHash")) } })
            .add("End of the chain", html! { code { (text(&found, "chainHash")) } }))
        (section("note", "Signed note", html! { pre { code { (text(&found, "note")) } } }))
        @if let Some(consistency) = &consistency {
            (section("consistency", "Continues the one before", either(consistency, |proof| html! {
                p {
                    "The tree of № " (before) " with " (count(number(proof, "from")))
                    " records is the beginning of this one with " (count(number(proof, "to")))
                    ". " (items(proof, "path").len()) " hashes prove it:"
                }
                pre.proof { code {
                    @for hash in items(proof, "path") { (hash.as_str().unwrap_or_default()) "\n" }
                } }
            })))
        }
    };
    Ok(Page::new(format!("Checkpoint № {number_of}"), content).into())
}
