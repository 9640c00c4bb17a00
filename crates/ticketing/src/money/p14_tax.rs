//! P14: the platform remits tax that it collected for an event.
//!
//! | debit | credit | component |
//! |---|---|---|
//! | tax | bank | bank |

use super::{Account, Component, Leg, Posting, Subject};
use crate::model::amounts::Minor;

/// A remittance; `key` is the id of what it was paid by.
pub fn remitted(
    subject: &Subject,
    event_id: &str,
    key: &str,
    currency: &str,
    amount: Minor,
) -> Posting {
    let tax = Account::Tax {
        org_id: subject.org_id.clone(),
        event_id: event_id.to_owned(),
    };
    Posting {
        name: "P14",
        key: format!("{key}:1"),
        subject: subject.clone(),
        currency: currency.to_owned(),
        legs: vec![Leg::new(tax, Account::Bank, amount, Component::Bank)],
    }
}
