//! P9: a payout ends. Paid from the bank, or back to where it came from. (Paid into a wallet it is
//! the ledger's own PAYOUT, see [`super::wallet`].)
//!
//! | outcome | debit | credit | component |
//! |---|---|---|---|
//! | paid | payouts x + y | bank | bank |
//! | failed | payouts x | payable | payout |
//! | | payouts y | tax | tax |

use super::p08_payout::{Line, legs};
use super::{Account, Component, Leg, Posting, Subject};
use crate::model::amounts::Minor;

/// The bank paid it.
pub fn paid(subject: &Subject, payout_id: &str, currency: &str, amount: Minor) -> Posting {
    Posting {
        name: "P9",
        key: format!("{payout_id}:1"),
        subject: subject.clone(),
        currency: currency.to_owned(),
        legs: vec![Leg::new(
            Account::Payout(payout_id.to_owned()),
            Account::Bank,
            amount,
            Component::Bank,
        )],
    }
}

/// It failed: everything goes back to where it came from.
pub fn failed(subject: &Subject, payout_id: &str, currency: &str, lines: &[Line]) -> Posting {
    Posting {
        name: "P9",
        key: format!("{payout_id}:2"),
        subject: subject.clone(),
        currency: currency.to_owned(),
        legs: legs(&subject.org_id, payout_id, lines, true),
    }
}

#[cfg(test)]
mod tests {
    use super::super::p08_payout::started;
    use super::*;

    #[test]
    fn a_failed_payout_is_the_started_one_turned_round() {
        let subject = Subject {
            org_id: "o".into(),
            ..Subject::default()
        };
        let line = |event: &str, net, tax| Line {
            event_id: event.into(),
            net,
            tax,
        };
        let lines = [line("a", -5, 0), line("b", 90, 10)];
        let (there, back) = (
            started(&subject, "p", "EUR", &lines),
            failed(&subject, "p", "EUR", &lines),
        );
        let mut way: Vec<_> = there
            .legs
            .iter()
            .map(|l| (&l.debit, &l.credit, l.amount))
            .collect();
        let mut turned: Vec<_> = back
            .legs
            .iter()
            .map(|l| (&l.credit, &l.debit, l.amount))
            .collect();
        way.sort();
        turned.sort();
        assert_eq!(way, turned);
        assert_ne!(there.key, back.key);
    }
}
