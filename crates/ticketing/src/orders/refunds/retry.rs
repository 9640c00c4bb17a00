//! A refund that failed is tried again: the way the money came, or into a wallet. P5 stands, and
//! its sum waits in the refund's account.

use florin_platform::http::problem::Problem;
use florin_platform::sql::query;
use serde_json::json;

use super::super::card_port;
use super::super::desk::Cx;
use super::super::row;
use super::decide::again;
use crate::api::problem::conflict;
use crate::money::due::{self, Due, DueRow};
use crate::store::idempotency::{Kept, Once};

/// Moves a failed refund to `pending` and remembers what is due; or the first answer of the same
/// request.
///
/// # Errors
/// 404; 409 `refund_state`; the store's.
pub async fn retry(
    cx: &mut Cx,
    id: &str,
    to_wallet: Option<&str>,
    once: &Once,
) -> Result<(Option<Kept>, Vec<DueRow>), Problem> {
    if let Some(kept) = once.replay(&mut cx.tx).await? {
        return Ok((Some(kept), Vec::new()));
    }
    let mut refund = again(cx, id).await?;
    if refund.status != "failed" {
        return Err(
            conflict("refund_state", "Only a refund that failed is tried again.")
                .with("refundStatus", &*refund.status),
        );
    }
    cx.dirty = true;
    refund.attempt += 1;
    if let Some(wallet) = to_wallet {
        refund.method = "wallet".to_owned();
        refund.wallet_id = Some(wallet.to_owned());
    }
    let text = "UPDATE tk_refunds SET status = 'pending', failure = NULL, attempt = $1,
        method = $2, wallet_id = $3, updated_at = $4 WHERE id = $5";
    let statement = query(text)
        .bind(refund.attempt)
        .bind(&refund.method)
        .bind(refund.wallet_id.clone())
        .bind(cx.now)
        .bind(id);
    cx.tx.execute(statement).await?;
    let mut dues = Vec::new();
    match (&*refund.method, &refund.wallet_id) {
        ("wallet", Some(wallet_id)) => {
            let due = Due::RefundToWallet {
                refund_id: id.to_owned(),
                attempt: refund.attempt,
                wallet_id: wallet_id.clone(),
            };
            let store = cx.room.store.clone();
            dues = due::plan(&store, &mut cx.tx, id, &[due]).await?;
        }
        _ => {
            let found = row::find_in(&mut cx.tx, &refund.order_id).await?;
            let order = found.ok_or_else(row::not_found)?;
            card_port::order_refund(&mut cx.tx, &order, &refund, cx.now).await?;
        }
    }
    let body = json!({"id": id, "status": "pending", "attempt": refund.attempt});
    let kept = Kept {
        status: 202,
        location: None,
        person: None,
        body: body.to_string().into_bytes(),
    };
    once.keep(&mut cx.tx, &kept, cx.now).await?;
    Ok((None, dues))
}
