//! From the sale to the gate, through the routes only.

use std::collections::BTreeSet;

use serde_json::json;

use super::{nonce, open_doors, verdict};
use crate::stage::{ANA, GUEST, OLGA, Stage};

/// INV-T4: a confirmed order has its tickets, each with a number of its own; an order that is
/// not confirmed has none. The access token opens them.
#[tokio::test]
async fn inv_t4_a_confirmed_order_has_exactly_its_tickets() {
    let stage = Stage::new().await;
    let gig = stage.event("0", 20).await;
    let mut numbers = BTreeSet::new();
    for quantity in [1, 3, 5] {
        let reserved = stage.reserve(GUEST, &gig, quantity).await.ok(201);
        let (order, token) = (reserved.id(), reserved.text_of("accessToken"));
        let path = format!("/api/v1/tickets?orderId={order}");
        let list = || stage.call(GUEST, "GET", &path).token(&token).send();
        assert_eq!(list().await.ok(200).items().len(), 0, "not confirmed yet");
        let checkout = format!("/api/v1/orders/{order}/checkout");
        let body = json!({"method": "free"});
        let call = stage.call(GUEST, "POST", &checkout).key(&order);
        call.token(&token).json(body).send().await.ok(200);
        let tickets = list().await.ok(200);
        assert_eq!(tickets.items().len(), quantity as usize);
        for (n, ticket) in tickets.items().iter().enumerate() {
            let number = ticket["number"].as_str().unwrap().to_owned();
            assert!(number.ends_with(&format!("-{:02}", n + 1)), "{number}");
            assert!(numbers.insert(number), "a number twice");
            assert!(ticket["token"].as_str().unwrap().starts_with("FT1."));
        }
        let one = format!(
            "/api/v1/tickets/{}",
            tickets.items()[0]["id"].as_str().unwrap()
        );
        stage
            .call(GUEST, "GET", &one)
            .token(&token)
            .send()
            .await
            .ok(200);
        let wrong = stage.call(GUEST, "GET", &path).token("wrong").send().await;
        wrong.refused(404, "order_not_found");
    }
    assert_eq!(numbers.len(), 9);
}

/// INV-T14: a refund and a scan race; whoever is first, a refunded ticket does not come in after
/// its refund, and a used one is not refunded without force.
#[tokio::test]
async fn inv_t14_refund_and_scan_race_and_agree() {
    let stage = Stage::new().await;
    let gig = stage.event("45.00", 20).await;
    let wallet = stage.wallet("ana", "EUR", "1000.00").await;
    let mut outcomes = BTreeSet::new();
    let mut tickets = Vec::new();
    for _ in 0..8 {
        let order = stage.buy(ANA, &gig, 1, &wallet).await;
        let list = stage
            .get(ANA, &format!("/api/v1/tickets?orderId={order}"))
            .await
            .ok(200);
        let word = |name: &str| list.items()[0][name].as_str().unwrap().to_owned();
        tickets.push((order, word("id"), word("token")));
    }
    open_doors(&stage);
    let path = format!("/api/v1/events/{}/check-ins", gig.event);
    for (n, (order, id, token)) in tickets.iter().enumerate() {
        let body = json!({
            "token": token, "nonce": nonce(n as u128), "deviceId": "d", "scannedAt": stage.at(0),
        });
        let scan = stage.post(OLGA, &path, body);
        let refund = stage.refund(OLGA, order, json!({"ticketIds": [id]}));
        let (scanned, refunded) = match n % 2 {
            0 => tokio::join!(scan, refund),
            _ => {
                let (refunded, scanned) = tokio::join!(refund, scan);
                (scanned, refunded)
            }
        };
        let scanned = scanned.ok(200);
        let status = stage
            .get(ANA, &format!("/api/v1/tickets/{id}"))
            .await
            .ok(200);
        let agreed = (
            verdict(&scanned.body).1.to_owned(),
            refunded.status,
            status.text_of("status"),
        );
        let allowed = [("ok", 409, "used"), ("refunded", 202, "refunded")];
        let fits = |(reason, code, state): &(&str, u16, &str)| {
            (agreed.0.as_str(), agreed.1, agreed.2.as_str()) == (*reason, *code, *state)
        };
        assert!(allowed.iter().any(fits), "{agreed:?} {}", refunded.text);
        outcomes.insert(agreed.0);
    }
    println!("seen: {outcomes:?}");
}
