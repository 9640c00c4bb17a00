//! The policy of one check as it is kept beside it.

use serde::{Deserialize, Serialize};

use super::input::{Asked, AskedTolerance, Fault};
use super::policy::{Mode, Policy, TooLoose, narrowed_tolerance};
use super::tolerance::Tolerance;
use crate::corrections::control::Control;

/// The policy in force for one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InForce {
    /// `report`, `propose` or `auto`.
    pub mode: String,
    /// Every account names everything.
    pub strict: bool,
    /// Members of the largest subset.
    pub max_subset: usize,
    /// Days that evidence may be old.
    pub look_back_days: u32,
    /// The request's tolerance.
    #[serde(default)]
    pub tolerance: AskedTolerance,
    /// Names the settings of the installation.
    pub policy_version: String,
}

fn loose(error: TooLoose) -> Fault {
    Fault::new(error.field, "policy_too_loose", error.to_string())
}

impl InForce {
    /// The installation's policy as one request narrows it.
    ///
    /// # Errors
    /// `policy_too_loose`.
    pub fn of(control: &Control, asked: &Asked) -> Result<Self, Fault> {
        let policy = control.policy.narrowed(asked.narrowing).map_err(loose)?;
        Ok(Self {
            mode: policy.mode.as_str().to_owned(),
            strict: policy.strict,
            max_subset: policy.max_subset,
            look_back_days: policy.look_back_days,
            tolerance: asked.tolerance.clone(),
            policy_version: control.version(),
        })
    }

    /// The mode.
    pub fn mode(&self) -> Mode {
        Mode::from_word(&self.mode).unwrap_or(Mode::Report)
    }

    /// Look-back in milliseconds.
    pub fn look_back_ms(&self) -> i64 {
        i64::from(self.look_back_days) * super::explain::DAY_MS
    }

    /// Whether the request's tolerance is one of this currency's, and tighter than the house's.
    ///
    /// # Errors
    /// `amount_precision` or `policy_too_loose`.
    pub fn check_tolerance(
        &self,
        control: &Control,
        currency: &str,
        scale: u8,
    ) -> Result<(), Fault> {
        let asked = self.tolerance.of_scale(scale)?;
        let house = control.tolerance(currency, scale);
        narrowed_tolerance(house, asked).map(drop).map_err(loose)
    }

    /// The tolerance of a book: its own or its currency's, and the request's where that is
    /// tighter.
    pub fn tolerance(
        &self,
        control: &Control,
        currency: &str,
        scale: u8,
        own: Option<&str>,
    ) -> Tolerance {
        let own = own.and_then(|json| AskedTolerance::from_json(json).ok());
        let own = own.and_then(|asked| asked.of_scale(scale).ok().flatten());
        let house = own.unwrap_or_else(|| control.tolerance(currency, scale));
        let asked = self.tolerance.of_scale(scale).ok().flatten();
        asked.filter(|asked| asked.within(&house)).unwrap_or(house)
    }
}

impl Default for InForce {
    fn default() -> Self {
        let policy = Policy::default();
        Self {
            mode: policy.mode.as_str().to_owned(),
            strict: policy.strict,
            max_subset: policy.max_subset,
            look_back_days: policy.look_back_days,
            tolerance: AskedTolerance::default(),
            policy_version: String::new(),
        }
    }
}
