//! P2, P2o: the sale. What cleared belongs to the organiser, the tax office and the platform.
//!
//! | fees borne by | debit | credit | component |
//! |---|---|---|---|
//! | buyer (P2) | clearing | payable Σn | net |
//! | | clearing | tax Σt | tax |
//! | | clearing | fee:platform f | platform_fee |
//! | | clearing | fee:processing g | processing_fee |
//! | organiser (P2o) | clearing | payable Σn | net |
//! | | clearing | tax Σt | tax |
//! | | payable | fee:platform f | platform_fee |
//! | | payable | fee:processing g | processing_fee |

use super::{Account, Component, Leg, Posting, Subject};
use crate::model::amounts::{FeePayer, Paid};

/// The sale of an order; `parts` are its sums. `attempt` tells payments of one order apart.
pub fn sale(
    subject: &Subject,
    order_id: &str,
    event_id: &str,
    attempt: u32,
    currency: &str,
    payer: FeePayer,
    parts: &Paid,
) -> Posting {
    let clearing = Account::Clearing(order_id.to_owned());
    let payable = Account::Payable {
        org_id: subject.org_id.clone(),
        event_id: event_id.to_owned(),
    };
    let tax = Account::Tax {
        org_id: subject.org_id.clone(),
        event_id: event_id.to_owned(),
    };
    let (name, pays) = match payer {
        FeePayer::Buyer => ("P2", &clearing),
        FeePayer::Organizer => ("P2o", &payable),
    };
    let legs = vec![
        Leg::new(clearing.clone(), payable.clone(), parts.net, Component::Net),
        Leg::new(clearing.clone(), tax, parts.tax, Component::Tax),
        Leg::new(
            pays.clone(),
            Account::PlatformFee,
            parts.platform_fee,
            Component::PlatformFee,
        ),
        Leg::new(
            pays.clone(),
            Account::ProcessingFee,
            parts.processing_fee,
            Component::ProcessingFee,
        ),
    ];
    Posting {
        name,
        key: format!("{order_id}:{attempt}"),
        subject: subject.clone(),
        currency: currency.to_owned(),
        legs,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn legs(payer: FeePayer) -> Vec<(String, i64)> {
        let subject = Subject {
            org_id: "o".into(),
            ..Subject::default()
        };
        let parts = Paid {
            net: 8_412,
            tax: 588,
            platform_fee: 291,
            processing_fee: 0,
        };
        let posting = sale(&subject, "order", "e", 1, "EUR", payer, &parts);
        let text = |account: &Account| account.id("EUR").to_string();
        posting
            .legs
            .iter()
            .map(|leg| {
                (
                    format!("{} > {}", text(&leg.debit), text(&leg.credit)),
                    leg.amount,
                )
            })
            .collect()
    }

    #[test]
    fn the_buyer_s_whole_payment_leaves_clearing() {
        let found = legs(FeePayer::Buyer);
        let clearing: i64 = found
            .iter()
            .filter(|(way, _)| way.starts_with("florin:tk:clearing:order:EUR"))
            .map(|(_, amount)| amount)
            .sum();
        assert_eq!(clearing, 9_291);
        assert_eq!(
            found[2].0,
            "florin:tk:clearing:order:EUR > florin:tk:fee:platform:EUR"
        );
    }

    #[test]
    fn the_organiser_s_fees_leave_his_payable() {
        let found = legs(FeePayer::Organizer);
        assert_eq!(
            found[2].0,
            "florin:tk:payable:o:e:EUR > florin:tk:fee:platform:EUR"
        );
        let clearing: i64 = found[..2].iter().map(|(_, amount)| amount).sum();
        assert_eq!(clearing, 9_000);
    }
}
