//! Decided wallet calls as HTTP answers: transactions, holds, wallets and refusals.

use std::sync::Arc;

use axum::response::Response;
use florin_ledger::{
    Answer, Ledger,
    call::{Refusal, RefusalCode},
    model::{AccountId, Asset, Record, Side, Slot, Transfer},
};
use florin_platform::http::{
    auth::{Principal, Reach},
    problem::{Problem, Status},
};
use http::StatusCode;

use crate::{
    api::{ApiState, answer, permission},
    model::{
        Id, Leg, Money, MoneyStyle, Party, Transaction,
        transaction::{Seen, are_partners},
    },
};

/// How money is printed under the profile in force.
pub fn style(ledger: &Ledger) -> MoneyStyle {
    if ledger.policy().compat {
        MoneyStyle::Number
    } else {
        MoneyStyle::Text
    }
}

/// What a caller may read of the wallets in a record (contract B4, privacy).
#[derive(Clone, Copy)]
pub struct Viewer<'a> {
    ledger: &'a Ledger,
    reach: Option<Reach>,
    owner: &'a str,
}

impl<'a> Viewer<'a> {
    /// The view of a caller.
    pub fn new(ledger: &'a Ledger, caller: &'a Principal) -> Self {
        Self {
            ledger,
            reach: caller.permissions.reach(permission::WALLETS_READ),
            owner: &caller.owner,
        }
    }

    fn readable(&self, slot: Slot) -> bool {
        match self.reach {
            Some(Reach::All) => true,
            Some(Reach::Own) => self
                .ledger
                .wallet_owner(slot)
                .is_some_and(|owner| *owner == *self.owner),
            None => false,
        }
    }

    fn party(&self, slot: Slot) -> Party {
        let wallet = self.ledger.facts(slot).id.wallet();
        Party {
            slot,
            wallet,
            readable: wallet.is_some() && self.readable(slot),
        }
    }

    /// The two sides of a transfer record.
    pub fn sides<'r>(&self, record: &'r Record) -> Option<Sides<'r>> {
        let transfer = record.transfer()?;
        Some(Sides {
            record,
            transfer,
            debit: self.party(transfer.debit),
            credit: self.party(transfer.credit),
            asset: self.ledger.asset(transfer.asset),
        })
    }
}

/// A transfer record with what the caller may know of its sides. Owns the asset that a [`Leg`]
/// borrows.
pub struct Sides<'r> {
    record: &'r Record,
    transfer: &'r Transfer,
    debit: Party,
    credit: Party,
    asset: Arc<Asset>,
}

impl Sides<'_> {
    /// As a leg.
    pub fn leg(&self) -> Leg<'_> {
        Leg {
            record: self.record,
            transfer: self.transfer,
            debit: self.debit,
            credit: self.credit,
            asset: &self.asset,
        }
    }

    /// A wallet stands on one of the sides.
    pub fn touches_wallet(&self) -> bool {
        self.debit.wallet.is_some() || self.credit.wallet.is_some()
    }

    /// The caller may read a wallet on one of the sides.
    pub fn is_visible(&self) -> bool {
        self.debit.readable || self.credit.readable
    }
}

/// The transaction that a call recorded, or recorded when it was first sent: 200 with
/// `Location` (contract B4).
///
/// `records` holds the main record first; the other leg of a conversion may follow.
pub fn transaction(
    api: &ApiState,
    caller: &Principal,
    answer: &Answer,
    records: &[Record],
    seen: Seen<'_>,
) -> Result<Response, Problem> {
    let viewer = Viewer::new(&api.ledger, caller);
    let missing = || Problem::internal("a decided movement has no transfer record");
    let main = records.iter().find_map(|record| viewer.sides(record));
    let main = main.ok_or_else(missing)?;
    let partner = records
        .iter()
        .filter(|record| record.seq != main.record.seq)
        .filter_map(|record| viewer.sides(record))
        .find(|other| are_partners(main.transfer, other.transfer));
    let style = style(&api.ledger);
    let body = Transaction::new(
        main.leg(),
        partner.as_ref().map(Sides::leg),
        Seen { style, ..seen },
    );
    let response = answer::json(&body, answer.seq)?;
    let location = format!("/api/v1/transactions/{}", main.transfer.id);
    let response = answer::located(response, StatusCode::OK, &location);
    Ok(answer::mark_replay(response, answer))
}

/// A refusal as a problem, with figures in the currency of the path's wallet.
pub async fn refused(api: &ApiState, wallet: Option<u128>, refusal: &Refusal) -> Problem {
    let code = refusal.code;
    let status = Status::from_u16(code.http()).unwrap_or(Status::Conflict);
    let detail = explain(code);
    let mut problem = Problem::new(status, code.word(), detail);
    if is_business(code) {
        problem = problem.refused();
    }
    if let Some(field) = refusal.field.as_deref() {
        problem = problem
            .with_error(field, code.word(), detail)
            .with("field", field);
    }
    let Some(hit) = &refusal.limit else {
        return problem;
    };
    problem = problem.with("limit", hit.limit);
    if let Some(remaining) = hit.remaining
        && let Some(asset) = asset_of(api, wallet).await
    {
        let remaining = Money::positive(remaining, &asset, style(&api.ledger));
        let value = serde_json::to_value(remaining).unwrap_or_default();
        problem = problem.with("remaining", value);
    }
    match hit.resets_at {
        Some(at) => problem.with("resetsAt", at.to_string()),
        None => problem,
    }
}

/// `None` also when the store does not answer: the refusal stands without figures.
async fn asset_of(api: &ApiState, wallet: Option<u128>) -> Option<Arc<Asset>> {
    let found = api.ledger.slot_of(&AccountId::Wallet(wallet?)).await;
    let slot = found.ok().flatten()?;
    Some(api.ledger.asset(api.ledger.facts(slot).asset))
}

/// Refusals by a rule of business, which metrics count apart from mistakes (contract E).
const fn is_business(code: RefusalCode) -> bool {
    matches!(
        code,
        RefusalCode::InsufficientFunds
            | RefusalCode::LimitExceeded
            | RefusalCode::WalletFrozen
            | RefusalCode::WalletClosed
            | RefusalCode::DestinationClosed
            | RefusalCode::WalletNotEmpty
            | RefusalCode::TooManyWallets
            | RefusalCode::HoldAlreadyCaptured
            | RefusalCode::HoldAlreadyVoided
            | RefusalCode::HoldExpired
            | RefusalCode::ExceedsHoldAmount
            | RefusalCode::AlreadyReversed
            | RefusalCode::TransferNotReversible
    )
}

/// 404 `wallet_not_found`; another's wallet does not exist for the caller.
pub fn wallet_not_found() -> Problem {
    not_found(RefusalCode::WalletNotFound)
}

/// A 404 with the code's own sentence.
pub fn not_found(code: RefusalCode) -> Problem {
    Problem::not_found(code.word(), explain(code))
}

/// `/api/v1/wallets/{id}`.
pub fn wallet_location(id: u128) -> String {
    format!("/api/v1/wallets/{}", Id(id))
}

/// The side of a record on which a wallet's account stands.
pub fn side_of(transfer: &Transfer, slot: Slot) -> Side {
    if transfer.debit == slot {
        Side::Debit
    } else {
        Side::Credit
    }
}

/// Why, for people.
const fn explain(code: RefusalCode) -> &'static str {
    match code {
        RefusalCode::WalletNotFound => "There is no wallet with this id.",
        RefusalCode::HoldNotFound => "There is no hold with this id.",
        RefusalCode::TransactionNotFound => "There is no transaction with this id.",
        RefusalCode::DestinationNotFound => "There is no wallet with the destination's id.",
        RefusalCode::IdempotencyConflict => {
            "This identity was used before for a call that differs in `field`."
        }
        RefusalCode::AmountPrecision => "The amount has more decimals than the currency.",
        RefusalCode::AmountOutOfRange => "The amount is outside the range for the currency.",
        RefusalCode::AmountTooSmall => "The converted amount rounds down to zero.",
        RefusalCode::SameWallet => "Source and destination are the same wallet.",
        RefusalCode::CurrencyUnknown => "There is no currency with this code.",
        RefusalCode::CurrencyMismatch => "The currency is not the wallet's.",
        RefusalCode::RateRequired => "The wallets have different currencies: a rate is needed.",
        RefusalCode::RateNotAllowed => "The wallets have the same currency: no rate is allowed.",
        RefusalCode::WalletClosed => "The wallet is closed.",
        RefusalCode::WalletFrozen => "The wallet is frozen.",
        RefusalCode::DestinationClosed => "The destination is closed.",
        RefusalCode::WalletNotEmpty => "The wallet has a balance or an active hold.",
        RefusalCode::TooManyWallets => "The user has as many wallets in this currency as allowed.",
        RefusalCode::TierUnknown => "There is no tier with this name.",
        RefusalCode::LimitExceeded => "A limit of the wallet would be exceeded.",
        RefusalCode::InsufficientFunds => "The wallet has less available than this amount.",
        RefusalCode::HoldAlreadyCaptured => "The hold was captured before.",
        RefusalCode::HoldAlreadyVoided => "The hold was voided before.",
        RefusalCode::HoldExpired => "The hold has expired.",
        RefusalCode::ExceedsHoldAmount => "The hold reserves less than this amount.",
        RefusalCode::TransferNotReversible => "This transaction cannot be reversed.",
        RefusalCode::AlreadyReversed => "The transaction was reversed before, by another call.",
        RefusalCode::EffectiveTimeInFuture => {
            "`effectiveAt` is later than the ledger's time; leave it out for now."
        }
        RefusalCode::EffectiveTimeInClosedPeriod => "`effectiveAt` lies in a closed period.",
        RefusalCode::EffectiveTimeBeforeOriginal => {
            "`effectiveAt` is before that of the transaction reversed."
        }
        RefusalCode::Overflow => "A total of the account would pass 2^128 - 1.",
        _ => "The ledger refused this call.",
    }
}
