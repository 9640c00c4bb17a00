//! One segment into the archive: its lines, then its manifest, each written once.

use florin_ledger::proof::Checkpoint;
use florin_ledger::{Ledger, ReadView};
use florin_platform::blobs::{BlobError, Blobs, Key, Put, PutMode};

use super::MANIFEST_MAX;
use super::segment::{self, Manifest, PACKED_MAX, Segment};

/// A ledger, and where its segments are kept.
pub struct Keeper {
    /// Whose records.
    pub ledger: Ledger,
    /// The archive.
    pub store: Blobs,
}

impl Keeper {
    /// Keeps the segment after a record; its last record, or `None` while no checkpoint covers it.
    ///
    /// # Errors
    /// Store or ledger do not answer, or the archive holds other records than this ledger.
    pub async fn after(&self, after: u64) -> anyhow::Result<Option<u64>> {
        let ledger = self.ledger.clone();
        let checkpoint =
            tokio::task::spawn_blocking(move || ledger.checkpoints().newest()).await??;
        let Some(checkpoint) = checkpoint.filter(|one| one.tree_size > after) else {
            return Ok(None);
        };
        // Opened after the checkpoint was read, so that it holds what the checkpoint covers.
        let view = self.ledger.read_view().await?;
        anyhow::ensure!(
            checkpoint.tree_size <= view.seq(),
            "the checkpoint is ahead of the records that can be read"
        );
        let made = self.make(&view, after, None, &checkpoint).await?;
        let name = segment::lines_key(self.ledger.ledger_id(), after + 1)?;
        let (made, packed) = tokio::task::spawn_blocking(move || {
            let packed = made.packed();
            packed.map(|packed| (made, packed))
        })
        .await??;
        let made = match self
            .store
            .put(&name, packed, &put("application/gzip"))
            .await
        {
            Ok(()) => made,
            Err(BlobError::Exists(_)) => {
                match self.kept_before(&view, after, &name, &checkpoint).await? {
                    Some(same) => same,
                    None => return Ok(None),
                }
            }
            Err(error) => return Err(error.into()),
        };
        self.sign_for(&made.manifest).await?;
        Ok(Some(made.manifest.last_seq))
    }

    /// Lines that somebody kept before must be the same records, however many; `None` while no
    /// checkpoint covers them all.
    async fn kept_before(
        &self,
        view: &ReadView,
        after: u64,
        name: &Key,
        checkpoint: &Checkpoint,
    ) -> anyhow::Result<Option<Segment>> {
        let packed = self.store.get(name, PACKED_MAX).await?;
        let kept = tokio::task::spawn_blocking(move || segment::unpacked(&packed)).await??;
        let count = segment::count(&kept);
        anyhow::ensure!(count > 0, "{name} in the archive holds no record");
        if after + count > checkpoint.tree_size {
            return Ok(None);
        }
        let same = self.make(view, after, Some(count), checkpoint).await?;
        anyhow::ensure!(same.lines == kept, "{}", other_records(after + 1));
        Ok(Some(same))
    }

    async fn make(
        &self,
        view: &ReadView,
        after: u64,
        records: Option<u64>,
        checkpoint: &Checkpoint,
    ) -> anyhow::Result<Segment> {
        let (view, id) = (view.clone(), self.ledger.ledger_id());
        let checkpoint = checkpoint.clone();
        let making = move || Segment::make(&view, id, after, records, checkpoint);
        tokio::task::spawn_blocking(making).await?
    }

    /// Keeps a manifest; one that is there must say the same of the records, under whichever
    /// checkpoint.
    async fn sign_for(&self, manifest: &Manifest) -> anyhow::Result<()> {
        let name = segment::manifest_key(manifest.ledger_id, manifest.first_seq)?;
        let body = serde_json::to_vec_pretty(manifest)?;
        match self.store.put(&name, body, &put("application/json")).await {
            Ok(()) => Ok(()),
            Err(BlobError::Exists(_)) => {
                let kept = self.store.get(&name, MANIFEST_MAX).await?;
                let kept: Manifest = serde_json::from_slice(&kept)?;
                anyhow::ensure!(
                    kept.describes_as(manifest),
                    "{}",
                    other_records(manifest.first_seq)
                );
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Each object is written once.
fn put(content_type: &str) -> Put {
    Put {
        mode: PutMode::Create,
        content_type: Some(content_type.to_owned()),
    }
}

fn other_records(first: u64) -> String {
    format!(
        "the archive holds other records than this ledger from {first} on; a ledger that lost records after a failover needs another archive.url"
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use florin_base::SystemClock;
    use florin_ledger::call::{CreateAccount, ImportCall, ImportLine};
    use florin_ledger::model::{AccountId, AccountKind, Floor, Metadata};
    use florin_ledger::{Call, OpenOptions, Policy};
    use florin_platform::blobs::{self, BlobSettings};

    use super::*;

    fn keeper(ledger: &Path, archive: &Path) -> Keeper {
        let mut options = OpenOptions::new(ledger);
        options.disk_free_min_per_mille = 0;
        let ledger = Ledger::open(options, Policy::default(), Arc::new(SystemClock));
        let settings = BlobSettings::default();
        let store = blobs::open(&settings, archive, &[0; 32], "", Arc::new(SystemClock));
        Keeper {
            ledger: ledger.expect("opens"),
            store: store.expect("opens"),
        }
    }

    impl Keeper {
        /// Records one account; the number of its record.
        async fn account(&self, name: &str) -> u64 {
            let line = ImportLine::Account(CreateAccount {
                actor: Some("test".into()),
                id: AccountId::parse(name).expect("an id"),
                asset: "BRL".into(),
                kind: AccountKind::Asset,
                normal: None,
                floor: Floor::None,
                metadata: Metadata::default(),
                key: None,
            });
            let call = ImportCall {
                actor: Some("test".into()),
                lines: vec![line],
                skip_floors: false,
            };
            let before = self.ledger.durable_seq();
            let done = self.ledger.submit(Call::Import(call)).await;
            done.expect("recorded");
            let seq = self.ledger.durable_seq();
            assert!(seq > before, "{name}");
            seq
        }

        async fn sign(&self) {
            let made = self.ledger.checkpoint_now().await.expect("answers");
            assert!(made.is_some());
        }

        async fn manifest(&self, first: u64) -> Option<Manifest> {
            let name = segment::manifest_key(self.ledger.ledger_id(), first).expect("a key");
            let found = self.store.get(&name, MANIFEST_MAX).await.ok()?;
            Some(serde_json::from_slice(&found).expect("a manifest"))
        }

        async fn names(&self) -> usize {
            self.store.list(None, None, 100).await.expect("lists").len()
        }
    }

    #[tokio::test]
    async fn dep_089_nothing_is_kept_that_no_checkpoint_covers() {
        let home = tempfile::tempdir().expect("a folder");
        let keeper = keeper(&home.path().join("ledger"), &home.path().join("archive"));
        let one = keeper.account("one").await;
        // The ledger's own rhythm is a minute.
        assert_eq!(keeper.after(one - 1).await.expect("asks"), None);
        assert_eq!(keeper.names().await, 0);
        keeper.sign().await;
        let two = keeper.account("two").await;
        assert_eq!(keeper.after(0).await.expect("keeps"), Some(one));
        assert_eq!(keeper.after(one).await.expect("asks"), None);
        keeper.sign().await;
        assert_eq!(keeper.after(one).await.expect("keeps"), Some(two));
        let said = keeper.manifest(one + 1).await.expect("kept");
        assert_eq!((said.first_seq, said.last_seq), (one + 1, two));
        keeper.ledger.close();
    }

    /// A worker that stopped after the lines, or before its position was saved; and one that came
    /// late, when the ledger had more.
    #[tokio::test]
    async fn dep_089_a_segment_that_was_begun_is_ended_as_it_was_begun() {
        let home = tempfile::tempdir().expect("a folder");
        let keeper = keeper(&home.path().join("ledger"), &home.path().join("archive"));
        let one = keeper.account("one").await;
        keeper.sign().await;
        assert_eq!(keeper.after(0).await.expect("keeps"), Some(one));
        let first = keeper.manifest(1).await.expect("kept");
        keeper.account("two").await;
        keeper.sign().await;
        // The position was not saved.
        assert_eq!(keeper.after(0).await.expect("keeps"), Some(one));
        assert_eq!(keeper.manifest(1).await, Some(first.clone()));
        assert_eq!(keeper.names().await, 2);
        // The manifest was not written either.
        let name = segment::manifest_key(keeper.ledger.ledger_id(), 1).expect("a key");
        keeper.store.delete(&name).await.expect("removes");
        assert_eq!(keeper.after(0).await.expect("keeps"), Some(one));
        let again = keeper.manifest(1).await.expect("kept");
        assert!(again.describes_as(&first));
        assert!(again.checkpoint.tree_size > one, "a newer one vouches");
        let lines = segment::lines_key(keeper.ledger.ledger_id(), 1).expect("a key");
        let packed = keeper.store.get(&lines, PACKED_MAX).await.expect("kept");
        let lines = segment::unpacked(&packed).expect("lines");
        let segment = Segment {
            lines,
            manifest: again,
        };
        let mut tree = florin_ledger::proof::Frontier::new();
        let keys = keeper.ledger.checkpoints().keys().expect("keys");
        let keys: Vec<_> = keys.into_iter().map(|one| one.key).collect();
        segment
            .check(keeper.ledger.ledger_id(), &mut tree, &keys)
            .expect("whole");
        keeper.ledger.close();
    }

    /// A ledger that lost records in a failover and made others has the same identity.
    #[tokio::test]
    async fn dep_089_other_records_under_the_same_name_are_refused() {
        let home = tempfile::tempdir().expect("a folder");
        let keeper = keeper(&home.path().join("ledger"), &home.path().join("archive"));
        let one = keeper.account("one").await;
        keeper.sign().await;
        let id = keeper.ledger.ledger_id();
        let checkpoint = keeper.ledger.checkpoints().newest();
        let checkpoint = checkpoint.expect("reads").expect("made");
        let view = keeper.ledger.read_view().await.expect("answers");
        let mut other = Segment::make(&view, id, 0, None, checkpoint).expect("made");
        let at = other.lines.len() - 3;
        other.lines[at] ^= 1;
        let name = segment::lines_key(id, 1).expect("a key");
        let packed = other.packed().expect("packs");
        let once = put("application/gzip");
        keeper.store.put(&name, packed, &once).await.expect("puts");
        let error = keeper.after(0).await.expect_err("refused").to_string();
        assert!(
            error.contains("other records than this ledger from 1 on"),
            "{error}"
        );
        assert_eq!(keeper.manifest(1).await, None);
        // The same lines, but a manifest that says something else.
        keeper.store.delete(&name).await.expect("removes");
        other.manifest.last_seq = one + 5;
        let manifest = segment::manifest_key(id, 1).expect("a key");
        let body = serde_json::to_vec(&other.manifest).expect("JSON");
        keeper
            .store
            .put(&manifest, body, &once)
            .await
            .expect("puts");
        let error = keeper.after(0).await.expect_err("refused").to_string();
        assert!(error.contains("other records"), "{error}");
        keeper.ledger.close();
    }
}
