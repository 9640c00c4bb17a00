//! The bodies of the ledger API, and how records become them.

use std::collections::BTreeMap;

use florin_base::Timestamp;
use florin_ledger::{
    Ledger,
    call::{AccountView, Item},
    engine::TransferState,
    model::{AccountFacts, Asset, Body, Floor, Metadata, Mode, Origin, Record, Totals},
};
use serde::Serialize;
use utoipa::ToSchema;

/// Pairs in key order; absent when there are none.
pub type Pairs = BTreeMap<Box<str>, Box<str>>;

fn pairs(metadata: &Metadata) -> Option<Pairs> {
    (!metadata.is_empty()).then(|| metadata.pairs().iter().cloned().collect())
}

/// An asset (contract A1).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LedgerAsset)]
pub struct AssetBody {
    /// `^[A-Z][A-Z0-9._-]{1,23}$`.
    pub code: Box<str>,
    /// Decimals of the major unit, 0 to 30; never changes.
    pub scale: u8,
    /// fiat, crypto, points or other.
    pub kind: &'static str,
    /// Shown name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Box<str>>,
    /// Caller's own pairs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<std::collections::HashMap<String, String>>)]
    pub metadata: Option<Pairs>,
}

impl From<&Asset> for AssetBody {
    fn from(asset: &Asset) -> Self {
        Self {
            code: asset.code.clone(),
            scale: asset.scale,
            kind: asset.kind.word(),
            name: asset.name.clone(),
            metadata: pairs(&asset.metadata),
        }
    }
}

/// An account (contract A1).
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = LedgerAccount)]
pub struct AccountBody {
    /// Its id.
    pub id: String,
    /// Its asset.
    pub asset: Box<str>,
    /// asset, liability, equity, income or expense.
    pub kind: &'static str,
    /// The side on which it grows: debit or credit.
    pub normal_side: &'static str,
    /// It may end below zero.
    pub may_overdraw: bool,
    /// How far below zero, in minor units; absent when there is no bound or none is allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub floor_minor: Option<String>,
    /// open, frozen or closed.
    pub status: &'static str,
    /// Caller's own pairs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<std::collections::HashMap<String, String>>)]
    pub metadata: Option<Pairs>,
    /// Grows by 1 with each PATCH.
    pub version: u32,
    /// When it was recorded.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

impl AccountBody {
    /// The body of an account.
    pub fn new(ledger: &Ledger, view: &AccountView) -> Self {
        Self {
            id: view.facts.id.to_string(),
            asset: ledger.asset(view.facts.asset).code.clone(),
            kind: view.facts.kind.word(),
            normal_side: view.facts.normal.word(),
            may_overdraw: view.floor.may_overdraw(),
            floor_minor: floor_text(view.floor),
            status: view.status.word(),
            metadata: pairs(&view.metadata),
            version: view.version,
            created_at: view.facts.created_at,
        }
    }
}

fn floor_text(floor: Floor) -> Option<String> {
    match floor {
        Floor::Minus(0) => Some("0".to_owned()),
        Floor::Minus(magnitude) => Some(format!("-{magnitude}")),
        Floor::Zero | Floor::None => None,
    }
}

/// The totals of an account (contract A5). Strings hold minor units.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = LedgerBalance)]
pub struct BalanceBody {
    /// The account.
    pub account_id: String,
    /// Its asset.
    pub asset: Box<str>,
    /// Σ posted debits.
    pub debits_posted: String,
    /// Σ posted credits.
    pub credits_posted: String,
    /// Σ reserved debits.
    pub debits_pending: String,
    /// Σ reserved credits.
    pub credits_pending: String,
    /// Posted of the normal side less posted of the other, signed.
    pub balance: String,
    /// `balance` less what is reserved against it, signed.
    pub available: String,
    /// The `seq` the figures are as of.
    pub as_of_seq: u64,
    /// As asked: counting what is effective up to this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub effective_at: Option<Timestamp>,
    /// As asked: counting what was recorded up to this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub recorded_at: Option<Timestamp>,
}

impl BalanceBody {
    /// The body of an account's totals as of a `seq`.
    pub fn new(ledger: &Ledger, facts: &AccountFacts, totals: &Totals, as_of_seq: u64) -> Self {
        Self {
            account_id: facts.id.to_string(),
            asset: ledger.asset(facts.asset).code.clone(),
            debits_posted: totals.debits_posted.to_string(),
            credits_posted: totals.credits_posted.to_string(),
            debits_pending: totals.debits_pending.to_string(),
            credits_pending: totals.credits_pending.to_string(),
            balance: totals.balance(facts.normal).to_string(),
            available: totals.available(facts.normal).to_string(),
            as_of_seq,
            effective_at: None,
            recorded_at: None,
        }
    }
}

/// Which room's operation a transfer came from (contract A8).
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = LedgerOrigin)]
pub struct OriginBody {
    /// Name of the room.
    pub module: Box<str>,
    /// Type of operation.
    pub r#type: &'static str,
    /// Its identity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference_id: Option<Box<str>>,
    /// The wallet in the path of the call.
    pub wallet_id: String,
    /// The receiving wallet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination_wallet_id: Option<String>,
    /// The hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold_id: Option<Box<str>>,
    /// Exchange rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<Box<str>>,
}

fn uuid_text(id: u128) -> String {
    uuid::Uuid::from_u128(id).to_string()
}

impl From<&Origin> for OriginBody {
    fn from(origin: &Origin) -> Self {
        Self {
            module: origin.module.clone(),
            r#type: origin.r#type.word(),
            reference_id: origin.reference_id.clone(),
            wallet_id: uuid_text(origin.wallet_id),
            destination_wallet_id: origin.destination_wallet_id.map(uuid_text),
            hold_id: origin.hold_id.clone(),
            rate: origin.rate.clone(),
        }
    }
}

/// A transfer with what became of it (contract A2). Members without a value are left out.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = LedgerTransfer)]
pub struct TransferBody {
    /// Unique in the ledger.
    pub id: String,
    /// single, pending, post or void; `expired` for an expiry.
    pub mode: &'static str,
    /// Account debited.
    pub debit_account_id: String,
    /// Account credited.
    pub credit_account_id: String,
    /// Minor units.
    pub amount_minor: String,
    /// Asset of both accounts.
    pub asset: Box<str>,
    /// Type of posting; absent for an expiry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Box<str>>,
    /// The pending transfer it resolves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending_id: Option<Box<str>>,
    /// Time-out given, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u32>,
    /// When it counts.
    #[schema(value_type = String, format = DateTime)]
    pub effective_at: Timestamp,
    /// When a pending transfer expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// Id of the chain's first item.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chain_id: Option<Box<str>>,
    /// Place in the chain, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chain_index: Option<u32>,
    /// The transfer it reverses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reversal_of: Option<Box<str>>,
    /// Free text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<Box<str>>,
    /// Caller's own pairs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<std::collections::HashMap<String, String>>)]
    pub metadata: Option<Pairs>,
    /// When the source of an import recorded it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub source_recorded_at: Option<Timestamp>,
    /// Which room's operation it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<OriginBody>,
    /// Its place in the ledger.
    pub seq: u64,
    /// The commit it came with.
    pub batch: u64,
    /// When this ledger learned it.
    #[schema(value_type = String, format = DateTime)]
    pub recorded_at: Timestamp,
    /// Subject of the credential; absent for the server's own acts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<Box<str>>,
    /// recorded; for pending ones pending, posted, voided or expired.
    pub state: &'static str,
    /// What a post moved, in minor units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub posted_amount_minor: Option<String>,
    /// The post, void or expiry that resolved it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolved_by: Option<Box<str>>,
    /// Its reversal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reversed_by: Option<Box<str>>,
}

/// The id of the transfer or expiry in a record.
pub fn transfer_id(record: &Record) -> Option<Box<str>> {
    match &record.body {
        Body::Transfer(t) => Some(t.id.clone()),
        Body::Expired { pending_id, .. } => Some(format!("{pending_id}:exp").into()),
        _ => None,
    }
}

/// What a transfer was right after it was recorded.
pub fn first_state(record: &Record) -> TransferState {
    let pending = record.transfer().is_some_and(|t| t.mode == Mode::Pending);
    TransferState {
        state: if pending { "pending" } else { "recorded" },
        posted_amount: None,
        resolved_by: None,
        reversed_by: None,
    }
}

/// The body of a transfer or expiry; `None` for other records.
pub fn transfer(ledger: &Ledger, record: &Record, state: TransferState) -> Option<TransferBody> {
    let account = |slot| ledger.facts(slot).id.to_string();
    let mut body = TransferBody {
        id: transfer_id(record)?.into(),
        seq: record.seq,
        batch: record.batch,
        recorded_at: record.recorded_at,
        actor: record.actor.clone(),
        state: state.state,
        posted_amount_minor: state.posted_amount.map(|amount| amount.to_string()),
        resolved_by: state.resolved_by.map(|(id, _)| id),
        reversed_by: state.reversed_by.map(|(id, _)| id),
        ..TransferBody::default()
    };
    match &record.body {
        Body::Transfer(t) => {
            body.mode = t.mode.word();
            body.debit_account_id = account(t.debit);
            body.credit_account_id = account(t.credit);
            body.amount_minor = t.amount.to_string();
            body.asset = ledger.asset(t.asset).code.clone();
            body.code = Some(t.code.clone());
            body.pending_id = t.pending_id.clone();
            body.timeout_seconds = t.timeout_seconds;
            body.effective_at = t.effective_at;
            body.expires_at = t.expires_at;
            if let Some((id, index)) = &t.chain {
                body.chain_id = Some(id.clone());
                body.chain_index = Some(*index);
            }
            body.reversal_of = t.reversal_of.clone();
            body.description = t.description.clone();
            body.metadata = pairs(&t.metadata);
            body.source_recorded_at = t.source_recorded_at;
            body.origin = t.origin.as_ref().map(Into::into);
        }
        Body::Expired {
            pending_id,
            debit,
            credit,
            amount,
            effective_at,
        } => {
            body.mode = "expired";
            body.debit_account_id = account(*debit);
            body.credit_account_id = account(*credit);
            body.amount_minor = amount.to_string();
            body.asset = ledger.asset(ledger.facts(*debit).asset).code.clone();
            body.pending_id = Some(pending_id.clone());
            body.effective_at = *effective_at;
        }
        _ => return None,
    }
    Some(body)
}

/// What the ledger added to a transfer that was recorded just now.
pub struct Recorded {
    /// Its place.
    pub seq: u64,
    /// The commit it came with.
    pub batch: u64,
    /// Ledger time.
    pub recorded_at: Timestamp,
    /// Subject of the credential.
    pub actor: Option<Box<str>>,
}

/// The body of a single or pending transfer recorded just now, without reading it back. `None`
/// for modes whose record takes values from another one.
pub fn recorded_item(item: Item, at: Recorded) -> Option<TransferBody> {
    if !matches!(item.mode, Mode::Single | Mode::Pending) {
        return None;
    }
    let pending = item.mode == Mode::Pending;
    let timeout = item.timeout_seconds.filter(|_| pending);
    Some(TransferBody {
        mode: item.mode.word(),
        debit_account_id: item.debit?.to_string(),
        credit_account_id: item.credit?.to_string(),
        amount_minor: item.amount?.to_string(),
        asset: item.asset?,
        code: item.code,
        timeout_seconds: timeout,
        effective_at: item.effective_at.unwrap_or(at.recorded_at),
        expires_at: timeout
            .map(|seconds| Timestamp(at.recorded_at.micros() + i64::from(seconds) * 1_000_000)),
        description: item.description,
        metadata: pairs(&item.metadata),
        seq: at.seq,
        batch: at.batch,
        recorded_at: at.recorded_at,
        actor: at.actor,
        state: if pending { "pending" } else { "recorded" },
        id: item.id.into(),
        ..TransferBody::default()
    })
}
