//! P7: a late, double or wrong payment goes back whole; P6 follows when the provider did it.
//!
//! | debit | credit | component |
//! |---|---|---|
//! | clearing | refunds | payment |

use super::{Account, Component, Leg, Posting, Subject};
use crate::model::amounts::Minor;

/// A payment that buys nothing.
pub fn returned(
    subject: &Subject,
    return_id: &str,
    order_id: &str,
    currency: &str,
    amount: Minor,
) -> Posting {
    Posting {
        name: "P7",
        key: format!("{return_id}:1"),
        subject: subject.clone(),
        currency: currency.to_owned(),
        legs: vec![Leg::new(
            Account::Clearing(order_id.to_owned()),
            Account::Refund(return_id.to_owned()),
            amount,
            Component::Payment,
        )],
    }
}
