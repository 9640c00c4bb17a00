//! A credential that is narrowed to accounts reaches these and no others, on every route of
//! checks, corrections, letters, links, monitors and the audit trail (contract E, row 8).

use crate::desk::house_with_ledger;
use crate::reconciling_world::{JAN, OPERATOR, camt, world};
use crate::support::{NOW, event, take};
use crate::web::Reply;

const MS: i64 = NOW / 1_000;
const NARROW_ADMIN: &str = "admin:ann:A1";
const NARROW_AUDITOR: &str = "auditor:abe:A1,B-*";
/// Narrowed to everything is not narrowed.
const WIDE: &str = "auditor:eve:*";
const OUT: (u16, &str) = (403, "account_out_of_scope");

#[tokio::test]
async fn row_8_a_narrowed_credential_sees_and_moves_nothing_else() {
    let house = house_with_ledger().await;
    for account in ["A1", "A2"] {
        let id = format!("E-{account}");
        house.event(&id, account, "credit", "10", MS - 10).await;
        let id = format!("D-{account}");
        house.event(&id, account, "debit", "50", MS - 5).await;
    }
    let check =
        r#"[{"accountId":"A1","reportedBalance":11},{"accountId":"A2","reportedBalance":12}]"#;
    let made = house.check(check).await.ok(200);
    let check_id = made.body["checkId"].as_str().expect("id").to_owned();
    let root = "/api/v1/shadow";
    let get = |who: &'static str, path: String| {
        let web = &house.web;
        async move {
            web.send(who, "GET", &format!("{root}/{path}"), &[], Vec::new())
                .await
        }
    };
    let count = |reply: Reply| reply.ok(200).body["items"].as_array().map(Vec::len);

    for list in ["corrections", "audit"] {
        let unnamed = get(NARROW_AUDITOR, list.to_owned()).await;
        assert_eq!(unnamed.code(), (400, "required"), "{list}");
        let other = get(NARROW_AUDITOR, format!("{list}?accountId=A2")).await;
        assert_eq!(other.code(), OUT, "{list}");
        get(NARROW_AUDITOR, format!("{list}?accountId=A1"))
            .await
            .ok(200);
        get(WIDE, list.to_owned()).await.ok(200);
    }
    let results = format!("drift-checks/{check_id}/results");
    assert_eq!(count(get(NARROW_AUDITOR, results.clone()).await), Some(1));
    assert_eq!(count(get(WIDE, results).await), Some(2));
    let sums = get(NARROW_AUDITOR, format!("drift-checks/{check_id}")).await;
    assert_eq!(sums.code(), OUT);
    assert_eq!(
        count(get(NARROW_AUDITOR, "drift-checks".to_owned()).await),
        Some(0)
    );
    for path in ["dead-letters", "dead-letters/x", "monitors", "monitors/x"] {
        let reply = get(NARROW_AUDITOR, path.to_owned()).await;
        assert_eq!(reply.code(), OUT, "{path}");
    }
    assert_eq!(get(NARROW_AUDITOR, "links/A2".to_owned()).await.code(), OUT);
    let why = r#"{"reason":"r"}"#;
    for path in [
        "events/D-A2/redrive",
        "events/D-A2/reject",
        "correct/A2?type=credit&amount=1",
        "dead-letters/x/redrive",
    ] {
        let body = if path.starts_with("correct") { "" } else { why };
        let reply = house.admin(NARROW_ADMIN, path, body).await;
        assert_eq!(reply.code(), OUT, "{path}");
    }
    let own = house.admin(NARROW_ADMIN, "events/D-A1/redrive", why).await;
    assert_eq!(own.code(), (409, "would_go_negative"), "its own account");
    let stream = "{\"accountId\":\"A1\",\"reportedBalance\":10}\n";
    for (who, status) in [(NARROW_AUDITOR, 403), (WIDE, 202)] {
        let headers = [("content-type", "application/x-ndjson")];
        let path = format!("{root}/drift-check?checkId=S-{status}");
        let body = stream.as_bytes().to_vec();
        let reply = house.web.send(who, "POST", &path, &headers, body).await;
        assert_eq!(reply.status, status, "{}", reply.text);
    }
}

#[tokio::test]
async fn row_8_statements_of_a_narrowed_operator() {
    let world = world().await;
    take(&world.web.bench.shadow, vec![event("E1", "A2", 5, JAN)]).await;
    let import = |who: &'static str, query: &'static str| {
        let web = &world.web;
        let headers = [("content-type", "application/octet-stream")];
        let path = format!("/api/v1/shadow/statements?{query}");
        let file = camt("S1", 0, &[(5, 5, "Q")]).into_bytes();
        async move { web.send(who, "POST", &path, &headers, file).await }
    };
    let narrow = "operator:nina:A1";
    assert_eq!(import(narrow, "accountId=A2").await.code(), OUT);
    assert_eq!(import(narrow, "").await.code(), (400, "required"));
    import(OPERATOR, "accountId=A2").await.ok(201);
    let lines = world
        .web
        .send(
            NARROW_AUDITOR,
            "GET",
            "/api/v1/shadow/lines?accountId=A2",
            &[],
            Vec::new(),
        )
        .await;
    assert_eq!(lines.code(), OUT);
}
