//! The section `ticketing`: limits, mails, the provider of card payments.

use std::collections::BTreeMap;

use florin_base::Secret;
use florin_ticketing::Settings;
use florin_ticketing::card::stripe::StripeSettings;
use florin_ticketing::limits;
use serde::Deserialize;

use super::{Config, assets};
use crate::fail::failure;

/// Where card payments go unless the configuration says otherwise.
const STRIPE_URL: &str = "https://api.stripe.com";

/// `ticketing`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ticketing {
    /// Seals personal fields and digests tokens.
    #[serde(default)]
    pub secret: Option<Secret<String>>,
    /// Sender of mails.
    pub mail_from: String,
    /// Takes mails over HTTP.
    #[serde(default)]
    pub mail_url: Option<String>,
    /// Its key.
    #[serde(default)]
    pub mail_key: Option<Secret<String>>,
    /// Limits that differ.
    pub limits: BTreeMap<String, u32>,
    /// `ticketing.stripe`.
    pub stripe: StripeSection,
}

/// `ticketing.stripe`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StripeSection {
    /// Another address than Stripe's.
    #[serde(default)]
    pub base_url: Option<String>,
    /// Secret key.
    #[serde(default)]
    pub secret_key: Option<Secret<String>>,
    /// Publishable key.
    #[serde(default)]
    pub publishable_key: Option<String>,
    /// Secrets of the webhook.
    pub webhook_secrets: Vec<Secret<String>>,
}

/// How card payments are taken; `None`: not at all.
///
/// # Errors
/// A key without the others.
pub fn stripe(config: &Config) -> anyhow::Result<Option<StripeSettings>> {
    let section = &config.ticketing.stripe;
    let Some(secret_key) = section.secret_key.clone() else {
        return Ok(None);
    };
    let Some(publishable_key) = section.publishable_key.clone() else {
        return Err(failure(
            "`ticketing.stripe.publishable_key` is missing beside the secret key",
            "both are shown at the provider, under API keys",
        ));
    };
    if section.webhook_secrets.is_empty() {
        return Err(failure(
            "`ticketing.stripe.webhook_secrets` is empty: payments would be found by asking alone",
            "add an endpoint …/api/v1/payments/stripe/webhook at the provider and give its secret here",
        ));
    }
    let base_url = section.base_url.as_deref().unwrap_or(STRIPE_URL);
    Ok(Some(StripeSettings {
        base_url: base_url.trim_end_matches('/').to_owned(),
        secret_key,
        publishable_key,
        webhook_secrets: section.webhook_secrets.clone(),
    }))
}

/// What the room is told of the configuration.
///
/// # Errors
/// An unknown limit, or what the assets say.
pub fn settings(config: &Config, public_url: &str, dev: bool) -> anyhow::Result<Settings> {
    let mut known = BTreeMap::new();
    for (name, calls) in &config.ticketing.limits {
        let limit = limits::ALL.iter().find(|limit| limit.name == name);
        let limit = limit.ok_or_else(|| {
            let names: Vec<&str> = limits::ALL.iter().map(|limit| limit.name).collect();
            failure(
                format!("`ticketing.limits`: there is no limit `{name}`"),
                format!("limits: {}", names.join(", ")),
            )
        })?;
        known.insert(limit.name, *calls);
    }
    let assets = assets(config)?;
    Ok(Settings {
        public_url: public_url.trim_end_matches('/').to_owned(),
        dev,
        currencies: assets
            .iter()
            .map(|asset| (asset.code.as_ref().into(), asset.scale))
            .collect(),
        limits: known,
        mail_from: config.ticketing.mail_from.clone(),
    })
}
