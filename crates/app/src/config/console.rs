//! The section `console`: where the web console finds the API, how long a sign-in lasts, sign-in
//! through an outside provider.

use std::time::Duration;

use florin_base::Secret;
use florin_console::oidc::OidcSettings;
use serde::Deserialize;

use super::Config;
use super::settings::duration;
use crate::fail::failure;

/// `console`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsoleSection {
    /// Where the API is, unless it is in this process.
    #[serde(default)]
    pub api_url: Option<String>,
    /// Seals cookies.
    #[serde(default)]
    pub secret: Option<Secret<String>>,
    /// Longest sign-in.
    #[serde(deserialize_with = "duration")]
    pub session: Duration,
    /// `console.oidc`.
    pub oidc: OidcSection,
}

/// `console.oidc`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OidcSection {
    /// URL of the provider.
    #[serde(default)]
    pub issuer: Option<String>,
    /// Our name there.
    #[serde(default)]
    pub client_id: Option<String>,
    /// Our secret there.
    #[serde(default)]
    pub client_secret: Option<Secret<String>>,
    /// What is asked for.
    pub scopes: String,
    /// On the button.
    pub name: String,
    /// Which token the API is shown.
    pub token: OidcToken,
}

/// Which token of the provider the API is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OidcToken {
    /// The access token.
    Access,
    /// The id token, where access tokens are not for others to read.
    Id,
}

/// The provider; `None`: only local users sign in.
///
/// # Errors
/// An issuer without our name there.
pub fn oidc(config: &Config) -> anyhow::Result<Option<OidcSettings>> {
    let section = &config.console.oidc;
    let Some(issuer) = section.issuer.clone() else {
        return Ok(None);
    };
    let Some(client_id) = section.client_id.clone() else {
        return Err(failure(
            "`console.oidc.client_id` is missing beside the issuer",
            "the provider gives it when the console is registered there, with the redirect URL …/console/oidc/callback",
        ));
    };
    Ok(Some(OidcSettings {
        issuer,
        client_id,
        client_secret: section.client_secret.clone(),
        scopes: section.scopes.clone(),
        name: section.name.clone(),
        use_id_token: section.token == OidcToken::Id,
    }))
}
