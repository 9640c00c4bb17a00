//! Linked books: INV-S24, corrections as ledger transfers, and that nobody else writes there.

use florin_ledger::call::{Item, TransfersCall};
use florin_ledger::model::{AccountId, Metadata, Mode, SystemAccount};
use florin_ledger::{Call, Ledger, Outcome};
use serde_json::json;

use crate::desk::{House, SECOND, house_with_ledger};
use crate::web::ADMIN;

fn external() -> AccountId {
    AccountId::system(SystemAccount::External, "BRL")
}

async fn transfer(ledger: &Ledger, id: &str, debit: AccountId, credit: AccountId, amount: u128) {
    let item = Item {
        id: id.into(),
        mode: Mode::Single,
        debit: Some(debit),
        credit: Some(credit),
        amount: Some(amount),
        asset: Some("BRL".into()),
        code: Some("test".into()),
        pending_id: None,
        timeout_seconds: None,
        effective_at: None,
        linked: false,
        description: None,
        metadata: Metadata::default(),
        invalid: None,
    };
    let call = TransfersCall {
        actor: None,
        items: vec![item],
        key: None,
    };
    let answer = ledger.submit(Call::Transfers(call)).await.expect("answers");
    let Outcome::Items(results) = answer.outcome else {
        panic!("items");
    };
    assert!(results[0].code.is_success(), "{:?}", results[0]);
}

/// Money moves between the outside world and the opening account.
pub async fn moved(house: &House, id: &str, into: bool, amount: u128) {
    let ledger = house.ledger.as_ref().expect("a ledger");
    let opening = AccountId::system(SystemAccount::Opening, "BRL");
    match into {
        true => transfer(ledger, id, external(), opening, amount).await,
        false => transfer(ledger, id, opening, external(), amount).await,
    }
}

pub async fn link(house: &House) {
    let body = r#"{"ledgerAccount":"florin:external:BRL","accountRef":"DE01"}"#;
    let made = house
        .web
        .put("/api/v1/shadow/links/BANK", body)
        .await
        .ok(201);
    assert_eq!(made.body["orientation"], "asset");
}

async fn status(house: &House) -> serde_json::Value {
    house
        .web
        .get("/api/v1/shadow/links/BANK/status")
        .await
        .ok(200)
        .body
}

/// What was there before, what comes later, reversed sides: the book is the account.
#[tokio::test]
pub async fn a_linked_book_is_the_account() {
    let house = house_with_ledger().await;
    moved(&house, "t1", true, 10_000).await;
    link(&house).await;
    let links = house.links.clone().expect("links");
    assert_eq!(links.step().await.expect("mirrors"), 1, "history too");
    moved(&house, "t2", false, 2_500).await;
    let behind = status(&house).await;
    assert_eq!(behind["ledgerBalance"], behind["shadowBalance"], "INV-S24");
    links.step().await.expect("mirrors");
    assert_eq!(links.step().await.expect("mirrors"), 0, "once");
    let now = status(&house).await;
    assert_eq!(now["ledgerBalance"], 75);
    assert_eq!(now["shadowBalance"], 75);
    assert_eq!(now["lagSeconds"], 0);
    let entries = house
        .web
        .get("/api/v1/shadow/accounts/BANK/entries")
        .await
        .ok(200);
    let ids: Vec<_> = entries.body["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|e| e["eventId"].clone())
        .collect();
    assert_eq!(ids, [json!("LED-t1-D"), json!("LED-t2-C")]);

    let refused = house
        .web
        .event(&crate::web::json(
            "X",
            "BANK",
            "credit",
            "1",
            crate::support::NOW / 1_000,
        ))
        .await;
    assert_eq!(refused.code(), (409, "linked_book"));
    let same = r#"{"ledgerAccount":"florin:external:BRL","accountRef":"DE01"}"#;
    house
        .web
        .put("/api/v1/shadow/links/BANK", same)
        .await
        .ok(200);
    let taken = house.web.put("/api/v1/shadow/links/OTHER", same).await;
    assert_eq!(taken.code(), (409, "already_linked"));
    house
        .event("E", "FULL", "credit", "1", crate::support::NOW / 1_000)
        .await;
    let other = r#"{"ledgerAccount":"florin:fees:BRL"}"#;
    let full = house.web.put("/api/v1/shadow/links/FULL", other).await;
    assert_eq!(full.code(), (409, "book_not_empty"));
    let none = r#"{"ledgerAccount":"nobody"}"#;
    let none = house.web.put("/api/v1/shadow/links/N", none).await;
    assert_eq!(none.code(), (404, "account_not_found"));
}

/// An approved correction becomes one transfer and comes back by the feed; it goes round no four
/// eyes and is never automatic.
#[tokio::test]
pub async fn a_correction_is_a_transfer() {
    let house = house_with_ledger().await;
    moved(&house, "t1", true, 100_000).await;
    link(&house).await;
    let links = house.links.clone().expect("links");
    links.step().await.expect("mirrors");
    let body = r#"{"type":"credit","amount":250,"reason":"bank fee","eventId":"FEE"}"#;
    house.admin(ADMIN, "correct/BANK", body).await.ok(202);
    let own = house.admin(ADMIN, "corrections/FEE/approve", "").await;
    assert_eq!(own.code(), (403, "four_eyes_required"));
    let done = house
        .admin(SECOND, "corrections/FEE/approve", "")
        .await
        .ok(202);
    assert_eq!(
        done.body["status"], "approved",
        "the ledger has not answered yet"
    );
    assert_eq!(house.balance("BANK").await, 1000);
    links.step().await.expect("posts and mirrors");
    links.step().await.expect("posts nothing twice");
    assert_eq!(house.status("FEE").await, "applied");
    assert_eq!(house.balance("BANK").await, 1250);
    let now = status(&house).await;
    assert_eq!(now["ledgerBalance"], now["shadowBalance"], "INV-S24");
    let back = house
        .admin(SECOND, "corrections/FEE/reverse", r#"{"reason":"no"}"#)
        .await
        .ok(202);
    let id = back.body["eventId"].as_str().expect("an id").to_owned();
    house
        .admin(ADMIN, &format!("corrections/{id}/approve"), "")
        .await
        .ok(202);
    links.step().await.expect("posts");
    assert_eq!(house.status("FEE").await, "reversed");
    assert_eq!(house.balance("BANK").await, 1000);
}

/// INV-S24 while money moves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn the_balances_agree_under_load() {
    let house = house_with_ledger().await;
    link(&house).await;
    let links = house.links.clone().expect("links");
    let ledger = house.ledger.clone().expect("a ledger");
    let load = tokio::spawn(async move {
        for n in 0..400_u128 {
            let opening = AccountId::system(SystemAccount::Opening, "BRL");
            let (debit, credit) = match n % 3 {
                0 => (opening, external()),
                _ => (external(), opening),
            };
            transfer(&ledger, &format!("l{n}"), debit, credit, 1 + n).await;
        }
    });
    let mut looks = 0;
    while !load.is_finished() {
        links.step().await.expect("mirrors");
        let now = status(&house).await;
        assert_eq!(now["ledgerBalance"], now["shadowBalance"], "INV-S24");
        looks += 1;
    }
    load.await.expect("posted");
    links.step().await.expect("mirrors");
    let now = status(&house).await;
    assert_eq!(now["ledgerBalance"], now["shadowBalance"], "INV-S24");
    assert_eq!(now["lagSeconds"], 0);
    assert!(looks > 0);
}
