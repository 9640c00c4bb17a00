//! Transfers between currencies: cases 27 to 29, INV-L17.

use serde_json::json;

use crate::support::{OPERATOR, SERVICE, Server, path};

async fn convert(
    server: &Server,
    who: &str,
    from: &str,
    to: &str,
    amount: &str,
    rate: Option<&str>,
) -> crate::support::Reply {
    let mut body = json!({
        "amount": amount, "destinationWalletId": to, "referenceId": server.reference(),
    });
    if let Some(rate) = rate {
        body["rate"] = json!({"value": rate, "source": "desk"});
    }
    server.post(who, &path(from, "transfer"), body).await
}

#[tokio::test]
async fn case_27_a_rate_is_needed_and_not_everybodys() {
    let server = Server::start();
    let from = server.funded("maria", "BRL", "100.00").await;
    let to = server.wallet("maria", "USD").await;
    let missing = convert(&server, SERVICE, &from, &to, "10.00", None).await;
    assert_eq!(missing.code(), (422, "rate_required"));
    let user = convert(&server, "user:maria", &from, &to, "10.00", Some("0.2")).await;
    assert_eq!(user.code(), (403, "forbidden"));
    let same = server.wallet("joao", "BRL").await;
    let needless = convert(&server, SERVICE, &from, &same, "10.00", Some("1")).await;
    assert_eq!(needless.code(), (400, "rate_not_allowed"));
    let done = convert(&server, SERVICE, &from, &to, "10.00", Some("0.1999"))
        .await
        .ok(200);
    assert_eq!(done.text_of("amount"), "10.00");
    assert_eq!(done.text_of("currency"), "BRL");
    assert_eq!(done.text_of("destinationAmount"), "1.99");
    assert_eq!(done.text_of("destinationCurrency"), "USD");
    assert_eq!(done.text_of("rate"), "0.1999");
    assert_eq!(done.text_of("newBalance"), "90.00");
}

#[tokio::test]
async fn case_28_nothing_is_not_a_result() {
    let server = Server::start();
    let from = server.funded("maria", "BRL", "1.00").await;
    let to = server.wallet("maria", "USD").await;
    let refused = convert(&server, SERVICE, &from, &to, "0.01", Some("0.1999")).await;
    assert_eq!(refused.code(), (400, "amount_too_small"));
}

#[tokio::test]
async fn case_29_results_are_rounded_down() {
    let server = Server::start();
    let brl = server.funded("maria", "BRL", "10.00").await;
    let jpy = server.funded("maria", "JPY", "100").await;
    let usd = server.wallet("maria", "USD").await;
    convert(&server, SERVICE, &brl, &usd, "10.00", Some("0.1999"))
        .await
        .ok(200);
    assert_eq!(server.balance(&usd).await, "1.99");
    convert(&server, SERVICE, &jpy, &usd, "100", Some("0.0065"))
        .await
        .ok(200);
    assert_eq!(server.balance(&usd).await, "2.64");
}

#[tokio::test]
async fn a_conversion_is_one_transaction_on_both_wallets_and_reversed_whole() {
    let server = Server::start();
    let from = server.funded("maria", "BRL", "10.00").await;
    let to = server.wallet("joao", "USD").await;
    let done = convert(&server, SERVICE, &from, &to, "10.00", Some("0.2"))
        .await
        .ok(200);
    let id = done.text_of("id").to_owned();
    for (wallet, direction) in [(&from, "OUT"), (&to, "IN")] {
        let list = server
            .get(SERVICE, &path(wallet, "transactions?type=TRANSFER"))
            .await
            .ok(200);
        let items = list.body["items"].as_array().expect("items").clone();
        assert_eq!(items.len(), 1, "{}", list.text);
        assert_eq!(items[0]["id"], *id);
        assert_eq!(items[0]["direction"], direction);
        assert_eq!(items[0]["amount"], "10.00");
        assert_eq!(items[0]["destinationAmount"], "2.00");
    }
    let reversal = server.reverse(&id, "mistake").await.ok(200);
    assert_eq!(reversal.text_of("id"), format!("{id}:rev"));
    assert_eq!(reversal.text_of("reversalOf"), id);
    assert_eq!(server.balance(&from).await, "10.00");
    assert_eq!(server.balance(&to).await, "0.00");
    let list = server
        .get(OPERATOR, &path(&to, "transactions"))
        .await
        .ok(200);
    assert_eq!(list.body["items"][0]["id"], format!("{id}:rev"));
    assert_eq!(list.body["items"][1]["status"], "REVERSED");
    assert_eq!(list.body["items"][1]["reversedBy"], format!("{id}:rev"));
}
