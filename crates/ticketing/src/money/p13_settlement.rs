//! P13: the provider pays its balance to the platform's bank account.
//!
//! | debit | credit | component |
//! |---|---|---|
//! | bank | psp:stripe | bank |

use super::{Account, Component, Leg, Posting, Subject};
use crate::model::amounts::Minor;

/// A payout of the provider, by the provider's own id.
pub fn settled(provider_payout_id: &str, currency: &str, amount: Minor) -> Posting {
    Posting {
        name: "P13",
        key: format!("{provider_payout_id}:1"),
        subject: Subject::default(),
        currency: currency.to_owned(),
        legs: vec![Leg::new(
            Account::Bank,
            Account::Psp,
            amount,
            Component::Bank,
        )],
    }
}
