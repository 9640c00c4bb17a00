//! What runs beside the requests: streamed checks, checks that a crash has left, and proposals
//! that nobody decided in time.

use std::time::Duration;

use florin_platform::http::shutdown::Shutdown;
use tokio::time::Instant;

use super::Checker;

/// Time between two looks when nobody wakes the worker.
const LOOK: Duration = Duration::from_secs(5);
/// Time between two looks for proposals that expire.
const EXPIRE: Duration = Duration::from_secs(60);

/// Runs until draining begins.
pub async fn run(checker: Checker, shutdown: Shutdown) {
    let mut expired_at: Option<Instant> = None;
    loop {
        if let Err(error) = checker.resume().await {
            tracing::warn!(%error, "drift checks wait for the store");
        }
        if expired_at.is_none_or(|at| at.elapsed() >= EXPIRE) {
            match checker.corrections().expire().await {
                Ok(0) => {}
                Ok(gone) => tracing::info!(gone, "proposals of corrections have expired"),
                Err(error) => tracing::warn!(%error, "proposals wait for the store"),
            }
            expired_at = Some(Instant::now());
            if let Err(error) = checker.corrections().measure().await {
                tracing::debug!(%error, "corrections were not counted");
            }
        }
        tokio::select! {
            () = checker.waiting().notified() => {}
            () = tokio::time::sleep(LOOK) => {}
            () = shutdown.drain() => return,
        }
    }
}
