//! `GET /console/ledger/transfers/{id}`: a transfer as a picture of its legs, with everything the
//! ledger knows of it, its hash and its proof; reversal.

use florin_platform::http::router::Routes;
use futures_util::future::join;
use maud::{Markup, Render, html};
use serde_json::{Value, json};

use super::{account_link, proof, transfer_link, transfer_path};
use crate::Console;
use crate::api::{ApiError, items, number, segment, shown, text};
use crate::reply::{Outcome, Page, Reply};
use crate::ui::badge::{Mood, badge, badge_as};
use crate::ui::chart::{Leg, legs};
use crate::ui::confirm::{Confirm, reason};
use crate::ui::facts::Facts;
use crate::ui::money::{Scales, count};
use crate::ui::{failure, form, section, short, time};
use crate::visit::{Visit, get, post};

/// Legs of a chain that are drawn.
const LEGS: &str = "100";

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    let routes = get(routes, "/console/ledger/transfers/{id}", show);
    let routes = post(routes, "/console/ledger/transfers/{id}/reverse", reverse);
    post(routes, "/console/ledger/checkpoints", checkpoint)
}

async fn show(visit: Visit) -> Outcome {
    let id = visit.param("id").to_owned();
    let transfer = visit
        .api
        .get(format!("/api/v1/ledger/transfers/{}", segment(&id)))
        .json()
        .await?;
    let proof = visit
        .api
        .get(format!("/api/v1/ledger/proofs/{}", segment(&id)))
        .json();
    let chain = chain(&visit, &transfer);
    let scales = Scales::load(&visit.api);
    let (proof, (chain, scales)) = join(proof, join(chain, scales)).await;
    let scales = scales.unwrap_or_default();
    let content = html! {
        (section("legs", "Legs", picture(&transfer, &chain, &scales)))
        (section("facts", "What the ledger knows", facts(&transfer, &scales).render()))
        (section("proof", "Proof", proven(&visit, &transfer, &proof).await))
    };
    let beside = html! {
        (short(&id)) " " (badge(text(&transfer, "state"))) " "
        (scales.money(text(&transfer, "amountMinor"), text(&transfer, "asset")))
        (reversal(&visit, &transfer))
    };
    Ok(Page::new("Transfer", content).beside(beside).into())
}

/// The other legs of its chain, and the pending transfer that it resolves.
async fn chain(visit: &Visit, transfer: &Value) -> Vec<Value> {
    let mut all = vec![transfer.clone()];
    let id = text(transfer, "chainId");
    if !id.is_empty() {
        let ask = visit.api.get("/api/v1/ledger/transfers");
        let found = ask.query("chainId", id).query("limit", LEGS).json().await;
        if let Ok(page) = found {
            let mine = text(transfer, "id");
            let others = items(&page, "items").iter();
            all.extend(others.filter(|leg| text(leg, "id") != mine).cloned());
        }
        all.sort_by_key(|leg| number(leg, "chainIndex"));
    }
    all
}

fn picture(transfer: &Value, chain: &[Value], scales: &Scales) -> Markup {
    let own = text(transfer, "id");
    let leg = |leg: &Value| Leg {
        debit: text(leg, "debitAccountId").to_owned(),
        credit: text(leg, "creditAccountId").to_owned(),
        amount: scales.money(text(leg, "amountMinor"), text(leg, "asset")),
        note: html! {
            span.note {
                (text(leg, "code")) " · " (text(leg, "mode"))
                @if text(leg, "id") != own { " · " (transfer_link(text(leg, "id"))) }
            }
        },
        faint: matches!(text(leg, "state"), "pending" | "voided" | "expired"),
        own: text(leg, "id") == own && chain.len() > 1,
    };
    legs(&chain.iter().map(leg).collect::<Vec<_>>(), account_link)
}

fn facts(transfer: &Value, scales: &Scales) -> Facts {
    let link = |facts: Facts, name: &str, member: &str| match text(transfer, member) {
        "" => facts,
        id => facts.add(name, transfer_link(id)),
    };
    let asset = text(transfer, "asset");
    let mut facts = Facts::new()
        .add("Id", html! { code { (text(transfer, "id")) } })
        .add("Record", count(number(transfer, "seq")))
        .add("Batch", count(number(transfer, "batch")))
        .add_text("Code", text(transfer, "code"))
        .add_text("Mode", text(transfer, "mode"))
        .add("Recorded", time::time(text(transfer, "recordedAt")))
        .add("Effective", time::time(text(transfer, "effectiveAt")))
        .add("By", short(text(transfer, "actor")))
        .add_text("Description", text(transfer, "description"));
    facts = link(facts, "Resolves", "pendingId");
    facts = link(facts, "Resolved by", "resolvedBy");
    facts = link(facts, "Reversal of", "reversalOf");
    facts = link(facts, "Reversed by", "reversedBy");
    facts = link(facts, "Chain", "chainId");
    if !text(transfer, "postedAmountMinor").is_empty() {
        let posted = scales.money(text(transfer, "postedAmountMinor"), asset);
        facts = facts.add("Posted of it", posted);
    }
    if !text(transfer, "expiresAt").is_empty() {
        facts = facts.add("Expires", time::time(text(transfer, "expiresAt")));
    }
    for member in ["walletId", "destinationWalletId"] {
        let id = text(&transfer["origin"], member);
        if !id.is_empty() {
            let link = html! { a href={ "/console/wallets/" (id) } { (short(id)) } };
            facts = facts.add(
                if member == "walletId" {
                    "Wallet"
                } else {
                    "To wallet"
                },
                link,
            );
        }
    }
    facts = facts
        .add_text("Origin", &shown(transfer, "origin.module"))
        .add_text("Type", &shown(transfer, "origin.type"))
        .add_text("Reference", &shown(transfer, "origin.referenceId"));
    if let Some(pairs) = transfer["metadata"].as_object() {
        for (name, value) in pairs {
            facts = facts.add(name, value.as_str().unwrap_or_default());
        }
    }
    facts
}

async fn proven(visit: &Visit, transfer: &Value, proof: &Result<Value, ApiError>) -> Markup {
    let proof = match proof {
        Ok(proof) => proof,
        Err(ApiError::Refused(refusal)) if refusal.code == "checkpoint_pending" => {
            return html! {
                div.notice {
                    "No signed checkpoint covers this record yet; one is made every minute."
                    @if visit.me.may("ledger:checkpoint") {
                        " " (form::form(visit, "/console/ledger/checkpoints", html! {
                            input type="hidden" name="back" value=(visit.path());
                            button type="submit" { "Make one now" }
                        }))
                    }
                }
            };
        }
        Err(error) => return failure::note(error),
    };
    let checkpoint = number(proof, "checkpoint.number");
    html! {
        (Facts::new()
            .add("Hash of its line", short(text(proof, "leafHash")))
            .add("Place in the tree", html! {
                (count(number(proof, "leafIndex"))) " of " (count(number(proof, "checkpoint.treeSize")))
            })
            .add("Checkpoint", html! {
                a href={ "/console/ledger/checkpoints/" (checkpoint) } { "№ " (checkpoint) }
            })
            .add("Root", short(text(proof, "checkpoint.rootHash"))))
        @if visit.query("verify").is_empty() {
            form method="get" action={ (visit.path()) "#proof" } {
                input type="hidden" name="verify" value="1";
                p { button.primary type="submit" { "Verify" } }
            }
        } @else {
            (verified(visit, transfer, proof).await)
        }
        details { summary { "The line as it was hashed" } pre { code { (text(proof, "line")) } } }
    }
}

async fn verified(visit: &Visit, transfer: &Value, shown: &Value) -> Markup {
    let keys = visit
        .api
        .get("/api/v1/ledger/checkpoints/keys")
        .json()
        .await;
    let keys = match keys {
        Ok(keys) => keys,
        Err(error) => return failure::note(&error),
    };
    let steps = proof::check(shown, &keys, transfer);
    let all = steps.iter().all(|step| step.holds);
    html! {
        p class={ "notice " (if all { "good" } else { "bad" }) } role="status" {
            strong { @if all { "Verified." } @else { "The proof does not hold." } }
            " Computed by this page from the line, the path and the signed checkpoint."
        }
        ol.steps {
            @for step in &steps {
                li {
                    @if step.holds { (badge_as("holds", Mood::Good)) }
                    @else { (badge_as("fails", Mood::Bad)) }
                    span { (step.what) br; code.note { (step.found) } }
                }
            }
        }
    }
}

fn reversal(visit: &Visit, transfer: &Value) -> Markup {
    let own = !text(transfer, "origin.module").is_empty();
    let reversible = text(transfer, "mode") == "single"
        && text(transfer, "reversedBy").is_empty()
        && text(transfer, "reversalOf").is_empty();
    if own || !reversible || !visit.me.may("ledger:reverse") {
        return html! {};
    }
    Confirm {
        id: "reverse",
        label: "Reverse",
        text: html! { "A second transfer moves the same amount back. Both stay in the ledger." },
        action: &format!("{}/reverse", transfer_path(text(transfer, "id"))),
        fields: reason(),
        danger: true,
    }
    .render(visit)
}

async fn reverse(visit: Visit) -> Outcome {
    let id = visit.param("id");
    let path = format!("/api/v1/ledger/transfers/{}/reverse", segment(id));
    let body = json!({"reason": visit.form("reason")});
    let result = visit.api.post(path).json_body(&body).json().await;
    Reply::after(result, transfer_path(id), "The transfer is reversed.")
}

async fn checkpoint(visit: Visit) -> Outcome {
    let result = visit.api.post("/api/v1/ledger/checkpoints");
    let result = result.json_body(&json!({})).json().await;
    let back = match visit.form("back") {
        "" => "/console/ledger/checkpoints",
        back => back,
    };
    Reply::after(result, back, "A checkpoint covers every record.")
}
