//! Makes signed checkpoints: in an interval when there is news, at a clean stop, on demand
//! (contract A9). Never in the way of a posting.

use std::{
    sync::{
        Arc,
        mpsc::{RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::JoinHandle,
    time::Duration,
};

use super::{Embedded, IndexView, OpenError, progress::Progress, proofs::LedgerTree, store::Store};
use crate::{
    call::Unavailable,
    checkpoints::Checkpoints,
    proof::{Checkpoint, CheckpointBody},
    view::ReadView,
};

/// The thread; ends with a last checkpoint when told to.
pub(super) struct Checkpointer {
    stop: SyncSender<()>,
    thread: JoinHandle<()>,
}

impl Checkpointer {
    pub(super) fn start(
        checkpoints: Arc<Checkpoints>,
        store: Arc<Store>,
        tree: Arc<LedgerTree>,
        progress: Arc<Progress>,
        interval: Duration,
    ) -> Result<Self, OpenError> {
        let (stop, stopped) = sync_channel(1);
        let make_now = move || {
            let view = IndexView {
                store: store.clone(),
                tree: tree.clone(),
                seq: progress.indexed().seq,
            };
            if let Err(error) = make_checkpoint(&view.into(), &checkpoints) {
                tracing::warn!(%error, "no checkpoint was made");
            }
        };
        let thread = std::thread::Builder::new()
            .name("florin-checkpoint".into())
            .spawn(move || {
                while stopped.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                    make_now();
                }
                make_now();
            })
            .map_err(|e| OpenError::Refused(format!("no thread: {e}")))?;
        Ok(Self { stop, thread })
    }

    /// Makes the last checkpoint; call once everything is indexed.
    pub(super) fn stop(self) {
        drop(self.stop);
        if self.thread.join().is_err() {
            tracing::error!("the checkpoint thread panicked");
        }
    }
}

/// Makes a checkpoint of all whole commits in the view; `None` for an empty ledger, `false` when
/// there was no news.
pub(crate) fn make_checkpoint(
    view: &ReadView,
    checkpoints: &Checkpoints,
) -> Result<Option<(Checkpoint, bool)>, String> {
    let Some((batch, tree_size, chain_hash)) = view.last_batch().map_err(|e| e.to_string())? else {
        return Ok(None);
    };
    let newest = checkpoints.newest().map_err(|e| e.to_string())?;
    if let Some(newest) = newest.filter(|newest| newest.tree_size >= tree_size) {
        return Ok(Some((newest, false)));
    }
    let root_hash = view.root(tree_size).map_err(|e| e.to_string())?;
    let body = CheckpointBody {
        ledger_id: checkpoints.ledger_id(),
        tree_size,
        root_hash,
        batch,
        chain_hash,
    };
    let made = checkpoints.make(&body).map_err(|e| e.to_string())?;
    Ok(Some((made, true)))
}

impl Embedded {
    /// The checkpoints made so far and their keys.
    pub fn checkpoints(&self) -> &Checkpoints {
        &self.inner.checkpoints
    }

    /// Makes a checkpoint of everything acknowledged before the call, waiting for its hashes;
    /// `false` when the newest one covers it already, `None` for an empty ledger.
    ///
    /// # Errors
    /// `StoreUnavailable` when the hashes or the files cannot be had.
    pub async fn checkpoint_now(&self) -> Result<Option<(Checkpoint, bool)>, Unavailable> {
        let view = self.read_view().await?;
        let checkpoints = self.inner.checkpoints.clone();
        let made =
            tokio::task::spawn_blocking(move || make_checkpoint(&view.into(), &checkpoints)).await;
        made.map_err(|_| Unavailable::StoreUnavailable)?
            .map_err(|error| {
                tracing::error!(error, "no checkpoint was made");
                Unavailable::StoreUnavailable
            })
    }
}
