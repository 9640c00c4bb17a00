//! `florin user`: accounts, changed in the service tables directly. A running server takes
//! changes over within a second.

use std::io::Read as _;

use clap::{Args, Subcommand};
use florin_base::{IdSource, Secret};
use florin_platform::identity::{AuthService, NewUser, User, UserChange, UserFilter};
use serde_json::json;

use crate::config::ConfigArgs;
use crate::demo::password_text;
use crate::fail::{OrHint as _, failure};
use crate::out::{Output, table};
use crate::serve::offline::{ACTOR, with_identity};

/// Make, list and change users
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Make a user; without --password-stdin a password is made and shown once
    Create(Create),
    /// List users
    List(List),
    /// Set another password and end all log-ins
    Passwd(Passwd),
    /// Take everything from a user at once; his records stay
    Disable(Disable),
    /// Give a disabled user back what he had
    Enable(Enable),
    /// Replace the roles of a user
    Roles(SetRoles),
    /// Replace the accounts of the shadow ledger that a user reaches
    Accounts(SetAccounts),
}

/// Options of `create`.
#[derive(Debug, Args)]
pub struct Create {
    /// Name to log in with
    name: String,
    /// A role; may be given several times
    #[arg(long = "role", value_name = "ROLE", default_value = "user")]
    roles: Vec<String>,
    /// An account of the shadow ledger he reaches, the start of ids followed by *, or *; may be
    /// given several times
    #[arg(long = "account", value_name = "PATTERN")]
    accounts: Vec<String>,
    /// Id, which owns wallets; left out: one is made
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Name for people
    #[arg(long, value_name = "TEXT")]
    display_name: Option<String>,
    #[command(flatten)]
    password: Password,
    #[command(flatten)]
    config: ConfigArgs,
}

/// Where a password comes from.
#[derive(Debug, Args)]
pub struct Password {
    /// Read the password from stdin
    #[arg(long)]
    password_stdin: bool,
}

/// Options of `list`.
#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    config: ConfigArgs,
}

/// Options of `passwd`.
#[derive(Debug, Args)]
pub struct Passwd {
    /// Name of the user
    name: String,
    #[command(flatten)]
    password: Password,
    #[command(flatten)]
    config: ConfigArgs,
}

/// Options of `disable`.
#[derive(Debug, Args)]
pub struct Disable {
    /// Name of the user
    name: String,
    #[command(flatten)]
    config: ConfigArgs,
}

/// Options of `enable`.
#[derive(Debug, Args)]
pub struct Enable {
    /// Name of the user
    name: String,
    #[command(flatten)]
    config: ConfigArgs,
}

/// Options of `roles`.
#[derive(Debug, Args)]
pub struct SetRoles {
    /// Name of the user
    name: String,
    /// His roles from now on, all of them
    #[arg(required = true, value_name = "ROLE")]
    roles: Vec<String>,
    #[command(flatten)]
    config: ConfigArgs,
}

/// Options of `accounts`.
#[derive(Debug, Args)]
pub struct SetAccounts {
    /// Name of the user
    name: String,
    /// His accounts from now on, all of them; none: nothing is said
    #[arg(value_name = "PATTERN")]
    accounts: Vec<String>,
    #[command(flatten)]
    config: ConfigArgs,
}

impl UserCommand {
    /// Runs the command.
    pub fn run(self, output: Output) -> anyhow::Result<u8> {
        super::block_on(async move {
            match self {
                Self::Create(create) => create.run(output).await,
                Self::List(list) => list.run(output).await,
                Self::Passwd(passwd) => passwd.run(output).await,
                Self::Disable(Disable { name, config }) => {
                    disabled(&config, &name, true, output).await
                }
                Self::Enable(Enable { name, config }) => {
                    disabled(&config, &name, false, output).await
                }
                Self::Roles(SetRoles {
                    name,
                    roles,
                    config,
                }) => {
                    let roles = Some(roles);
                    change(
                        &config,
                        &name,
                        UserChange {
                            roles,
                            ..UserChange::default()
                        },
                        output,
                    )
                    .await
                }
                Self::Accounts(SetAccounts {
                    name,
                    accounts,
                    config,
                }) => {
                    let accounts = Some((!accounts.is_empty()).then_some(accounts));
                    change(
                        &config,
                        &name,
                        UserChange {
                            accounts,
                            ..UserChange::default()
                        },
                        output,
                    )
                    .await
                }
            }
        })?;
        Ok(0)
    }
}

impl Password {
    /// The password, and whether it was made here.
    fn get(&self) -> anyhow::Result<(Secret<String>, bool)> {
        if !self.password_stdin {
            return Ok((Secret::new(password_text(IdSource::random_32())), true));
        }
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() {
            return Err(failure(
                "no password on stdin",
                "printf %s \"$PASSWORD\" | florin user … --password-stdin",
            ));
        }
        Ok((Secret::new(text.to_owned()), false))
    }
}

impl Create {
    async fn run(self, output: Output) -> anyhow::Result<()> {
        let (password, made) = self.password.get()?;
        let new = NewUser {
            id: self.id,
            user_name: self.name,
            password: Some(password.clone()),
            display_name: self.display_name,
            roles: self.roles,
            accounts: (!self.accounts.is_empty()).then_some(self.accounts),
        };
        let user = with_identity(&self.config, async |identity: &AuthService| {
            let hint = "florin user list shows users; roles stand in the reference of permissions";
            Ok(identity
                .create_user(ACTOR, new, None)
                .await
                .or_hint(hint)?
                .value)
        })
        .await?;
        let shown = made.then(|| password.expose().clone());
        let answer = json!({"user": user, "password": shown});
        output.print(&answer, || match &shown {
            Some(password) => format!(
                "{} ({})\npassword, shown only now: {password}",
                user.user_name, user.id
            ),
            None => format!("{} ({})", user.user_name, user.id),
        })?;
        Ok(())
    }
}

impl List {
    async fn run(self, output: Output) -> anyhow::Result<()> {
        let users = with_identity(&self.config, async |identity: &AuthService| {
            all(identity).await
        })
        .await?;
        output.print(&users, || {
            let row = |user: &User| {
                vec![
                    user.user_name.clone(),
                    user.id.clone(),
                    user.roles.join(","),
                    if user.disabled { "disabled" } else { "active" }.to_owned(),
                    user.created_at.to_string(),
                ]
            };
            table(
                &["NAME", "ID", "ROLES", "STATE", "CREATED"],
                &users.iter().map(row).collect::<Vec<_>>(),
            )
        })?;
        Ok(())
    }
}

async fn all(identity: &AuthService) -> anyhow::Result<Vec<User>> {
    const PAGE: usize = 500;
    let mut users: Vec<User> = Vec::new();
    loop {
        let after = users.last().map(|user| user.id.clone());
        let page = identity
            .users(&UserFilter::default(), after.as_deref(), PAGE)
            .await?;
        let last = page.len() < PAGE;
        users.extend(page);
        if last {
            return Ok(users);
        }
    }
}

impl Passwd {
    async fn run(self, output: Output) -> anyhow::Result<()> {
        let (password, made) = self.password.get()?;
        let user = with_identity(&self.config, async |identity: &AuthService| {
            let user = find(identity, &self.name).await?;
            identity
                .set_password(ACTOR, &user.id, password.clone())
                .await?;
            Ok(user)
        })
        .await?;
        let shown = made.then(|| password.expose().clone());
        output.print(&json!({"user": user, "password": shown}), || match &shown {
            Some(password) => format!("{}: password, shown only now: {password}", user.user_name),
            None => format!("{}: the password is changed", user.user_name),
        })?;
        Ok(())
    }
}

async fn disabled(
    config: &ConfigArgs,
    name: &str,
    disabled: bool,
    output: Output,
) -> anyhow::Result<()> {
    let disabled = Some(disabled);
    change(
        config,
        name,
        UserChange {
            disabled,
            ..UserChange::default()
        },
        output,
    )
    .await
}

async fn change(
    config: &ConfigArgs,
    name: &str,
    change: UserChange,
    output: Output,
) -> anyhow::Result<()> {
    let user = with_identity(config, async |identity: &AuthService| {
        let user = find(identity, name).await?;
        Ok(identity.change_user(ACTOR, &user.id, change).await?)
    })
    .await?;
    output.print(&user, || {
        let state = if user.disabled { "disabled" } else { "active" };
        format!(
            "{}: {state}, roles {}",
            user.user_name,
            user.roles.join(", ")
        )
    })?;
    Ok(())
}

async fn find(identity: &AuthService, name: &str) -> anyhow::Result<User> {
    let found = identity.user_by_name(name).await;
    found.map_err(|error| failure(format!("{name}: {error}"), "florin user list shows users"))
}
