//! INV-S26: no log line, error or metric label of the shadow ledger shows a secret or another
//! tenant's content. Every server of the tests also looks through its own log when it ends
//! ([`Server`]'s drop); here each kind of request is made with content that can be recognised.

use serde_json::json;

use crate::server::{Launch, Reply, Server, Who};

const ACCOUNT: &str = "TENANTSEVEN";
const EVENT: &str = "EVENTOFSEVEN";
/// What nobody else may see: text, reference, source, amount.
const CONTENT: [&str; 4] = ["salaryofseven", "REFOFSEVEN", "sourceofseven", "777123"];
const PASSWORD: &str = "wrongpasswordofseven";
const TOKEN: &str = "eyJhbGciOiJub25lIn0.tokenofseven.x";

fn event(amount: &str) -> String {
    format!(
        r#"{{"eventId":"{EVENT}","accountId":"{ACCOUNT}","type":"credit","amount":{amount},"timestamp":1735732800000,"reference":"REFOFSEVEN","description":"salaryofseven","source":"sourceofseven"}}"#
    )
}

/// Every way of being told something, good and bad.
fn provoke(server: &Server) -> Vec<Reply> {
    let send = |who: Who, path: &str, body: &str| server.call(who, "POST", path).text(body).send();
    let events = "/api/v1/shadow/events";
    let good = event("777123.45");
    let mut replies = Vec::new();
    for body in [
        good.clone(),
        good.clone(),
        event("777123.46"),
        good.replace("\"amount\"", "\"salaryofseven\""),
        good.replace("777123.45", "777123.455"),
        good.replace("1735732800000", "17357328"),
        good[..good.len() - 3].to_owned(),
    ] {
        replies.push(send(Who::Service, events, &body));
    }
    let batch = format!("[{good},{}]", event("777123.47"));
    replies.push(send(Who::Service, "/api/v1/shadow/events/batch", &batch));
    let check = format!(r#"[{{"accountId":"{ACCOUNT}","reportedBalance":777123.00}}]"#);
    replies.push(send(Who::Auditor, "/drift-check", &check));
    let correct = format!("/api/v1/shadow/correct/{ACCOUNT}");
    let body = r#"{"type":"debit","amount":7771230,"reason":"salaryofseven"}"#;
    replies.push(send(Who::Admin, &correct, body));
    let file = b"<Document>salaryofseven REFOFSEVEN 777123".to_vec();
    let call = server.call(Who::Operator, "POST", "/api/v1/shadow/statements");
    replies.push(call.body(file, "application/octet-stream").send());
    let log_in = json!({"userId": server.demo("userName"), "password": PASSWORD});
    replies.push(server.post(Who::Nobody, "/auth/token", log_in));
    let call = server.client.call("GET", "/api/v1/shadow/accounts");
    let bearer = format!("Bearer {TOKEN}");
    replies.push(call.header("authorization", &bearer).send());
    replies
}

#[test]
fn inv_s26_neither_secrets_nor_content_are_shown_to_others() {
    let server = Launch::new().env("FLORIN__LOG__FILTER", "debug").start();
    let replies = provoke(&server);
    let statuses: Vec<u16> = replies.iter().map(|reply| reply.status).collect();
    assert!(
        statuses.contains(&202) && statuses.contains(&409),
        "{statuses:?}"
    );
    assert_eq!(statuses[10..], [422, 401, 401], "{statuses:?}");
    for reply in &replies {
        for secret in [PASSWORD, TOKEN, server.demo("userPassword")] {
            assert!(!reply.text.contains(secret), "{}", reply.text);
        }
    }
    // Another user learns nothing, not even that there is such an account or event.
    let balance = format!("/api/v1/shadow/accounts/{ACCOUNT}/shadow-balance");
    let known = server.get(Who::Bob, &balance);
    let unknown = server.get(Who::Bob, &balance.replace(ACCOUNT, "NOBODY"));
    assert_eq!((known.status, unknown.status), (403, 403));
    let foreign = server.call(Who::Bob, "POST", "/api/v1/shadow/events");
    let foreign = foreign.text(&event("1").replace(ACCOUNT, "OTHER")).send();
    let listed = server.get(Who::Bob, &format!("/api/v1/shadow/events/{EVENT}"));
    for reply in [&known, &unknown, &foreign, &listed] {
        assert_eq!(reply.status, 403, "{}", reply.text);
        for text in CONTENT {
            assert!(!reply.text.contains(text), "{}", reply.text);
        }
    }
    let metrics = server.get(Who::Admin, "/metrics").ok(200).text;
    for text in CONTENT.iter().chain(&[ACCOUNT, EVENT]) {
        let shown = metrics.lines().find(|line| line.contains(text));
        assert_eq!(shown, None, "a label shows {text}");
    }
    let log = server.log();
    assert!(log.lines().count() > 20, "the log has something to look at");
    for text in CONTENT.iter().chain(&[PASSWORD, TOKEN]) {
        let shown = log.lines().find(|line| line.contains(text));
        assert_eq!(shown, None, "the log shows {text}");
    }
}
