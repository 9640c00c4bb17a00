//! What a working state shows: accounts and wallets as answers do, names as feed lines do.

use std::sync::Arc;

use florin_base::Timestamp;

use super::{
    book::Working,
    cache::{Cold, Live},
    directory::Row,
};
use crate::{
    call::{AccountView, WalletView},
    engine::Shown,
    model::{AccountId, AccountKind, AssetNo, Floor, Metadata, Side, Slot, Status, Totals},
    record::line::Names,
    rules::book::Hot,
};

/// Stands for an account that is not loaded; totals in the middle of their range.
pub(super) fn nobody() -> Live {
    let middle = 1 << 126;
    let totals = Totals {
        debits_posted: middle,
        credits_posted: middle,
        debits_pending: middle >> 1,
        credits_pending: middle >> 1,
        postings: 1,
        events: 1,
    };
    Live {
        hot: Hot {
            totals,
            asset: 0,
            normal: Side::Credit,
            status: Status::Open,
            is_wallet: false,
            has_floor: false,
            version: 1,
        },
        windows: None,
        cold: Arc::new(Cold {
            row: Arc::new(Row {
                id: AccountId::Wallet(0),
                asset: 0,
                kind: AccountKind::Liability,
                normal: Side::Credit,
                created_seq: 0,
                created_at: Timestamp(0),
                owner: None,
            }),
            floor: Floor::Zero,
            metadata: Metadata::default(),
            wallet: None,
        }),
    }
}

impl Shown for Working {
    fn wallet_view(&self, slot: Slot, seq: u64) -> Option<WalletView> {
        let Live { hot, cold, .. } = self.live_or_missed(slot);
        cold.wallet_view(slot, hot, seq)
    }

    fn account_view(&self, slot: Slot, seq: u64) -> Option<AccountView> {
        let Live { hot, cold, .. } = self.live_or_missed(slot);
        Some(cold.account_view(slot, hot, seq))
    }
}

impl Names for Working {
    fn account(&self, slot: Slot, out: &mut Vec<u8>) {
        self.live_or_missed(slot).cold.row.id.write_to(out);
    }

    fn asset(&self, no: AssetNo, out: &mut Vec<u8>) {
        let asset = self.assets().get(usize::from(no));
        out.extend_from_slice(asset.map_or(b"?", |asset| asset.code.as_bytes()));
    }

    fn asset_of(&self, slot: Slot) -> AssetNo {
        self.live_or_missed(slot).hot.asset
    }
}
