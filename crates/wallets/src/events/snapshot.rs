//! Wallets as they are, for the compacted topic `wallet-snapshots` (contract B8).

use florin_ledger::{Ledger, Query, Unavailable, View, call::WalletView};
use serde::Serialize;

use crate::model::{money::MoneyStyle, wallet::Wallet};

/// The body of contract B1 with the number of the wallet's last event.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Snapshot<'a> {
    #[serde(flatten)]
    wallet: Wallet<'a>,
    wallet_seq: u64,
}

/// A wallet's snapshot and the `seq` it is as of; `None` for a wallet that does not exist.
///
/// # Errors
/// [`Unavailable`] when the ledger does not answer.
pub async fn of(ledger: &Ledger, wallet: u128) -> Result<Option<(String, u64)>, Unavailable> {
    let query = Query::Wallet {
        id: wallet,
        owner: None,
    };
    Ok(match ledger.query(query).await? {
        View::Wallet(Some(view)) => Some((render(ledger, &view), view.as_of_seq)),
        _ => None,
    })
}

fn render(ledger: &Ledger, view: &WalletView) -> String {
    let asset = ledger.asset(view.asset);
    let snapshot = Snapshot {
        wallet: Wallet::now(view, &asset, MoneyStyle::Text),
        wallet_seq: view.totals.events,
    };
    serde_json::to_string(&snapshot).expect("a snapshot has only strings and numbers")
}
