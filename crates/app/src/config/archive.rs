//! The section `archive`: where the feed of the ledger is kept beside the ledger, and how often.

use std::time::Duration;

use serde::Deserialize;

use super::settings::duration;

/// `archive`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArchiveSection {
    /// Bucket or folder; empty: none.
    pub url: String,
    /// Longest time a record waits.
    #[serde(deserialize_with = "duration")]
    pub interval: Duration,
}
