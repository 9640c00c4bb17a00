//! The section `shadow`: how the second record decides, what a check may do, and who must agree.

use std::collections::BTreeMap;
use std::time::Duration;

use florin_ledger::model::Asset;
use florin_shadow::corrections::control::Control;
use florin_shadow::drift::policy::{AutoLimits, LOOK_BACK_RANGE, Mode, Policy, SUBSET_RANGE};
use florin_shadow::drift::tolerance::{Tolerance, parse_percent};
use serde::Deserialize;

use super::Config;
use super::policy::{asset_of, assets, minor};
use super::settings::duration;
use crate::fail::failure;

/// Longest `shadow.grace` (contract A4).
const GRACE_MAX: Duration = Duration::from_secs(86_400);

/// `shadow`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shadow {
    /// How debits are decided.
    pub policy: ShadowPolicy,
    /// How long an event is open.
    #[serde(deserialize_with = "duration")]
    pub grace: Duration,
    /// How far ahead of the clock an event may be dated.
    #[serde(deserialize_with = "duration")]
    pub max_future_skew: Duration,
    /// The routes at the root too.
    pub root_aliases: bool,
    /// Habits of older systems.
    pub compat: bool,
    /// Further listeners of the compat profile on 127.0.0.1.
    pub compat_ports: Vec<String>,
    /// Role `admin` implies the rest.
    pub role_hierarchy: bool,
    /// Above these amounts, by currency, proposer and approver differ.
    pub four_eyes_above: BTreeMap<String, String>,
    /// `shadow.drift`.
    pub drift: Drift,
}

/// `shadow.policy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ShadowPolicy {
    /// Open for a grace, then final.
    Watermark,
    /// Decided over all events, never final.
    Derived,
    /// Final at once.
    Arrival,
}

/// `shadow.drift`: what a check does.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drift {
    mode: String,
    strict: bool,
    max_subset: usize,
    look_back_days: u32,
    tolerance: BTreeMap<String, ToleranceSetting>,
    auto_limits: BTreeMap<String, AutoSetting>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct ToleranceSetting {
    absolute: String,
    #[serde(default)]
    percent: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct AutoSetting {
    single: String,
    percent: String,
    daily: String,
}

impl Shadow {
    /// Ports of the further listeners; empty outside the compat profile.
    ///
    /// # Errors
    /// A text that is no port.
    pub fn compat_ports(&self) -> anyhow::Result<Vec<u16>> {
        let port = |text: &String| {
            let port = text.trim().parse().ok().filter(|port| *port > 0);
            port.ok_or_else(|| {
                failure(
                    format!("`shadow.compat_ports`: {text} is no port"),
                    "such as [\"8081\", \"8082\", \"8083\"]",
                )
            })
        };
        let ports = self.compat_ports.iter().map(port);
        let ports = ports.collect::<anyhow::Result<Vec<u16>>>()?;
        Ok(if self.compat { ports } else { Vec::new() })
    }
}

/// What checks and corrections may do, in the words of the shadow ledger.
///
/// # Errors
/// A currency that is not registered, an amount or share that cannot be read, a bound out of its
/// range; each names its setting.
pub fn control(config: &Config) -> anyhow::Result<Control> {
    let shadow = &config.shadow;
    if shadow.grace > GRACE_MAX {
        let message = "`shadow.grace` is longer than a day";
        return Err(failure(message, "0s to 24h"));
    }
    shadow.compat_ports()?;
    let assets = assets(config)?;
    let currencies = crate::serve::shadow::currencies(config)?;
    let mut control = Control {
        policy: policy(&shadow.drift)?,
        compat: shadow.compat,
        ..Control::of_contract(&*currencies)
    };
    for (code, limit) in &shadow.four_eyes_above {
        let limit = amount(&assets, "shadow.four_eyes_above", code, limit)?;
        control.four_eyes_above.insert(code.clone(), limit);
    }
    for (code, setting) in &shadow.drift.tolerance {
        let name = "shadow.drift.tolerance";
        let tolerance = Tolerance {
            absolute: amount(&assets, name, code, &setting.absolute)?,
            percent: setting
                .percent
                .as_deref()
                .map(|text| share(name, code, text))
                .transpose()?,
        };
        control.tolerances.insert(code.clone(), tolerance);
    }
    for (code, setting) in &shadow.drift.auto_limits {
        let name = "shadow.drift.auto_limits";
        let limits = AutoLimits {
            single: amount(&assets, name, code, &setting.single)?,
            percent: share(name, code, &setting.percent)?,
            daily: amount(&assets, name, code, &setting.daily)?,
        };
        control.auto_limits.insert(code.clone(), limits);
    }
    Ok(control)
}

fn policy(drift: &Drift) -> anyhow::Result<Policy> {
    let mode = Mode::from_word(&drift.mode).ok_or_else(|| {
        failure(
            format!("`shadow.drift.mode`: there is no mode `{}`", drift.mode),
            "report, propose or auto",
        )
    })?;
    if !SUBSET_RANGE.contains(&drift.max_subset) {
        let message = "`shadow.drift.max_subset` is out of its range";
        return Err(failure(message, "2 to 6"));
    }
    if !LOOK_BACK_RANGE.contains(&drift.look_back_days) {
        let message = "`shadow.drift.look_back_days` is out of its range";
        return Err(failure(message, "1 to 400"));
    }
    Ok(Policy {
        mode,
        strict: drift.strict,
        max_subset: drift.max_subset,
        look_back_days: drift.look_back_days,
    })
}

fn amount(assets: &[Asset], setting: &str, code: &str, text: &str) -> anyhow::Result<i128> {
    let asset = asset_of(assets, setting, code)?;
    let name = format!("{setting}.{code}");
    let minor = minor(&name, &Some(text.to_owned()), asset)?.unwrap_or(0);
    i128::try_from(minor).map_err(|_| failure(format!("`{name}`: {text} is too large"), "less"))
}

fn share(setting: &str, code: &str, text: &str) -> anyhow::Result<u32> {
    parse_percent(text).ok_or_else(|| {
        failure(
            format!("`{setting}.{code}`: {text} is no percentage"),
            "a text from 0 to 100 with at most 4 decimals",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::layers::{Layers, Origin, toml_value};
    use crate::config::resolve;

    fn of(settings: &[(&str, &str)]) -> anyhow::Result<Control> {
        let mut layers = Layers::defaults();
        for (name, text) in settings {
            let value = toml_value(text).expect("TOML");
            layers.set(name, value, Origin::Flag("--x"))?;
        }
        control(&resolve(layers)?.config)
    }

    #[test]
    fn the_defaults_are_the_contract_s() {
        let control = of(&[]).expect("usable");
        assert_eq!(control.policy, Policy::default());
        assert_eq!(control.four_eyes("BRL"), Some(10_000));
        assert_eq!(control.four_eyes("USD"), Some(0));
        assert_eq!(control.tolerance("BRL", 2), Tolerance::default());
        assert_eq!(
            control.auto_limits("BRL"),
            AutoLimits::of_default_currency(2)
        );
        assert_eq!(control.auto_limits("USD"), AutoLimits::default());
    }

    #[test]
    fn settings_are_per_currency_and_in_its_units() {
        let control = of(&[
            ("shadow.drift.mode", "\"auto\""),
            ("shadow.drift.max_subset", "6"),
            ("shadow.drift.look_back_days", "400"),
            (
                "shadow.drift.tolerance",
                "{ BRL = { absolute = \"3.00\", percent = \"0.5\" }, JPY = { absolute = \"3\" } }",
            ),
            (
                "shadow.drift.auto_limits",
                "{ USD = { single = \"5.00\", percent = \"2\", daily = \"50.00\" } }",
            ),
            ("shadow.four_eyes_above", "{ USD = \"20.00\" }"),
        ])
        .expect("usable");
        assert_eq!(
            (control.policy.mode, control.policy.max_subset),
            (Mode::Auto, 6)
        );
        assert_eq!(control.policy.look_back_days, 400);
        let brl = Tolerance {
            absolute: 300,
            percent: Some(5_000),
        };
        assert_eq!(control.tolerance("BRL", 2), brl);
        assert_eq!(
            control.tolerance("JPY", 0),
            Tolerance {
                absolute: 3,
                percent: None
            }
        );
        let usd = AutoLimits {
            single: 500,
            percent: 20_000,
            daily: 5_000,
        };
        assert_eq!(control.auto_limits("USD"), usd);
        assert_eq!(
            (control.four_eyes("USD"), control.four_eyes("BRL")),
            (Some(2_000), Some(10_000))
        );
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (name, value, part) in [
            ("shadow.drift.mode", "\"guess\"", "shadow.drift.mode"),
            ("shadow.drift.max_subset", "7", "max_subset"),
            ("shadow.drift.look_back_days", "0", "look_back_days"),
            (
                "shadow.drift.tolerance",
                "{ XXQ = { absolute = \"1\" } }",
                "no asset XXQ",
            ),
            (
                "shadow.drift.tolerance",
                "{ BRL = { absolute = \"0.001\" } }",
                "0.001",
            ),
            (
                "shadow.drift.tolerance",
                "{ BRL = { absolute = \"1\", percent = \"101\" } }",
                "101",
            ),
            ("shadow.four_eyes_above", "{ BRL = \"-1\" }", "-1"),
            ("shadow.grace", "\"25h\"", "shadow.grace"),
            ("shadow.compat_ports", "[\"x\"]", "x is no port"),
        ] {
            let error = of(&[(name, value)]).expect_err(name).to_string();
            assert!(error.contains(part), "{name}: {error}");
        }
    }
}
