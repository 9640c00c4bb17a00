//! `florin aws rotate`: the function that Secrets Manager calls to change a secret (DEP-095,
//! DEP-096), in the four steps of its protocol.
//!
//! Users of the database and of the brokers take turns: the unit goes on with one while the other
//! gets its new password, so that nothing has to be restarted at a certain moment. A user of the
//! cache has two passwords meanwhile. Keys that sign tokens are known one period before they do
//! and one after. Each step can be repeated.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use anyhow::Context as _;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use clap::Args;
use florin_base::Secret;
use florin_base::clock::SystemClock;
use florin_base::ids::IdSource;
use florin_platform::sql::{Db, PostgresSettings, Query, probe_postgres};
use ring::{digest, hmac, pbkdf2};
use serde_json::{Value, json};

use super::brokers;
use super::init::set_cache_user;
use super::value::{self, Kind};
use crate::aws::check::text;
use crate::aws::client::{CallError, Client, Settings};
use crate::cli::block_on;
use crate::fail::failure;
use crate::out::Output;

/// Role that owns Florin's tables; users of units are members, and act as it.
const OWNER: &str = "florin_units";
const CURRENT: &str = "AWSCURRENT";
const PENDING: &str = "AWSPENDING";

/// Change secrets when Secrets Manager asks for it: the handler of a Lambda function
///
/// Takes its calls from the runtime that AWS_LAMBDA_RUNTIME_API names, until that goes away.
#[derive(Debug, Args)]
pub struct Rotate {
    /// Secret of the master user of the database
    #[arg(long, value_name = "ARN", env = "FLORIN_MASTER_SECRET")]
    master_secret: Option<String>,
    /// Handle one call, then end
    #[arg(long)]
    once: bool,
}

/// What the steps share.
struct Rotation {
    client: Client<SystemClock>,
    master_secret: Option<String>,
}

/// One call of Secrets Manager.
#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Event {
    step: String,
    secret_id: String,
    client_request_token: String,
}

impl Rotate {
    /// Runs the command.
    pub fn run(self, _: Output) -> anyhow::Result<u8> {
        let api = std::env::var("AWS_LAMBDA_RUNTIME_API")
            .ok()
            .filter(|api| !api.is_empty());
        let api = api.ok_or_else(|| {
            failure(
                "this is no Lambda function",
                "Secrets Manager calls it; by hand: aws secretsmanager rotate-secret --secret-id NAME",
            )
        })?;
        block_on(async {
            let rotation = Rotation {
                client: Client::open(Settings::from_environment(), SystemClock).await?,
                master_secret: self.master_secret.filter(|arn| !arn.is_empty()),
            };
            let base = format!("http://{api}/2018-06-01/runtime/invocation");
            // A call may be hours away: no time-out.
            let http = reqwest::Client::builder().build()?;
            loop {
                handle(&http, &base, &rotation).await?;
                if self.once {
                    return Ok(0);
                }
            }
        })
    }
}

async fn handle(http: &reqwest::Client, base: &str, rotation: &Rotation) -> anyhow::Result<()> {
    let call = http
        .get(format!("{base}/next"))
        .send()
        .await?
        .error_for_status()?;
    let id = call.headers().get("lambda-runtime-aws-request-id");
    let id = id
        .and_then(|id| id.to_str().ok())
        .context("a call without an id")?
        .to_owned();
    let event: Event = call.json().await?;
    let (path, body) = match rotation.step(&event).await {
        Ok(()) => ("response", json!({"ok": true})),
        Err(error) => {
            // The words name the secret and the step, never a value.
            let words = format!("{}: {}: {error:#}", event.secret_id, event.step);
            eprintln!("error: {words}");
            (
                "error",
                json!({"errorMessage": words, "errorType": "RotationFailed"}),
            )
        }
    };
    http.post(format!("{base}/{id}/{path}"))
        .json(&body)
        .send()
        .await?
        .error_for_status()?;
    Ok(())
}

impl Rotation {
    async fn step(&self, event: &Event) -> anyhow::Result<()> {
        match event.step.as_str() {
            "createSecret" => self.create(event).await,
            "setSecret" => self.set(event).await,
            "testSecret" => self.test(event).await,
            "finishSecret" => self.finish(event).await,
            other => anyhow::bail!("there is no step {other}"),
        }
    }

    async fn call(&self, action: &str, body: &Value) -> Result<Value, CallError> {
        let target = format!("secretsmanager.{action}");
        self.client.json("secretsmanager", &target, body).await
    }

    async fn value(&self, id: &str, stage: &str, version: Option<&str>) -> anyhow::Result<Value> {
        let mut body = json!({"SecretId": id, "VersionStage": stage});
        if let Some(version) = version {
            body["VersionId"] = Value::String(version.to_owned());
        }
        let answer = self.call("GetSecretValue", &body).await?;
        serde_json::from_str(text(&answer, "SecretString")).context("the value is no JSON object")
    }

    async fn pending(&self, event: &Event) -> anyhow::Result<Value> {
        self.value(&event.secret_id, PENDING, Some(&event.client_request_token))
            .await
    }

    async fn create(&self, event: &Event) -> anyhow::Result<()> {
        if self.pending(event).await.is_ok() {
            return Ok(());
        }
        let current = self.value(&event.secret_id, CURRENT, None).await?;
        let next =
            value::next(&current).context("it has neither users that take turns nor keys")?;
        let body = json!({
            "SecretId": event.secret_id,
            "ClientRequestToken": event.client_request_token,
            "SecretString": next.to_string(),
            "VersionStages": [PENDING],
        });
        self.call("PutSecretValue", &body).await?;
        Ok(())
    }

    async fn set(&self, event: &Event) -> anyhow::Result<()> {
        let pending = self.pending(event).await?;
        match value::kind(&pending) {
            Some(Kind::Database) => self.set_database(&pending).await,
            Some(Kind::Brokers) => self.set_broker_user(event, &pending).await,
            Some(Kind::Cache) => {
                let current = self.value(&event.secret_id, CURRENT, None).await?;
                let user = text(&pending, "username");
                let passwords = [text(&current, "password"), text(&pending, "password")];
                set_cache_user(&self.client, user, &passwords).await?;
                Ok(())
            }
            // Nobody else has to be told of keys.
            Some(Kind::SigningKeys) => Ok(()),
            None => anyhow::bail!("it has neither users of a store nor keys"),
        }
    }

    /// The brokers read a user from a secret of its own, and take a new password over within
    /// minutes.
    async fn set_broker_user(&self, event: &Event, pending: &Value) -> anyhow::Result<()> {
        let about = self.describe(event).await?;
        let own = value::broker_secret(text(&about, "Name"), text(pending, "username"));
        let own = own.context("the brokers' secret cannot be named after it")?;
        let body = json!({
            "SecretId": own,
            "ClientRequestToken": event.client_request_token,
            "SecretString": value::broker_user(pending).to_string(),
        });
        let put = self.call("PutSecretValue", &body).await;
        put.with_context(|| own)?;
        Ok(())
    }

    async fn describe(&self, event: &Event) -> Result<Value, CallError> {
        self.call("DescribeSecret", &json!({"SecretId": event.secret_id}))
            .await
    }

    async fn set_database(&self, pending: &Value) -> anyhow::Result<()> {
        let master = self
            .master_secret
            .as_ref()
            .context("the master's secret is not named")?;
        let master = self.value(master, CURRENT, None).await?;
        let (user, password) = (text(&master, "username"), text(&master, "password"));
        // A password that RDS made may hold anything.
        let url = value::with_user(text(pending, "url"), &escaped(user), &escaped(password));
        let url = url.context("it has no URL")?;
        let settings = PostgresSettings {
            schema: "public".to_owned(),
            pool_max: 1,
            ..PostgresSettings::new(Secret::new(url))
        };
        let db = Db::open_postgres(settings).await?;
        let done = make_user(&db, text(pending, "username"), text(pending, "password")).await;
        db.close().await;
        done
    }

    async fn test(&self, event: &Event) -> anyhow::Result<()> {
        let pending = self.pending(event).await?;
        match value::kind(&pending) {
            Some(Kind::Database) => {
                let url = Secret::new(text(&pending, "url").to_owned());
                let looked = probe_postgres(&PostgresSettings::new(url)).await;
                looked
                    .map_err(|(_, words)| anyhow::anyhow!("the new user cannot log in: {words}"))?;
                Ok(())
            }
            Some(Kind::Brokers) => brokers::let_in(&pending).await,
            // ElastiCache takes a while to give a password to its nodes; meanwhile both are good.
            Some(Kind::Cache | Kind::SigningKeys) => Ok(()),
            None => anyhow::bail!("it has neither users of a store nor keys"),
        }
    }

    async fn finish(&self, event: &Event) -> anyhow::Result<()> {
        let about = self.describe(event).await?;
        let versions = about.get("VersionIdsToStages").cloned().unwrap_or_default();
        let versions: BTreeMap<String, Vec<String>> = serde_json::from_value(versions)?;
        let is_current = |stages: &Vec<String>| stages.iter().any(|stage| stage == CURRENT);
        let current = versions
            .iter()
            .find(|(_, stages)| is_current(stages))
            .map(|(id, _)| id);
        let current = current.context("it has no current version")?;
        if *current == event.client_request_token {
            return Ok(());
        }
        let body = json!({
            "SecretId": event.secret_id,
            "VersionStage": CURRENT,
            "MoveToVersionId": event.client_request_token,
            "RemoveFromVersionId": current,
        });
        self.call("UpdateSecretVersionStage", &body).await?;
        Ok(())
    }
}

/// What a server keeps of a password (RFC 5802 with SHA-256, RFC 7677), in PostgreSQL's form.
fn verifier(password: &str, salt: &[u8]) -> String {
    const ROUNDS: NonZeroU32 = NonZeroU32::new(4096).expect("not zero");
    let mut salted = [0_u8; 32];
    pbkdf2::derive(
        pbkdf2::PBKDF2_HMAC_SHA256,
        ROUNDS,
        salt,
        password.as_bytes(),
        &mut salted,
    );
    let signed = |text: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &salted), text);
    let stored = digest::digest(&digest::SHA256, signed(b"Client Key").as_ref());
    let base64 = |bytes: &[u8]| BASE64.encode(bytes);
    format!(
        "SCRAM-SHA-256${ROUNDS}:{}${}:{}",
        base64(salt),
        base64(stored.as_ref()),
        base64(signed(b"Server Key").as_ref())
    )
}

/// Percent-encodes all but letters and digits.
fn escaped(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut out, byte| {
        match byte.is_ascii_alphanumeric() {
            true => out.push(char::from(byte)),
            false => drop(write!(out, "%{byte:02X}")),
        }
        out
    })
}

/// Makes the user, or gives it the password; it acts as the role that owns the tables, so that
/// it does not matter which of the users made one.
async fn make_user(db: &Db, user: &str, password: &str) -> anyhow::Result<()> {
    let plain = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    anyhow::ensure!(
        plain(user) && plain(password),
        "user or password have characters that they never have"
    );
    let statements = [
        format!(
            "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{OWNER}') THEN CREATE ROLE {OWNER} NOLOGIN; END IF; END $$"
        ),
        format!(
            "DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO {OWNER}', current_database()); END $$"
        ),
        format!(
            "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{user}') THEN CREATE ROLE {user} LOGIN; END IF; END $$"
        ),
        format!("GRANT {OWNER} TO {user}"),
        // To see how old the transactions of others are (DEP-125); a password changes without it.
        format!(
            "DO $$ BEGIN GRANT pg_monitor TO {OWNER}; EXCEPTION WHEN insufficient_privilege THEN RAISE WARNING 'pg_monitor was not granted'; END $$"
        ),
        format!("ALTER ROLE {user} SET role = '{OWNER}'"),
        // The server logs such statements: it gets what it would keep, not the password.
        format!(
            "ALTER ROLE {user} PASSWORD '{}'",
            verifier(password, &IdSource::random_32()[..16])
        ),
    ];
    for statement in statements {
        db.execute(Query::assembled(statement)).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector of RFC 7677, section 3, with its keys as a server stores them.
    #[test]
    fn dep_094_the_server_is_given_a_verifier_and_no_password() {
        let salt = BASE64.decode("W22ZaJ0SNY7soEsUEjb6gQ==").expect("base64");
        assert_eq!(
            verifier("pencil", &salt),
            "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
        );
    }

    #[test]
    fn passwords_of_others_may_hold_anything() {
        assert_eq!(escaped("a:b@c/d%"), "a%3Ab%40c%2Fd%25");
    }
}
