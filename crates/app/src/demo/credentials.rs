//! Users and keys of a demo: random, different in every data directory. The server keeps only
//! hashes; `demo.env` in the data directory (readable by its owner only) keeps the originals for
//! the shell, and for the next start.

use std::collections::BTreeMap;
use std::path::Path;

use florin_base::{IdSource, Secret};
use florin_platform::identity::{AuthService, IdentityError, NewApiKey, NewUser};
use serde::Serialize;

use crate::inproc::InProcess;
use crate::serve::files;

/// The file of the shell.
pub const ENV_FILE: &str = "demo.env";

/// Who acts in the audit log.
const ACTOR: &str = "florin-demo";

/// Everybody who may do something in a demo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Credentials {
    /// Name of the administrator.
    pub admin_user: String,
    /// His password.
    pub admin_password: String,
    /// A key of role `admin`.
    pub admin_api_key: String,
    /// A key of role `service`.
    pub service_api_key: String,
    /// A key of role `operator`.
    pub operator_api_key: String,
    /// A key of role `auditor`.
    pub auditor_api_key: String,
    /// A user with wallets; also his id.
    pub user_name: String,
    /// His password.
    pub user_password: String,
    /// Another user; also his id.
    pub second_user_name: String,
    /// His password.
    pub second_user_password: String,
}

/// The variables of the shell, each with its place in [`Credentials`].
type Place = fn(&mut Credentials) -> &mut String;
const VARIABLES: &[(&str, Place)] = &[
    ("FLORIN_ADMIN_USER", |c| &mut c.admin_user),
    ("FLORIN_ADMIN_PASSWORD", |c| &mut c.admin_password),
    ("FLORIN_ADMIN_KEY", |c| &mut c.admin_api_key),
    ("FLORIN_KEY", |c| &mut c.service_api_key),
    ("FLORIN_OPERATOR_KEY", |c| &mut c.operator_api_key),
    ("FLORIN_AUDITOR_KEY", |c| &mut c.auditor_api_key),
    ("FLORIN_USER", |c| &mut c.user_name),
    ("FLORIN_USER_PASSWORD", |c| &mut c.user_password),
    ("FLORIN_SECOND_USER", |c| &mut c.second_user_name),
    ("FLORIN_SECOND_USER_PASSWORD", |c| {
        &mut c.second_user_password
    }),
];

impl Credentials {
    fn empty() -> Self {
        Self {
            admin_user: "admin".to_owned(),
            admin_password: String::new(),
            admin_api_key: String::new(),
            service_api_key: String::new(),
            operator_api_key: String::new(),
            auditor_api_key: String::new(),
            user_name: "ana".to_owned(),
            user_password: String::new(),
            second_user_name: "bob".to_owned(),
            second_user_password: String::new(),
        }
    }

    fn to_env(&self, url: &str) -> String {
        let mut text = format!("FLORIN_URL={url}\n");
        let mut copy = self.clone();
        for (name, place) in VARIABLES {
            text.push_str(&format!("{name}={}\n", place(&mut copy)));
        }
        text
    }

    fn from_env(text: &str) -> Option<Self> {
        let lines: BTreeMap<&str, &str> = text
            .lines()
            .filter_map(|line| line.split_once('='))
            .collect();
        let mut found = Self::empty();
        for (name, place) in VARIABLES {
            let value = lines.get(name).filter(|value| !value.is_empty())?;
            *place(&mut found) = (*value).to_owned();
        }
        Some(found)
    }
}

/// The credentials of this data directory: those of `demo.env` when they still work, else new
/// ones.
pub async fn credentials(
    identity: &AuthService,
    caller: &InProcess,
    data_dir: &Path,
    url: &str,
) -> anyhow::Result<Credentials> {
    let path = data_dir.join(ENV_FILE);
    let known = std::fs::read_to_string(&path)
        .ok()
        .and_then(|text| Credentials::from_env(&text));
    let credentials = match known {
        Some(known) if work(caller, &known).await => known,
        _ => make(identity).await?,
    };
    files::write_private(&path, &credentials.to_env(url))?;
    Ok(credentials)
}

/// The keys open the door; passwords are not tried, which would cost a second each start.
async fn work(caller: &InProcess, known: &Credentials) -> bool {
    let keys = [
        &known.admin_api_key,
        &known.service_api_key,
        &known.operator_api_key,
        &known.auditor_api_key,
    ];
    for key in keys {
        let asked = caller.with_key(key).get("/api/v1/auth/me").await;
        if !asked.is_ok_and(|answer| answer.status.is_success()) {
            return false;
        }
    }
    true
}

async fn make(identity: &AuthService) -> anyhow::Result<Credentials> {
    let mut made = Credentials::empty();
    let users: [(&str, &str, Place, Place); 3] = [
        (
            "admin",
            "Demo administrator",
            |c| &mut c.admin_user,
            |c| &mut c.admin_password,
        ),
        (
            "user",
            "Ana",
            |c| &mut c.user_name,
            |c| &mut c.user_password,
        ),
        (
            "user",
            "Bob",
            |c| &mut c.second_user_name,
            |c| &mut c.second_user_password,
        ),
    ];
    for (role, display_name, name, password) in users {
        let secret = password_text(IdSource::random_32());
        user(identity, name(&mut made), display_name, role, &secret).await?;
        *password(&mut made) = secret;
    }
    let keys: [(&str, Place); 4] = [
        ("admin", |c| &mut c.admin_api_key),
        ("service", |c| &mut c.service_api_key),
        ("operator", |c| &mut c.operator_api_key),
        ("auditor", |c| &mut c.auditor_api_key),
    ];
    revoke_old_keys(identity).await?;
    for (role, place) in keys {
        let new = NewApiKey {
            name: format!("demo {role}"),
            user_id: None,
            roles: vec![role.to_owned()],
            scopes: None,
            expires_at: None,
            accounts: None,
        };
        let (_, secret) = identity.create_key(ACTOR, new, None).await?.value;
        *place(&mut made) = secret.map(Secret::into_inner).unwrap_or_default();
    }
    Ok(made)
}

async fn user(
    identity: &AuthService,
    name: &str,
    display_name: &str,
    role: &str,
    password: &str,
) -> anyhow::Result<()> {
    let password = Secret::new(password.to_owned());
    let new = NewUser {
        id: Some(name.to_owned()),
        user_name: name.to_owned(),
        password: Some(password.clone()),
        display_name: Some(display_name.to_owned()),
        roles: vec![role.to_owned()],
        accounts: None,
    };
    match identity.create_user(ACTOR, new, None).await {
        Ok(_) => Ok(()),
        Err(IdentityError::UserExists) => {
            let known = identity.user_by_name(name).await?;
            Ok(identity.set_password(ACTOR, &known.id, password).await?)
        }
        Err(error) => Err(error.into()),
    }
}

/// Keys of an earlier demo whose text is lost.
async fn revoke_old_keys(identity: &AuthService) -> anyhow::Result<()> {
    let mut after = None;
    loop {
        let page = identity.keys(None, after.as_deref(), 100).await?;
        for key in &page {
            if key.created_by == ACTOR && key.revoked_at.is_none() {
                identity.revoke_key(ACTOR, &key.id).await?;
            }
        }
        match page.last() {
            Some(last) if page.len() == 100 => after = Some(last.id.clone()),
            _ => return Ok(()),
        }
    }
}

/// 20 characters of 32, without those that are mistaken for others: 100 random bits.
pub fn password_text(random: [u8; 32]) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut text = String::with_capacity(23);
    for (at, byte) in random.iter().take(20).enumerate() {
        if at > 0 && at % 5 == 0 {
            text.push('-');
        }
        text.push(char::from(LETTERS[usize::from(byte % 32)]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_gives_back_what_was_written() {
        let mut made = Credentials::empty();
        for (at, (_, place)) in VARIABLES.iter().enumerate() {
            *place(&mut made) = format!("value-{at}");
        }
        let text = made.to_env("http://127.0.0.1:1");
        assert!(
            text.starts_with("FLORIN_URL=http://127.0.0.1:1\n"),
            "{text}"
        );
        assert_eq!(Credentials::from_env(&text), Some(made));
        assert_eq!(Credentials::from_env("FLORIN_KEY=x\n"), None);
    }

    #[test]
    fn passwords_are_long_and_follow_their_random_bytes() {
        assert_eq!(password_text([0; 32]), "aaaaa-aaaaa-aaaaa-aaaaa");
        assert_ne!(password_text([1; 32]), password_text([2; 32]));
    }
}
