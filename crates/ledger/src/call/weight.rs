//! How large a call is in the journal, at most.

use super::{Call, ImportLine, Item};
use crate::model::Metadata;

/// Bytes of a record without free text, totals and identities included.
const ITEM: usize = 700;

fn text(text: &Option<Box<str>>) -> usize {
    text.as_ref().map_or(0, |t| t.len())
}

fn pairs(metadata: &Metadata) -> usize {
    let pair = |(key, value): &(Box<str>, Box<str>)| key.len() + value.len() + 12;
    metadata.pairs().iter().map(pair).sum()
}

fn item(i: &Item) -> usize {
    ITEM + text(&i.description) + pairs(&i.metadata)
}

impl ImportLine {
    /// An upper bound of the bytes that the line adds to a commit.
    pub fn weight(&self) -> usize {
        match self {
            Self::Transfer(t) => item(&t.item) + ITEM,
            Self::Account(a) => ITEM + pairs(&a.metadata),
            Self::Wallet { wallet } => ITEM + text(&wallet.label) + pairs(&wallet.metadata),
            Self::Asset(a) => ITEM + text(&a.name) + pairs(&a.metadata),
            Self::AccountUpdate(patch) => ITEM + patch.change.metadata.as_ref().map_or(0, pairs),
            Self::WalletUpdate { change, .. } => ITEM + text(&change.reason),
            Self::Expired { .. } => ITEM,
        }
    }
}

impl Call {
    /// Sent again, it is answered what was recorded the first time, and done once.
    pub fn has_identity(&self) -> bool {
        match self {
            Self::Transfers(_)
            | Self::Reverse(_)
            | Self::CreateAsset { .. }
            | Self::CreateAccount(_)
            | Self::Import(_) => true,
            Self::CreateWallet(c) => !c.reference.generated,
            Self::WalletMove(c) => !c.reference.generated,
            Self::ResolveHold(c) => !c.capture || !c.reference.generated,
            // Absolute, but somebody else may have changed the same member since.
            Self::PatchAccount(_) | Self::UpdateWallet(_) => false,
        }
    }

    /// An upper bound of the bytes that the call adds to a commit.
    pub fn weight(&self) -> usize {
        match self {
            Self::Transfers(c) => c.items.iter().map(item).sum(),
            Self::Import(c) => c.lines.iter().map(ImportLine::weight).sum(),
            // A conversion repeats text and pairs on its second leg.
            Self::WalletMove(c) => 3 * ITEM + 2 * (text(&c.description) + pairs(&c.metadata)),
            Self::ResolveHold(_) => 48 << 10, // repeats description and pairs of the hold
            Self::CreateWallet(c) => 3 * ITEM + pairs(&c.metadata),
            Self::CreateAccount(c) => 2 * ITEM + pairs(&c.metadata),
            // A chain to reverse may be as long as a call.
            Self::Reverse(_) => crate::rules::REVERSAL_BYTES_MAX,
            Self::CreateAsset { .. } | Self::PatchAccount(_) | Self::UpdateWallet(_) => 48 << 10,
        }
    }

    /// How many items it has.
    pub fn items(&self) -> usize {
        match self {
            Self::Transfers(c) => c.items.len(),
            Self::Import(c) => c.lines.len(),
            _ => 1,
        }
    }
}
