//! Limits: cases 69 to 71, contract B6.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::{OPERATOR, SECOND, SERVICE, Server, path};

async fn limited(server: &Server, funds: &str, limits: Value) -> String {
    let wallet = server.funded("maria", "BRL", funds).await;
    server
        .put(OPERATOR, &path(&wallet, "limits"), limits)
        .await
        .ok(200);
    wallet
}

#[tokio::test]
async fn case_69_racing_withdrawals_never_pass_the_daily_limit() {
    let server = Arc::new(Server::start());
    let wallet = limited(&server, "10000.00", json!({"out": {"daily": "1000.00"}})).await;
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let (server, wallet) = (Arc::clone(&server), wallet.clone());
        running.spawn(async move { server.withdraw(&wallet, "300.00").await });
    }
    let replies = running.join_all().await;
    let (done, refused): (Vec<_>, Vec<_>) = replies.into_iter().partition(|r| r.status == 200);
    assert_eq!(done.len(), 3);
    for reply in &refused {
        assert_eq!(reply.code(), (422, "limit_exceeded"));
        assert_eq!(reply.body["limit"], "out.daily");
        assert_eq!(reply.body["resetsAt"], "2026-03-11T00:00:00.000000Z");
    }
    let after = server.withdraw(&wallet, "100.01").await;
    assert_eq!(after.body["remaining"], "100.00", "{}", after.text);
    server.withdraw(&wallet, "100.00").await.ok(200);
}

#[tokio::test]
async fn case_70_a_voided_hold_counts_for_nothing() {
    let server = Server::start();
    let wallet = limited(&server, "5000.00", json!({"out": {"daily": "1000.00"}})).await;
    let hold = server
        .hold(&wallet, "500.00")
        .await
        .ok(201)
        .text_of("id")
        .to_owned();
    assert_eq!(
        server.withdraw(&wallet, "1000.00").await.code(),
        (422, "limit_exceeded")
    );
    server.void(&hold).await.ok(200);
    server.withdraw(&wallet, "1000.00").await.ok(200);
}

#[tokio::test]
async fn case_71_days_end_at_midnight_utc() {
    let server = Server::start();
    let wallet = limited(&server, "5000.00", json!({"out": {"daily": "1000.00"}})).await;
    let until_midnight = 12 * 3_600 * SECOND;
    server.clock.advance(until_midnight - SECOND / 10);
    server.withdraw(&wallet, "1000.00").await.ok(200);
    assert_eq!(
        server.withdraw(&wallet, "0.01").await.code(),
        (422, "limit_exceeded")
    );
    server.clock.advance(SECOND / 5);
    server.withdraw(&wallet, "1000.00").await.ok(200);
}

#[tokio::test]
async fn limits_show_what_is_used_and_left() {
    let server = Server::start();
    let limits = json!({
        "out": {"perTransaction": "500.00", "daily": "1000.00", "monthly": null},
        "in": {"daily": "6000.00"},
    });
    let wallet = limited(&server, "5000.00", limits).await;
    server.withdraw(&wallet, "300.00").await.ok(200);
    let shown = server.get(SERVICE, &path(&wallet, "limits")).await.ok(200);
    assert_eq!(
        shown.body["out"],
        json!({
            "perTransaction": {"limit": "500.00", "remaining": "500.00"},
            "daily": {"limit": "1000.00", "used": "300.00", "remaining": "700.00",
                      "resetsAt": "2026-03-11T00:00:00.000000Z"},
            "monthly": {"limit": null, "used": "300.00",
                        "resetsAt": "2026-04-01T00:00:00.000000Z"},
        })
    );
    assert_eq!(shown.body["in"]["daily"]["remaining"], "1000.00");
    assert_eq!(shown.text_of("tier"), "standard");
    let single = server.withdraw(&wallet, "500.01").await;
    assert_eq!(single.body["limit"], "out.perTransaction");
    assert!(single.body.get("resetsAt").is_none());
}

#[tokio::test]
async fn the_other_sides_limit_shows_no_figures() {
    let server = Server::start();
    let from = server.funded("joao", "BRL", "100.00").await;
    let to = server.wallet("maria", "BRL").await;
    server
        .put(
            OPERATOR,
            &path(&to, "limits"),
            json!({"in": {"daily": "10.00"}}),
        )
        .await
        .ok(200);
    let refused = server.transfer(&from, &to, "10.01").await;
    assert_eq!(refused.code(), (422, "limit_exceeded"));
    assert_eq!(refused.body["limit"], "in.daily");
    assert!(refused.body.get("remaining").is_none() && refused.body.get("resetsAt").is_none());
    server.transfer(&from, &to, "10.00").await.ok(200);
}

#[tokio::test]
async fn limits_are_set_by_operators_in_grammar() {
    let server = Server::start();
    let wallet = server.wallet("maria", "BRL").await;
    let limits = path(&wallet, "limits");
    let refused = server.put(SERVICE, &limits, json!({})).await;
    assert_eq!(refused.code(), (403, "forbidden"));
    let refused = server
        .put(OPERATOR, &limits, json!({"out": {"daily": "1e3"}}))
        .await;
    assert_eq!(refused.code(), (400, "amount_invalid"));
    let refused = server
        .put(OPERATOR, &limits, json!({"out": {"daily": "1.001"}}))
        .await;
    assert_eq!(refused.code(), (400, "amount_precision"));
    let refused = server
        .put(OPERATOR, &limits, json!({"out": {"weekly": "1"}}))
        .await;
    assert_eq!(refused.code(), (400, "unknown_field"));
    let refused = server
        .put(OPERATOR, &limits, json!({"tier": "none such"}))
        .await;
    assert_eq!(refused.code(), (400, "tier_unknown"));
}
