//! `florin dr drill --aws` against a stand-in for AWS whose "restored cluster" is a real PostgreSQL: the
//! newest snapshot is compared, the report is kept, and what was made goes again, however it ends.

use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::{HeaderMap, Method, Uri};
use serde_json::Value;

use crate::drill::Site;
use crate::server::launch::florin_with;

/// What the stand-in was asked, what was put, and where its restored cluster listens.
#[derive(Default)]
struct Aws {
    asked: Mutex<Vec<String>>,
    put: Mutex<Vec<(String, String)>>,
    port: u16,
}

async fn answer(
    State(aws): State<Arc<Aws>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: String,
) -> String {
    if method == Method::PUT {
        let mut put = aws.put.lock().expect("not poisoned");
        put.push((uri.path().to_owned(), body));
        return String::new();
    }
    if headers.contains_key("x-amz-target") {
        return r#"{"Parameters":[{"Name":"/florin/staging/rds_identifier","Value":"florin-staging-database"},{"Name":"/florin/staging/bucket_names","Value":"{\"backups\":\"florin-staging-backups\"}"}]}"#.to_owned();
    }
    let action = body
        .split('&')
        .find_map(|pair| pair.strip_prefix("Action="));
    let action = action.unwrap_or_default().to_owned();
    let is_drill = body.contains("florin-staging-database-drill");
    aws.asked
        .lock()
        .expect("not poisoned")
        .push(format!("{action}{}", if is_drill { " drill" } else { "" }));
    match action.as_str() {
        "DescribeDBClusters" if is_drill => {
            format!("<R><Endpoint>127.0.0.1</Endpoint><Port>{}</Port></R>", aws.port)
        }
        "DescribeDBClusters" => "<R><DBSubnetGroup>group</DBSubnetGroup><VpcSecurityGroupId>sg-1</VpcSecurityGroupId></R>".to_owned(),
        "DescribeDBClusterSnapshots" => "<R><DBClusterSnapshot><DBClusterSnapshotIdentifier>newest</DBClusterSnapshotIdentifier><SnapshotCreateTime>2026-11-20T03:00:00Z</SnapshotCreateTime><Status>available</Status></DBClusterSnapshot></R>".to_owned(),
        "RestoreDBClusterFromSnapshot" => {
            assert!(body.contains("SnapshotIdentifier=newest") && body.contains("florin%3Aallow-replace"), "{body}");
            "<R/>".to_owned()
        }
        "DescribeDBInstances" => "<R><DBInstanceStatus>available</DBInstanceStatus></R>".to_owned(),
        _ => "<R/>".to_owned(),
    }
}

/// Code, outcome, what was asked for and what was put.
fn drill(source: &str, port: u16) -> (Option<i32>, Value, String, Arc<Aws>) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let aws = Arc::new(Aws {
        port,
        ..Aws::default()
    });
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"));
    let listener = listener.expect("a port");
    let place = listener.local_addr().expect("an address");
    let app = axum::Router::new()
        .fallback(answer)
        .with_state(Arc::clone(&aws));
    let serving = runtime.spawn(async move { axum::serve(listener, app).await });
    let env = [
        ("AWS_ENDPOINT_URL", format!("http://{place}")),
        ("AWS_ACCESS_KEY_ID", "test".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        ("AWS_REGION", "us-west-2".to_owned()),
        ("FLORIN_DRILL_SOURCE", source.to_owned()),
    ];
    let args = ["dr", "drill", "--aws", "staging", "--output", "json"];
    let (code, out, err) = florin_with(&args, &env);
    serving.abort();
    let outcome = serde_json::from_str(&out).unwrap_or(Value::Null);
    (code, outcome, err, aws)
}

const MADE_AND_GONE: [&str; 4] = [
    "RestoreDBClusterFromSnapshot drill",
    "CreateDBInstance drill",
    "DeleteDBInstance drill",
    "DeleteDBCluster drill",
];

fn changes(aws: &Aws) -> Vec<String> {
    let asked = aws.asked.lock().expect("not poisoned");
    let changes = asked.iter().filter(|call| !call.starts_with("Describe"));
    changes.cloned().collect()
}

#[test]
fn dep_138_dep_139_a_snapshot_is_compared_and_goes_again() {
    let (Some(here), Some(there)) = (
        Site::start("dep_139_a_snapshot_is_compared"),
        Site::start("dep_139_a_snapshot_is_compared"),
    ) else {
        return;
    };
    // The same name of the database on both sides, as in a snapshot.
    let (live, copy) = (here.create("florin"), there.create("florin"));
    let server = here.serve(&live);
    let wallet = server.funded("BRL", "10.00");
    // Workers note where they stand with their first look; what came after the copy would be missed.
    for table in [
        "bus_leases",
        "feed_positions",
        "tk_card_positions",
        "tk_card_reports",
        "tk_fold_position",
        "tk_posting_position",
    ] {
        let rows = format!("SELECT count(*) FROM florin.{table}");
        let begun = std::time::Instant::now();
        while here.ask(&live, &rows) == "0" {
            assert!(begun.elapsed().as_secs() < 60, "no row in {table}");
            std::thread::park_timeout(std::time::Duration::from_millis(50));
        }
    }
    let home = tempfile::tempdir().expect("temporary folder");
    let file = home.path().join("dump");
    let file = file.to_str().expect("plain");
    here.dump(&live, file);
    let restore = ["--exit-on-error", "--no-owner", "--dbname", &copy, file];
    there.program("pg_restore", &restore);
    server.withdraw(&wallet, "1.00").ok(200);

    let (code, outcome, err, aws) = drill(&live, there.port());
    assert_eq!(code, Some(0), "{outcome} {err}");
    assert!(
        outcome["recordsAfterBackup"].as_u64() > Some(0),
        "{outcome}"
    );
    assert_eq!(changes(&aws), MADE_AND_GONE);
    let put = aws.put.lock().expect("not poisoned").clone();
    let (path, report) = put.first().expect("a report");
    assert!(
        path.starts_with("/florin-staging-backups/exports/drills/"),
        "{path}"
    );
    let report: Value = serde_json::from_str(report).expect("JSON");
    assert_eq!(report["restored"], outcome["restored"]);

    // A snapshot in which somebody raised a balance is found out, and goes all the same.
    let raise = "UPDATE florin_ledger.balances SET cp = cp + 1";
    there.program("psql", &["--quiet", "--dbname", &copy, "--command", raise]);
    let (code, _, err, aws) = drill(&live, there.port());
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("the restored ledger does not verify"), "{err}");
    assert_eq!(changes(&aws), MADE_AND_GONE);
}
