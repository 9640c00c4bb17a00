//! Looks at what guards the platform: account, keys, secrets, alarms, trail, backups.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::super::client::{CallError, Rest};
use super::super::xml;
use super::{Context, Finding, array, text};

/// A secret older than this is told (contract, DEP-095).
const SECRET_DAYS_MAX: i64 = 90;
/// A backup younger than this must exist.
const BACKUP_HOURS_MAX: i64 = 26;

/// Who calls.
pub async fn account(context: &Context) -> Result<Vec<Finding>, CallError> {
    let answer = context
        .client
        .query("sts", "2011-06-15", "GetCallerIdentity", &[])
        .await?;
    let account = xml::first(&answer, "Account")
        .unwrap_or_default()
        .to_owned();
    // Every ARN among the outputs carries the account that Terraform wrote to.
    let wanted = context
        .output("alb_arn")
        .and_then(|arn| arn.split(':').nth(4));
    let same = wanted.is_none_or(|wanted| wanted == account);
    let region = &context.client.region;
    Ok(vec![Finding::judged(
        "account",
        same && !account.is_empty(),
        format!("{account} in {region}"),
    )])
}

/// Keys of the platform are enabled and rotate.
pub async fn keys(context: &Context) -> Result<Vec<Finding>, CallError> {
    let client = &context.client;
    let aliases = client
        .json("kms", "TrentService.ListAliases", &json!({"Limit": 100}))
        .await?;
    let prefix = format!("alias/{}-", context.prefix);
    let mut findings = Vec::new();
    for alias in array(&aliases, "Aliases") {
        let name = text(alias, "AliasName");
        let Some(purpose) = name.strip_prefix(&prefix) else {
            continue;
        };
        let key = json!({"KeyId": text(alias, "TargetKeyId")});
        let about = client.json("kms", "TrentService.DescribeKey", &key).await?;
        let state = about.pointer("/KeyMetadata/KeyState").cloned();
        let rotation = client
            .json("kms", "TrentService.GetKeyRotationStatus", &key)
            .await?;
        let rotates = rotation.get("KeyRotationEnabled") == Some(&Value::Bool(true));
        let enabled = state.as_ref().and_then(Value::as_str) == Some("Enabled");
        findings.push(Finding::judged(
            "keys",
            enabled && rotates,
            format!("{purpose}: enabled {enabled}, rotates {rotates}"),
        ));
    }
    Ok(findings)
}

/// Secrets have values, and none is too old. Values are never read.
pub async fn secrets(context: &Context) -> Result<Vec<Finding>, CallError> {
    let prefixes = [
        format!("florin/{}/", context.environment),
        format!("AmazonMSK_florin_{}_", context.environment),
    ];
    let (mut count, mut empty, mut old) = (0, Vec::new(), Vec::new());
    let mut next = Value::Null;
    let now_s = context.client.now() / 1_000_000;
    for _ in 0..super::PAGES_MAX {
        let mut body = json!({"MaxResults": 100});
        if next.is_string() {
            body["NextToken"] = next.clone();
        }
        let answer = context
            .client
            .json("secretsmanager", "secretsmanager.ListSecrets", &body)
            .await?;
        for secret in array(&answer, "SecretList") {
            let name = text(secret, "Name");
            if !prefixes
                .iter()
                .any(|prefix| name.starts_with(prefix.as_str()))
            {
                continue;
            }
            count += 1;
            let versions = secret
                .get("SecretVersionsToStages")
                .and_then(Value::as_object);
            if versions.is_none_or(serde_json::Map::is_empty) {
                empty.push(name.to_owned());
            }
            if is_for_ever(name, &context.environment) {
                continue;
            }
            let changed = secret.get("LastChangedDate").or(secret.get("CreatedDate"));
            let days = changed
                .and_then(seconds)
                .map_or(0, |at| (now_s - at) / 86_400);
            context.secret_age_days.fetch_max(days, Ordering::Relaxed);
            if days > SECRET_DAYS_MAX {
                old.push(format!("{name} ({days} days)"));
            }
        }
        next = answer.get("NextToken").cloned().unwrap_or_default();
        if !next.is_string() {
            break;
        }
    }
    if count == 0 {
        return Ok(Vec::new());
    }
    Ok(vec![
        Finding::judged(
            "secrets",
            empty.is_empty(),
            format!("{count} secrets; without a value: [{}]", empty.join(", ")),
        ),
        Finding::judged(
            "secrets",
            old.is_empty(),
            format!(
                "none older than {SECRET_DAYS_MAX} days; but: [{}]",
                old.join(", ")
            ),
        ),
    ])
}

/// Keys that seal or sign what is kept never change: what they sealed could not be read again.
fn is_for_ever(name: &str, environment: &str) -> bool {
    let shared = format!("florin/{environment}/shared/");
    let what = name.strip_prefix(&shared);
    what.is_some_and(|what| what != "signing-key")
}

/// Whole seconds of a JSON timestamp such as 1711111111.25.
fn seconds(value: &Value) -> Option<i64> {
    let text = value.as_number()?.to_string();
    text.split('.').next()?.parse().ok()
}

/// There are alarms, and none rings.
pub async fn alarms(context: &Context) -> Result<Vec<Finding>, CallError> {
    let prefix = format!("{}-", context.prefix);
    let (mut count, mut ringing) = (0, Vec::new());
    let mut next = String::new();
    for _ in 0..super::PAGES_MAX {
        let mut parameters = vec![("AlarmNamePrefix", prefix.as_str()), ("MaxRecords", "100")];
        if !next.is_empty() {
            parameters.push(("NextToken", next.as_str()));
        }
        let page = context
            .client
            .query("monitoring", "2010-08-01", "DescribeAlarms", &parameters)
            .await?;
        let (names, states) = (xml::all(&page, "AlarmName"), xml::all(&page, "StateValue"));
        if names.len() != states.len() {
            return Ok(vec![Finding::unknown(
                "alarms",
                "names and states do not pair",
            )]);
        }
        count += names.len();
        let pairs = names.into_iter().zip(states);
        ringing.extend(
            pairs
                .filter(|(_, state)| *state == "ALARM")
                .map(|(name, _)| name.to_owned()),
        );
        next = xml::first(&page, "NextToken")
            .unwrap_or_default()
            .to_owned();
        if next.is_empty() {
            break;
        }
    }
    Ok(vec![
        Finding::judged("alarms", count > 0, format!("{count} alarms")),
        Finding::judged(
            "alarms",
            ringing.is_empty(),
            format!("ringing: [{}]", ringing.join(", ")),
        ),
    ])
}

/// Whoever is told has confirmed his address.
pub async fn subscriptions(context: &Context) -> Result<Vec<Finding>, CallError> {
    let Some(account) = context
        .output("alb_arn")
        .and_then(|arn| arn.split(':').nth(4))
    else {
        return Ok(Vec::new());
    };
    let region = &context.client.region;
    let topic = format!("arn:aws:sns:{region}:{account}:{}-page", context.prefix);
    let parameters = [("TopicArn", topic.as_str())];
    let answer = context
        .client
        .query("sns", "2010-03-31", "ListSubscriptionsByTopic", &parameters)
        .await?;
    let arns = xml::all(&answer, "SubscriptionArn");
    let pending = arns
        .iter()
        .filter(|arn| **arn == "PendingConfirmation")
        .count();
    Ok(vec![Finding::judged(
        "mail",
        !arns.is_empty() && pending == 0,
        format!(
            "{} addresses are paged, {pending} have not confirmed",
            arns.len()
        ),
    )])
}

/// The audit trail runs.
pub async fn trail(context: &Context) -> Result<Vec<Finding>, CallError> {
    let Some(arn) = context.output("trail_arn") else {
        return Ok(Vec::new());
    };
    let target = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.GetTrailStatus";
    let answer = context
        .client
        .json("cloudtrail", target, &json!({"Name": arn}))
        .await?;
    let on = answer.get("IsLogging") == Some(&Value::Bool(true));
    Ok(vec![Finding::judged("trail", on, format!("logging: {on}"))])
}

/// GuardDuty is on.
pub async fn detector(context: &Context) -> Result<Vec<Finding>, CallError> {
    let answer = context
        .client
        .rest("guardduty", Rest::get("/detector", &[]))
        .await?;
    let answer: Value = serde_json::from_str(&answer)
        .map_err(|error| CallError::Silent("guardduty", error.to_string()))?;
    let count = array(&answer, "detectorIds").len();
    Ok(vec![Finding::judged(
        "guardduty",
        count > 0,
        format!("{count} detectors"),
    )])
}

/// The newest backup is young.
pub async fn backup(context: &Context) -> Result<Vec<Finding>, CallError> {
    let Some(vault) = context
        .output("backup_vault_arn")
        .and_then(|arn| arn.rsplit(':').next())
    else {
        return Ok(Vec::new());
    };
    let path = format!("/backup-vaults/{vault}/recovery-points/");
    let answer = context.client.rest("backup", Rest::get(&path, &[])).await?;
    let answer: Value = serde_json::from_str(&answer)
        .map_err(|error| CallError::Silent("backup", error.to_string()))?;
    let points = array(&answer, "RecoveryPoints").iter();
    let newest = points
        .filter_map(|point| point.get("CreationDate").and_then(seconds))
        .max();
    let Some(newest) = newest else {
        return Ok(vec![Finding::unknown("backup", "there is no backup yet")]);
    };
    let hours = (context.client.now() / 1_000_000 - newest) / 3600;
    Ok(vec![Finding::judged(
        "backup",
        hours <= BACKUP_HOURS_MAX,
        format!("newest backup is {hours} hours old"),
    )])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_without_floats() {
        assert_eq!(seconds(&json!(1_711_111_111.25)), Some(1_711_111_111));
        assert_eq!(seconds(&json!(7)), Some(7));
        assert_eq!(seconds(&json!("soon")), None);
    }

    #[test]
    fn dep_128_keys_for_ever_have_no_age() {
        let ever = |name: &str| is_for_ever(name, "staging");
        assert!(ever("florin/staging/shared/checkpoint-key"));
        assert!(ever("florin/staging/shared/ticketing-key"));
        for name in [
            "florin/staging/shared/signing-key",
            "florin/staging/wallets/db",
            "florin/production/shared/checkpoint-key",
        ] {
            assert!(!ever(name), "{name}");
        }
    }
}
