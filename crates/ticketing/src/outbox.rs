//! What organisers are told (contract F): a row in the transaction of the fact, handed on after.

use florin_platform::sql::{Tx, query};
use serde_json::Value;

use crate::store::Store;
use florin_platform::http::problem::Problem;

/// Tells the organisation's webhooks of an event, if and when the transaction commits. `data`
/// holds ids, statuses and amounts and nothing personal.
///
/// # Errors
/// The store's.
pub async fn tell(
    store: &Store,
    tx: &mut Tx,
    org_id: &str,
    kind: &'static str,
    data: &Value,
) -> Result<(), Problem> {
    debug_assert!(crate::EVENT_NAMES.contains(&kind), "{kind}");
    let text = "INSERT INTO tk_outbox (id, org_id, kind, data, created_at)
        VALUES ($1, $2, $3, $4, $5)";
    let statement = query(text)
        .bind(store.id())
        .bind(org_id)
        .bind(kind)
        .bind(data.to_string())
        .bind(store.now());
    tx.execute(statement).await?;
    Ok(())
}
