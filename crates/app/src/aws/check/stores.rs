//! Looks at database, cache, Kafka and buckets, as AWS describes them.

use serde_json::Value;

use super::super::client::{CallError, Rest};
use super::super::{sigv4, xml};
use super::{Context, Finding};

/// Content of the canary object.
const CANARY: &[u8] = b"florin aws check";

fn is_true(text: &str, name: &str) -> bool {
    xml::first(text, name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// Encrypted, available, in several zones, with backups.
pub async fn database(context: &Context) -> Result<Vec<Finding>, CallError> {
    let Some(identifier) = context.output("rds_identifier") else {
        return Ok(Vec::new());
    };
    let parameters = [("DBClusterIdentifier", identifier)];
    let answer = context
        .client
        .query("rds", "2014-10-31", "DescribeDBClusters", &parameters)
        .await?;
    let status = xml::first(&answer, "Status").unwrap_or_default();
    let members = xml::all(&answer, "DBInstanceIdentifier").len();
    let days = xml::first(&answer, "BackupRetentionPeriod").unwrap_or("0");
    Ok(vec![
        Finding::judged(
            "database",
            status == "available",
            format!("{identifier} is {status}"),
        ),
        Finding::judged(
            "database",
            is_true(&answer, "StorageEncrypted"),
            "encrypted at rest",
        ),
        Finding::judged("database", members >= 2, format!("{members} instances")),
        Finding::judged(
            "database",
            days.parse::<u32>().is_ok_and(|days| days >= 7),
            format!("backups of {days} days"),
        ),
    ])
}

/// Encrypted both ways, fails over by itself.
pub async fn cache(context: &Context) -> Result<Vec<Finding>, CallError> {
    let Some(id) = context.output("redis_id") else {
        return Ok(Vec::new());
    };
    let parameters = [("ReplicationGroupId", id)];
    let answer = context
        .client
        .query(
            "elasticache",
            "2015-02-02",
            "DescribeReplicationGroups",
            &parameters,
        )
        .await?;
    let status = xml::first(&answer, "Status").unwrap_or_default();
    let failover = xml::first(&answer, "AutomaticFailover").unwrap_or_default();
    Ok(vec![
        Finding::judged("cache", status == "available", format!("{id} is {status}")),
        Finding::judged(
            "cache",
            is_true(&answer, "TransitEncryptionEnabled"),
            "encrypted in transit",
        ),
        Finding::judged(
            "cache",
            is_true(&answer, "AtRestEncryptionEnabled"),
            "encrypted at rest",
        ),
        Finding::judged(
            "cache",
            failover == "enabled",
            format!("failover {failover}"),
        ),
    ])
}

/// Active, three brokers, TLS only.
pub async fn kafka(context: &Context) -> Result<Vec<Finding>, CallError> {
    let Some(arn) = context.output("kafka_arn") else {
        return Ok(Vec::new());
    };
    let path = format!("/v1/clusters/{}", sigv4::encode(arn));
    let answer = context.client.rest("kafka", Rest::get(&path, &[])).await?;
    let answer: Value = serde_json::from_str(&answer)
        .map_err(|error| CallError::Silent("kafka", error.to_string()))?;
    let at = |pointer: &str| answer.pointer(pointer).cloned().unwrap_or_default();
    let state = at("/clusterInfo/state");
    let brokers = at("/clusterInfo/numberOfBrokerNodes").as_i64().unwrap_or(0);
    let transit = at("/clusterInfo/encryptionInfo/encryptionInTransit/clientBroker");
    Ok(vec![
        Finding::judged("kafka", state == "ACTIVE", format!("cluster is {state}")),
        Finding::judged("kafka", brokers >= 3, format!("{brokers} brokers")),
        Finding::judged(
            "kafka",
            transit == "TLS",
            format!("clients speak {transit}"),
        ),
    ])
}

/// Nothing public, everything encrypted, and the canary can be written and read.
pub async fn buckets(context: &Context) -> Result<Vec<Finding>, CallError> {
    let client = &context.client;
    let list = client.rest("s3", Rest::get("/", &[])).await?;
    let prefix = format!("{}-", context.prefix);
    let names: Vec<&str> = xml::all(&list, "Name")
        .into_iter()
        .filter(|name| name.starts_with(&prefix))
        .collect();
    let mut findings = Vec::new();
    let (mut open, mut plain) = (Vec::new(), Vec::new());
    for name in &names {
        let path = format!("/{name}");
        let block = [("publicAccessBlock", "")];
        let block = client.rest("s3", Rest::get(&path, &block)).await;
        let members = [
            "BlockPublicAcls",
            "IgnorePublicAcls",
            "BlockPublicPolicy",
            "RestrictPublicBuckets",
        ];
        let closed = block.is_ok_and(|text| members.iter().all(|member| is_true(&text, member)));
        if !closed {
            open.push(*name);
        }
        let encryption = [("encryption", "")];
        let encryption = client.rest("s3", Rest::get(&path, &encryption)).await;
        // Load balancers and S3 itself write logs only where S3 keeps the key.
        let wanted = match name.starts_with(&format!("{prefix}logs-")) {
            true => "AES256",
            false => "aws:kms",
        };
        let encrypted =
            encryption.is_ok_and(|text| xml::first(&text, "SSEAlgorithm") == Some(wanted));
        if !encrypted {
            plain.push(*name);
        }
    }
    let count = names.len();
    findings.push(Finding::judged(
        "buckets",
        count > 0,
        format!("{count} buckets"),
    ));
    findings.push(Finding::judged(
        "buckets",
        open.is_empty(),
        format!("public access blocked; not: [{}]", open.join(", ")),
    ));
    findings.push(Finding::judged(
        "buckets",
        plain.is_empty(),
        format!("encrypted by the key wanted; not: [{}]", plain.join(", ")),
    ));
    if let Some(blobs) = context.output("s3_bucket_name") {
        findings.push(canary(context, blobs).await);
    }
    Ok(findings)
}

async fn canary(context: &Context, bucket: &str) -> Finding {
    let path = format!("/{bucket}/_check/canary");
    let write = Rest {
        method: "PUT",
        path: &path,
        query: &[],
        body: CANARY,
    };
    if let Err(error) = context.client.rest("s3", write).await {
        return Finding::judged("buckets", false, format!("canary not written: {error}"));
    }
    match context.client.rest("s3", Rest::get(&path, &[])).await {
        Ok(read) => Finding::judged(
            "buckets",
            read.as_bytes() == CANARY,
            "canary written and read",
        ),
        Err(error) => Finding::judged("buckets", false, format!("canary not read: {error}")),
    }
}
