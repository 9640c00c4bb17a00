//! Import of statements through its routes (contract D1, F3 rows 38 to 48, INV-S20).

use florin_shadow::statements::input::Limits as Sizes;
use florin_shadow::store::Settings;
use serde_json::json;

use crate::reconciling_world::*;
use crate::statements::{fixture, text};
use crate::support::bench;

#[tokio::test]
pub async fn a_file_is_imported_once() {
    let world = world().await;
    let file = fixture("camt053_v08.xml");
    let refused = world.import("", file.clone()).await;
    assert_eq!(
        refused.code(),
        (422, "account_unmapped"),
        "row 45: {}",
        refused.text
    );
    let path = "/account-refs/BR1800360305000010009795493C1";
    world
        .json("PUT", path, json!({"accountId": "A1"}))
        .await
        .ok(200);
    assert_eq!(world.get(path).await.ok(200).body["accountId"], "A1");

    let first = world.import("", file.clone()).await.ok(201);
    let id = first.body["importId"].as_str().expect("id");
    assert_eq!(
        first.headers["location"],
        format!("/api/v1/shadow/imports/{id}")
    );
    assert_eq!(first.body["fileDigest"].as_str().map(str::len), Some(64));
    let statement = &first.body["statements"][0];
    assert_eq!(statement["accountId"], "A1");
    assert_eq!(statement["proven"], true);
    assert_eq!(statement["duplicate"], false);
    assert_eq!(statement["continuity"], "first");
    assert!(
        first
            .text
            .contains("\"openingBalance\":1000,\"closingBalance\":1034.5,\"lines\":3"),
        "{}",
        first.text
    );
    assert_eq!(
        statement["warnings"],
        json!([
            "detail_sum_differs",
            "pending_left_out",
            "information_left_out"
        ])
    );

    let again = world.import("", file.clone()).await.ok(200);
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(again.text, first.text);
    let packed = world.import("", gzip(&file)).await.ok(201);
    assert_eq!(packed.body["statements"][0]["duplicate"], true);
    assert_eq!(
        packed.body["statements"][0]["statementId"],
        statement["statementId"]
    );
    assert_eq!(
        (
            world.count("shadow_statements").await,
            world.count("shadow_lines").await
        ),
        (1, 3)
    );
    let other = text("camt053_v08.xml").replace("Invoice 7", "Invoice 8");
    let conflict = world.import("", other).await;
    assert_eq!(conflict.code(), (409, "statement_conflict"), "row 48");
    assert_eq!(world.count("shadow_lines").await, 3);

    let id = statement["statementId"].as_str().expect("id");
    let shown = world
        .get(&format!("/statements/{id}?money=string"))
        .await
        .ok(200);
    assert_eq!(
        shown.body["closing"],
        json!({"amount": "1034.50", "date": "2025-01-03"})
    );
    let lines = world
        .items(&format!("/lines?statementId={id}&limit=2"))
        .await;
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["lineId"], format!("{id}.1"));
    assert_eq!(lines[0]["references"]["endToEndId"], "INV 7");
    assert_eq!(
        (&lines[0]["status"], &lines[0]["reason"]),
        (&json!("unmatched"), &json!("no_candidate"))
    );
    let page = world.get(&format!("/lines?statementId={id}&limit=2")).await;
    let cursor = page.body["nextCursor"].as_str().expect("more");
    let rest = world
        .items(&format!("/lines?statementId={id}&limit=2&cursor={cursor}"))
        .await;
    assert_eq!(rest.len(), 1);
    assert_eq!(rest[0]["details"][1]["amount"], -5);
}

/// Rows 38 to 47 over HTTP, and INV-S20: what is refused leaves nothing.
#[tokio::test]
pub async fn refused_files_leave_nothing() {
    let world = world().await;
    let good = text("camt053_v08.xml");
    let with = |from: &str, to: &str| good.replacen(from, to, 1).into_bytes();
    let cases: Vec<(&str, Vec<u8>, u16, &str)> = vec![
        (
            "row 38",
            fixture("camt053_bomb.xml"),
            400,
            "xml_dtd_refused",
        ),
        (
            "row 39",
            good.as_bytes()[..good.len() - 60].to_vec(),
            400,
            "statement_unreadable",
        ),
        (
            "row 41",
            with(">1034.5<", ">1034.51<"),
            422,
            "statement_out_of_balance",
        ),
        (
            "row 42",
            with("<c:Cd>CLBD</c:Cd>", "<c:Cd>CLXX</c:Cd>"),
            422,
            "balance_missing",
        ),
        (
            "row 43",
            with("<c:Amt Ccy=\"BRL\">40.00", "<c:Amt Ccy=\"USD\">40.00"),
            422,
            "currency_mismatch",
        ),
        (
            "row 44",
            with("camt.053.001.08", "camt.052.001.08"),
            422,
            "unsupported_message",
        ),
        (
            "row 44",
            with("camt.053.001.08", "camt.053.001.14"),
            422,
            "unsupported_version",
        ),
        (
            "row 46",
            b":20:X\n:25:\xff\n".to_vec(),
            400,
            "charset_error",
        ),
        ("row 47", b"a;b\n1;2\n".to_vec(), 400, "profile_unknown"),
    ];
    for (row, file, status, code) in cases {
        let reply = world.import("accountId=A1", file).await;
        assert_eq!(reply.code(), (status, code), "{row}: {}", reply.text);
        assert_eq!(reply.body["error"], code, "{row}");
        for table in ["shadow_imports", "shadow_statements", "shadow_lines"] {
            assert_eq!(world.count(table).await, 0, "{row}: {table}");
        }
    }
    let off = world
        .import("accountId=A1", with(">1034.5<", ">1034.51<"))
        .await;
    assert_eq!(off.body["expected"], json!(1034.51));
    assert_eq!(off.body["difference"], json!(0.01));
    let cut = world
        .import("accountId=A1", good.as_bytes()[..good.len() - 60].to_vec())
        .await;
    assert!(
        cut.body["line"].as_u64().is_some_and(|line| line > 70),
        "{}",
        cut.text
    );
    assert_eq!(
        world.import("profile=none&accountId=A1", "a").await.code(),
        (400, "profile_unknown")
    );
    let profile = json!({"datePattern": "YYYY-MM-DD", "columns": {"date": "d", "amount": "a"}});
    world
        .json("PUT", "/csv-profiles/bank", profile)
        .await
        .ok(200);
    let reply = world
        .import("profile=bank&accountId=A1", "d,a\n2025-02-31,1\n")
        .await;
    assert_eq!(reply.code(), (422, "invalid_date"), "row 47");
    let reply = world.import("profile=bank", "d,a\n2025-02-01,1\n").await;
    assert_eq!(reply.code(), (422, "account_unmapped"));
    let good = world
        .import(
            "profile=bank&accountId=A1&opening=0&closing=1",
            "d,a\n2025-02-01,1\n",
        )
        .await;
    assert_eq!(good.ok(201).body["statements"][0]["proven"], true);
}

/// Row 40.
#[tokio::test]
pub async fn a_gzip_bomb_is_too_large() {
    let settings = Settings::default();
    let sizes = Sizes {
        packed: 10_000,
        unpacked: 100_000,
    };
    let world = world_on(bench(settings).await, sizes);
    let bomb = gzip(camt("S", 0, &vec![(100, 2, "R"); 5_000]).as_bytes());
    assert!(bomb.len() < 10_000, "{}", bomb.len());
    let reply = world.import("accountId=A1", bomb).await;
    assert_eq!(reply.code(), (413, "body_too_large"));
    let long = world.import("accountId=A1", vec![b'x'; 10_001]).await;
    assert_eq!(long.code(), (413, "body_too_large"));
    assert_eq!(world.count("shadow_lines").await, 0);
}

#[tokio::test]
pub async fn partial_keeps_what_passes_and_multipart_is_unwrapped() {
    let world = world().await;
    let off = text("statement.bai").replacen("49,210100,7/", "49,210101,7/", 1);
    for (number, account) in [("0975312468", "A1"), ("0975312469", "A2")] {
        let path = format!("/account-refs/{number}");
        world
            .json("PUT", &path, json!({"accountId": account}))
            .await
            .ok(200);
    }
    assert_eq!(
        world.import("", off.clone()).await.code(),
        (422, "statement_out_of_balance")
    );
    let body = format!(
        "--XyZ\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.bai\"\r\n\r\n{off}\r\n--XyZ--\r\n"
    );
    let headers = [("content-type", "multipart/form-data; boundary=XyZ")];
    let path = "/api/v1/shadow/statements?partial=true";
    let reply = world
        .web
        .send(OPERATOR, "POST", path, &headers, body.into_bytes())
        .await
        .ok(201);
    assert_eq!(reply.body["statements"][0]["accountId"], "A2");
    assert_eq!(reply.body["refused"][0]["code"], "statement_out_of_balance");
    assert_eq!(world.count("shadow_lines").await, 1);
    // The rest may come once it is right; what is there is a duplicate.
    let whole = world.import("", text("statement.bai")).await.ok(201);
    let duplicates: Vec<_> = whole.body["statements"]
        .as_array()
        .expect("two")
        .iter()
        .map(|s| s["duplicate"].clone())
        .collect();
    assert_eq!(duplicates, [json!(false), json!(true)]);
}

#[tokio::test]
pub async fn ofx_goes_on_from_the_closing_before() {
    let world = world().await;
    let file = fixture("statement_v1.ofx");
    let alone = world.import("accountId=A1", file.clone()).await;
    assert_eq!(alone.code(), (422, "balance_missing"));
    let first = world
        .import("accountId=A1&opening=100", file.clone())
        .await
        .ok(201);
    assert_eq!(first.body["statements"][0]["proven"], true);
    let next = String::from_utf8_lossy(&file)
        .replace("USASCII", "UTF-8")
        .replace("202501", "202502")
        .replace("249.75", "399.50")
        .replace("<DTASOF>20250231", "<DTASOF>20250228")
        .replace("<DTEND>20250231", "<DTEND>20250228");
    let second = world.import("accountId=A1", next.clone()).await.ok(201);
    let statement = &second.body["statements"][0];
    assert_eq!(
        (&statement["proven"], &statement["continuity"]),
        (&json!(true), &json!("ok"))
    );
    assert_eq!(statement["openingBalance"], json!(249.75));
    let off = next.replace("399.50", "399.51").replace("202502", "202503");
    assert_eq!(
        world.import("accountId=A1", off).await.code(),
        (422, "statement_out_of_balance")
    );
}

#[tokio::test]
pub async fn rows_met_twice_wait_for_a_person() {
    let world = world().await;
    let first = camt("S1", 0, &[(100, 2, "A"), (100, 2, "A"), (200, 3, "B")]);
    world.import("accountId=A1", first).await.ok(201);
    // Overlaps by one of the equal rows and one more; its opening leaves a gap.
    let second = camt("S2", 300, &[(100, 2, "A"), (200, 3, "B"), (50, 4, "C")]);
    let reply = world.import("accountId=A1", second).await.ok(201);
    let statement = &reply.body["statements"][0];
    assert_eq!(
        (&statement["continuity"], &statement["gap"]),
        (&json!("gap"), &json!(-1))
    );
    let id = statement["statementId"].as_str().expect("id");
    let lines = world.items(&format!("/lines?statementId={id}")).await;
    let reasons: Vec<_> = lines
        .iter()
        .map(|line| line["reason"].as_str().expect("open"))
        .collect();
    assert_eq!(
        reasons,
        [
            "possible_duplicate_line",
            "possible_duplicate_line",
            "no_candidate"
        ]
    );
    let twice = world.items("/lines?accountId=A1&limit=2").await;
    assert_eq!(
        (&twice[0]["occurrence"], &twice[1]["occurrence"]),
        (&json!(1), &json!(2))
    );

    let line = format!("/lines/{id}.1");
    let needed = world
        .json("POST", &format!("{line}/ignore"), json!({}))
        .await;
    assert_eq!(needed.code(), (400, "required"));
    let ignored = world
        .json(
            "POST",
            &format!("{line}/ignore"),
            json!({"reason": "twice"}),
        )
        .await
        .ok(200);
    assert_eq!(ignored.body["status"], "ignored");
    let again = world
        .json(
            "POST",
            &format!("{line}/ignore"),
            json!({"reason": "twice"}),
        )
        .await;
    assert_eq!(again.code(), (409, "invalid_state"));
    let kept = world
        .json(
            "POST",
            &format!("/lines/{id}.2/keep"),
            json!({"reason": "real"}),
        )
        .await
        .ok(200);
    assert_eq!(
        (&kept.body["status"], &kept.body["reason"]),
        (&json!("unmatched"), &json!("no_candidate"))
    );
    assert_eq!(
        world.get(&format!("/lines/{id}.9")).await.code(),
        (404, "line_not_found")
    );

    // INV-S22 with a gap, an ignored line and open ones.
    let run = world.reconcile("A1").await;
    let bridge = &run.body["bridge"];
    assert_eq!(bridge["holds"], true, "{}", run.text);
    assert_eq!(bridge["gaps"], json!(-1));
    assert_eq!(bridge["ignoredLines"], json!(1));
    assert_eq!(bridge["bankClosing"], json!(6.5));
}

#[tokio::test]
pub async fn only_operators_import_and_match() {
    let world = world().await;
    for who in ["auditor:eve", "admin:root", "service:feed", "user:u"] {
        for (method, path) in [
            ("POST", "/statements"),
            ("PUT", "/csv-profiles/x"),
            ("PUT", "/account-refs/x"),
            ("POST", "/reconciliations"),
            ("POST", "/matches"),
            ("POST", "/matches/x/undo"),
            ("POST", "/lines/x/keep"),
        ] {
            let path = format!("/api/v1/shadow{path}");
            let reply = world
                .web
                .send(who, method, &path, &[], b"{}".to_vec())
                .await;
            assert_eq!(reply.code(), (403, "forbidden"), "{who} {method} {path}");
        }
    }
    let narrow = "operator:olga:B-*";
    let path = "/api/v1/shadow/statements?accountId=A1";
    let reply = world
        .web
        .send(narrow, "POST", path, &[], camt("S", 0, &[]).into_bytes())
        .await;
    assert_eq!(reply.code(), (403, "account_out_of_scope"));
}

/// A file larger than every chunk on its way is stored whole, and read back whole.
#[tokio::test]
pub async fn long_statements_are_stored_in_chunks() {
    let world = world().await;
    let lines: Vec<(i128, u32, &str)> = (0..20_000).map(|n| (n + 1, 2, "")).collect();
    let reply = world
        .import("accountId=A1", camt("S", 0, &lines))
        .await
        .ok(201);
    assert_eq!(reply.body["statements"][0]["lines"], 20_000);
    assert_eq!(world.count("shadow_lines").await, 20_000);
    let closing = reply.body["statements"][0]["closingBalance"].clone();
    assert_eq!(closing, json!(2_000_100));
}
