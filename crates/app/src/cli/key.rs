//! `florin key`: API keys, changed in the service tables directly. A running server takes
//! changes over within a second.

use clap::{Args, Subcommand};
use florin_base::{Clock as _, SystemClock, Timestamp};
use florin_platform::identity::{ApiKey, AuthService, NewApiKey};
use serde_json::json;

use crate::config::{ConfigArgs, parse_duration};
use crate::fail::{OrHint as _, failure};
use crate::out::{Output, table};
use crate::serve::offline::{ACTOR, with_identity};

/// Make, list and revoke API keys
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a key; its text is shown once
    Create(Create),
    /// List keys, without their texts
    List(List),
    /// Revoke a key, at once and for ever
    Revoke(Revoke),
}

/// Options of `create`.
#[derive(Debug, Args)]
pub struct Create {
    /// Name of the key, for people
    name: String,
    /// A role; may be given several times
    #[arg(long = "role", value_name = "ROLE", default_value = "service")]
    roles: Vec<String>,
    /// Narrow the roles to this permission, such as wallets:read; may be given several times
    #[arg(long = "scope", value_name = "PERMISSION")]
    scopes: Vec<String>,
    /// Narrow it to an account of the shadow ledger, the start of ids followed by *, or *; may be
    /// given several times
    #[arg(long = "account", value_name = "PATTERN")]
    accounts: Vec<String>,
    /// Id of the user whose key it is; he cannot do more by it than by himself
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// Life of the key, such as 30d; left out: until it is revoked
    #[arg(long, value_name = "DURATION")]
    expires_in: Option<String>,
    #[command(flatten)]
    config: ConfigArgs,
}

/// Options of `list`.
#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    config: ConfigArgs,
}

/// Options of `revoke`.
#[derive(Debug, Args)]
pub struct Revoke {
    /// Id of the key
    id: String,
    #[command(flatten)]
    config: ConfigArgs,
}

impl KeyCommand {
    /// Runs the command.
    pub fn run(self, output: Output) -> anyhow::Result<u8> {
        super::block_on(async move {
            match self {
                Self::Create(create) => create.run(output).await,
                Self::List(list) => list.run(output).await,
                Self::Revoke(revoke) => revoke.run(output).await,
            }
        })?;
        Ok(0)
    }
}

impl Create {
    async fn run(self, output: Output) -> anyhow::Result<()> {
        let expires_at = self.expires_in.as_deref().map(expiry).transpose()?;
        let new = NewApiKey {
            name: self.name,
            user_id: self.user,
            roles: self.roles,
            scopes: (!self.scopes.is_empty()).then_some(self.scopes),
            accounts: (!self.accounts.is_empty()).then_some(self.accounts),
            expires_at,
        };
        let (key, text) = with_identity(&self.config, async |identity: &AuthService| {
            let hint = "roles and permissions stand in the reference of permissions";
            Ok(identity
                .create_key(ACTOR, new, None)
                .await
                .or_hint(hint)?
                .value)
        })
        .await?;
        let text = text
            .map(florin_base::Secret::into_inner)
            .unwrap_or_default();
        output.print(&json!({"key": key, "apiKey": text}), || {
            // The text alone on stdout, so that it can be piped.
            eprintln!("{} ({}); its text, shown only now:", key.name, key.id);
            text.clone()
        })?;
        Ok(())
    }
}

fn expiry(text: &str) -> anyhow::Result<Timestamp> {
    let life = parse_duration(text).ok_or_else(|| {
        failure(
            format!("--expires-in {text} is no duration"),
            "such as 12h or 30d",
        )
    })?;
    let micros = i64::try_from(life.as_micros()).unwrap_or(i64::MAX);
    Ok(Timestamp(SystemClock.wall_micros().saturating_add(micros)))
}

impl List {
    async fn run(self, output: Output) -> anyhow::Result<()> {
        let keys = with_identity(&self.config, async |identity: &AuthService| {
            all(identity).await
        })
        .await?;
        output.print(&keys, || {
            let row = |key: &ApiKey| {
                vec![
                    key.id.clone(),
                    key.name.clone(),
                    key.roles.join(","),
                    key.user_id.clone().unwrap_or_else(|| "-".to_owned()),
                    match (key.revoked_at, key.expires_at) {
                        (Some(at), _) => format!("revoked {at}"),
                        (None, Some(at)) => format!("until {at}"),
                        (None, None) => "active".to_owned(),
                    },
                ]
            };
            table(
                &["ID", "NAME", "ROLES", "USER", "STATE"],
                &keys.iter().map(row).collect::<Vec<_>>(),
            )
        })?;
        Ok(())
    }
}

async fn all(identity: &AuthService) -> anyhow::Result<Vec<ApiKey>> {
    const PAGE: usize = 500;
    let mut keys: Vec<ApiKey> = Vec::new();
    loop {
        let after = keys.last().map(|key| key.id.clone());
        let page = identity.keys(None, after.as_deref(), PAGE).await?;
        let last = page.len() < PAGE;
        keys.extend(page);
        if last {
            return Ok(keys);
        }
    }
}

impl Revoke {
    async fn run(self, output: Output) -> anyhow::Result<()> {
        let key = with_identity(&self.config, async |identity: &AuthService| {
            let revoked = identity.revoke_key(ACTOR, &self.id).await;
            revoked.or_hint("florin key list shows ids")
        })
        .await?;
        output.print(&key, || format!("{} ({}) is revoked", key.name, key.id))?;
        Ok(())
    }
}
