//! Tells a database that is busy from one that is away.
//!
//! A statement may wait long for good reasons: others hold the head, a batch is large, a disk is
//! slow. So a wait is not bounded by a guess about its length, but by whether the server still
//! answers on a second connection. When it does not, callers hear so within a second.

use std::{pin::pin, time::Duration};

use sqlx::PgConnection;
use tokio::time::Instant;

use super::schema::{Connections, within};

/// How long a statement may take before the server is asked whether it lives.
const QUIET: Duration = Duration::from_millis(350);
/// How long the server has to say so.
const BEAT: Duration = Duration::from_millis(350);
/// Longest wait even for a server that lives; above its own `statement_timeout`.
const WAIT_MAX: Duration = Duration::from_secs(12);

/// The second connection.
pub(super) struct Pulse {
    connections: Connections,
    connection: Option<PgConnection>,
}

impl Pulse {
    pub(super) fn new(connections: Connections) -> Self {
        Self {
            connections,
            connection: None,
        }
    }

    /// Waits for work as long as the server lives; a server that does not reads like a lost
    /// connection.
    pub(super) async fn during<T, E: From<sqlx::Error>>(
        &mut self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let begun = Instant::now();
        let mut work = pin!(work);
        loop {
            if let Ok(done) = tokio::time::timeout(QUIET, work.as_mut()).await {
                return done;
            }
            if begun.elapsed() > WAIT_MAX || !self.beats().await {
                let late = std::io::Error::from(std::io::ErrorKind::TimedOut);
                return Err(sqlx::Error::Io(late).into());
            }
        }
    }

    /// Whether the server answers now.
    async fn beats(&mut self) -> bool {
        let Self {
            connections,
            connection,
        } = self;
        let beat = async {
            if let Some(old) = connection {
                match sqlx::raw_sql("SELECT 1").execute(old).await {
                    Ok(_) => return Ok(()),
                    Err(_) => *connection = None,
                }
            }
            *connection = Some(connections.writer().await?);
            Ok(())
        };
        let lives = within(BEAT, beat).await.is_ok();
        if !lives {
            self.connection = None;
        }
        lives
    }
}
