//! The ledger API over HTTP, and the events that follow from postings.

mod accounts;
mod events;
mod evidence;
mod feed;
mod files;
mod lists;
mod transfers;

use axum::body::Body;
use http::Request;
use serde_json::{Value, json};

use crate::support::{Reply, Server};

/// Holds every permission of the ledger.
const ADMIN: &str = "admin:root";
/// `ledger:read`, `ledger:write`, `ledger:backdate`; neither `ledger:system` nor `ledger:admin`.
const SERVICE: &str = crate::support::SERVICE;

const TRANSFERS: &str = "/api/v1/ledger/transfers";
const ACCOUNTS: &str = "/api/v1/ledger/accounts";

/// A server with the BRL accounts `a` and `b` (no floor) and `poor` (floor 0).
async fn server() -> Server {
    let server = Server::start();
    for (id, free) in [("a", true), ("b", true), ("poor", false)] {
        open(&server, id, "BRL", free).await;
    }
    server
}

async fn open(server: &Server, id: &str, asset: &str, may_overdraw: bool) {
    let body = json!({"id": id, "asset": asset, "kind": "liability", "mayOverdraw": may_overdraw});
    server.post(SERVICE, ACCOUNTS, body).await.ok(201);
}

/// A transfer from `debit` to `credit`.
fn item(id: &str, debit: &str, credit: &str, amount: &str) -> Value {
    json!({
        "id": id, "debitAccountId": debit, "creditAccountId": credit,
        "amountMinor": amount, "asset": "BRL", "code": "test",
    })
}

/// An item with more members.
fn with(mut item: Value, members: Value) -> Value {
    for (name, value) in members.as_object().expect("an object") {
        item[name] = value.clone();
    }
    item
}

/// Sends a batch as the service.
async fn batch(server: &Server, items: Vec<Value>) -> Reply {
    server
        .post(SERVICE, TRANSFERS, json!({"transfers": items}))
        .await
}

/// The codes of a batch's results.
async fn codes(server: &Server, items: Vec<Value>) -> Vec<String> {
    let reply = batch(server, items).await.ok(200);
    let results = reply.body["results"].as_array().expect("results");
    let code = |result: &Value| result["code"].as_str().expect("a code").to_owned();
    results.iter().map(code).collect()
}

/// Balance of an account, in minor units.
async fn balance(server: &Server, id: &str) -> String {
    let path = format!("{ACCOUNTS}/{id}/balance");
    server
        .get(SERVICE, &path)
        .await
        .ok(200)
        .text_of("balance")
        .to_owned()
}

/// Last record of the ledger.
async fn last_seq(server: &Server) -> u64 {
    let head = server.get(SERVICE, "/api/v1/ledger").await.ok(200);
    head.body["lastSeq"].as_u64().expect("a number")
}

/// PATCH, perhaps with `If-Match`.
async fn patch(
    server: &Server,
    who: &str,
    path: &str,
    body: Value,
    if_match: Option<&str>,
) -> Reply {
    let mut request = Request::patch(path)
        .header("authorization", who)
        .header("content-type", "application/json");
    if let Some(version) = if_match {
        request = request.header("if-match", version);
    }
    let request = request.body(Body::from(body.to_string()));
    server.send(request.expect("a request")).await
}

/// Every line of a reply as JSON.
fn lines(reply: &Reply) -> Vec<Value> {
    let line = |line: &str| serde_json::from_str(line).expect("a line of JSON");
    reply.text.lines().map(line).collect()
}
