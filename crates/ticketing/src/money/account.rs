//! The ledger accounts of this room (contract C2).

use florin_ledger::model::{AccountId, AccountKind, Floor};

/// An account of ticketing; its id is `florin:tk:` + name + `:` + currency.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Account {
    /// What the card provider owes us.
    Psp,
    /// The bank.
    Bank,
    /// A buyer's wallet, in its own contract.
    Wallet(u128),
    /// A payment of an order that is being decided.
    Clearing(String),
    /// Owed to the organiser for an event.
    Payable {
        /// The organisation.
        org_id: String,
        /// The event.
        event_id: String,
    },
    /// Tax collected for an event.
    Tax {
        /// The organisation.
        org_id: String,
        /// The event.
        event_id: String,
    },
    /// Platform fees earned.
    PlatformFee,
    /// Processing fees earned.
    ProcessingFee,
    /// What the provider charges.
    ProcessingCost,
    /// What disputes cost.
    DisputeCost,
    /// A refund under way.
    Refund(String),
    /// A payout under way.
    Payout(String),
    /// A disputed payment.
    Chargeback(String),
}

impl Account {
    /// The id in the ledger.
    pub fn id(&self, currency: &str) -> AccountId {
        let name = match self {
            Self::Psp => "psp:stripe".to_owned(),
            Self::Bank => "bank".to_owned(),
            Self::Wallet(id) => return AccountId::Wallet(*id),
            Self::Clearing(order) => format!("clearing:{order}"),
            Self::Payable { org_id, event_id } => format!("payable:{org_id}:{event_id}"),
            Self::Tax { org_id, event_id } => format!("tax:{org_id}:{event_id}"),
            Self::PlatformFee => "fee:platform".to_owned(),
            Self::ProcessingFee => "fee:processing".to_owned(),
            Self::ProcessingCost => "cost:processing".to_owned(),
            Self::DisputeCost => "cost:disputes".to_owned(),
            Self::Refund(refund) => format!("refunds:{refund}"),
            Self::Payout(payout) => format!("payouts:{payout}"),
            Self::Chargeback(dispute) => format!("chargebacks:{dispute}"),
        };
        AccountId::Named((&*format!("florin:tk:{name}:{currency}")).into())
    }

    /// What kind of account it is; its normal side follows.
    pub const fn kind(&self) -> AccountKind {
        match self {
            Self::Psp | Self::Bank | Self::Chargeback(_) => AccountKind::Asset,
            Self::PlatformFee | Self::ProcessingFee => AccountKind::Income,
            Self::ProcessingCost | Self::DisputeCost => AccountKind::Expense,
            Self::Wallet(_)
            | Self::Clearing(_)
            | Self::Payable { .. }
            | Self::Tax { .. }
            | Self::Refund(_)
            | Self::Payout(_) => AccountKind::Liability,
        }
    }

    /// Its lower bound: none on psp, bank, payable, tax and fees, 0 on all others.
    pub const fn floor(&self) -> Floor {
        match self {
            Self::Psp
            | Self::Bank
            | Self::Payable { .. }
            | Self::Tax { .. }
            | Self::PlatformFee
            | Self::ProcessingFee => Floor::None,
            _ => Floor::Zero,
        }
    }

    /// Opened by us on first use; wallets are not.
    pub const fn is_ours(&self) -> bool {
        !matches!(self, Self::Wallet(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_fit_the_ledger_and_floors_are_the_contract_s() {
        let id = "019a9c00-0000-7000-8000-000000000001".to_owned();
        let payable = Account::Payable {
            org_id: id.clone(),
            event_id: id.clone(),
        };
        let text = payable.id("EUR").to_string();
        assert!(text.starts_with("florin:tk:payable:019a9c00") && text.ends_with(":EUR"));
        assert!(AccountId::parse(&text).is_some(), "{text}");
        assert_eq!(payable.floor(), Floor::None);
        assert_eq!(Account::Clearing(id.clone()).floor(), Floor::Zero);
        assert_eq!(Account::Chargeback(id).kind(), AccountKind::Asset);
        assert_eq!(
            Account::Psp.id("EUR").to_string(),
            "florin:tk:psp:stripe:EUR"
        );
    }
}
