//! P3, and the wallet legs of P6 and P9: the ledger's own wallet operations.
//!
//! | posting | operation | debit | credit | component |
//! |---|---|---|---|---|
//! | P3, first half | HOLD of this room | wallet (pending) | clearing | payment |
//! | P3, second half | its capture, shown as PAYMENT | wallet | clearing | payment |
//! | P6 | REFUND | refunds | wallet | settle |
//! | P9 | PAYOUT | payouts | wallet | settle |
//!
//! A HOLD is decided like a withdrawal: status, limits and funds. After it nothing refuses the
//! capture, so tickets may be issued in between. Its identity is the id of the checkout attempt,
//! which nobody knows before; the same call again finds the same hold.

use florin_base::Decimal;
use florin_ledger::Ledger;
use florin_ledger::call::{
    Call, Outcome, Reference, RefusalCode, ResolveHold, WalletAmount, WalletMove,
};
use florin_ledger::model::WalletType;

use super::posting::{Component, MODULE, MoneyError, Subject, open};
use super::{Account, Posted};
use crate::model::amounts::Minor;

/// A wallet operation of this room.
#[derive(Debug, Clone)]
pub struct Move<'a> {
    /// The posting it is.
    pub posting: &'static str,
    /// Identity, unique in the wallet; for a hold also the id of its transfer (a UUIDv7).
    pub key: &'a str,
    /// The wallet.
    pub wallet: u128,
    /// Only a wallet of this user is visible.
    pub owner: Option<&'a str>,
    /// The account on the other side.
    pub counter: Account,
    /// Minor units, above zero.
    pub amount: Minor,
    /// Its currency and the currency's decimals.
    pub currency: (&'a str, u8),
    /// Shown in the wallet.
    pub description: String,
    /// What it belongs to.
    pub subject: &'a Subject,
}

/// Reserves a payment (first half of P3); the answer is the hold's id.
///
/// # Errors
/// [`MoneyError::Wallet`] with the wallet's own code; [`MoneyError::Unavailable`].
pub async fn reserve(ledger: &Ledger, ask: &Move<'_>) -> Result<String, MoneyError> {
    let (records, _) = submit(ledger, ask, WalletType::Hold, ask.key.into()).await?;
    let placed = records.first().and_then(|record| record.transfer());
    // Somebody else's hold under the same reference is not our payment.
    let ours = placed.filter(|transfer| {
        transfer
            .origin
            .as_ref()
            .is_some_and(|origin| &*origin.module == MODULE)
    });
    ours.map(|transfer| transfer.id.to_string())
        .ok_or(MoneyError::Wallet(RefusalCode::IdempotencyConflict))
}

/// Captures (second half of P3) or releases a reserved payment. May be repeated.
///
/// # Errors
/// [`MoneyError::Refused`] when it was resolved the other way; [`MoneyError::Unavailable`].
pub async fn resolve(ledger: &Ledger, hold: &str, capture: bool) -> Result<Posted, MoneyError> {
    let call = ResolveHold {
        actor: None,
        owner: None,
        hold: hold.into(),
        capture,
        amount: None,
        transfer_id: ledger.new_id().to_string().into(),
        reference: Reference {
            id: format!("tk:{hold}").into(),
            generated: false,
        },
        module: MODULE.into(),
    };
    let answer = ledger.submit(Call::ResolveHold(Box::new(call))).await?;
    match &answer.outcome {
        Outcome::Done(_) => Ok(Posted {
            seq: answer.seq,
            replayed: answer.replayed,
        }),
        Outcome::Refused(refusal) => {
            let done = match refusal.code {
                RefusalCode::HoldAlreadyCaptured => capture,
                RefusalCode::HoldAlreadyVoided => !capture,
                // Nothing was reserved, so there is nothing to release.
                RefusalCode::HoldNotFound => !capture,
                _ => false,
            };
            match done {
                true => Ok(Posted {
                    seq: answer.seq,
                    replayed: true,
                }),
                false => Err(MoneyError::Refused {
                    posting: "P3".to_owned(),
                    key: hold.to_owned(),
                    code: refusal.code.word().to_owned(),
                }),
            }
        }
        Outcome::Items(_) | Outcome::Lines(..) => Err(MoneyError::Refused {
            posting: "P3".to_owned(),
            key: hold.to_owned(),
            code: "unexpected_answer".to_owned(),
        }),
    }
}

/// Pays into a wallet: `REFUND` (P6) or `PAYOUT` (P9). May be repeated under the same key.
///
/// # Errors
/// [`MoneyError::Wallet`], for example for a closed wallet; [`MoneyError::Unavailable`].
pub async fn pay_in(
    ledger: &Ledger,
    ask: &Move<'_>,
    operation: WalletType,
) -> Result<Posted, MoneyError> {
    let id = ledger.new_id().to_string();
    let (_, posted) = submit(ledger, ask, operation, id.into()).await?;
    Ok(posted)
}

async fn submit(
    ledger: &Ledger,
    ask: &Move<'_>,
    operation: WalletType,
    transfer_id: Box<str>,
) -> Result<(Vec<florin_ledger::model::Record>, Posted), MoneyError> {
    let (currency, scale) = ask.currency;
    open(ledger, [&ask.counter], currency).await?;
    let component = match operation {
        WalletType::Hold => Component::Payment,
        _ => Component::Settle,
    };
    let call = WalletMove {
        actor: None,
        owner: ask.owner.map(Into::into),
        op: operation,
        wallet: ask.wallet,
        transfer_id,
        amount: WalletAmount {
            decimal: Decimal {
                negative: ask.amount < 0,
                digits: u128::from(ask.amount.unsigned_abs()),
                decimals: scale,
            },
            is_number: false,
        },
        currency: Some(currency.into()),
        destination: None,
        counter_account: Some(ask.counter.id(currency)),
        rate: None,
        expires_in_seconds: None,
        reference: Reference {
            id: format!("tk:{}", ask.key).into(),
            generated: false,
        },
        description: Some((&*ask.description).into()),
        metadata: ask.subject.metadata(ask.posting, component),
        effective_at: None,
        module: MODULE.into(),
    };
    let answer = ledger.submit(Call::WalletMove(Box::new(call))).await?;
    match answer.outcome {
        Outcome::Done(records) => {
            let posted = Posted {
                seq: answer.seq,
                replayed: answer.replayed,
            };
            Ok((records, posted))
        }
        Outcome::Refused(refusal) => Err(MoneyError::Wallet(refusal.code)),
        Outcome::Items(_) | Outcome::Lines(..) => Err(MoneyError::Refused {
            posting: ask.posting.to_owned(),
            key: ask.key.to_owned(),
            code: "unexpected_answer".to_owned(),
        }),
    }
}
