//! The few facts of a ledger directory that stand beside the journal.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

use florin_base::IdSource;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

const FILE: &str = "ledger.json";

/// Contents of `ledger.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Meta {
    /// Version of the directory's layout.
    pub version: u32,
    /// The ledger's id.
    pub ledger_id: Uuid,
    /// Key of the hash that spreads identities, in hex; not a secret worth stealing, but one
    /// that keeps callers from choosing colliding ids.
    pub identity_key: String,
}

impl Meta {
    /// Reads the file, or makes it for a new ledger.
    pub(super) fn load_or_create(dir: &Path, new_id: Uuid) -> io::Result<Self> {
        let path = dir.join(FILE);
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| {
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("{} is damaged: {e}", path.display()),
                )
            }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Self::create(dir, new_id),
            Err(e) => Err(e),
        }
    }

    /// Makes the file for a ledger with an id.
    pub(super) fn create(dir: &Path, ledger_id: Uuid) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let meta = Self {
            version: 1,
            ledger_id,
            identity_key: hex::encode(&IdSource::random_32()[..16]),
        };
        let temporary = dir.join("ledger.json.tmp");
        let mut file = File::create(&temporary)?;
        file.write_all(&serde_json::to_vec_pretty(&meta).map_err(io::Error::other)?)?;
        file.sync_all()?;
        fs::rename(&temporary, dir.join(FILE))?;
        File::open(dir)?.sync_all()?;
        Ok(meta)
    }

    /// The key as bytes.
    pub(super) fn key(&self) -> io::Result<[u8; 16]> {
        let mut key = [0; 16];
        hex::decode_to_slice(&self.identity_key, &mut key).map_err(|e| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("identityKey in {FILE}: {e}"),
            )
        })?;
        Ok(key)
    }
}
