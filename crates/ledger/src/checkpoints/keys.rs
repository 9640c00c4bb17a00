//! `checkpoint.key` and `checkpoint-keys.json`: the secret in use and all public keys.

use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use florin_base::{IdSource, Secret, Timestamp};
use serde::{Deserialize, Serialize};

use super::{CheckpointError, KEY_FILE, KEYS_FILE, Result, failed};
use crate::proof::{Signer, VerifierKey};

const KEY_HINT: &str = "Restore it from a backup; without one remove it: a new key is made at \
                        the next start, and checkpoints signed by the old one stay verifiable";
const KEYS_HINT: &str = "Restore it from a backup; without one remove it: the list then starts \
                         with the key in use";

/// A public key and when it was in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyValidity {
    /// The key; its text form is the C2SP verifier key.
    pub key: VerifierKey,
    /// Since when it signs.
    pub valid_from: Timestamp,
    /// Until when it signed; `None` for the key in use.
    pub valid_until: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawKeys {
    keys: Vec<RawKey>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawKey {
    key: String,
    valid_from: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_until: Option<String>,
}

#[derive(Debug)]
pub(super) struct KeyFiles {
    secret_path: PathBuf,
    list_path: PathBuf,
    name: String,
    list: Vec<KeyValidity>,
}

/// Makes the name of a new file durable.
pub(super) fn sync_parent(path: &Path) -> Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(failed("sync the directory of", path))
}

/// Puts a whole file in place of another one, readable as `mode` says.
fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let temporary = path.with_extension("new");
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(failed("remove", &temporary)(error));
        }
        _ => {}
    }
    let write = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(failed("write", &temporary))?;
    fs::rename(&temporary, path).map_err(failed("replace", path))?;
    sync_parent(path)
}

fn damaged(path: &Path, what: impl ToString, hint: &'static str) -> CheckpointError {
    CheckpointError::Damaged {
        path: path.to_owned(),
        line: None,
        what: what.to_string(),
        hint,
    }
}

/// The listed keys; none when there is no file.
pub(super) fn load(path: &Path) -> Result<Vec<KeyValidity>> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        read => read.map_err(failed("read", path))?,
    };
    let wrong = |what: String| damaged(path, what, KEYS_HINT);
    let raw: RawKeys = serde_json::from_slice(&bytes).map_err(|e| wrong(e.to_string()))?;
    let time = |text: &str| Timestamp::parse(text).map_err(|e| wrong(e.to_string()));
    let keys = raw.keys.into_iter().map(|raw| {
        Ok(KeyValidity {
            key: raw.key.parse().map_err(|e| wrong(format!("{e}")))?,
            valid_from: time(&raw.valid_from)?,
            valid_until: raw.valid_until.as_deref().map(time).transpose()?,
        })
    });
    keys.collect()
}

pub(super) fn read_secret(path: &Path) -> Result<Option<[u8; 32]>> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == ErrorKind::InvalidData => {
            return Err(damaged(path, "it is no text", KEY_HINT));
        }
        read => read.map_err(failed("read", path))?,
    };
    let mode = fs::metadata(path).map_err(failed("read", path))?.mode();
    if mode & 0o077 != 0 {
        tracing::warn!(
            path = %path.display(),
            mode = format!("{:o}", mode & 0o777),
            "others may read the secret key of the checkpoints; chmod 600 it and rotate the key"
        );
    }
    let mut seed = [0; 32];
    hex::decode_to_slice(text.trim_end(), &mut seed)
        .map_err(|_| damaged(path, "it should hold 64 hex digits", KEY_HINT))?;
    Ok(Some(seed))
}

fn make_secret(path: &Path) -> Result<[u8; 32]> {
    let seed = IdSource::random_32();
    write_secret(path, &seed)?;
    Ok(seed)
}

fn write_secret(path: &Path, seed: &[u8; 32]) -> Result<()> {
    let mut text = hex::encode(seed);
    text.push('\n');
    replace(path, text.as_bytes(), 0o600)
}

fn write_list(path: &Path, list: &[KeyValidity]) -> Result<()> {
    let raw = RawKeys {
        keys: list
            .iter()
            .map(|listed| RawKey {
                key: listed.key.to_string(),
                valid_from: listed.valid_from.to_string(),
                valid_until: listed.valid_until.map(|at| at.to_string()),
            })
            .collect(),
    };
    let mut bytes = serde_json::to_vec_pretty(&raw).expect("strings and lists are always JSON");
    bytes.push(b'\n');
    replace(path, &bytes, 0o644)
}

/// Puts keys that came from elsewhere into a directory.
pub(super) fn write(
    dir: &Path,
    list: &[KeyValidity],
    seed: Option<&Secret<[u8; 32]>>,
) -> Result<()> {
    if let Some(seed) = seed {
        write_secret(&dir.join(KEY_FILE), seed.expose())?;
    }
    if !list.is_empty() {
        write_list(&dir.join(KEYS_FILE), list)?;
    }
    Ok(())
}

impl KeyFiles {
    /// Reads or makes the key in use and completes the list with it.
    pub(super) fn open(dir: &Path, name: &str, now: Timestamp) -> Result<(Self, Signer)> {
        let secret_path = dir.join(KEY_FILE);
        let list_path = dir.join(KEYS_FILE);
        let mut files = Self {
            list: load(&list_path)?,
            name: name.to_owned(),
            secret_path,
            list_path,
        };
        let seed = match read_secret(&files.secret_path)? {
            Some(seed) => seed,
            None => make_secret(&files.secret_path)?,
        };
        let signer = Signer::from_seed(name, &seed)?;
        files.enlist(&signer, now)?;
        Ok((files, signer))
    }

    pub(super) fn list(&self) -> &[KeyValidity] {
        &self.list
    }

    pub(super) fn rotate(&mut self, now: Timestamp) -> Result<Signer> {
        let seed = make_secret(&self.secret_path)?;
        let signer = Signer::from_seed(&self.name, &seed)?;
        self.enlist(&signer, now)?;
        Ok(signer)
    }

    /// Lists a key as the one in use, which ends the validity of the one before.
    fn enlist(&mut self, signer: &Signer, now: Timestamp) -> Result<()> {
        let key = signer.verifier_key();
        let in_use = |listed: &KeyValidity| listed.valid_until.is_none();
        if self
            .list
            .last()
            .is_some_and(|last| last.key == *key && in_use(last))
        {
            return Ok(());
        }
        let mut list = self.list.clone();
        for before in list.iter_mut().filter(|listed| in_use(listed)) {
            before.valid_until = Some(now.max(before.valid_from));
        }
        list.push(KeyValidity {
            key: key.clone(),
            valid_from: now,
            valid_until: None,
        });
        write_list(&self.list_path, &list)?;
        self.list = list;
        Ok(())
    }
}
