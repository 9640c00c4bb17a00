//! `florin aws secrets init`: makes the values that are missing and that anybody can make; puts
//! those that vendors gave.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use florin_base::clock::SystemClock;
use serde::Serialize;
use serde_json::{Value, json};

use super::brokers;
use super::value::{self, Hosts};
use crate::aws::check::{array, outputs, text};
use crate::aws::client::{CallError, Client, Settings};
use crate::cli::block_on;
use crate::fail::failure;
use crate::out::Output;

/// Pages of secrets that are read at most.
const PAGES_MAX: usize = 20;
/// What vendors give; nobody can make it up.
const VENDORS: &[&str] = &["oidc-client", "stripe", "vendor", "rpc-providers"];
/// What a user of the cache may do once it has a password (modules/cache has the same, switched
/// off).
pub const CACHE_ACCESS: &str = "on ~florin:* &florin:* +@all -@dangerous -@admin +info";

/// Make the values that are missing: users of stores, keys; put what vendors gave
///
/// Secrets that have a value are left alone. New users of the database are then made by the
/// rotation function, which stands in the VPC. Exit code 1: values of vendors are missing.
#[derive(Debug, Args)]
pub struct Init {
    /// Which environment
    #[arg(long, value_name = "NAME", default_value = "staging")]
    environment: String,
    /// First part of all names
    #[arg(long, value_name = "NAME", default_value = "florin")]
    platform_name: String,
    /// Folder with what vendors gave, in files UNIT/WHAT
    #[arg(
        long,
        value_name = "DIR",
        env = "FLORIN_VENDOR_SECRETS",
        hide_env_values = true
    )]
    vendor_dir: Option<PathBuf>,
    /// Writer of the database in the recovery region: adds its URL to the secrets that exist
    #[arg(long, value_name = "HOST")]
    dr_database: Option<String>,
    /// Do not let the rotation function make the users of the database
    #[arg(long)]
    no_rotation: bool,
}

/// What was done, by name of the secret.
#[derive(Debug, Default, Serialize)]
struct Done {
    made: Vec<String>,
    put: Vec<String>,
    extended: Vec<String>,
    wanted: Vec<String>,
}

/// A secret of the environment.
#[derive(Debug, PartialEq, Eq)]
struct Named {
    path: String,
    unit: String,
    what: String,
    has_value: bool,
    /// Days between two rotations, from its tag `RotateDays`; 0: none.
    rotate_days: u32,
}

/// Unit and kind from a secret's path. Those that the brokers read are not among them: they get
/// their values together with the unit's own.
fn named(path: &str, environment: &str, has_value: bool) -> Option<Named> {
    let own = format!("florin/{environment}/");
    let (unit, what) = path.strip_prefix(&own)?.split_once('/')?;
    Some(Named {
        path: path.to_owned(),
        unit: unit.to_owned(),
        what: what.to_owned(),
        has_value,
        rotate_days: 0,
    })
}

impl Init {
    /// Runs the command.
    pub fn run(self, output: Output) -> anyhow::Result<u8> {
        let done = block_on(self.make())?;
        output.print(&done, || {
            let groups = [
                ("made", &done.made),
                ("put", &done.put),
                ("extended", &done.extended),
                ("wanted", &done.wanted),
            ];
            let lines = groups.iter().flat_map(|(word, names)| {
                names.iter().map(move |name| format!("{word:<9} {name}"))
            });
            let lines: Vec<String> = lines.collect();
            match lines.is_empty() {
                true => "every secret has a value".to_owned(),
                false => lines.join("\n"),
            }
        })?;
        Ok(u8::from(!done.wanted.is_empty()))
    }

    async fn make(&self) -> anyhow::Result<Done> {
        let client = Client::open(Settings::from_environment(), SystemClock).await?;
        let outputs = outputs(&client, &self.environment).await?;
        let hosts = self.hosts(&outputs);
        let mut done = Done::default();
        let secrets = list(&client, &self.environment).await?;
        for secret in &secrets {
            match secret.has_value {
                false => self.fill(&client, secret, &hosts, &mut done).await?,
                true if self.dr_database.is_some() && secret.what == "db" => {
                    if extend(&client, secret, &hosts).await? {
                        done.extended.push(secret.path.clone());
                    }
                }
                true => {}
            }
        }
        let function = outputs
            .get("rotation_function_arn")
            .filter(|arn| *arn != "none");
        if let (Some(function), false) = (function, self.no_rotation) {
            for secret in secrets.iter().filter(|secret| secret.rotate_days > 0) {
                if done.made.contains(&secret.path) {
                    rotate(&client, secret, function).await?;
                }
            }
        }
        Ok(done)
    }

    fn hosts(&self, outputs: &BTreeMap<String, String>) -> Hosts {
        let output = |name: &str| outputs.get(name).cloned().unwrap_or_default();
        Hosts {
            writer: output("rds_endpoint"),
            readers: output("reader_endpoint"),
            database: match output("database_name") {
                name if name.is_empty() => self.platform_name.clone(),
                name => name,
            },
            cache: output("redis_endpoint"),
            brokers: output("bootstrap_brokers"),
            kafka_arn: output("kafka_arn"),
            dr_writer: self.dr_database.clone().unwrap_or_default(),
        }
    }

    async fn fill(
        &self,
        client: &Client<SystemClock>,
        secret: &Named,
        hosts: &Hosts,
        done: &mut Done,
    ) -> anyhow::Result<()> {
        let user = format!(
            "{}-{}-{}",
            self.platform_name, self.environment, secret.unit
        );
        let missing = |what: &str| {
            failure(
                format!("{}: the host of the {what} is not known", secret.path),
                "terraform apply writes it to Parameter Store; run it first",
            )
        };
        let text = match secret.what.as_str() {
            vendor if VENDORS.contains(&vendor) => {
                let folder = self.vendor_dir.as_ref();
                let file = folder.map(|dir| dir.join(&secret.unit).join(vendor));
                let Some(given) = file.and_then(|file| std::fs::read_to_string(file).ok()) else {
                    done.wanted.push(secret.path.clone());
                    return Ok(());
                };
                put(client, &secret.path, given.trim_end()).await?;
                done.put.push(secret.path.clone());
                return Ok(());
            }
            "db" if hosts.writer.is_empty() => return Err(missing("database")),
            "db" => value::database(&secret.unit, hosts).to_string(),
            "cache" if hosts.cache.is_empty() => return Err(missing("cache")),
            "cache" => {
                let made = value::cache(&user, hosts);
                let password = made["password"].as_str().unwrap_or_default();
                set_cache_user(client, &user, &[password]).await?;
                made.to_string()
            }
            "kafka" if hosts.brokers.is_empty() => return Err(missing("brokers")),
            "kafka" => {
                let made = value::brokers(&user, hosts);
                brokers::hand_over(client, &hosts.kafka_arn, &secret.path, &made).await?;
                made.to_string()
            }
            "signing-key" => value::signing_keys().to_string(),
            _ => value::key(),
        };
        put(client, &secret.path, &text).await?;
        done.made.push(secret.path.clone());
        Ok(())
    }
}

pub async fn put(client: &Client<SystemClock>, path: &str, text: &str) -> Result<(), CallError> {
    let body = json!({"SecretId": path, "SecretString": text});
    client
        .json("secretsmanager", "secretsmanager.PutSecretValue", &body)
        .await?;
    Ok(())
}

/// Switches rotation on, and rotates at once: so the function in the VPC makes the user of the
/// database, which nobody outside can reach. A user of the cache has its password already.
async fn rotate(
    client: &Client<SystemClock>,
    secret: &Named,
    function: &str,
) -> Result<(), CallError> {
    let body = json!({
        "SecretId": secret.path,
        "RotationLambdaARN": function,
        "RotationRules": {"AutomaticallyAfterDays": secret.rotate_days},
        "RotateImmediately": secret.what == "db",
    });
    client
        .json("secretsmanager", "secretsmanager.RotateSecret", &body)
        .await?;
    Ok(())
}

/// Adds the URLs of the recovery region to a value that exists.
async fn extend(
    client: &Client<SystemClock>,
    secret: &Named,
    hosts: &Hosts,
) -> anyhow::Result<bool> {
    let body = json!({"SecretId": secret.path});
    let answer = client
        .json("secretsmanager", "secretsmanager.GetSecretValue", &body)
        .await?;
    let mut value: Value = serde_json::from_str(text(&answer, "SecretString"))?;
    let changed = value::add_recovery(&mut value, hosts);
    if changed {
        put(client, &secret.path, &value.to_string()).await?;
    }
    Ok(changed)
}

/// Gives a user of the cache its passwords (at most two) and switches it on.
pub async fn set_cache_user(
    client: &Client<SystemClock>,
    user: &str,
    passwords: &[&str],
) -> Result<(), CallError> {
    let names = [
        "AuthenticationMode.Passwords.member.1",
        "AuthenticationMode.Passwords.member.2",
    ];
    let mut parameters = vec![
        ("UserId", user),
        ("AccessString", CACHE_ACCESS),
        ("AuthenticationMode.Type", "password"),
    ];
    parameters.extend(names.into_iter().zip(passwords.iter().copied()));
    client
        .query("elasticache", "2015-02-02", "ModifyUser", &parameters)
        .await?;
    Ok(())
}

async fn list(client: &Client<SystemClock>, environment: &str) -> Result<Vec<Named>, CallError> {
    let mut found = Vec::new();
    let mut next = Value::Null;
    for _ in 0..PAGES_MAX {
        let mut body = json!({"MaxResults": 100});
        if next.is_string() {
            body["NextToken"] = next.clone();
        }
        let answer = client
            .json("secretsmanager", "secretsmanager.ListSecrets", &body)
            .await?;
        for secret in array(&answer, "SecretList") {
            let versions = secret
                .get("SecretVersionsToStages")
                .and_then(Value::as_object);
            let has_value = versions.is_some_and(|versions| !versions.is_empty());
            let Some(mut named) = named(text(secret, "Name"), environment, has_value) else {
                continue;
            };
            let tags = array(secret, "Tags").iter();
            let days = tags.filter(|tag| text(tag, "Key") == "RotateDays");
            let days = days.filter_map(|tag| text(tag, "Value").parse().ok());
            named.rotate_days = days.max().unwrap_or(0);
            found.push(named);
        }
        next = answer.get("NextToken").cloned().unwrap_or_default();
        if !next.is_string() {
            break;
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dep_093_a_path_names_environment_unit_and_kind() {
        let of = |path: &str| named(path, "staging", false).map(|n| (n.unit, n.what));
        let pair = |unit: &str, what: &str| Some((unit.to_owned(), what.to_owned()));
        assert_eq!(of("florin/staging/wallets/db"), pair("wallets", "db"));
        assert_eq!(
            of("florin/staging/shared/signing-key"),
            pair("shared", "signing-key")
        );
        assert_eq!(of("florin/staging/kyc/kafka"), pair("kyc", "kafka"));
        assert_eq!(of("AmazonMSK_florin_staging_kyc_a"), None);
        assert_eq!(of("florin/production/wallets/db"), None);
        assert_eq!(of("somebody/else"), None);
    }

    #[test]
    fn dep_077_a_cache_user_gets_the_rights_that_terraform_prepared() {
        let module = include_str!("../../../../../deploy/aws/modules/cache/main.tf");
        let off = CACHE_ACCESS.replacen("on ", "off ", 1);
        assert!(module.contains(&off), "{off}");
    }
}
