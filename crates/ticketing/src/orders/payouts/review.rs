//! The word of the compliance part before a payout leaves (contract C4): it may hold one, which
//! then stays `requested` with a reason until it is let go or given up.
//!
//! Where nobody reviews, a payout starts in the commit that makes it. A payout that waits has no
//! posting and none that is due; what it takes is not available to another.

use std::pin::Pin;

use florin_platform::http::problem::Problem;
use florin_platform::sql::{Tx, query};

use super::{PayoutRow, find, not_found, payout, select};
use crate::Ticketing;
use crate::money::due::{self, Due, DueRow};
use crate::money::p08_payout::Line;

/// Payouts that one sweep asks for.
const SWEEP_MAX: i64 = 64;

/// A pending word: why the payout must not leave yet; `None` when it may. The error is a text for
/// the log; the same is asked again later.
pub type Looking<'a> = Pin<Box<dyn Future<Output = Result<Option<String>, String>> + Send + 'a>>;

/// Whoever reviews payouts.
pub trait Review: Send + Sync {
    /// Looks at a payout; may be asked for the same one again.
    fn look<'a>(&'a self, payout: &'a PayoutRow) -> Looking<'a>;
}

/// Payouts that were made and neither started nor ended.
const WAITING: &str = "status = 'requested'
    AND NOT EXISTS (SELECT 1 FROM tk_due d WHERE d.line = tk_payouts.id)";

/// Remembers that a payout starts, in the transaction that decides it.
///
/// # Errors
/// The store's.
pub(super) async fn begin(
    room: &Ticketing,
    tx: &mut Tx,
    payout: &PayoutRow,
) -> Result<Vec<DueRow>, Problem> {
    let payout_id = payout.id.clone();
    let mut dues = vec![Due::PayoutStarted {
        payout_id: payout_id.clone(),
    }];
    if payout.wallet_id().is_some() {
        dues.push(Due::PayoutToWallet { payout_id });
    }
    due::plan(&room.store, tx, &payout.id, &dues).await
}

/// What waiting payouts of an organisation take.
///
/// # Errors
/// The store's.
pub(super) async fn waiting(
    tx: &mut Tx,
    org_id: &str,
    currency: &str,
) -> Result<Vec<Line>, Problem> {
    let statement = select(&format!(
        "WHERE org_id = $1 AND currency = $2 AND {WAITING}"
    ));
    let rows = tx.fetch_all(statement.bind(org_id).bind(currency)).await?;
    let mut lines = Vec::new();
    for row in &rows {
        lines.extend(payout(row)?.lines);
    }
    Ok(lines)
}

/// Asks for a word on a payout that waits, and does what it says.
///
/// # Errors
/// 404; the store's.
pub async fn ask(room: &Ticketing, id: &str) -> Result<(), Problem> {
    let Some(review) = room.payout_review() else {
        return release(room, id).await;
    };
    let found = find(&room.store.db, id).await?.ok_or_else(not_found)?;
    match review.look(&found).await {
        Ok(None) => release(room, id).await,
        Ok(Some(reason)) if found.hold_reason.as_deref() == Some(&*reason) => Ok(()),
        Ok(Some(reason)) => hold(room, id, &reason).await,
        Err(error) => {
            tracing::warn!(payout = id, error, "a payout waits for its review");
            Ok(())
        }
    }
}

async fn hold(room: &Ticketing, id: &str, reason: &str) -> Result<(), Problem> {
    let text = format!(
        "UPDATE tk_payouts SET hold_reason = $1, updated_at = $2 WHERE id = $3 AND {WAITING}"
    );
    let statement = florin_platform::sql::Query::assembled(text)
        .bind(reason)
        .bind(room.now())
        .bind(id);
    let mut tx = room.store.begin().await?;
    tx.execute(statement).await?;
    tx.commit().await?;
    Ok(())
}

/// Lets a payout go that waits; one that has started or ended stays as it is.
///
/// # Errors
/// The store's.
pub async fn release(room: &Ticketing, id: &str) -> Result<(), Problem> {
    let mut tx = room.store.begin().await?;
    let statement = select(&format!("WHERE id = $1 AND {WAITING}")).bind(id);
    let Some(row) = tx.fetch_optional(statement).await? else {
        return Ok(());
    };
    let dues = begin(room, &mut tx, &payout(&row)?).await?;
    let text = "UPDATE tk_payouts SET hold_reason = NULL, updated_at = $1 WHERE id = $2";
    tx.execute(query(text).bind(room.now()).bind(id)).await?;
    tx.commit().await?;
    if let Err(error) = due::drive(room, &dues).await {
        tracing::warn!(payout = id, %error, "postings of a payout wait");
    }
    Ok(())
}

/// Asks again for all payouts that wait; answers how many there are.
///
/// # Errors
/// The store's.
pub async fn sweep(room: &Ticketing) -> Result<usize, Problem> {
    let statement = select(&format!("WHERE {WAITING} ORDER BY id LIMIT $1")).bind(SWEEP_MAX);
    let rows = room.store.db.fetch_all(statement).await?;
    for row in &rows {
        ask(room, &payout(row)?.id).await?;
    }
    Ok(rows.len())
}
