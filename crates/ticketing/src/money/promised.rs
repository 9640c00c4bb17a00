//! What an organisation has promised and the ledger may not know yet: it is posted before anybody
//! judges by the balances.

use florin_platform::http::problem::Problem;
use florin_platform::sql::{Tx, query};

use super::due::{Due, decided, payout_started};
use super::post;
use crate::Ticketing;
use crate::orders::{payouts, refunds, wallet_pay};

/// Promises that are posted for somebody who waits.
const PROMISED_MAX: usize = 256;

/// Posts what refunds and payouts of an organisation have decided and what perhaps is not posted
/// yet. After it the ledger's balances tell all of it, each once: a row alone cannot tell whether
/// its posting is there. The transaction is alone in the room ([`crate::store::Store::begin`]), so that nothing
/// is decided meanwhile; the rows stay, and whoever made them strikes them out.
///
/// # Errors
/// 503 when the ledger is away, or when too much waits for it; the store's.
pub async fn post_all(
    room: &Ticketing,
    tx: &mut Tx,
    org_id: &str,
    currency: &str,
) -> Result<(), Problem> {
    let text = "SELECT d.body FROM tk_due d JOIN tk_payouts p ON p.id = d.line
            WHERE d.place = 0 AND p.org_id = $1 AND p.currency = $2
        UNION ALL SELECT d.body FROM tk_due d JOIN tk_refunds r ON r.id = d.line
            WHERE d.place = 0 AND r.org_id = $3 AND r.currency = $4";
    let statement = query(text)
        .bind(org_id)
        .bind(currency)
        .bind(org_id)
        .bind(currency);
    let mut postings = Vec::new();
    for row in tx.fetch_all(statement).await? {
        let due: Due =
            serde_json::from_str(&row.get::<String>("body")?).map_err(Problem::internal)?;
        match due {
            Due::RefundDecided { refund_id } => {
                let refund = refunds::find_in(tx, &refund_id).await?;
                postings.push(decided(&refund.ok_or_else(refunds::not_found)?));
            }
            Due::PayoutStarted { payout_id } => {
                let statement = payouts::select("WHERE id = $1").bind(payout_id);
                let row = tx.fetch_optional(statement).await?;
                let row = row.ok_or_else(payouts::not_found)?;
                postings.push(payout_started(&payouts::payout(&row)?));
            }
            _ => {}
        }
        if postings.len() > PROMISED_MAX {
            let detail = "Many postings of the organisation wait for the ledger.";
            return Err(Problem::unavailable("store_unavailable", detail));
        }
    }
    // Together, so that the ledger takes them in one commit.
    let all = postings.iter().map(|posting| post(&room.ledger, posting));
    for posted in futures_util::future::join_all(all).await {
        posted.map_err(|error| wallet_pay::unavailable(&error))?;
    }
    Ok(())
}
