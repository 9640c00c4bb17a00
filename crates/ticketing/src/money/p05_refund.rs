//! P5: a refund is decided. Every part gives back its share.
//!
//! | fees borne by | debit | credit | component |
//! |---|---|---|---|
//! | buyer | payable n | refunds | net |
//! | | tax t | refunds | tax |
//! | | fee:platform f | refunds | platform_fee |
//! | | fee:processing g | refunds | processing_fee |
//! | organiser | payable n | refunds | net |
//! | | tax t | refunds | tax |
//! | | fee:platform f | payable | platform_fee |
//! | | fee:processing g | payable | processing_fee |

use super::{Account, Component, Leg, Posting, Subject};
use crate::model::amounts::{FeePayer, Paid};

/// The decision of a refund, whose id is in the subject.
pub fn refund(
    subject: &Subject,
    refund_id: &str,
    event_id: &str,
    currency: &str,
    payer: FeePayer,
    parts: &Paid,
) -> Posting {
    let payable = Account::Payable {
        org_id: subject.org_id.clone(),
        event_id: event_id.to_owned(),
    };
    let tax = Account::Tax {
        org_id: subject.org_id.clone(),
        event_id: event_id.to_owned(),
    };
    let refunds = Account::Refund(refund_id.to_owned());
    let fees_to = match payer {
        FeePayer::Buyer => &refunds,
        FeePayer::Organizer => &payable,
    };
    let legs = vec![
        Leg::new(payable.clone(), refunds.clone(), parts.net, Component::Net),
        Leg::new(tax, refunds.clone(), parts.tax, Component::Tax),
        Leg::new(
            Account::PlatformFee,
            fees_to.clone(),
            parts.platform_fee,
            Component::PlatformFee,
        ),
        Leg::new(
            Account::ProcessingFee,
            fees_to.clone(),
            parts.processing_fee,
            Component::ProcessingFee,
        ),
    ];
    Posting {
        name: "P5",
        key: format!("{refund_id}:1"),
        subject: subject.clone(),
        currency: currency.to_owned(),
        legs,
    }
}

/// What the organiser's payable loses by it, net of fees that come back to him.
pub const fn payable_loss(payer: FeePayer, parts: &Paid) -> i64 {
    match payer {
        FeePayer::Buyer => parts.net,
        FeePayer::Organizer => parts.net - parts.platform_fee - parts.processing_fee,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refund_account_gets_what_the_buyer_gets() {
        let subject = Subject {
            org_id: "o".into(),
            ..Subject::default()
        };
        let parts = Paid {
            net: 4_206,
            tax: 294,
            platform_fee: 146,
            processing_fee: 0,
        };
        for payer in [FeePayer::Buyer, FeePayer::Organizer] {
            let posting = refund(&subject, "r", "e", "EUR", payer, &parts);
            let credited: i64 = posting
                .legs
                .iter()
                .filter(|leg| leg.credit == Account::Refund("r".into()))
                .map(|leg| leg.amount)
                .sum();
            assert_eq!(credited, parts.by_buyer(payer));
        }
        assert_eq!(payable_loss(FeePayer::Organizer, &parts), 4_060);
    }
}
