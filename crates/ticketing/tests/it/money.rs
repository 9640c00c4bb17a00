//! Refunds, payouts, and money that is half done when the process dies (contract B5, C3, C4).

use florin_ledger::model::Status;
use florin_ticketing::Ticketing;
use florin_ticketing::money::due;
use florin_ticketing::orders::expiry;
use florin_ticketing::orders::refunds::job;
use florin_ticketing::orders::row::{self, OrderRow};
use florin_ticketing::orders::wallet_pay::{self, Attempt, Begun, Finished, Payer};
use florin_ticketing::store::idempotency::Once;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::shop::{cases, unlimited};
use crate::stage::{ANA, BOB, DAY, Gig, OLGA, SECOND, Stage};

async fn order_row(room: &Ticketing, id: &str) -> OrderRow {
    row::find(&room.store.db, id)
        .await
        .expect("reads")
        .expect("is there")
}

/// The first step of a wallet payment, after which the process dies.
async fn begun(stage: &Stage, order: &str, wallet: &str) -> Attempt {
    let room = &stage.room;
    let lane = order_row(room, order).await.event_id;
    let once = Once::new(
        &room.secrets,
        format!("checkout:{order}"),
        "key",
        &json!({}),
    );
    let payer = Payer {
        wallet_id: wallet.to_owned(),
        owner_sub: Some("ana".to_owned()),
    };
    let ask = wallet_pay::Ask {
        order_id: order.to_owned(),
        event_id: lane,
        payer,
        once,
    };
    match room.desk.begin(ask).await.expect("begins") {
        Begun::Attempt(attempt) => attempt,
        Begun::Again(_) => panic!("nothing was kept"),
    }
}

/// Payments that wait together are one commit; each ends by itself, and once.
async fn wallet_payments_of_one_commit_end_one_by_one() {
    let stage = Stage::new().await;
    let gig = stage.event("10.00", 9).await;
    let wallet = stage.wallet("ana", "EUR", "100.00").await;
    let mut attempts = Vec::new();
    for quantity in [1, 2, 3] {
        let order = stage.reserve(ANA, &gig, quantity).await.ok(201).id();
        attempts.push(begun(&stage, &order, &wallet).await);
    }
    for attempt in &attempts {
        let row = order_row(&stage.room, &attempt.order_id).await;
        let reserved = wallet_pay::reserve(&stage.room, attempt, &row).await;
        reserved.expect("has money");
    }
    // The third is given up before its turn comes.
    let desk = &stage.room.desk;
    let ended = wallet_pay::run_decline(&stage.room, &attempts[2], "insufficient_funds").await;
    assert!(ended.expect("is alive"));
    let answers = [0, 1, 0, 2].map(|place: usize| desk.finish(&attempts[place]));
    let mut shown = Vec::new();
    let mut dues = Vec::new();
    for answer in join_all(answers).await {
        shown.push(match answer.expect("is alive") {
            Finished::Confirmed(body, due) => {
                dues.extend(due);
                (body["id"].clone(), body["status"].clone())
            }
            Finished::Released(problem, due) => {
                dues.extend(due);
                (problem.code().into(), json!(null))
            }
        });
    }
    let done = |place: usize| (json!(attempts[place].order_id), json!("confirmed"));
    let wanted = [
        done(0),
        done(1),
        done(0),
        (json!("order_state"), json!(null)),
    ];
    assert_eq!(shown, wanted);
    due::drive(&stage.room, &dues).await.expect("posts");
    let payable = format!("payable:{}:{}", gig.org, gig.event);
    assert_eq!(stage.balance(&payable).await, 3_000);
    stage.check_clearing().await;
    stage.check_stock(&gig.event).await;
}

async fn recover(stage: &Stage) {
    wallet_pay::sweep(&stage.room, false).await.expect("sweeps");
    due::sweep(&stage.room, false).await.expect("sweeps");
}

/// Row 35, C3: the process dies after each step of a wallet sale; recovery ends or undoes it.
async fn row_35_a_sale_that_dies_after_any_step_is_ended_or_undone() {
    let stage = Stage::new().await;
    let gig = stage.event("10.00", 9).await;
    let wallet = stage.wallet("ana", "EUR", "100.00").await;
    let mut paid = 0;
    for step in 0..4 {
        let order = stage.reserve(ANA, &gig, 1).await.ok(201).id();
        let attempt = begun(&stage, &order, &wallet).await;
        let row = order_row(&stage.room, &order).await;
        if step >= 1 {
            wallet_pay::reserve(&stage.room, &attempt, &row)
                .await
                .expect("has money");
        }
        if step >= 2 {
            let desk = &stage.room.desk;
            desk.finish(&attempt).await.expect("is alive");
        }
        let pay = json!({"method": "wallet", "walletId": wallet});
        let other = stage.checkout(ANA, &order, pay).await;
        match step {
            0 | 1 => other.refused(409, "payment_in_progress"),
            _ => other.refused(409, "order_state"),
        };
        // Nobody takes up what may still be at work.
        recover(&stage).await;
        let status = order_row(&stage.room, &order).await.status;
        assert_eq!(status, if step >= 2 { "confirmed" } else { "reserved" });
        stage.advance(9 * SECOND);
        recover(&stage).await;
        paid += 1_059;
        assert_eq!(
            order_row(&stage.room, &order).await.status,
            "confirmed",
            "step {step}"
        );
        assert_eq!(stage.tickets(&order).await.len(), 1);
        assert_eq!(
            stage.wallet_has(&wallet).await,
            (10_000 - paid, 10_000 - paid)
        );
        let names: Vec<String> = stage
            .postings(&order)
            .await
            .into_iter()
            .map(|p| p.0)
            .collect();
        assert_eq!(names, ["P3", "P2"], "step {step}");
        recover(&stage).await;
    }
    stage.check_clearing().await;
    stage.check_stock(&gig.event).await;
}

async fn row_35_money_reserved_for_an_order_that_ended_is_released() {
    let stage = Stage::new().await;
    let gig = stage.event("10.00", 9).await;
    let wallet = stage.wallet("ana", "EUR", "100.00").await;
    let order = stage.reserve(ANA, &gig, 1).await.ok(201).id();
    let attempt = begun(&stage, &order, &wallet).await;
    let row = order_row(&stage.room, &order).await;
    wallet_pay::reserve(&stage.room, &attempt, &row)
        .await
        .expect("has money");
    assert_eq!(stage.wallet_has(&wallet).await, (10_000, 8_941));
    stage.advance(901 * SECOND);
    expiry::sweep(&stage.room).await.expect("sweeps");
    recover(&stage).await;
    assert_eq!(stage.wallet_has(&wallet).await, (10_000, 10_000));
    assert_eq!(order_row(&stage.room, &order).await.status, "expired");
    assert!(stage.postings(&order).await.is_empty());
    assert_eq!(stage.balance(&format!("clearing:{order}")).await, 0);
    stage.check_stock(&gig.event).await;
}

/// INV-T6: a posting that is repeated for ever is there once.
async fn inv_t6_what_is_posted_twice_is_there_once() {
    let stage = Stage::new().await;
    let gig = stage.event("10.00", 9).await;
    let wallet = stage.wallet("ana", "EUR", "100.00").await;
    let order = stage.buy(ANA, &gig, 2, &wallet).await;
    let dues = [
        due::Due::Capture {
            hold: order_row(&stage.room, &order)
                .await
                .payment_id
                .expect("paid"),
        },
        due::Due::Sale {
            order_id: order.clone(),
        },
    ];
    let before = stage.postings(&order).await;
    for _ in 0..3 {
        let mut tx = stage.room.store.begin().await.expect("begins");
        let rows = due::plan(&stage.room.store, &mut tx, &order, &dues)
            .await
            .expect("plans");
        tx.commit().await.expect("commits");
        due::drive(&stage.room, &rows).await.expect("posts");
    }
    assert_eq!(stage.postings(&order).await, before);
    stage.check_clearing().await;
}

async fn rows_30_31_34_refunds_of_one_ticket_never_pass_what_was_paid() {
    let stage = Stage::new().await;
    let kind = json!({"price": "45.00", "quantity": 2, "taxRateBp": 700});
    let gig = stage.event_with(json!({}), kind).await;
    let wallet = stage.wallet("ana", "EUR", "100.00").await;
    let order = stage.buy(ANA, &gig, 2, &wallet).await;
    let status = |body: &Value| body["status"].as_str().map(str::to_owned);
    let event = format!("/api/v1/events/{}", gig.event);
    let seen = stage.get(OLGA, &event).await.ok(200);
    assert_eq!(status(&seen.body).as_deref(), Some("sold_out"));
    let tickets = stage.tickets(&order).await;
    let first = json!([tickets[0].0]);
    let goodwill = json!({"ticketIds": first, "amountPerTicket": "30.00", "keepTickets": true});
    let made = stage.refund(OLGA, &order, goodwill).await.ok(202);
    assert_eq!(made.items()[0]["amount"], "30.00");
    assert_eq!(stage.tickets(&order).await[0].1, "valid");
    let much = json!({"ticketIds": first, "amountPerTicket": "16.47"});
    stage
        .refund(OLGA, &order, much)
        .await
        .refused(409, "refund_exceeds");
    let rest = json!({"ticketIds": first});
    let race = join_all([
        stage.refund(OLGA, &order, rest.clone()),
        stage.refund(OLGA, &order, rest),
    ]);
    let replies = race.await;
    let won: Vec<_> = replies.iter().filter(|reply| reply.status == 202).collect();
    assert_eq!(won.len(), 1);
    assert_eq!(won[0].items()[0]["amount"], "16.46");
    let lost = replies
        .iter()
        .find(|reply| reply.status != 202)
        .expect("one lost");
    assert_eq!(lost.code(), (409, "ticket_state"));
    assert_eq!(stage.tickets(&order).await[0].1, "refunded");
    let seen = stage.get(OLGA, &event).await.ok(200);
    assert_eq!(status(&seen.body).as_deref(), Some("published"));
    let order_now = stage
        .get(ANA, &format!("/api/v1/orders/{order}"))
        .await
        .ok(200);
    assert_eq!(order_now.body["status"], "partially_refunded");
    assert_eq!(order_now.body["refundedAmount"], "46.46");
    assert_eq!(stage.wallet_has(&wallet).await.0, 10_000 - 9_291 + 4_646);
    stage
        .refund(OLGA, &order, json!({"all": true}))
        .await
        .ok(202);
    let order_now = stage
        .get(ANA, &format!("/api/v1/orders/{order}"))
        .await
        .ok(200);
    assert_eq!(order_now.body["status"], "refunded");
    assert_eq!(stage.wallet_has(&wallet).await.0, 10_000);
    let payable = format!("payable:{}:{}", gig.org, gig.event);
    assert_eq!(stage.balance(&payable).await, 0);
    assert_eq!(stage.balance("fee:platform").await, 0);
    let path = format!("/api/v1/orders/{order}/refunds");
    let listed = stage.get(ANA, &path).await.ok(200);
    assert!(
        listed
            .items()
            .iter()
            .all(|refund| refund["status"] == "succeeded")
    );
    stage.check_clearing().await;
    stage.check_stock(&gig.event).await;
}

async fn row_33_buyers_refund_in_time_and_organisers_may_always() {
    let stage = Stage::new().await;
    let kind = json!({"price": "10.00", "quantity": 9, "refundableUntil": stage.at(DAY)});
    let gig = stage.event_with(json!({}), kind).await;
    let wallet = stage.wallet("ana", "EUR", "100.00").await;
    let order = stage.buy(ANA, &gig, 3, &wallet).await;
    let tickets = stage.tickets(&order).await;
    let one = |at: usize| json!({"ticketIds": [tickets[at].0]});
    stage
        .refund(BOB, &order, one(0))
        .await
        .refused(404, "order_not_found");
    stage.refund(ANA, &order, one(0)).await.ok(202);
    stage.advance(DAY);
    stage
        .refund(ANA, &order, one(1))
        .await
        .refused(409, "refund_period_over");
    stage.refund(OLGA, &order, one(1)).await.ok(202);
    let goodwill = json!({"ticketIds": [tickets[2].0], "keepTickets": true});
    stage
        .refund(ANA, &order, goodwill)
        .await
        .refused(403, "forbidden");
    let postpone = format!("/api/v1/events/{}/postpone", gig.event);
    stage
        .post(OLGA, &postpone, json!({"reason": "ill"}))
        .await
        .ok(200);
    stage.refund(ANA, &order, one(2)).await.ok(202);
    stage.check_stock(&gig.event).await;
}

async fn row_32_a_refund_that_failed_waits_in_its_account_and_is_tried_again() {
    let stage = Stage::new().await;
    let gig = stage.event("10.00", 9).await;
    let wallet = stage.wallet("ana", "EUR", "10.59").await;
    let order = stage.buy(ANA, &gig, 1, &wallet).await;
    let close = florin_ledger::call::UpdateWallet {
        actor: None,
        owner: None,
        id: uuid::Uuid::parse_str(&wallet).expect("an id").as_u128(),
        status: Some(Status::Closed),
        limits: None,
        reason: None,
    };
    let call = florin_ledger::Call::UpdateWallet(Box::new(close));
    stage.ledger.submit(call).await.expect("open");
    let made = stage
        .refund(OLGA, &order, json!({"all": true}))
        .await
        .ok(202);
    let refund = made.items()[0]["id"].as_str().expect("an id").to_owned();
    let path = format!("/api/v1/refunds/{refund}");
    let failed = stage.get(OLGA, &path).await.ok(200);
    assert_eq!(failed.body["status"], "failed");
    assert_eq!(failed.body["failure"], "wallet_closed");
    assert_eq!(stage.balance(&format!("refunds:{refund}")).await, 1_059);
    let other = stage.wallet("ana", "EUR", "0").await;
    let retry = json!({"to": "wallet", "walletId": other});
    let retry_path = format!("{path}/retry");
    stage.post(OLGA, &retry_path, retry.clone()).await.ok(202);
    assert_eq!(stage.wallet_has(&other).await.0, 1_059);
    assert_eq!(stage.balance(&format!("refunds:{refund}")).await, 0);
    assert_eq!(
        stage.get(OLGA, &path).await.ok(200).body["status"],
        "succeeded"
    );
    stage
        .post(OLGA, &retry_path, retry)
        .await
        .refused(409, "refund_state");
}

/// Rows 35 and 36: an event is cancelled with open and paid orders; its job dies and goes on.
async fn rows_35_and_36_a_cancelled_event_pays_everybody_back_once() {
    let stage = unlimited().await;
    let gig = stage.event("10.00", 200).await;
    let wallet = stage.wallet("ana", "EUR", "5000.00").await;
    let mut orders = Vec::new();
    for _ in 0..40 {
        orders.push(stage.buy(ANA, &gig, 2, &wallet).await);
    }
    let open = stage.reserve(BOB, &gig, 3).await.ok(201).id();
    let cancel = format!("/api/v1/events/{}/cancel", gig.event);
    let cancelled = stage
        .post(OLGA, &cancel, json!({"reason": "rain"}))
        .await
        .ok(202);
    let job_id = cancelled.text_of("refundJobId");
    assert_eq!(order_row(&stage.room, &open).await.status, "cancelled");
    let path = format!("/api/v1/events/{}/refund-jobs/{job_id}", gig.event);
    assert_eq!(stage.get(OLGA, &path).await.ok(200).body["total"], 40);
    let (one, two) = tokio::join!(job::sweep(&stage.room), job::sweep(&stage.room));
    one.expect("sweeps");
    two.expect("sweeps");
    job::sweep(&stage.room).await.expect("sweeps");
    stage.advance(9 * SECOND);
    recover(&stage).await;
    let done = stage.get(OLGA, &path).await.ok(200);
    assert_eq!(done.body["done"], 40, "{}", done.text);
    assert_eq!(done.body["failed"], 0);
    assert_eq!(done.body["amount"], "835.20");
    assert_eq!(stage.wallet_has(&wallet).await.0, 500_000);
    for order in &orders {
        assert_eq!(order_row(&stage.room, order).await.status, "refunded");
        assert!(
            stage
                .tickets(order)
                .await
                .iter()
                .all(|(_, status)| status == "cancelled")
        );
    }
    stage.check_clearing().await;
    stage.check_stock(&gig.event).await;
}

pub async fn to_wallet(stage: &Stage, gig: &Gig) -> String {
    let wallet = stage.wallet("olga", "EUR", "0").await;
    let body = json!({"payoutMethod": {"kind": "wallet", "walletId": wallet}});
    stage
        .patch(OLGA, &format!("/api/v1/orgs/{}", gig.org), body)
        .await
        .ok(200);
    wallet
}

/// A room's hold is nobody else's: the wallets' routes do not see it as theirs to resolve.
async fn a_frozen_wallet_pays_what_it_promised_and_refuses_the_next() {
    let stage = Stage::new().await;
    let gig = stage.event("10.00", 9).await;
    let wallet = stage.wallet("ana", "EUR", "100.00").await;
    let order = stage.reserve(ANA, &gig, 1).await.ok(201).id();
    let attempt = begun(&stage, &order, &wallet).await;
    let row = order_row(&stage.room, &order).await;
    let hold = wallet_pay::reserve(&stage.room, &attempt, &row)
        .await
        .expect("has money");
    let foreign = florin_ledger::call::ResolveHold {
        actor: None,
        owner: None,
        hold: (&*hold).into(),
        capture: false,
        amount: None,
        transfer_id: stage.ledger.new_id().to_string().into(),
        reference: florin_ledger::call::Reference {
            id: "void".into(),
            generated: false,
        },
        module: "wallets".into(),
    };
    let call = florin_ledger::Call::ResolveHold(Box::new(foreign));
    let answer = stage.ledger.submit(call).await.expect("open");
    assert!(
        matches!(answer.outcome, florin_ledger::Outcome::Refused(_)),
        "{answer:?}"
    );
    let freeze = florin_ledger::call::UpdateWallet {
        actor: None,
        owner: None,
        id: uuid::Uuid::parse_str(&wallet).expect("an id").as_u128(),
        status: Some(Status::Frozen),
        limits: None,
        reason: None,
    };
    let call = florin_ledger::Call::UpdateWallet(Box::new(freeze));
    stage.ledger.submit(call).await.expect("open");
    stage.advance(9 * SECOND);
    recover(&stage).await;
    assert_eq!(order_row(&stage.room, &order).await.status, "confirmed");
    assert_eq!(stage.wallet_has(&wallet).await.0, 10_000 - 1_059);
    let next = stage.reserve(ANA, &gig, 1).await.ok(201).id();
    let pay = json!({"method": "wallet", "walletId": wallet});
    let refused = stage
        .checkout(ANA, &next, pay)
        .await
        .refused(402, "payment_declined");
    assert_eq!(refused.body["declineCode"], "wallet_frozen");
    stage
        .refund(OLGA, &order, json!({"all": true}))
        .await
        .ok(202);
    assert_eq!(stage.wallet_has(&wallet).await.0, 10_000);
}

cases! {
    row_35_a_sale_that_dies_after_any_step_is_ended_or_undone,
    row_35_money_reserved_for_an_order_that_ended_is_released,
    wallet_payments_of_one_commit_end_one_by_one,
    inv_t6_what_is_posted_twice_is_there_once,
    rows_30_31_34_refunds_of_one_ticket_never_pass_what_was_paid,
    row_33_buyers_refund_in_time_and_organisers_may_always,
    row_32_a_refund_that_failed_waits_in_its_account_and_is_tried_again,
    rows_35_and_36_a_cancelled_event_pays_everybody_back_once,
    a_frozen_wallet_pays_what_it_promised_and_refuses_the_next,
}
