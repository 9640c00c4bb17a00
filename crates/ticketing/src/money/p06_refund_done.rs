//! P6: a refund left by card. (Into a wallet it is the ledger's own REFUND, see
//! [`super::wallet`].)
//!
//! | outcome | debit | credit | component |
//! |---|---|---|---|
//! | done | refunds | psp:stripe | settle |
//! | came back: the card's bank refused it after all | psp:stripe | refunds | settle |

use super::{Account, Component, Leg, Posting, Subject};
use crate::model::amounts::Minor;

/// The provider paid it. `key` is the refund and the attempt, `refund_id` names the account.
pub fn done(
    subject: &Subject,
    key: &str,
    refund_id: &str,
    currency: &str,
    amount: Minor,
) -> Posting {
    let refund = Account::Refund(refund_id.to_owned());
    posting(
        subject,
        key.to_owned(),
        currency,
        refund,
        Account::Psp,
        amount,
    )
}

/// It came back to the provider's balance: the sum waits in refunds again.
pub fn came_back(
    subject: &Subject,
    key: &str,
    refund_id: &str,
    currency: &str,
    amount: Minor,
) -> Posting {
    let refund = Account::Refund(refund_id.to_owned());
    posting(
        subject,
        format!("{key}:back"),
        currency,
        Account::Psp,
        refund,
        amount,
    )
}

fn posting(
    subject: &Subject,
    key: String,
    currency: &str,
    debit: Account,
    credit: Account,
    amount: Minor,
) -> Posting {
    Posting {
        name: "P6",
        key,
        subject: subject.clone(),
        currency: currency.to_owned(),
        legs: vec![Leg::new(debit, credit, amount, Component::Settle)],
    }
}
