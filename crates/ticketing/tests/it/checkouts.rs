//! Checkouts that wait together, in one commit.

use florin_ticketing::orders::checkout::{Checked, Free};
use florin_ticketing::store::idempotency::Once;
use futures_util::future::join_all;
use serde_json::json;

use crate::shop::cases;
use crate::stage::{ANA, BOB, Stage};

/// Checkouts that wait together are one commit; each is judged by itself, and a second one of an
/// order sees what became of the first.
async fn free_checkouts_of_one_commit_are_judged_one_by_one() {
    let stage = Stage::new().await;
    let gig = stage.event("10.00", 9).await;
    let free = json!({"name": "Free", "price": "0.00", "quantity": 9});
    let free = stage.kind(&gig.event, free).await;
    let mut orders = Vec::new();
    for (who, kind, quantity) in [(ANA, &free, 2), (BOB, &free, 3), (ANA, &gig.kind, 1)] {
        let items = json!([{"ticketTypeId": kind, "quantity": quantity}]);
        let cart = stage.cart(who, &gig.event, items, json!({})).await;
        orders.push(cart.ok(201).id());
    }
    let room = &stage.room;
    let asks = [(0, "a"), (1, "a"), (0, "a"), (0, "b"), (2, "a"), (3, "a")];
    let answers = asks.map(|(order, key)| {
        let order_id = orders.get(order).cloned().unwrap_or_default();
        let scope = format!("checkout:{order_id}");
        room.desk.free(Free {
            once: Once::new(&room.secrets, scope, key, &json!({"method": "free"})),
            event_id: gig.event.clone(),
            order_id,
        })
    });
    let mut shown = Vec::new();
    for answer in join_all(answers).await {
        shown.push(match answer {
            Ok(Checked::Done(body)) => format!("{} {}", body["id"], body["status"]),
            Ok(Checked::Again(kept)) => format!("again {}", kept.status),
            Err(problem) => problem.code().to_owned(),
        });
    }
    let done = |order: usize| format!("\"{}\" \"confirmed\"", orders[order]);
    let refused = ["order_state", "payment_method_mismatch", "order_not_found"];
    let first = [done(0), done(1), "again 200".to_owned()];
    let wanted = first.into_iter().chain(refused.map(str::to_owned));
    assert_eq!(shown, wanted.collect::<Vec<_>>());
    let mut tickets = Vec::new();
    for order in &orders {
        tickets.push(stage.tickets(order).await.len());
    }
    assert_eq!(tickets, [2, 3, 0]);
    stage.check_stock(&gig.event).await;
}

cases! {
    free_checkouts_of_one_commit_are_judged_one_by_one,
}
