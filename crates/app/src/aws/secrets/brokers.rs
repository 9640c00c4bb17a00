//! Users of the brokers: the secrets that MSK reads them from, and a sign-in that is tried until
//! they know a new password.

use anyhow::Context as _;
use florin_base::Secret;
use florin_base::clock::SystemClock;
use florin_platform::bus::BusSettings;
use serde_json::{Value, json};

use super::init::put;
use super::value;
use crate::aws::check::{array, text};
use crate::aws::client::{Client, Rest};
use crate::aws::sigv4;

/// Gives the brokers both users of a unit, before the unit is told of the first: MSK takes no
/// secret that has no value yet. The second gets a password that nobody knows.
pub async fn hand_over(
    client: &Client<SystemClock>,
    cluster: &str,
    own: &str,
    first: &Value,
) -> anyhow::Result<()> {
    let second = value::next(first).context("it has no user that takes turns")?;
    let mut arns = Vec::new();
    for user in [first, &second] {
        let theirs = value::broker_secret(own, text(user, "username"));
        let theirs = theirs.context("the brokers' secret cannot be named after it")?;
        put(client, &theirs, &value::broker_user(user).to_string()).await?;
        let about = json!({"SecretId": theirs});
        let action = "secretsmanager.DescribeSecret";
        let about = client.json("secretsmanager", action, &about).await?;
        arns.push(text(&about, "ARN").to_owned());
    }
    let path = format!("/v1/clusters/{}/scram-secrets", sigv4::encode(cluster));
    let known = client.rest("kafka", Rest::get(&path, &[])).await?;
    let known: Value = serde_json::from_str(&known)?;
    let known = array(&known, "secretArnList");
    arns.retain(|arn| !known.contains(&json!(arn)));
    if arns.is_empty() {
        return Ok(());
    }
    let body = json!({"secretArnList": arns}).to_string();
    let rest = Rest {
        method: "POST",
        path: &path,
        query: &[],
        body: body.as_bytes(),
    };
    let answer: Value = serde_json::from_str(&client.rest("kafka", rest).await?)?;
    if let Some(refused) = array(&answer, "unprocessedScramSecrets").first() {
        let (arn, why) = (text(refused, "secretArn"), text(refused, "errorMessage"));
        anyhow::bail!("MSK does not take {arn}: {why}");
    }
    Ok(())
}

/// Waits until every broker lets the user of a secret in.
pub async fn let_in(secret: &Value) -> anyhow::Result<()> {
    let settings = BusSettings {
        url: text(secret, "url").to_owned(),
        sasl_user: Some(text(secret, "username").to_owned()),
        sasl_password: Some(Secret::new(text(secret, "password").to_owned())),
        ..BusSettings::default()
    };
    sign_in(&settings).await
}

#[cfg(feature = "kafka")]
async fn sign_in(settings: &BusSettings) -> anyhow::Result<()> {
    use std::time::Duration;

    /// Brokers take a password over within minutes; a Lambda function ends after fifteen.
    const PATIENCE: Duration = Duration::from_secs(13 * 60);
    /// Longest pause between two tries.
    const PAUSE_MAX: Duration = Duration::from_secs(15);

    let begun = tokio::time::Instant::now();
    let reach = florin_platform::bus::kafka::Reach::open(settings)?;
    let mut pause = Duration::from_secs(1);
    loop {
        match reach.sign_in().await {
            Ok(()) => return Ok(()),
            Err(error) if begun.elapsed() + pause > PATIENCE => {
                return Err(error).context("the new user cannot sign in");
            }
            Err(_) => tokio::time::sleep(pause).await,
        }
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

#[cfg(not(feature = "kafka"))]
async fn sign_in(_: &BusSettings) -> anyhow::Result<()> {
    anyhow::bail!("this program was built without Kafka")
}
