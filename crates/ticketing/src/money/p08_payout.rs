//! P8: a payout starts. One line for each event, net before tax.
//!
//! | debit | credit | component |
//! |---|---|---|
//! | payable x | payouts | payout |
//! | tax y (where the organiser remits it) | payouts | tax |

use serde::{Deserialize, Serialize};

use super::{Account, Component, Leg, Posting, Subject};
use crate::model::amounts::Minor;

/// What a payout takes from one event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// The event.
    pub event_id: String,
    /// From its payable; negative where a debt is settled by the others.
    pub net: Minor,
    /// From its tax.
    pub tax: Minor,
}

/// The legs of a line in a direction: towards the payout, or back.
pub(super) fn legs(org_id: &str, payout_id: &str, lines: &[Line], back: bool) -> Vec<Leg> {
    let payouts = Account::Payout(payout_id.to_owned());
    let leg = |account: Account, amount: Minor, component| {
        // A debt is settled by a leg the other way round.
        match (amount < 0) != back {
            false => Leg::new(account, payouts.clone(), amount.abs(), component),
            true => Leg::new(payouts.clone(), account, amount.abs(), component),
        }
    };
    // What comes in stands first, so that the account never falls below zero.
    let mut all: Vec<(Minor, Leg)> = Vec::with_capacity(2 * lines.len());
    for line in lines {
        let ids = || (org_id.to_owned(), line.event_id.clone());
        let (org, event) = ids();
        let payable = Account::Payable {
            org_id: org,
            event_id: event,
        };
        let (org, event) = ids();
        let tax = Account::Tax {
            org_id: org,
            event_id: event,
        };
        all.push((line.net, leg(payable, line.net, Component::Payout)));
        all.push((line.tax, leg(tax, line.tax, Component::Tax)));
    }
    all.sort_by_key(|(amount, _)| (*amount < 0) != back);
    all.into_iter().map(|(_, leg)| leg).collect()
}

/// The start of a payout.
pub fn started(subject: &Subject, payout_id: &str, currency: &str, lines: &[Line]) -> Posting {
    Posting {
        name: "P8",
        key: format!("{payout_id}:1"),
        subject: subject.clone(),
        currency: currency.to_owned(),
        legs: legs(&subject.org_id, payout_id, lines, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debts_are_settled_after_money_came_in() {
        let subject = Subject {
            org_id: "o".into(),
            ..Subject::default()
        };
        let lines = [
            Line {
                event_id: "debt".into(),
                net: -300,
                tax: 0,
            },
            Line {
                event_id: "gain".into(),
                net: 1_000,
                tax: 50,
            },
        ];
        let posting = started(&subject, "p", "EUR", &lines);
        let mut balance = 0;
        for leg in &posting.legs {
            match leg.credit == Account::Payout("p".into()) {
                true => balance += leg.amount,
                false => balance -= leg.amount,
            }
            assert!(balance >= 0);
        }
        assert_eq!(balance, 750);
    }
}
