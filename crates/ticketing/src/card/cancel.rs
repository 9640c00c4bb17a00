//! Giving a card payment up: at the provider first, since it may have succeeded.

use florin_platform::http::problem::Problem;

use super::checkout::{provider, provider_away};
use super::decide::{self, Decided};
use super::intents::{self, IntentRow};
use super::provider::ProviderError;
use crate::Ticketing;

/// Whether a payment was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancelled {
    /// There is none, or it can no longer succeed; money that comes after all goes back.
    Gone,
    /// It had succeeded: the order is confirmed.
    Succeeded,
}

/// Gives the card payment of an order up, before the order itself is cancelled.
///
/// # Errors
/// 503 when the provider does not answer, since the money may have been taken; the store's.
pub async fn cancel_now(room: &Ticketing, order_id: &str) -> Result<Cancelled, Problem> {
    let Some(row) = intents::live(&room.store.db, order_id).await? else {
        return Ok(Cancelled::Gone);
    };
    match give_up(room, &row).await? {
        Decided::Paid => Ok(Cancelled::Succeeded),
        _ => Ok(Cancelled::Gone),
    }
}

/// Cancels a live intent at the provider, and applies what that shows.
///
/// # Errors
/// 503 when the provider does not answer; the store's.
pub async fn give_up(room: &Ticketing, row: &IntentRow) -> Result<Decided, Problem> {
    let provider = provider(room)?;
    let provider_id = match &row.provider_id {
        Some(id) => id.clone(),
        // It may be there or not; made again under its key it is there, and can be cancelled.
        None => match provider.create(&row.new_intent()).await {
            Ok(made) => made.id,
            Err(ProviderError::Refused { .. }) => {
                let mut tx = room.store.begin_event(&row.event_id).await?;
                intents::close(&mut tx, &row.id, room.now()).await?;
                tx.commit().await?;
                return Ok(Decided::Closed);
            }
            Err(error) => return Err(provider_away(&error)),
        },
    };
    let key = format!("florin-cancel-{}-{}", row.id, row.tries);
    let shown = match provider.cancel(&provider_id, &key).await {
        Ok(intent) => intent,
        Err(ProviderError::State(_)) => provider
            .intent(&provider_id)
            .await
            .map_err(|error| provider_away(&error))?,
        Err(error) => return Err(provider_away(&error)),
    };
    decide::apply(room, row, &shown).await
}
