//! The provider pays its balance to our bank account (P13).

use florin_platform::http::problem::Problem;
use florin_platform::sql::query;

use super::decide::away;
use super::provider::ProviderPayout;
use crate::Ticketing;
use crate::money::{self, p13_settlement};

/// Posts a payout of the provider, once.
///
/// # Errors
/// 503 when the ledger or the store is away; the same may be applied again.
pub async fn apply(room: &Ticketing, shown: &ProviderPayout) -> Result<(), Problem> {
    if !shown.paid || shown.amount <= 0 {
        return Ok(());
    }
    let posting = p13_settlement::settled(&shown.id, &shown.currency, shown.amount);
    money::post(&room.ledger, &posting).await.map_err(away)?;
    let text = "INSERT INTO tk_card_payouts (provider_id, amount, currency, posted_at)
        VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
    let statement = query(text)
        .bind(&shown.id)
        .bind(shown.amount)
        .bind(&shown.currency)
        .bind(room.now());
    room.store
        .db
        .lane("ticketing_inbox")
        .execute(statement)
        .await?;
    Ok(())
}
