//! What the configuration says about postings, in the words of the ledger.

use std::collections::BTreeMap;

use anyhow::Context as _;
use florin_base::{Decimal, Timestamp};
use florin_ledger::Policy;
use florin_ledger::model::{Asset, AssetKind, DirectionLimits, Limits, Metadata};
use florin_ledger::policy::Range;
use serde::Deserialize;

use super::{Config, Profile};
use crate::fail::{OrHint as _, failure};

/// One of `ledger.assets`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssetSetting {
    code: String,
    scale: u8,
    kind: String,
    #[serde(default)]
    name: Option<String>,
}

/// One of `wallets.amounts`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RangeSetting {
    #[serde(default)]
    min: Option<String>,
    #[serde(default)]
    max: Option<String>,
}

/// Limits of a tier in one currency.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsSetting {
    out: DirectionSetting,
    r#in: DirectionSetting,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct DirectionSetting {
    per_transaction: Option<String>,
    daily: Option<String>,
    monthly: Option<String>,
}

/// The built-in assets and those of the configuration.
pub fn assets(config: &Config) -> anyhow::Result<Vec<Asset>> {
    let mut all = Asset::standard();
    for setting in &config.ledger.assets {
        let kind = AssetKind::from_word(&setting.kind).ok_or_else(|| {
            let message = format!(
                "`ledger.assets`: {} has the unknown kind `{}`",
                setting.code, setting.kind
            );
            failure(message, "fiat, crypto, points or other")
        })?;
        if !valid_code(&setting.code) || setting.scale > florin_base::money::MAX_SCALE {
            let message = format!(
                "`ledger.assets`: {} with scale {} is not valid",
                setting.code, setting.scale
            );
            return Err(failure(
                message,
                "a code is 2 to 24 of A-Z 0-9 . _ - starting with a letter; a scale is 0 to 30",
            ));
        }
        if all.iter().any(|known| *known.code == *setting.code) {
            return Err(failure(
                format!("`ledger.assets`: {} exists already", setting.code),
                "leave it out; the scale of an asset never changes",
            ));
        }
        all.push(Asset {
            code: setting.code.as_str().into(),
            scale: setting.scale,
            kind,
            name: setting.name.as_deref().map(Into::into),
            metadata: Metadata::default(),
        });
    }
    Ok(all)
}

fn valid_code(code: &str) -> bool {
    let rest = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b"._-".contains(&b);
    (2..=24).contains(&code.len())
        && code.starts_with(|c: char| c.is_ascii_uppercase())
        && code.bytes().all(rest)
}

/// What decides about postings.
pub fn policy(config: &Config) -> anyhow::Result<Policy> {
    let assets = assets(config)?;
    let defaults = Policy::default();
    let mut ranges = BTreeMap::new();
    for (code, setting) in &config.wallets.amounts {
        let asset = asset_of(&assets, "wallets.amounts", code)?;
        let usual = defaults.range(asset);
        let name = format!("wallets.amounts.{code}");
        let range = Range {
            min: minor(&name, &setting.min, asset)?.unwrap_or(usual.min),
            max: minor(&name, &setting.max, asset)?.unwrap_or(usual.max),
        };
        if range.min == 0 || range.min > range.max {
            return Err(failure(
                format!("`{name}`: min must be above zero and not above max"),
                "swap or correct them",
            ));
        }
        ranges.insert(Box::from(code.as_str()), range);
    }
    let mut tiers = defaults.tiers.clone();
    for (tier, currencies) in &config.wallets.tiers {
        let mut limits = BTreeMap::new();
        for (code, setting) in currencies {
            let asset = asset_of(&assets, "wallets.tiers", code)?;
            let name = format!("wallets.tiers.{tier}.{code}");
            let both = Limits {
                out: direction(&name, &setting.out, asset)?,
                r#in: direction(&name, &setting.r#in, asset)?,
            };
            limits.insert(Box::from(code.as_str()), both);
        }
        tiers.insert(Box::from(tier.as_str()), limits);
    }
    let closed_before = config.ledger.closed_before.as_deref().map(|text| {
        Timestamp::parse(text)
            .context("`ledger.closed_before`")
            .or_hint("a time with its zone, such as 2026-01-01T00:00:00Z")
    });
    Ok(Policy {
        ranges,
        compat: config.wallets.profile == Profile::Compat,
        tiers,
        wallets_per_user_max: config.wallets.per_user_max,
        closed_before: closed_before.transpose()?,
        clock_forward_max_micros: i64::try_from(config.ledger.clock_forward_max.as_micros())
            .unwrap_or(i64::MAX),
    })
}

pub(super) fn asset_of<'a>(
    assets: &'a [Asset],
    setting: &str,
    code: &str,
) -> anyhow::Result<&'a Asset> {
    let found = assets.iter().find(|asset| *asset.code == *code);
    found.ok_or_else(|| {
        failure(
            format!("`{setting}`: there is no asset {code}"),
            "add it to `ledger.assets`",
        )
    })
}

fn direction(
    name: &str,
    setting: &DirectionSetting,
    asset: &Asset,
) -> anyhow::Result<DirectionLimits> {
    Ok(DirectionLimits {
        per_transaction: minor(name, &setting.per_transaction, asset)?,
        daily: minor(name, &setting.daily, asset)?,
        monthly: minor(name, &setting.monthly, asset)?,
    })
}

pub(super) fn minor(
    name: &str,
    text: &Option<String>,
    asset: &Asset,
) -> anyhow::Result<Option<u128>> {
    let Some(text) = text else { return Ok(None) };
    let parsed = Decimal::parse(text).and_then(|decimal| decimal.to_minor(asset.scale));
    parsed.map(Some).map_err(|error| {
        let message = format!("`{name}`: {text} is no amount of {}: {error}", asset.code);
        failure(
            message,
            format!("a text with at most {} decimals", asset.scale),
        )
    })
}
