//! The archive of the feed (deployment contract, DEP-089): exact lines of the ledger, in segments,
//! each with a signed checkpoint that covers it, in a bucket that lets nothing be changed.
//!
//! **Purpose.** Proof outlives the database. What was acknowledged can be named after a loss
//! (DEP-143), and every line of a segment can be held against a signature.
//!
//! **Boundary.** Puts objects and reads its own; never replaces and never removes one. How long they
//! stay is the rule of the bucket. No line holds personal data, because no record does.
//!
//! **Invariants.**
//! - Segments follow each other without gap and without overlap; one's name is the number of its
//!   first record, so that two writers cannot keep two truths.
//! - A segment is kept only when a signed checkpoint covers its last record.
//! - The position moves after both objects of a segment are durable.

mod keep;
mod read;
mod segment;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use florin_base::Clock;
use florin_platform::blobs::{self, BlobSettings, Blobs};
use florin_platform::bus::{Lease, Positions};
use florin_platform::http::shutdown::Shutdown;
use metrics::gauge;
use tokio::time::Instant;

use crate::config::Config;
use crate::fail::failure;
use crate::roles::Working;
use crate::serve::parts::Wired;

use keep::Keeper;
pub use read::Archived;
use segment::RECORDS_MAX;

/// Time between two looks at what waits; a holder of the lease beats with it.
const LOOK: Duration = Duration::from_secs(3);
/// Name of the lease.
const LEASE: &str = "feed/archive";
/// Bytes of a manifest.
const MANIFEST_MAX: u64 = 1 << 20;

/// The configured archive; `None` where there is none.
///
/// # Errors
/// A URL that leads nowhere, named by its setting.
fn open(config: &Config, clock: Arc<dyn Clock>) -> anyhow::Result<Option<Blobs>> {
    let url = &config.archive.url;
    if url.is_empty() {
        return Ok(None);
    }
    at(url, &config.blobs, clock).map(Some)
}

/// The archive at a URL or in a folder.
fn at(url: &str, blobs: &BlobSettings, clock: Arc<dyn Clock>) -> anyhow::Result<Blobs> {
    let folder = Path::new(url);
    let settings = BlobSettings {
        // To the blobs a folder is what has no URL.
        url: match folder.is_absolute() {
            true => String::new(),
            false => url.to_owned(),
        },
        checksums: true,
        ..blobs.clone()
    };
    // Nobody is given URLs of this store: what would sign them is not needed.
    let opened = blobs::open(&settings, folder, &[0; 32], "", clock);
    opened.map_err(|error| {
        let own = |text: &str| text.replace("blobs.url", "archive.url");
        let remedy = match folder.is_absolute() {
            true => "make it writable for this user, or set archive.url".to_owned(),
            false => own(&error.remedy).replace(
                "leave it empty for a folder of the data directory",
                "a folder is named by its full path",
            ),
        };
        failure(own(&error.to_string()), remedy)
    })
}

impl Wired {
    /// Archives the feed until the server drains, where an archive is configured.
    pub fn keep_feed(&self, shutdown: Shutdown) -> Working {
        let store = match open(&self.config, Arc::clone(&self.clock)) {
            Ok(Some(store)) => store,
            Ok(None) => return Box::pin(async move { shutdown.drain().await }),
            Err(error) => {
                // Said again by the age, which nothing brings down.
                tracing::error!(error = format!("{error:#}"), "the feed is not archived");
                gauge!("feed_archive_age_seconds").set(f64::from(u32::MAX));
                return Box::pin(async move { shutdown.drain().await });
            }
        };
        let section = &self.config.archive;
        let writer = Writer {
            keeper: Keeper {
                ledger: self.ledger(),
                store,
            },
            positions: Positions::new(self.db()),
            // Another archive begins at the first record.
            channel: format!("archive {}", section.url),
            lease: self.leases().lease(LEASE),
            clock: Arc::clone(&self.clock),
            interval: section.interval,
            age_s: 0,
            looked: Instant::now(),
        };
        Box::pin(writer.run(shutdown))
    }
}

struct Writer {
    keeper: Keeper,
    positions: Positions,
    channel: String,
    lease: Lease,
    clock: Arc<dyn Clock>,
    interval: Duration,
    /// Age of the oldest record that is not archived, and when that was seen.
    age_s: u64,
    looked: Instant,
}

impl Writer {
    async fn run(mut self, shutdown: Shutdown) {
        tokio::select! {
            () = shutdown.drain() => {}
            () = self.work() => {}
        }
        self.lease.release(self.clock.wall_micros()).await;
    }

    async fn work(&mut self) {
        loop {
            if let Err(error) = self.look().await {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "the feed could not be archived; trying again"
                );
                let age = self.age_s + self.looked.elapsed().as_secs();
                gauge!("feed_archive_age_seconds").set(age as f64);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn aged(&mut self, age_s: u64) {
        (self.age_s, self.looked) = (age_s, Instant::now());
        gauge!("feed_archive_age_seconds").set(age_s as f64);
    }

    /// Keeps what is due. Every process measures; the holder of the lease writes.
    async fn look(&mut self) -> anyhow::Result<()> {
        loop {
            let position = self.positions.load(&self.channel).await?.unwrap_or(0);
            let waiting = self.keeper.ledger.durable_seq().saturating_sub(position);
            let now = self.clock.wall_micros();
            let mine = self.lease.try_acquire(now).await?;
            if waiting == 0 {
                self.aged(0);
                return Ok(());
            }
            let view = self.keeper.ledger.read_view().await?;
            let recorded =
                tokio::task::spawn_blocking(move || view.recorded_at(position + 1)).await??;
            let age_s = now.saturating_sub(recorded.micros()).max(0).unsigned_abs() / 1_000_000;
            self.aged(age_s);
            let due = age_s >= self.interval.as_secs() || waiting >= RECORDS_MAX;
            if !due || !mine {
                return Ok(());
            }
            let Some(last) = self.keeper.after(position).await? else {
                return Ok(());
            };
            let positions = &self.positions;
            // When it stands elsewhere, the next turn sees where.
            positions
                .advance(&self.channel, position, last, now)
                .await?;
        }
    }
}
