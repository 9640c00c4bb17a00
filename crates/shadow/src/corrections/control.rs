//! What an installation decides about checks and corrections (`shadow.*`), and its version.

use std::collections::BTreeMap;

use crate::drift::policy::{AutoLimits, Policy};
use crate::drift::tolerance::Tolerance;
use crate::model::amount::Currencies;
use crate::model::digest::short_id;

/// Limit of four eyes in the default currency, whole units: 100.00.
const FOUR_EYES_UNITS: i128 = 100;

/// Policy of checks, tolerances and limits per currency. Amounts in minor units.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Control {
    /// What a check does.
    pub policy: Policy,
    /// `shadow.tolerance` per currency; 0 where nothing is set.
    pub tolerances: BTreeMap<String, Tolerance>,
    /// `shadow.four_eyes_above` per currency.
    pub four_eyes_above: BTreeMap<String, i128>,
    /// Limits of automatic corrections per currency.
    pub auto_limits: BTreeMap<String, AutoLimits>,
    /// The compat profile: differences are posted at once and nobody approves.
    pub compat: bool,
}

impl Control {
    /// The figures of the contract for the default currency, and nothing for the others.
    pub fn of_contract(currencies: &dyn Currencies) -> Self {
        let code = currencies.default_code().to_owned();
        let scale = currencies.scale(&code).unwrap_or(2);
        let unit = florin_base::money::pow10(scale).and_then(|unit| i128::try_from(unit).ok());
        let four_eyes = FOUR_EYES_UNITS.saturating_mul(unit.unwrap_or(1));
        Self {
            four_eyes_above: BTreeMap::from([(code.clone(), four_eyes)]),
            auto_limits: BTreeMap::from([(code, AutoLimits::of_default_currency(scale))]),
            ..Self::default()
        }
    }

    /// Above this amount proposer and approver must differ; `None`: never.
    pub fn four_eyes(&self, currency: &str) -> Option<i128> {
        match self.compat {
            true => None,
            false => Some(self.four_eyes_above.get(currency).copied().unwrap_or(0)),
        }
    }

    /// The tolerance of a currency; 0.01 in the compat profile.
    pub fn tolerance(&self, currency: &str, scale: u8) -> Tolerance {
        if let Some(set) = self.tolerances.get(currency) {
            return *set;
        }
        let cent = scale.checked_sub(2).and_then(florin_base::money::pow10);
        let cent = cent.and_then(|cent| i128::try_from(cent).ok());
        Tolerance {
            absolute: cent.filter(|_| self.compat).unwrap_or(0),
            percent: None,
        }
    }

    /// Limits of automatic corrections in a currency.
    pub fn auto_limits(&self, currency: &str) -> AutoLimits {
        self.auto_limits.get(currency).copied().unwrap_or_default()
    }

    /// Names these settings in records: 16 hex digits that change when they do.
    pub fn version(&self) -> String {
        short_id(&[&format!("{self:?}")])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct One;

    impl Currencies for One {
        fn scale(&self, code: &str) -> Option<u8> {
            (code == "BRL" || code == "USD").then_some(2)
        }
        fn default_code(&self) -> &str {
            "BRL"
        }
    }

    #[test]
    fn currencies_without_settings_allow_nothing() {
        let control = Control::of_contract(&One);
        assert_eq!(control.four_eyes("BRL"), Some(10_000));
        assert_eq!(control.four_eyes("USD"), Some(0));
        assert_eq!(control.auto_limits("USD"), AutoLimits::default());
        assert_eq!(control.auto_limits("BRL").single, 1_000_000);
        assert_eq!(control.tolerance("BRL", 2), Tolerance::default());
        let compat = Control {
            compat: true,
            ..control.clone()
        };
        assert_eq!(compat.four_eyes("USD"), None);
        assert_eq!(compat.tolerance("BRL", 2).absolute, 1);
        assert_eq!(compat.tolerance("JPY", 0).absolute, 0);
        assert_ne!(compat.version(), control.version());
    }
}
