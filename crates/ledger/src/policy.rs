//! Settings that decide postings: amount ranges, tiers of limits, closed periods.

use std::collections::BTreeMap;

use florin_base::Timestamp;

use crate::model::{Asset, Limits};

/// The smallest and largest amount of one wallet call, in minor units, both inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// Smallest.
    pub min: u128,
    /// Largest.
    pub max: u128,
}

/// Everything configured that a decision depends on. The same policy must be used to judge the
/// same call again; records carry its outcome, so a later change never rewrites history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Ranges that differ from the default, by asset code.
    pub ranges: BTreeMap<Box<str>, Range>,
    /// Profile `compat`: JSON-number amounts are rounded half to even.
    pub compat: bool,
    /// Limits by tier and asset code; a tier without an entry for an asset has none there.
    pub tiers: BTreeMap<Box<str>, BTreeMap<Box<str>, Limits>>,
    /// Most wallets of one user in one currency.
    pub wallets_per_user_max: usize,
    /// Postings must not count before this time.
    pub closed_before: Option<Timestamp>,
    /// How far the wall clock may jump ahead of the boot-time clock, in microseconds.
    pub clock_forward_max_micros: i64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            ranges: BTreeMap::new(),
            compat: false,
            tiers: BTreeMap::from([("standard".into(), BTreeMap::new())]),
            wallets_per_user_max: 100,
            closed_before: None,
            clock_forward_max_micros: 24 * 3_600 * 1_000_000,
        }
    }
}

/// Default largest amount of a wallet call, in major units (contract B2).
const DEFAULT_MAX_MAJOR: u128 = 1_000_000;

impl Policy {
    /// The range for an asset: configured, else 0.01 for scale 2 and one minor unit otherwise,
    /// up to 1000000.00.
    pub fn range(&self, asset: &Asset) -> Range {
        self.ranges
            .get(&asset.code)
            .copied()
            .unwrap_or_else(|| Range {
                min: 1,
                max: florin_base::money::pow10(asset.scale)
                    .and_then(|unit| unit.checked_mul(DEFAULT_MAX_MAJOR))
                    .unwrap_or(u128::MAX),
            })
    }

    /// The limits of a tier for an asset; none for an unknown tier.
    pub fn tier_limits(&self, tier: &str, asset: &str) -> Limits {
        self.tiers
            .get(tier)
            .and_then(|by_asset| by_asset.get(asset))
            .copied()
            .unwrap_or_default()
    }

    /// The tier exists.
    pub fn has_tier(&self, tier: &str) -> bool {
        self.tiers.contains_key(tier)
    }
}
