//! One posting: a chain of linked transfers, there whole or not at all, exactly once (INV-T6).

use std::collections::BTreeSet;

use florin_base::Signed;
use florin_ledger::Ledger;
use florin_ledger::call::{
    Answer, Call, CreateAccount, Item, Outcome, Query, RefusalCode, TransfersCall, Unavailable,
    View,
};
use florin_ledger::model::{AccountId, Metadata, Mode};
use serde::{Deserialize, Serialize};

use super::Account;
use crate::model::amounts::Minor;

/// Name of this room in the ledger's records.
pub const MODULE: &str = "ticketing";

/// What a leg is about; the transfer's code is `tk_` and the word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Component {
    /// A payment comes or goes back whole.
    Payment,
    /// The organiser's net.
    Net,
    /// Tax.
    Tax,
    /// The platform's fee.
    PlatformFee,
    /// The processing fee.
    ProcessingFee,
    /// What the provider charges.
    ProviderCost,
    /// Something is settled: a refund leaves, the provider pays.
    Settle,
    /// A payout.
    Payout,
    /// A disputed amount.
    Dispute,
    /// The provider's fee of a dispute.
    DisputeFee,
    /// Money at the bank.
    Bank,
}

impl Component {
    /// The word in metadata, ids and answers.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Payment => "payment",
            Self::Net => "net",
            Self::Tax => "tax",
            Self::PlatformFee => "platform_fee",
            Self::ProcessingFee => "processing_fee",
            Self::ProviderCost => "provider_cost",
            Self::Settle => "settle",
            Self::Payout => "payout",
            Self::Dispute => "dispute",
            Self::DisputeFee => "dispute_fee",
            Self::Bank => "bank",
        }
    }
}

/// One transfer of a posting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leg {
    /// Account debited.
    pub debit: Account,
    /// Account credited.
    pub credit: Account,
    /// Minor units; a leg of zero is left out.
    pub amount: Minor,
    /// What it is about.
    pub component: Component,
}

impl Leg {
    /// A leg.
    pub const fn new(debit: Account, credit: Account, amount: Minor, component: Component) -> Self {
        Self {
            debit,
            credit,
            amount,
            component,
        }
    }
}

/// What a posting belongs to; stands in the metadata of its transfers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Subject {
    /// The organisation.
    pub org_id: String,
    /// The event, if it is about one.
    pub event_id: Option<String>,
    /// The order, if it is about one.
    pub order_id: Option<String>,
    /// The refund, if it is about one.
    pub refund_id: Option<String>,
    /// The payout, if it is about one.
    pub payout_id: Option<String>,
    /// The dispute, if it is about one.
    pub dispute_id: Option<String>,
}

/// A posting of contract C3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posting {
    /// `P1` … `P14`, `P2o`.
    pub name: &'static str,
    /// Row or provider id, `:`, attempt. The same key is the same posting for ever.
    pub key: String,
    /// What it belongs to.
    pub subject: Subject,
    /// Currency of all legs.
    pub currency: String,
    /// The legs, in order.
    pub legs: Vec<Leg>,
}

/// Where a posting stands in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Posted {
    /// The last `seq` that the answer reflects.
    pub seq: u64,
    /// It was there before.
    pub replayed: bool,
}

/// Why a posting is not there.
#[derive(Debug, Clone, thiserror::Error)]
pub enum MoneyError {
    /// The ledger takes nothing now; the same posting may be tried again.
    #[error("the ledger is not available: {0}")]
    Unavailable(#[from] Unavailable),
    /// The ledger refused it for ever: a defect, or a hand in the accounts.
    #[error("posting {posting} of {key} was refused: {code}")]
    Refused {
        /// The posting.
        posting: String,
        /// Its key.
        key: String,
        /// The ledger's code.
        code: String,
    },
    /// A wallet's refusal: the answer for a payer, not a defect.
    #[error("the wallet refused: {}", .0.word())]
    Wallet(RefusalCode),
}

impl Subject {
    /// Metadata of the transfers of a posting.
    pub fn metadata(&self, posting: &str, component: Component) -> Metadata {
        let mut pairs: Vec<(Box<str>, Box<str>)> = vec![
            ("posting".into(), posting.into()),
            ("component".into(), component.word().into()),
            ("orgId".into(), (&*self.org_id).into()),
        ];
        let rest = [
            ("eventId", &self.event_id),
            ("orderId", &self.order_id),
            ("refundId", &self.refund_id),
            ("payoutId", &self.payout_id),
            ("disputeId", &self.dispute_id),
        ];
        for (name, value) in rest {
            if let Some(value) = value {
                pairs.push((name.into(), (&**value).into()));
            }
        }
        Metadata::try_new(pairs).expect("few, short and distinct pairs")
    }
}

impl Posting {
    /// The ledger items: one linked chain without legs of zero. Ids are
    /// `tk:{key}:{posting}:{component}`, a later leg of the same component `…:2`.
    fn items(&self) -> Vec<Item> {
        let legs: Vec<&Leg> = self.legs.iter().filter(|leg| leg.amount != 0).collect();
        let last = legs.len().saturating_sub(1);
        let item = |(index, leg): (usize, &&Leg)| {
            let nth = 1 + legs[..index]
                .iter()
                .filter(|before| before.component == leg.component)
                .count();
            let (name, word) = (self.name, leg.component.word());
            let id = match nth {
                1 => format!("tk:{}:{name}:{word}", self.key),
                _ => format!("tk:{}:{name}:{word}:{nth}", self.key),
            };
            Item {
                id: id.into(),
                mode: Mode::Single,
                debit: Some(leg.debit.id(&self.currency)),
                credit: Some(leg.credit.id(&self.currency)),
                amount: Some(leg.amount.unsigned_abs().into()),
                asset: Some((&*self.currency).into()),
                code: Some(format!("tk_{word}").into()),
                pending_id: None,
                timeout_seconds: None,
                effective_at: None,
                linked: index < last,
                description: None,
                metadata: self.subject.metadata(name, leg.component),
                invalid: None,
            }
        };
        legs.iter().enumerate().map(item).collect()
    }
}

/// Posts a chain: opens the accounts it needs, then submits it. What was posted before counts as
/// done, so it may be repeated for ever; a posting without legs is done.
///
/// # Errors
/// [`MoneyError`].
pub async fn post(ledger: &Ledger, posting: &Posting) -> Result<Posted, MoneyError> {
    let items = posting.items();
    if items.is_empty() {
        return Ok(Posted {
            seq: ledger.durable_seq(),
            replayed: true,
        });
    }
    let legs = posting.legs.iter().filter(|leg| leg.amount != 0);
    let accounts: BTreeSet<&Account> = legs.flat_map(|leg| [&leg.debit, &leg.credit]).collect();
    open(ledger, accounts, &posting.currency).await?;
    let call = TransfersCall {
        actor: None,
        items,
        key: None,
    };
    let answer = ledger.submit(Call::Transfers(call)).await?;
    posted(posting, &answer)
}

fn posted(posting: &Posting, answer: &Answer) -> Result<Posted, MoneyError> {
    let refused = |code: &str| MoneyError::Refused {
        posting: posting.name.to_owned(),
        key: posting.key.clone(),
        code: code.to_owned(),
    };
    match &answer.outcome {
        Outcome::Items(results) => {
            let failed = results
                .iter()
                .filter(|result| !result.code.is_success())
                .min_by_key(|result| result.code.word() == "linked_transfer_failed");
            match failed {
                Some(result) => Err(refused(result.code.word())),
                None => Ok(Posted {
                    seq: answer.seq,
                    replayed: answer.batch.is_none(),
                }),
            }
        }
        Outcome::Refused(refusal) => Err(refused(refusal.code.word())),
        Outcome::Done(_) | Outcome::Lines(..) => Err(refused("unexpected_answer")),
    }
}

/// Opens accounts that are not there yet. The ledger is asked first only for those that are
/// shared by many postings: opening one again is answered as before and records nothing.
///
/// # Errors
/// [`MoneyError`].
pub async fn open<'a>(
    ledger: &Ledger,
    accounts: impl IntoIterator<Item = &'a Account>,
    currency: &str,
) -> Result<(), MoneyError> {
    for account in accounts {
        let id = account.id(currency);
        if !account.is_ours() || ledger.slot_of(&id).await?.is_some() {
            continue;
        }
        let call = CreateAccount {
            actor: None,
            id: id.clone(),
            asset: currency.into(),
            kind: account.kind(),
            normal: None,
            floor: account.floor(),
            metadata: Metadata::default(),
            key: None,
        };
        let answer = ledger.submit(Call::CreateAccount(call)).await?;
        if let Outcome::Refused(refusal) = answer.outcome {
            return Err(MoneyError::Refused {
                posting: "account".to_owned(),
                key: id.to_string(),
                code: refusal.code.word().to_owned(),
            });
        }
    }
    Ok(())
}

/// The balance of an account now, on its own side; zero for one that was never used.
///
/// # Errors
/// [`MoneyError::Unavailable`].
pub async fn balance(
    ledger: &Ledger,
    account: &Account,
    currency: &str,
) -> Result<Signed, MoneyError> {
    balance_of(ledger, account.id(currency)).await
}

async fn balance_of(ledger: &Ledger, id: AccountId) -> Result<Signed, MoneyError> {
    match ledger.query(Query::Account(id)).await? {
        View::Account(Some(view)) => Ok(view.totals.balance(view.facts.normal)),
        _ => Ok(Signed::default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_equal_components_differ_and_zero_legs_are_left_out() {
        let account = |id: &str| Account::Refund(id.to_owned());
        let posting = Posting {
            name: "P8",
            key: "p:1".to_owned(),
            subject: Subject::default(),
            currency: "EUR".to_owned(),
            legs: vec![
                Leg::new(account("a"), account("b"), 5, Component::Payout),
                Leg::new(account("a"), account("b"), 0, Component::Tax),
                Leg::new(account("a"), account("c"), 7, Component::Payout),
            ],
        };
        let items = posting.items();
        let ids: Vec<&str> = items.iter().map(|item| &*item.id).collect();
        assert_eq!(ids, ["tk:p:1:P8:payout", "tk:p:1:P8:payout:2"]);
        assert!(items[0].linked && !items[1].linked);
        assert_eq!(items[1].code.as_deref(), Some("tk_payout"));
    }
}
