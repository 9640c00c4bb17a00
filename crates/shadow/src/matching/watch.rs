//! The worker of part D: forgets at start what crashes left behind, then undoes the matches of
//! entries that count no more (contract D2, `entry_flipped`; F2, `import.mid`).

use std::time::Duration;

use florin_platform::http::shutdown::Shutdown;

use super::service::Reconciler;
use crate::statements::Statements;

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(500);

/// Runs until draining begins.
pub async fn run(statements: Statements, reconciler: Reconciler, shutdown: Shutdown) {
    let mut turns = shutdown.turns(LOOK);
    let mut recovered = false;
    while turns.next().await {
        if !recovered {
            let done = async {
                statements.recover().await?;
                reconciler.recover().await
            };
            match done.await {
                Ok(()) => recovered = true,
                Err(error) => tracing::warn!(%error, "statements wait for the store"),
            }
        }
        match reconciler.undo_flipped().await {
            Ok(0) => {}
            Ok(count) => tracing::warn!(count, "entries flipped; their matches are undone"),
            Err(error) => tracing::warn!(%error, "matches wait for the store"),
        }
    }
}
