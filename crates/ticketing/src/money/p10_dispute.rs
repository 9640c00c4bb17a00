//! P10, P11, P12: a disputed payment is withdrawn; it comes back, or the organiser bears it.
//!
//! | # | when | debit | credit | component |
//! |---|---|---|---|---|
//! | P10 | funds withdrawn | chargebacks A | psp:stripe A | dispute |
//! | | | cost:disputes F | psp:stripe F | dispute_fee |
//! | P11 | won | psp:stripe A | chargebacks A | dispute |
//! | | fee returned | psp:stripe F | cost:disputes F | dispute_fee |
//! | P12 | lost | payable A | chargebacks A | dispute |

use super::{Account, Component, Leg, Posting, Subject};
use crate::model::amounts::Minor;

/// A dispute as it is posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disputed {
    /// Our row.
    pub dispute_id: String,
    /// Its currency.
    pub currency: String,
    /// A: what was disputed.
    pub amount: Minor,
    /// F: what the provider took for it.
    pub fee: Minor,
}

/// P10.
pub fn withdrawn(subject: &Subject, disputed: &Disputed) -> Posting {
    let chargeback = Account::Chargeback(disputed.dispute_id.clone());
    posting(
        "P10",
        subject,
        disputed,
        vec![
            Leg::new(
                chargeback,
                Account::Psp,
                disputed.amount,
                Component::Dispute,
            ),
            Leg::new(
                Account::DisputeCost,
                Account::Psp,
                disputed.fee,
                Component::DisputeFee,
            ),
        ],
    )
}

/// P11; `fee_back` is what the provider gave back of F.
pub fn won(subject: &Subject, disputed: &Disputed, fee_back: Minor) -> Posting {
    let chargeback = Account::Chargeback(disputed.dispute_id.clone());
    posting(
        "P11",
        subject,
        disputed,
        vec![
            Leg::new(
                Account::Psp,
                chargeback,
                disputed.amount,
                Component::Dispute,
            ),
            Leg::new(
                Account::Psp,
                Account::DisputeCost,
                fee_back,
                Component::DisputeFee,
            ),
        ],
    )
}

/// P12: charged whole to the organiser; tax is left.
pub fn lost(subject: &Subject, disputed: &Disputed) -> Posting {
    let payable = Account::Payable {
        org_id: subject.org_id.clone(),
        event_id: subject.event_id.clone().unwrap_or_default(),
    };
    let chargeback = Account::Chargeback(disputed.dispute_id.clone());
    let leg = Leg::new(payable, chargeback, disputed.amount, Component::Dispute);
    posting("P12", subject, disputed, vec![leg])
}

fn posting(name: &'static str, subject: &Subject, disputed: &Disputed, legs: Vec<Leg>) -> Posting {
    Posting {
        name,
        key: format!("{}:1", disputed.dispute_id),
        subject: Subject {
            dispute_id: Some(disputed.dispute_id.clone()),
            ..subject.clone()
        },
        currency: disputed.currency.clone(),
        legs,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chargebacks_are_empty_whether_won_or_lost() {
        let subject = Subject {
            org_id: "o".into(),
            event_id: Some("e".into()),
            ..Subject::default()
        };
        let disputed = Disputed {
            dispute_id: "d".into(),
            currency: "EUR".into(),
            amount: 9_291,
            fee: 1_500,
        };
        let moved = |posting: &Posting| -> Minor {
            let account = Account::Chargeback("d".into());
            let of = |leg: &Leg| match (leg.debit == account, leg.credit == account) {
                (true, _) => leg.amount,
                (_, true) => -leg.amount,
                _ => 0,
            };
            posting.legs.iter().map(of).sum()
        };
        let open = moved(&withdrawn(&subject, &disputed));
        assert_eq!(open, 9_291);
        assert_eq!(open + moved(&won(&subject, &disputed, 0)), 0);
        assert_eq!(open + moved(&lost(&subject, &disputed)), 0);
    }
}
