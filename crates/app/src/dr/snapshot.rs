//! `florin dr drill --aws` (DEP-139): the newest snapshot of an environment's database, restored into a
//! cluster that lives as long as the drill.
//!
//! Boundary: makes and removes a cluster and an instance whose names end with `-drill`, and writes the
//! report; the environment's own database is read alone.
//!
//! Invariant: what was made is removed, however the drill ends.

use std::time::Duration;

use anyhow::Context as _;
use florin_base::clock::{Clock as _, SystemClock};
use florin_base::time::Timestamp;
use serde_json::Value;

use crate::aws::client::{CallError, Client, Rest, Settings};
use crate::aws::{outputs, xml};
use crate::cli::block_on;
use crate::fail::failure;

const VERSION: &str = "2014-10-31";
const ENGINE: &str = "aurora-postgresql";
/// Class of the instance that looks at the restored data.
const CLASS: &str = "db.r6g.large";
/// Longest wait for the instance, and between two looks at it.
const WAIT: Duration = Duration::from_secs(3_600);
const LOOK: Duration = Duration::from_secs(20);

/// What was restored.
pub struct Restored {
    cluster: String,
    /// Where it listens.
    pub host: String,
    /// On which port.
    pub port: String,
    /// Bucket of reports.
    bucket: String,
}

async fn client() -> anyhow::Result<Client<SystemClock>> {
    Client::open(Settings::from_environment(), SystemClock).await
}

async fn rds(
    client: &Client<SystemClock>,
    action: &str,
    pairs: &[(&str, &str)],
) -> Result<String, CallError> {
    client.query("rds", VERSION, action, pairs).await
}

/// Restores the newest snapshot, and waits until it answers.
pub fn restore(environment: &str) -> anyhow::Result<Restored> {
    block_on(async {
        let client = client().await?;
        let outputs = outputs(&client, environment).await?;
        let output = |name: &str| {
            let value = outputs.get(name).map(String::as_str);
            value.with_context(|| format!("/florin/{environment}/{name} is not there"))
        };
        let source = output("rds_identifier")?;
        let buckets: Value = serde_json::from_str(output("bucket_names")?)?;
        let bucket = buckets.get("backups").and_then(Value::as_str);
        let bucket = bucket.context("no bucket of backups")?.to_owned();
        let about = rds(
            &client,
            "DescribeDBClusters",
            &[("DBClusterIdentifier", source)],
        )
        .await?;
        let listed = rds(
            &client,
            "DescribeDBClusterSnapshots",
            &[("DBClusterIdentifier", source)],
        )
        .await?;
        let snapshot = newest(&listed).ok_or_else(|| {
            failure(
                format!("{source} has no snapshot"),
                "wait for the first backup, or make one by hand",
            )
        })?;
        let cluster = format!("{source}-drill");
        make(&client, &cluster, &snapshot, &about)
            .await
            .context("restoring the snapshot")?;
        let made = waited(&client, &cluster).await;
        let (host, port) = match made {
            Ok(place) => place,
            Err(error) => {
                remove_both(&client, &cluster).await?;
                return Err(error);
            }
        };
        Ok(Restored {
            cluster,
            host,
            port,
            bucket,
        })
    })
}

/// Identifier of the youngest snapshot that is complete.
fn newest(listed: &str) -> Option<String> {
    let snapshots = xml::all(listed, "DBClusterSnapshot");
    let complete = snapshots
        .into_iter()
        .filter(|one| xml::first(one, "Status") == Some("available"));
    let youngest = complete.max_by_key(|&one| xml::first(one, "SnapshotCreateTime"))?;
    xml::first(youngest, "DBClusterSnapshotIdentifier").map(str::to_owned)
}

async fn make(
    client: &Client<SystemClock>,
    cluster: &str,
    snapshot: &str,
    about: &str,
) -> Result<(), CallError> {
    let group = xml::first(about, "DBSubnetGroup").unwrap_or_default();
    let security = xml::first(about, "VpcSecurityGroupId").unwrap_or_default();
    // The tag lets the cluster go again (the boundary of bootstrap/).
    let pairs = [
        ("DBClusterIdentifier", cluster),
        ("SnapshotIdentifier", snapshot),
        ("Engine", ENGINE),
        ("DBSubnetGroupName", group),
        ("VpcSecurityGroupIds.VpcSecurityGroupId.1", security),
        ("Tags.Tag.1.Key", "florin:allow-replace"),
        ("Tags.Tag.1.Value", "yes"),
    ];
    rds(client, "RestoreDBClusterFromSnapshot", &pairs).await?;
    let instance = format!("{cluster}-1");
    let pairs = [
        ("DBInstanceIdentifier", instance.as_str()),
        ("DBClusterIdentifier", cluster),
        ("DBInstanceClass", CLASS),
        ("Engine", ENGINE),
        ("PubliclyAccessible", "false"),
        ("Tags.Tag.1.Key", "florin:allow-replace"),
        ("Tags.Tag.1.Value", "yes"),
    ];
    if let Err(error) = rds(client, "CreateDBInstance", &pairs).await {
        // Half of it is nothing: the cluster goes again, and the first reason is told.
        let _ = remove_both(client, cluster).await;
        return Err(error);
    }
    Ok(())
}

/// Host and port, once the instance answers.
async fn waited(client: &Client<SystemClock>, cluster: &str) -> anyhow::Result<(String, String)> {
    let instance = format!("{cluster}-1");
    let ready = async {
        loop {
            let pairs = [("DBInstanceIdentifier", instance.as_str())];
            let about = rds(client, "DescribeDBInstances", &pairs).await?;
            if xml::first(&about, "DBInstanceStatus") == Some("available") {
                return Ok::<(), CallError>(());
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(WAIT, ready)
        .await
        .context("the restored database did not become available in an hour")??;
    let about = rds(
        client,
        "DescribeDBClusters",
        &[("DBClusterIdentifier", cluster)],
    )
    .await?;
    let host = xml::first(&about, "Endpoint").context("the restored cluster has no endpoint")?;
    let port = xml::first(&about, "Port").unwrap_or("5432");
    Ok((host.to_owned(), port.to_owned()))
}

async fn remove_both(client: &Client<SystemClock>, cluster: &str) -> anyhow::Result<()> {
    let instance = format!("{cluster}-1");
    let pairs = [
        ("DBInstanceIdentifier", instance.as_str()),
        ("SkipFinalSnapshot", "true"),
    ];
    let first = rds(client, "DeleteDBInstance", &pairs).await;
    let pairs = [
        ("DBClusterIdentifier", cluster),
        ("SkipFinalSnapshot", "true"),
    ];
    rds(client, "DeleteDBCluster", &pairs)
        .await
        .with_context(|| format!("{cluster} stays and costs money: remove it by hand"))?;
    first.with_context(|| format!("{instance} stays and costs money: remove it by hand"))?;
    Ok(())
}

impl Restored {
    /// Removes what was made.
    pub fn remove(&self) -> anyhow::Result<()> {
        block_on(async { remove_both(&client().await?, &self.cluster).await })
    }

    /// Keeps the report beside the backups; the key under which it lies.
    pub fn keep(&self, report: &Value) -> anyhow::Result<String> {
        let at = Timestamp(SystemClock.wall_micros()).to_string();
        let key = format!("exports/drills/{}.json", at[..19].replace(':', ""));
        let path = format!("/{}/{key}", self.bucket);
        let body = serde_json::to_vec(report)?;
        block_on(async {
            let put = Rest {
                method: "PUT",
                path: &path,
                query: &[],
                body: &body,
            };
            client().await?.rest("s3", put).await?;
            Ok(())
        })?;
        Ok(key)
    }
}

/// A URL that leads to another host: user, password, database and options stay.
pub fn moved(url: &str, host: &str, port: &str) -> anyhow::Result<String> {
    let (scheme, rest) = url.split_once("://").context("not a URL")?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let login = authority.rsplit_once('@').map(|(login, _)| login);
    let login = login.map(|login| format!("{login}@")).unwrap_or_default();
    Ok(format!("{scheme}://{login}{host}:{port}{tail}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_youngest_complete_snapshot_is_taken() {
        let one = |name: &str, time: &str, status: &str| {
            format!(
                "<DBClusterSnapshot><DBClusterSnapshotIdentifier>{name}</DBClusterSnapshotIdentifier><SnapshotCreateTime>{time}</SnapshotCreateTime><Status>{status}</Status></DBClusterSnapshot>"
            )
        };
        let listed = [
            one("old", "2026-11-01T03:00:00Z", "available"),
            one("new", "2026-11-03T03:00:00Z", "available"),
            one("half", "2026-11-04T03:00:00Z", "creating"),
        ]
        .concat();
        assert_eq!(newest(&listed).as_deref(), Some("new"));
        assert_eq!(newest("<R/>"), None);
    }

    #[test]
    fn a_url_keeps_all_but_its_host() {
        let url = "postgres://u:p%40w@old.example.com:5432/florin?sslmode=verify-full";
        assert_eq!(
            moved(url, "new.example.com", "6432").expect("a URL"),
            "postgres://u:p%40w@new.example.com:6432/florin?sslmode=verify-full"
        );
        assert_eq!(
            moved("postgres://h/d", "n", "1").expect("a URL"),
            "postgres://n:1/d"
        );
        assert!(moved("nothing", "n", "1").is_err());
    }
}
