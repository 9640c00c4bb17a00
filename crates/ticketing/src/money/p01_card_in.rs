//! P1: card money in. It lies in the order's clearing until it is decided what it is for.
//!
//! | debit | credit | component |
//! |---|---|---|
//! | psp:stripe total | clearing total | payment |

use super::{Account, Component, Leg, Posting, Subject};
use crate::model::amounts::Minor;

/// What the provider received for an intent; once for each intent, whatever is told how often.
pub fn received(
    subject: &Subject,
    intent_id: &str,
    order_id: &str,
    currency: &str,
    amount: Minor,
) -> Posting {
    let clearing = Account::Clearing(order_id.to_owned());
    Posting {
        name: "P1",
        key: format!("{intent_id}:1"),
        subject: subject.clone(),
        currency: currency.to_owned(),
        legs: vec![Leg::new(Account::Psp, clearing, amount, Component::Payment)],
    }
}
