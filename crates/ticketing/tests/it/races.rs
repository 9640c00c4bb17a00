//! Many buyers at once: codes, limits and stock hold (contract A4, B1, B4).

use futures_util::future::join_all;
use serde_json::json;

use florin_ticketing::orders::expiry;

use crate::shop::{cases, unlimited};
use crate::stage::{ANA, BOB, OLGA, SECOND, Stage};

async fn rows_25_26_and_inv_t16_promo_codes_are_used_as_often_as_they_may() {
    let stage = unlimited().await;
    let gig = stage.event("10.00", 100).await;
    let path = format!("/api/v1/events/{}/promo-codes", gig.event);
    let once = json!({"code": "ONCE", "kind": "percent", "bp": 10000, "maxUses": 1});
    stage.post(OLGA, &path, once).await.ok(201);
    let items = json!([{"ticketTypeId": gig.kind, "quantity": 1}]);
    let buyers: Vec<String> = (0..50).map(|n| format!("user:buyer{n}")).collect();
    let race = buyers.iter().map(|who| {
        let more = json!({"promoCode": "ONCE"});
        stage.cart(who, &gig.event, items.clone(), more)
    });
    let replies = join_all(race).await;
    let won: Vec<usize> = (0..50).filter(|at| replies[*at].status == 201).collect();
    assert_eq!(won.len(), 1);
    let lost = replies
        .iter()
        .filter(|reply| reply.code() == (409, "promo_used_up"));
    assert_eq!(lost.count(), 49);
    let order = &replies[won[0]];
    assert_eq!(order.body["amounts"]["total"], "0.00");
    stage.advance(901 * SECOND);
    expiry::sweep(&stage.room).await.expect("sweeps");
    let uses = "SELECT uses AS n FROM tk_promos WHERE event_id = $1";
    assert_eq!(stage.count(uses, &gig.event).await, 0);
    let more = json!({"promoCode": "ONCE"});
    let next = stage
        .cart(ANA, &gig.event, items.clone(), more)
        .await
        .ok(201)
        .id();
    let wallet = stage.wallet("ana", "EUR", "50.00").await;
    let pay = json!({"method": "wallet", "walletId": wallet});
    stage
        .checkout(ANA, &next, pay)
        .await
        .refused(409, "payment_method_mismatch");
    stage
        .checkout(ANA, &next, json!({"method": "free"}))
        .await
        .ok(200);
    assert_eq!(stage.count(uses, &gig.event).await, 1);
    let unknown = json!({"promoCode": "NEVER"});
    stage
        .cart(BOB, &gig.event, items, unknown)
        .await
        .refused(409, "promo_invalid");
    stage.check_stock(&gig.event).await;
}

async fn row_27_and_inv_t16_buyer_limits_hold_in_a_race() {
    let stage = Stage::new().await;
    let kind = json!({"quantity": 100, "maxPerBuyer": 4});
    let gig = stage.event_with(json!({}), kind).await;
    let race = (0..5).map(|_| stage.reserve(ANA, &gig, 2));
    let replies = join_all(race).await;
    let won = replies.iter().filter(|reply| reply.status == 201).count();
    assert_eq!(won, 2);
    for lost in replies.iter().filter(|reply| reply.status != 201) {
        assert_eq!(lost.code(), (409, "limit_per_buyer"));
    }
    stage
        .reserve(BOB, &gig, 11)
        .await
        .refused(409, "limit_per_order");
    for _ in 0..3 {
        stage.reserve(BOB, &gig, 1).await.ok(201);
    }
    stage
        .reserve(BOB, &gig, 1)
        .await
        .refused(409, "too_many_open_orders");
    stage.check_stock(&gig.event).await;
}

/// INV-T1, INV-T2, INV-T3: many buyers race for few units; nothing is sold twice, and what lapses
/// is sold once more.
async fn inv_t1_t2_t3_many_buyers_race_for_few_tickets() {
    let stage = unlimited().await;
    let gig = stage.event("0", 100).await;
    let buyers: Vec<String> = (0..120).map(|n| format!("user:b{n}")).collect();
    let race = buyers.iter().enumerate().map(|(n, who)| {
        let (stage, gig) = (&stage, &gig);
        async move {
            let reply = stage.reserve(who, gig, 1 + (n % 4) as i64).await;
            if reply.status == 201 && n % 3 != 0 {
                let body = json!({"method": "free"});
                stage.checkout(who, &reply.id(), body).await.ok(200);
            }
            reply.status
        }
    });
    let statuses = join_all(race).await;
    assert!(
        statuses.iter().all(|status| matches!(status, 201 | 409)),
        "{statuses:?}"
    );
    stage.check_stock(&gig.event).await;
    let full = "SELECT held + sold AS n FROM tk_types WHERE id = $1";
    assert!(stage.count(full, &gig.kind).await >= 97);
    stage.advance(901 * SECOND);
    while expiry::sweep(&stage.room).await.expect("sweeps") > 0 {}
    stage.check_stock(&gig.event).await;
    let held = "SELECT held AS n FROM tk_types WHERE id = $1";
    assert_eq!(stage.count(held, &gig.kind).await, 0);
    let wave = buyers.iter().map(|who| stage.reserve(who, &gig, 1));
    let won = join_all(wave)
        .await
        .iter()
        .filter(|r| r.status == 201)
        .count() as i64;
    let sold = "SELECT sold AS n FROM tk_types WHERE id = $1";
    assert_eq!(won, 100 - stage.count(sold, &gig.kind).await);
    stage.check_stock(&gig.event).await;
}

cases! {
    rows_25_26_and_inv_t16_promo_codes_are_used_as_often_as_they_may,
    row_27_and_inv_t16_buyer_limits_hold_in_a_race,
    inv_t1_t2_t3_many_buyers_race_for_few_tickets,
}
