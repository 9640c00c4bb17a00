//! P4: what the provider kept of a payment. The platform's cost, not the organiser's.
//!
//! | debit | credit | component |
//! |---|---|---|
//! | cost:processing c | psp:stripe c | provider_cost |

use super::{Account, Component, Leg, Posting, Subject};
use crate::model::amounts::Minor;

/// The cost of an intent's charge, or of a refund where the provider charges for those; `key` is
/// the row's id.
pub fn kept(subject: &Subject, key: &str, currency: &str, cost: Minor) -> Posting {
    Posting {
        name: "P4",
        key: format!("{key}:1"),
        subject: subject.clone(),
        currency: currency.to_owned(),
        legs: vec![Leg::new(
            Account::ProcessingCost,
            Account::Psp,
            cost,
            Component::ProviderCost,
        )],
    }
}
