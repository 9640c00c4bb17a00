//! Which identities a record settles, and how a repeated item differs from what is recorded.

use super::book::{Known, Note, Space};
use crate::{
    call::Item,
    codes::ResultCode,
    model::{Body, Mode, Record, Transfer, WalletType},
};

/// Calls `known` with every identity that stands for a record: the one definition used while
/// judging, while indexing and while rebuilding.
pub fn identities(record: &Record, mut known: impl FnMut(Space, &[u8], &str)) {
    match &record.body {
        Body::Transfer(t) => {
            known(Space::Transfer, &[], &t.id);
            if let (Mode::Post | Mode::Void, Some(pending)) = (t.mode, &t.pending_id) {
                known(Space::Resolution, &[], pending);
            }
            let first_leg = t.chain.as_ref().is_none_or(|(_, index)| *index == 0);
            if let (Some(origin), true) = (&t.origin, first_leg)
                && let Some(reference) = &origin.reference_id
            {
                match (&origin.hold_id, origin.r#type) {
                    (Some(hold), WalletType::Capture | WalletType::Payment) => {
                        known(Space::Hold, hold.as_bytes(), reference)
                    }
                    (_, WalletType::Reversal | WalletType::HoldVoid) => {}
                    _ => known(Space::Wallet, &origin.wallet_id.to_be_bytes(), reference),
                }
            }
        }
        Body::Expired { pending_id, .. } => {
            known(Space::Transfer, &[], &format!("{pending_id}:exp"));
            known(Space::Resolution, &[], pending_id);
        }
        Body::WalletCreated(wallet) => {
            if let Some(reference) = &wallet.reference_id {
                let subject = record.actor.as_deref().unwrap_or("");
                known(Space::Creation, subject.as_bytes(), reference);
            }
        }
        Body::AssetCreated(_)
        | Body::AccountCreated(_)
        | Body::AccountUpdated { .. }
        | Body::WalletUpdated { .. } => {}
    }
}

/// Calls `known` with the identity that a note settles, and what it then stands for.
pub fn note_identity(note: &Note, number: u64, known: impl FnOnce(Space, &[u8], &str, Known)) {
    match note {
        Note::IdRefused { id, code } => known(Space::Transfer, &[], id, Known::Refused(*code)),
        Note::Answered { scope, key, .. } => {
            known(Space::Key, scope.as_bytes(), key, Known::Note(number))
        }
        Note::WalletRefused { asked, .. } => known(
            Space::Wallet,
            &asked.wallet.to_be_bytes(),
            &asked.reference,
            Known::Note(number),
        ),
    }
}

/// Values an item is compared by; those left out by the item were filled from the pending
/// transfer or from defaults by the caller.
pub(super) struct Compared<'a> {
    pub item: &'a Item,
    /// Accounts, asset and code as ids: equal to the record's (already resolved)?
    pub debit_equal: bool,
    pub credit_equal: bool,
    pub asset_equal: bool,
    /// Place in the chain as sent.
    pub chain: Option<(&'a str, u32)>,
    /// A line of an export: time-outs are not compared (contract G).
    pub exported: bool,
}

/// The first difference between an item and the recorded transfer of its id, by rank; `None`
/// when they are equal (contract A3, "equal").
pub(super) fn difference(c: &Compared<'_>, t: &Transfer) -> Option<ResultCode> {
    let item = c.item;
    let resolves = matches!(item.mode, Mode::Post | Mode::Void);
    let amount_equal = match item.amount {
        Some(amount) => amount == t.amount,
        // A post without an amount takes all; only a full post is equal to it, which the
        // recorded amount alone cannot tell, so the caller passes the reservation as amount.
        None => true,
    };
    let code_equal = match &item.code {
        Some(code) => *code == t.code,
        None => resolves,
    };
    let effective_equal = item.effective_at.is_none_or(|at| at == t.effective_at);
    let chain_equal = match (c.chain, &t.chain) {
        (None, None) => true,
        (Some((id, index)), Some((recorded_id, recorded_index))) => {
            id == &**recorded_id && index == *recorded_index
        }
        _ => false,
    };
    let checks = [
        (item.mode == t.mode, ResultCode::ExistsWithDifferentMode),
        (
            item.pending_id == t.pending_id,
            ResultCode::ExistsWithDifferentPendingId,
        ),
        (c.debit_equal, ResultCode::ExistsWithDifferentDebitAccount),
        (c.credit_equal, ResultCode::ExistsWithDifferentCreditAccount),
        (amount_equal, ResultCode::ExistsWithDifferentAmount),
        (c.asset_equal, ResultCode::ExistsWithDifferentAsset),
        (code_equal, ResultCode::ExistsWithDifferentCode),
        (
            c.exported || item.timeout_seconds == t.timeout_seconds,
            ResultCode::ExistsWithDifferentTimeout,
        ),
        (
            effective_equal,
            ResultCode::ExistsWithDifferentEffectiveTime,
        ),
        (
            item.description == t.description,
            ResultCode::ExistsWithDifferentDescription,
        ),
        (
            item.metadata == t.metadata,
            ResultCode::ExistsWithDifferentMetadata,
        ),
        (chain_equal, ResultCode::ExistsWithDifferentChain),
    ];
    checks
        .into_iter()
        .find(|(equal, _)| !equal)
        .map(|(_, code)| code)
}
