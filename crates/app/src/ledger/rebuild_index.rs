//! `florin ledger rebuild-index`.

use std::fs;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use florin_ledger::Ledger;
use serde_json::json;

use crate::cli::block_on;
use crate::config::{self, ConfigArgs};
use crate::fail::failure;
use crate::out::{Output, progress};
use crate::serve::offline::Offline;
use crate::serve::parts::LEDGER_FOLDER;

/// How often the bar moves.
const LOOK: Duration = Duration::from_millis(100);

/// Throw the index away and make it again from the journal; the server must be stopped
#[derive(Debug, Args)]
pub struct RebuildIndex {
    #[command(flatten)]
    config: ConfigArgs,
}

impl RebuildIndex {
    /// Runs the command.
    pub fn run(self, output: Output) -> anyhow::Result<u8> {
        block_on(self.rebuild(output))?;
        Ok(0)
    }

    async fn rebuild(self, output: Output) -> anyhow::Result<()> {
        let loaded = config::load(&self.config, Vec::new())?;
        if loaded.config.ledger.postgres().is_some() {
            return Err(failure(
                "the ledger is kept in PostgreSQL, which keeps its own indexes",
                "REINDEX SCHEMA rebuilds those",
            ));
        }
        let dir = loaded.data_dir()?.join(LEDGER_FOLDER);
        // Opening proves that nobody else holds the ledger before anything is removed.
        Offline::open(loaded.clone()).await?.close().await;
        let index = dir.join(super::INDEX_FOLDER);
        if index.exists() {
            fs::remove_dir_all(&index)
                .with_context(|| format!("cannot remove {}", index.display()))?;
        }
        let opening = progress(output, "reading journal", None, false);
        let offline = Offline::open(loaded).await?;
        opening.finish_and_clear();
        let ledger = offline.wired.ledger();
        let records = follow(&ledger, output).await?;
        drop(ledger);
        offline.close().await;
        output.print(&json!({"records": records}), || {
            format!("The index covers {records} records again.")
        })?;
        Ok(())
    }
}

async fn follow(ledger: &Ledger, output: Output) -> anyhow::Result<u64> {
    let total = ledger.status().head.seq;
    let bar = progress(output, "indexing", Some(total), false);
    while ledger.index_lag() > 0 && !ledger.index_stopped() {
        bar.set_position(total.saturating_sub(ledger.index_lag()));
        tokio::time::sleep(LOOK).await;
    }
    bar.finish_and_clear();
    anyhow::ensure!(
        !ledger.index_stopped(),
        "the index stopped after a fault; see the log"
    );
    ledger
        .read_view()
        .await
        .context("the index does not answer")?;
    Ok(total)
}
