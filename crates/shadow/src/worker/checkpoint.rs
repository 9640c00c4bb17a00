//! Signed notes of the log's end, every hour and on request (contract B4).
//!
//! Whoever keeps a note elsewhere can later show that the log before it was rewritten.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey};
use florin_platform::sql::query;

use crate::store::{Shadow, WriteError, read};

/// Signs checkpoints.
pub trait Signer: Send + Sync + 'static {
    /// Name of the key.
    fn name(&self) -> &str;
    /// Ed25519 signature over the text.
    fn sign(&self, text: &[u8]) -> [u8; 64];
}

/// An Ed25519 key of this installation.
pub struct Key {
    name: String,
    key: SigningKey,
}

impl Key {
    /// From 32 secret bytes.
    pub fn from_seed(name: impl Into<String>, seed: &[u8; 32]) -> Self {
        Self {
            name: name.into(),
            key: SigningKey::from_bytes(seed),
        }
    }
}

impl Signer for Key {
    fn name(&self) -> &str {
        &self.name
    }

    fn sign(&self, text: &[u8]) -> [u8; 64] {
        self.key.sign(text).to_bytes()
    }
}

/// A checkpoint.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// Number of the record that it covers, with all before.
    pub log_seq: i64,
    /// Hash of that record.
    pub hash: [u8; 32],
    /// When that record was committed, microseconds.
    pub recorded_at: i64,
    /// The signed text, a blank line, the name of the key and the signature in base64.
    pub note: String,
}

/// Signs and keeps the present end of the log; a second one for the same end changes nothing.
///
/// # Errors
/// The store's.
pub async fn make(shadow: &Shadow, signer: &dyn Signer) -> Result<Checkpoint, WriteError> {
    let head = read::head(shadow.db()).await?;
    let text = format!(
        "florin shadow log\n{}\n{}\n{}\n",
        head.log_seq,
        hex::encode(head.hash),
        florin_base::Timestamp(head.recorded_at)
    );
    let signature = STANDARD.encode(signer.sign(text.as_bytes()));
    let note = format!("{text}\n{} {signature}\n", signer.name());
    let checkpoint = Checkpoint {
        log_seq: head.log_seq,
        hash: head.hash,
        recorded_at: head.recorded_at,
        note,
    };
    let kept = checkpoint.clone();
    shadow
        .write(move |session| {
            Box::pin(async move {
                let insert = "INSERT INTO shadow_checkpoints (log_seq, hash, recorded_at, note)
                    VALUES ($1, $2, $3, $4) ON CONFLICT (log_seq) DO NOTHING";
                let row = query(insert)
                    .bind(kept.log_seq)
                    .bind(kept.hash)
                    .bind(kept.recorded_at)
                    .bind(kept.note);
                session.tx().execute(row).await?;
                Ok(())
            })
        })
        .await?;
    Ok(checkpoint)
}

/// Time between two checkpoints.
const INTERVAL: std::time::Duration = std::time::Duration::from_secs(3_600);

/// Writes a checkpoint at once when there is news since the last one, then every hour, until
/// draining begins.
pub async fn run(
    shadow: &Shadow,
    signer: &dyn Signer,
    shutdown: florin_platform::http::shutdown::Shutdown,
) {
    let mut turns = shutdown.turns(INTERVAL);
    while turns.next().await {
        match read::head(shadow.db()).await {
            Ok(head) if head.log_seq == 0 => continue,
            _ => {}
        }
        if let Err(error) = make(shadow, signer).await {
            tracing::warn!(%error, "the shadow log got no checkpoint");
        }
    }
}
