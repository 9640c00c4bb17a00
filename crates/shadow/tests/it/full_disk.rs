//! A store that is full, or gone: nothing is done or nobody knows, reads go on where they can, and
//! everything goes on when there is room, or a server, again (contract F2).

use florin_platform::sql::{Db, Query, query};
use florin_platform::testing::postgres::TestPostgres;
use florin_shadow::store::Settings;
use florin_shadow::store::rebuild::{Request, verify};

use crate::support::bench_on;
use crate::web::{json, over};

const TIME: i64 = 1_735_561_800_000;
const BALANCE: &str = "/api/v1/shadow/accounts/A1/shadow-balance";

#[tokio::test]
async fn a_full_disk_refuses_and_recovers() {
    let dir = tempfile::tempdir().expect("a folder");
    let db = Db::open_sqlite(&dir.path().join("shadow.db")).await;
    let db = db.expect("opens");
    let web = over(bench_on(db.clone(), Settings::default()).await);
    web.event(&json("E0", "A1", "credit", "1", TIME))
        .await
        .ok(202);
    let rows = db.fetch_all(query("PRAGMA page_count")).await;
    let pages: i64 = rows.expect("reads")[0].get("page_count").expect("pages");
    let limit = |pages: i64| Query::assembled(format!("PRAGMA max_page_count = {pages}"));
    // As a disk that has no room for another page.
    db.execute(limit(pages)).await.expect("limited");
    let mut accepted = 1;
    let refused = loop {
        let body = json(
            &format!("E{accepted}"),
            "A1",
            "credit",
            "1",
            TIME + accepted,
        );
        let reply = web.event(&body).await;
        if reply.status != 202 {
            break reply;
        }
        accepted += 1;
        assert!(accepted < 2_000, "it never gets full");
    };
    assert_eq!(
        refused.code(),
        (503, "store_unavailable"),
        "{}",
        refused.text
    );
    let shown = web.get(BALANCE).await.ok(200);
    assert_eq!(
        shown.body["balance"], accepted,
        "reads go on, nothing was done"
    );
    db.execute(limit(pages + 10_000)).await.expect("room again");
    let again = json(
        &format!("E{accepted}"),
        "A1",
        "credit",
        "1",
        TIME + accepted,
    );
    web.event(&again).await.ok(202);
    let shown = web.get(BALANCE).await.ok(200);
    assert_eq!(shown.body["balance"], accepted + 1);
    let report = verify(&db, &Request::default(), &|_| {}).await;
    assert!(report.expect("runs").is_good());
}

/// INV-S1, INV-S2: whatever was answered while the server was away, the same request settles it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_gone_refuses_writes_and_comes_back() {
    let Some(server) = TestPostgres::start().await else {
        return;
    };
    let db = server.fresh().await;
    let web = over(bench_on(db.clone(), Settings::default()).await);
    let send = |n: i64| {
        let body = json(&format!("E{n}"), "A1", "credit", "1", TIME + n);
        let web = &web;
        async move { web.event(&body).await }
    };
    send(0).await.ok(202);
    server.crash();
    let sent = futures_util::future::join_all((1..20).map(send));
    let back = async {
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        tokio::task::block_in_place(|| server.run());
    };
    let (replies, ()) = tokio::join!(sent, back);
    for (n, reply) in (1..).zip(replies) {
        let known = reply.status == 202
            || reply.code() == (503, "store_unavailable")
            || reply.code() == (503, "commit_unknown");
        assert!(known, "{}", reply.text);
        let acked = reply.status == 202;
        let again = send(n).await;
        assert!(
            again.code() == (409, "duplicate_event") || (again.status == 202 && !acked),
            "{}",
            again.text
        );
    }
    let shown = web.get(BALANCE).await.ok(200);
    assert_eq!(shown.body["balance"], 20, "each once");
    let report = verify(&db, &Request::default(), &|_| {}).await;
    assert!(report.expect("runs").is_good());
}
