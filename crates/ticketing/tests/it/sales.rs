//! Orders: reserve, limits, promo codes, checkout, expiry (contract B1–B4).

use futures_util::future::join_all;
use serde_json::json;

use florin_ticketing::orders::expiry;

use crate::shop::cases;
use crate::stage::{ADMIN, ANA, BOB, DAY, GUEST, OLGA, SECOND, Stage};

async fn row_42_a_free_order_is_confirmed_at_once_and_posts_nothing() {
    let stage = Stage::new().await;
    let gig = stage.event("0", 10).await;
    let reserved = stage.reserve(GUEST, &gig, 2).await.ok(201);
    let (order, token) = (reserved.id(), reserved.text_of("accessToken"));
    assert_eq!(reserved.body["amounts"]["total"], "0.00");
    assert_eq!(reserved.body["status"], "reserved");
    assert_eq!(reserved.body["holds"][0]["state"], "held");
    stage.check_stock(&gig.event).await;
    let path = format!("/api/v1/orders/{order}/checkout");
    let wrong = stage.post(GUEST, &path, json!({"method": "free"})).await;
    wrong.refused(404, "order_not_found");
    let free = || {
        let body = json!({"method": "free"});
        stage
            .call(GUEST, "POST", &path)
            .key("pay")
            .token(&token)
            .json(body)
    };
    let paid = free().send().await.ok(200);
    assert_eq!(paid.body["status"], "confirmed");
    assert_eq!(paid.body["buyer"]["email"], "guest@example.org");
    let again = free().send().await.ok(200);
    assert!(again.is_replay());
    assert_eq!(again.body, paid.body);
    assert_eq!(stage.tickets(&order).await.len(), 2);
    stage.check_stock(&gig.event).await;
    assert!(stage.postings(&order).await.is_empty());
    let seen = stage.call(GUEST, "GET", &format!("/api/v1/orders/{order}"));
    assert_eq!(
        seen.token(&token).send().await.ok(200).body["status"],
        "confirmed"
    );
    stage
        .get(BOB, &format!("/api/v1/orders/{order}"))
        .await
        .refused(404, "order_not_found");
    let number = paid.text_of("number").to_lowercase().replace('-', "");
    let by_number = format!("/api/v1/orders/by-number/{number}");
    stage.get(OLGA, &by_number).await.ok(200);
    stage
        .get(OLGA, "/api/v1/orders/by-number/7K3QD-9M2XT")
        .await
        .refused(400, "order_number_invalid");
}

/// The worked example of contract C1, through the routes, to the cent in the ledger.
async fn a_wallet_sale_with_promo_tax_and_fees() {
    let stage = Stage::new().await;
    let kind = json!({"price": "50.00", "quantity": 10, "taxRateBp": 700});
    let gig = stage.event_with(json!({}), kind).await;
    let promo = json!({"code": "TEN", "kind": "percent", "bp": 1000});
    let path = format!("/api/v1/events/{}/promo-codes", gig.event);
    stage.post(OLGA, &path, promo).await.ok(201);
    let items = json!([{"ticketTypeId": gig.kind, "quantity": 2}]);
    let body = json!({"eventId": gig.event, "items": items, "promoCode": "ten"});
    let quote = stage
        .post(GUEST, "/api/v1/orders/quote", body)
        .await
        .ok(200);
    assert_eq!(quote.body["amounts"]["total"], "92.91");
    let more = json!({"promoCode": "TEN", "expectedTotal": "92.91"});
    let order = stage.cart(ANA, &gig.event, items, more).await.ok(201);
    assert_eq!(order.body["amounts"]["platformFee"], "2.91");
    assert_eq!(order.body["items"][0]["tax"], "5.88");
    let wallet = stage.wallet("ana", "EUR", "100.00").await;
    let pay = json!({"method": "wallet", "walletId": wallet});
    let paid = stage.checkout(ANA, &order.id(), pay).await.ok(200);
    assert_eq!(
        paid.body["payment"],
        json!({"method": "wallet", "status": "succeeded"})
    );
    assert_eq!(stage.wallet_has(&wallet).await, (709, 709));
    let lines = |all: &[(&str, i64)]| -> Vec<(String, i64)> {
        all.iter()
            .map(|(name, amount)| ((*name).to_owned(), *amount))
            .collect()
    };
    let sale = lines(&[("net", 8_412), ("tax", 588), ("platform_fee", 291)]);
    let payment = ("P3".to_owned(), lines(&[("payment", 9_291)]));
    assert_eq!(
        stage.postings(&order.id()).await,
        [payment, ("P2".to_owned(), sale)]
    );
    let payable = format!("payable:{}:{}", gig.org, gig.event);
    assert_eq!(stage.balance(&payable).await, 8_412);
    assert_eq!(stage.balance("fee:platform").await, 291);
    assert_eq!(stage.balance(&format!("clearing:{}", order.id())).await, 0);
    stage.check_clearing().await;
    stage.check_stock(&gig.event).await;
    let listed = stage
        .get(OLGA, &format!("/api/v1/orders/{}/postings", order.id()))
        .await
        .ok(200);
    assert_eq!(listed.items()[0]["posting"], "P3");
    assert_eq!(listed.items()[1]["transfers"][0]["amount"], "84.12");
    stage
        .get(BOB, &format!("/api/v1/events/{}/postings", gig.event))
        .await
        .refused(404, "event_not_found");
}

async fn rows_1_2_and_3_stock_is_taken_whole_or_not_at_all() {
    let stage = Stage::new().await;
    let gig = stage.event("10.00", 6).await;
    stage.reserve(ANA, &gig, 1).await.ok(201);
    let short = stage.reserve(BOB, &gig, 6).await.refused(409, "not_enough");
    assert_eq!(short.body["available"], 5);
    assert_eq!(short.body["mayReturn"], true);
    assert_eq!(short.body["errors"][0]["ticketTypeId"], gig.kind);
    let last = join_all([stage.reserve(ANA, &gig, 5), stage.reserve(BOB, &gig, 5)]).await;
    let mut statuses: Vec<u16> = last.iter().map(|reply| reply.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
    let out = stage.reserve(BOB, &gig, 1).await.refused(409, "sold_out");
    assert_eq!(out.body["mayReturn"], true);
    let other = stage
        .kind(&gig.event, json!({"name": "Seat", "quantity": 3}))
        .await;
    let cart = json!([{"ticketTypeId": other, "quantity": 1},
        {"ticketTypeId": gig.kind, "quantity": 1}]);
    stage
        .cart("user:cleo", &gig.event, cart, json!({}))
        .await
        .refused(409, "sold_out");
    let held = "SELECT held AS n FROM tk_types WHERE id = $1";
    assert_eq!(stage.count(held, &other).await, 0);
    stage.check_stock(&gig.event).await;
}

async fn row_4_a_pool_without_units_is_named() {
    let stage = Stage::new().await;
    let org = stage.org().await;
    let event = stage.draft(&org, json!({})).await;
    let path = format!("/api/v1/events/{event}/pools");
    let pool = stage
        .post(OLGA, &path, json!({"name": "Hall", "capacity": 2}))
        .await
        .ok(201)
        .id();
    let one = stage
        .kind(&event, json!({"name": "A", "poolIds": [pool]}))
        .await;
    let two = stage
        .kind(
            &event,
            json!({"name": "B", "poolIds": [pool], "quantity": null}),
        )
        .await;
    stage.publish(&event).await.ok(200);
    let cart = json!([{"ticketTypeId": one, "quantity": 1}, {"ticketTypeId": two, "quantity": 1}]);
    stage.cart(ANA, &event, cart, json!({})).await.ok(201);
    let cart = json!([{"ticketTypeId": one, "quantity": 1}]);
    let out = stage
        .cart(BOB, &event, cart, json!({}))
        .await
        .refused(409, "sold_out");
    assert_eq!(out.body["errors"][0]["poolId"], pool);
    stage.check_stock(&event).await;
}

async fn rows_6_and_7_one_key_is_one_order() {
    let stage = Stage::new().await;
    let gig = stage.event("10.00", 6).await;
    let send = |quantity: i64| {
        let body = json!({"eventId": gig.event,
            "items": [{"ticketTypeId": gig.kind, "quantity": quantity}]});
        stage
            .call(ANA, "POST", "/api/v1/orders")
            .key("same")
            .json(body)
            .send()
    };
    let both = join_all([send(1), send(1), send(1)]).await;
    let bodies: Vec<_> = both.into_iter().map(|reply| reply.ok(201)).collect();
    assert!(bodies.iter().all(|reply| reply.body == bodies[0].body));
    assert_eq!(bodies.iter().filter(|reply| reply.is_replay()).count(), 2);
    let held = "SELECT held AS n FROM tk_types WHERE id = $1";
    assert_eq!(stage.count(held, &gig.kind).await, 1);
    let conflict = send(2).await.refused(409, "idempotency_conflict");
    assert_eq!(conflict.body["field"], "items[0].quantity");
    let body = json!({"eventId": gig.event, "items": []});
    let keyless = stage
        .call(ANA, "POST", "/api/v1/orders")
        .json(body)
        .send()
        .await;
    keyless.refused(400, "idempotency_key_required");
}

async fn rows_8_and_9_a_hold_ends_on_time_and_once() {
    let stage = Stage::new().await;
    let gig = stage.event("0", 2).await;
    let order = stage.reserve(ANA, &gig, 2).await.ok(201).id();
    stage.advance(900 * SECOND - 1);
    stage.reserve(BOB, &gig, 1).await.refused(409, "sold_out");
    stage.advance(1);
    let late = stage.checkout(ANA, &order, json!({"method": "free"})).await;
    late.refused(410, "hold_expired");
    let both = join_all([expiry::sweep(&stage.room), expiry::sweep(&stage.room)]).await;
    let ended: usize = both.into_iter().map(|done| done.expect("sweeps")).sum();
    assert_eq!(ended, 1);
    stage.check_stock(&gig.event).await;
    let released = "SELECT released AS n FROM tk_types WHERE id = $1";
    assert_eq!(stage.count(released, &gig.kind).await, 2);
    let expired = stage
        .get(ANA, &format!("/api/v1/orders/{order}"))
        .await
        .ok(200);
    assert_eq!(expired.body["status"], "expired");
    stage.reserve(BOB, &gig, 2).await.ok(201);
    stage.check_stock(&gig.event).await;
}

async fn row_10_the_buyer_pays_what_he_saw() {
    let stage = Stage::new().await;
    let gig = stage.event("10.00", 9).await;
    let items = json!([{"ticketTypeId": gig.kind, "quantity": 1}]);
    let seen = json!({"expectedTotal": "10.59"});
    let old = stage
        .cart(ANA, &gig.event, items.clone(), seen.clone())
        .await
        .ok(201);
    let path = format!("/api/v1/ticket-types/{}", gig.kind);
    stage
        .patch(OLGA, &path, json!({"price": "20.00"}))
        .await
        .ok(200);
    let changed = stage
        .cart(BOB, &gig.event, items, seen)
        .await
        .refused(409, "price_changed");
    assert_eq!(changed.body["quote"]["amounts"]["total"], "20.88");
    let wallet = stage.wallet("ana", "EUR", "50.00").await;
    let pay = json!({"method": "wallet", "walletId": wallet});
    stage.checkout(ANA, &old.id(), pay).await.ok(200);
    assert_eq!(stage.wallet_has(&wallet).await.0, 5_000 - 1_059);
}

async fn row_12_a_refused_wallet_leaves_the_order_reserved() {
    let stage = Stage::new().await;
    let gig = stage.event("10.00", 9).await;
    let order = stage.reserve(ANA, &gig, 1).await.ok(201);
    let wallet = stage.wallet("ana", "EUR", "1.00").await;
    let pay = json!({"method": "wallet", "walletId": wallet});
    let poor = stage
        .checkout(ANA, &order.id(), pay.clone())
        .await
        .refused(402, "payment_declined");
    assert_eq!(poor.body["declineCode"], "insufficient_funds");
    let seen = stage
        .get(ANA, &format!("/api/v1/orders/{}", order.id()))
        .await
        .ok(200);
    assert_eq!(seen.body["status"], "reserved");
    assert_eq!(seen.body["holds"], order.body["holds"]);
    stage
        .move_money(&wallet, florin_ledger::model::WalletType::Deposit, "50.00")
        .await;
    stage.checkout(ANA, &order.id(), pay.clone()).await.ok(200);
    stage
        .checkout(ANA, &order.id(), pay)
        .await
        .refused(409, "order_state");
    let next = stage.reserve(ANA, &gig, 1).await.ok(201).id();
    let dollars = stage.wallet("ana", "USD", "50.00").await;
    let pay = json!({"method": "wallet", "walletId": dollars});
    stage
        .checkout(ANA, &next, pay)
        .await
        .refused(422, "currency_mismatch");
    let bobs = stage.wallet("bob", "EUR", "50.00").await;
    let pay = json!({"method": "wallet", "walletId": bobs});
    stage
        .checkout(ANA, &next, pay)
        .await
        .refused(404, "wallet_not_found");
    let free = json!({"method": "free"});
    stage
        .checkout(ANA, &next, free)
        .await
        .refused(409, "payment_method_mismatch");
}

async fn row_28_one_person_is_one_buyer_however_he_writes_his_address() {
    let stage = Stage::new().await;
    let gig = stage
        .event_with(json!({}), json!({"quantity": 9, "maxPerBuyer": 2}))
        .await;
    let items = json!([{"ticketTypeId": gig.kind, "quantity": 2}]);
    let first = json!({"buyer": {"email": "Ana@X.org"}});
    stage
        .cart(GUEST, &gig.event, items.clone(), first)
        .await
        .ok(201);
    let second = json!({"buyer": {"email": "ana@x.org "}});
    stage
        .cart(GUEST, &gig.event, items, second)
        .await
        .refused(409, "limit_per_buyer");
}

async fn row_29_the_sale_is_a_half_open_window() {
    let stage = Stage::new().await;
    let kind = json!({"saleStartsAt": stage.at(DAY), "saleEndsAt": stage.at(2 * DAY)});
    let gig = stage.event_with(json!({}), kind).await;
    let early = stage
        .reserve(ANA, &gig, 1)
        .await
        .refused(409, "sale_not_open");
    assert_eq!(early.body["opensAt"], stage.at(DAY));
    stage.advance(DAY);
    stage.reserve(ANA, &gig, 1).await.ok(201);
    stage.advance(DAY - 1);
    stage.reserve(BOB, &gig, 1).await.ok(201);
    stage.advance(1);
    stage
        .reserve(BOB, &gig, 1)
        .await
        .refused(409, "sale_closed");
}

async fn row_66_a_suspended_organisation_sells_nothing() {
    let stage = Stage::new().await;
    let gig = stage.event("10.00", 9).await;
    let path = format!("/api/v1/orgs/{}", gig.org);
    stage
        .patch(ADMIN, &path, json!({"status": "suspended"}))
        .await
        .ok(200);
    stage
        .reserve(ANA, &gig, 1)
        .await
        .refused(403, "org_suspended");
}

async fn shapes_are_judged_before_anything_else() {
    let stage = Stage::new().await;
    let gig = stage.event("10.00", 9).await;
    let line = json!({"ticketTypeId": gig.kind, "quantity": 1});
    let twice = json!([line, line]);
    let cart = |items, more| stage.cart(ANA, &gig.event, items, more);
    cart(twice, json!({})).await.refused(400, "duplicate_item");
    let phone = json!({"buyer": {"phone": "030 1234"}});
    cart(json!([line]), phone)
        .await
        .refused(400, "validation_failed");
    let card = json!({"buyer": {"name": "4242 4242 4242 4242"}});
    cart(json!([line]), card)
        .await
        .refused(400, "card_data_refused");
    let unknown = json!([{"ticketTypeId": gig.event, "quantity": 1}]);
    cart(unknown, json!({}))
        .await
        .refused(404, "ticket_type_not_found");
    let hidden = stage
        .kind(&gig.event, json!({"name": "Hidden", "hidden": true}))
        .await;
    let items = json!([{"ticketTypeId": hidden, "quantity": 1}]);
    cart(items.clone(), json!({}))
        .await
        .refused(404, "ticket_type_not_found");
    let path = format!("/api/v1/events/{}/promo-codes", gig.event);
    let access = json!({"code": "FRIENDS", "kind": "access", "ticketTypeIds": [hidden]});
    stage.post(OLGA, &path, access).await.ok(201);
    cart(items, json!({"promoCode": "friends"})).await.ok(201);
}

async fn attendees_are_asked_for_before_money() {
    let stage = Stage::new().await;
    let gig = stage
        .event_with(json!({}), json!({"price": "0", "attendeeFields": "name"}))
        .await;
    let order = stage.reserve(ANA, &gig, 1).await.ok(201).id();
    let free = json!({"method": "free"});
    stage
        .checkout(ANA, &order, free.clone())
        .await
        .refused(400, "attendee_required");
    let named = json!({"attendees": [{"ticketTypeId": gig.kind, "name": "Ana"}]});
    stage
        .patch(ANA, &format!("/api/v1/orders/{order}"), named)
        .await
        .ok(200);
    stage.checkout(ANA, &order, free).await.ok(200);
    let path = format!("/api/v1/events/{}/attendees", gig.event);
    let listed = stage.get(OLGA, &path).await.ok(200);
    assert_eq!(listed.items()[0]["holder"]["name"], "Ana");
}

async fn an_order_is_cancelled_claimed_and_listed() {
    let stage = Stage::new().await;
    let gig = stage.event("10.00", 9).await;
    let reserved = stage.reserve(GUEST, &gig, 3).await.ok(201);
    let (order, token) = (reserved.id(), reserved.text_of("accessToken"));
    let claim = format!("/api/v1/orders/{order}/claim");
    stage
        .post(ANA, &claim, json!({}))
        .await
        .refused(404, "order_not_found");
    let joined = stage
        .call(ANA, "POST", &claim)
        .token(&token)
        .json(json!({}))
        .send()
        .await;
    joined.ok(200);
    let listed = stage.get(ANA, "/api/v1/orders").await.ok(200);
    assert_eq!(listed.items()[0]["id"], order);
    let path = format!("/api/v1/events/{}/orders", gig.event);
    assert_eq!(stage.get(OLGA, &path).await.ok(200).items().len(), 1);
    stage.get(BOB, &path).await.refused(404, "event_not_found");
    let cancel = format!("/api/v1/orders/{order}/cancel");
    let gone = stage.post(ANA, &cancel, json!({})).await.ok(200);
    assert_eq!(gone.body["status"], "cancelled");
    assert_eq!(gone.body["holds"][0]["state"], "released");
    stage
        .post(ANA, &cancel, json!({}))
        .await
        .refused(409, "order_state");
    stage.check_stock(&gig.event).await;
}

async fn complimentary_tickets_take_stock_and_nothing_else() {
    let stage = Stage::new().await;
    let gig = stage
        .event_with(json!({}), json!({"quantity": 3, "maxPerBuyer": 1}))
        .await;
    let path = format!("/api/v1/events/{}/comps", gig.event);
    let two = json!({"ticketTypeId": gig.kind,
        "attendees": [{"name": "Ida"}, {"name": "Ulf", "email": "ulf@example.org"}]});
    let given = stage.post(OLGA, &path, two.clone()).await.ok(201);
    assert_eq!(given.body["channel"], "comp");
    assert_eq!(given.body["status"], "confirmed");
    assert_eq!(stage.tickets(&given.id()).await.len(), 2);
    stage
        .post(OLGA, &path, two.clone())
        .await
        .refused(409, "not_enough");
    stage
        .post(ANA, &path, two)
        .await
        .refused(404, "event_not_found");
    stage.check_stock(&gig.event).await;
    assert!(stage.postings(&given.id()).await.is_empty());
}

cases! {
    row_42_a_free_order_is_confirmed_at_once_and_posts_nothing,
    a_wallet_sale_with_promo_tax_and_fees,
    rows_1_2_and_3_stock_is_taken_whole_or_not_at_all,
    row_4_a_pool_without_units_is_named,
    rows_6_and_7_one_key_is_one_order,
    rows_8_and_9_a_hold_ends_on_time_and_once,
    row_10_the_buyer_pays_what_he_saw,
    row_12_a_refused_wallet_leaves_the_order_reserved,
    row_28_one_person_is_one_buyer_however_he_writes_his_address,
    row_29_the_sale_is_a_half_open_window,
    row_66_a_suspended_organisation_sells_nothing,
    shapes_are_judged_before_anything_else,
    attendees_are_asked_for_before_money,
    an_order_is_cancelled_claimed_and_listed,
    complimentary_tickets_take_stock_and_nothing_else,
}
