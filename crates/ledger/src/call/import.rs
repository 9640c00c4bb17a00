//! Lines of an import (contract A10).

use florin_base::Timestamp;
use serde::{Deserialize, Serialize};

use super::{CreateAccount, CreateWallet, Item, PatchAccount};
use crate::model::{Asset, TransferId};

/// One line of an import (contract A10).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum ImportLine {
    /// An asset.
    Asset(Asset),
    /// An account with the code of its asset.
    Account(CreateAccount),
    /// A transfer (`single`), or any transfer of an export.
    Transfer(Box<ImportTransfer>),
    /// An expiry of an export.
    Expired {
        /// The pending transfer.
        pending_id: TransferId,
        /// When it expired.
        effective_at: Timestamp,
    },
    /// A wallet of an export.
    Wallet {
        /// Its content.
        wallet: CreateWallet,
    },
    /// An account change of an export; `if_version` is the version before it, so that a line
    /// sent again is known.
    AccountUpdate(PatchAccount),
    /// A wallet change of an export: status and limits as recorded.
    WalletUpdate {
        /// The wallet.
        id: u128,
        /// Its version after the change; a line sent again is known by it.
        version: u32,
        /// What changed.
        change: Box<crate::model::WalletChange>,
    },
}

/// A transfer line of an import.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ImportTransfer {
    /// Its values.
    pub item: Item,
    /// When the source recorded it.
    pub source_recorded_at: Option<Timestamp>,
    /// Members that only the server makes, kept from an export.
    pub chain: Option<(TransferId, u32)>,
    /// As above.
    pub reversal_of: Option<TransferId>,
    /// As above.
    pub origin: Option<crate::model::Origin>,
    /// The line was imported with floors skipped before it was exported.
    pub floor_skipped: bool,
    /// A line of an export: server-made members are taken over, time-outs are not compared.
    pub exported: bool,
}

/// A part of an import: at most 8190 lines, committed together.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ImportCall {
    /// Subject of the credential.
    pub actor: Option<Box<str>>,
    /// The lines.
    pub lines: Vec<ImportLine>,
    /// `floors=skip`.
    pub skip_floors: bool,
}
