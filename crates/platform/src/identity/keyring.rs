//! Florin's own signing keys: one that signs, and older ones that still verify.
//!
//! **Invariants.** The key file is readable by its owner only. A key that was replaced verifies
//! until the last token it signed has expired, then it is forgotten. Key names are thumbprints
//! (RFC 7638), so that a key can never change under its name.

use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use florin_base::{IdSource, Secret};
use parking_lot::{Mutex, RwLock};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde::{Deserialize, Serialize};

use super::jose::{Algorithm, Jwk, JwkSet, VerifyingKey, compact};

/// Name of the key file in the data directory.
pub const KEY_FILE: &str = "identity-keys.json";

/// A key file that cannot be used. Never names key material.
#[derive(Debug, thiserror::Error)]
pub enum KeyRingError {
    /// It cannot be read or written.
    #[error("key file {path}: {error}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// Others on the machine may read it.
    #[error("key file {0} is readable by others; hint: chmod 600")]
    Exposed(PathBuf),
    /// It is not what this program writes, or the configured seed is not 32 bytes.
    #[error("{0} holds no usable signing key")]
    Format(String),
    /// A key before or after one that is not given.
    #[error("`{0}` stands without auth.signing_key; hint: give both, or neither")]
    Alone(&'static str),
    /// The key comes from the configuration, which this program does not change.
    #[error("the signing key is set in the configuration; rotate it there")]
    Fixed,
}

struct Key {
    kid: String,
    public: [u8; 32],
    pair: Ed25519KeyPair,
    seed: Secret<[u8; 32]>,
    /// Wall clock in microseconds.
    created_at: i64,
    /// When another took its place; wall clock in microseconds.
    retired_at: Option<i64>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredKey {
    seed: String,
    created_at: i64,
    retired_at: Option<i64>,
}

#[derive(Serialize, Deserialize)]
struct KeyFile {
    keys: Vec<StoredKey>,
}

/// The signing key and its predecessors.
pub struct KeyRing {
    file: Option<PathBuf>,
    /// The first one signs.
    keys: RwLock<Vec<Arc<Key>>>,
    rotating: Mutex<()>,
}

impl KeyRing {
    /// The keys of a data directory; makes the first one when there is none.
    ///
    /// # Errors
    /// [`KeyRingError`].
    pub fn open(data_dir: &Path, now: i64) -> Result<Self, KeyRingError> {
        let path = data_dir.join(KEY_FILE);
        let keys = match std::fs::metadata(&path) {
            Ok(found) if found.permissions().mode() & 0o077 != 0 => {
                return Err(KeyRingError::Exposed(path));
            }
            Ok(_) => read(&path)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let keys = vec![Arc::new(fresh(now)?)];
                write(&path, &keys)?;
                keys
            }
            Err(error) => return Err(KeyRingError::Io { path, error }),
        };
        Ok(Self {
            file: Some(path),
            keys: RwLock::new(keys),
            rotating: Mutex::new(()),
        })
    }

    /// Keys from the configuration, each by the name of its setting: 32 bytes in hex or base64.
    /// The first one signs; the others verify, and are published.
    ///
    /// # Errors
    /// [`KeyRingError::Format`].
    pub fn fixed(seeds: &[(&str, &Secret<String>)], now: i64) -> Result<Self, KeyRingError> {
        let mut keys: Vec<Arc<Key>> = Vec::with_capacity(seeds.len());
        for (name, seed) in seeds {
            let seed = parse_seed(seed.expose());
            let seed = seed.ok_or_else(|| KeyRingError::Format((*name).to_owned()))?;
            let made = key(seed, now, None)?;
            if keys.iter().all(|known| known.kid != made.kid) {
                keys.push(Arc::new(made));
            }
        }
        Ok(Self {
            file: None,
            keys: RwLock::new(keys),
            rotating: Mutex::new(()),
        })
    }

    /// Signs claims; the answer is a compact token.
    pub fn sign(&self, claims: &serde_json::Value) -> String {
        let key = Arc::clone(&self.keys.read()[0]);
        compact(Algorithm::EdDSA, &key.kid, claims, |message| {
            key.pair.sign(message).as_ref().to_vec()
        })
    }

    /// The key of this name, if it still counts.
    pub fn verifying_key(&self, kid: Option<&str>) -> Option<VerifyingKey> {
        let keys = self.keys.read();
        let found = keys.iter().find(|key| Some(key.kid.as_str()) == kid)?;
        Some(VerifyingKey::Ed25519(found.public))
    }

    /// All public keys, the signing one first.
    pub fn jwks(&self) -> JwkSet {
        let keys = self.keys.read();
        let public = keys
            .iter()
            .map(|key| serde_json::json!(Jwk::ed25519(&key.public)));
        JwkSet {
            keys: public.collect(),
        }
    }

    /// Age of the signing key in microseconds.
    pub fn age(&self, now: i64) -> i64 {
        now.saturating_sub(self.keys.read()[0].created_at)
    }

    /// Puts a new key in front; the others go on verifying. Answers its name.
    ///
    /// # Errors
    /// [`KeyRingError::Fixed`], or the file cannot be written: then nothing has changed.
    pub fn rotate(&self, now: i64) -> Result<String, KeyRingError> {
        let _one_at_a_time = self.rotating.lock();
        let made = fresh(now)?;
        let kid = made.kid.clone();
        let mut keys = vec![Arc::new(made)];
        for old in self.keys.read().iter() {
            let retired_at = old.retired_at.or(Some(now));
            keys.push(Arc::new(key(
                *old.seed.expose(),
                old.created_at,
                retired_at,
            )?));
        }
        self.replace(keys)?;
        Ok(kid)
    }

    /// Forgets keys retired before `before` (wall clock in microseconds): the caller knows how
    /// long tokens live.
    ///
    /// # Errors
    /// The file cannot be written: then nothing has changed.
    pub fn forget(&self, before: i64) -> Result<(), KeyRingError> {
        let _one_at_a_time = self.rotating.lock();
        let keys = self.keys.read().clone();
        let needed = |key: &&Arc<Key>| key.retired_at.is_none_or(|at| at >= before);
        let kept: Vec<_> = keys.iter().filter(needed).cloned().collect();
        match kept.len() == keys.len() {
            true => Ok(()),
            false => self.replace(kept),
        }
    }

    fn replace(&self, keys: Vec<Arc<Key>>) -> Result<(), KeyRingError> {
        let path = self.file.as_ref().ok_or(KeyRingError::Fixed)?;
        write(path, &keys)?;
        *self.keys.write() = keys;
        Ok(())
    }
}

fn fresh(now: i64) -> Result<Key, KeyRingError> {
    key(IdSource::random_32(), now, None)
}

fn key(seed: [u8; 32], created_at: i64, retired_at: Option<i64>) -> Result<Key, KeyRingError> {
    let unusable = || KeyRingError::Format("the seed".to_owned());
    let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| unusable())?;
    let public = pair
        .public_key()
        .as_ref()
        .try_into()
        .map_err(|_| unusable())?;
    let kid = Jwk::ed25519(&public).kid.unwrap_or_default();
    Ok(Key {
        kid,
        public,
        pair,
        seed: Secret::new(seed),
        created_at,
        retired_at,
    })
}

fn parse_seed(text: &str) -> Option<[u8; 32]> {
    let text = text.trim();
    let bytes = match text.len() {
        64 => hex::decode(text).ok()?,
        _ => STANDARD
            .decode(text)
            .or_else(|_| URL_SAFE_NO_PAD.decode(text))
            .ok()?,
    };
    bytes.try_into().ok()
}

fn read(path: &Path) -> Result<Vec<Arc<Key>>, KeyRingError> {
    let text = std::fs::read(path).map_err(|error| io(path, error))?;
    let bad = || KeyRingError::Format(path.display().to_string());
    let file: KeyFile = serde_json::from_slice(&text).map_err(|_| bad())?;
    let mut keys = Vec::with_capacity(file.keys.len());
    for stored in &file.keys {
        let seed = parse_seed(&stored.seed).ok_or_else(bad)?;
        keys.push(Arc::new(key(seed, stored.created_at, stored.retired_at)?));
    }
    match keys.first() {
        Some(first) if first.retired_at.is_none() => Ok(keys),
        _ => Err(bad()),
    }
}

/// Writes beside the file and renames, so that a crash leaves the old or the new one.
fn write(path: &Path, keys: &[Arc<Key>]) -> Result<(), KeyRingError> {
    let stored = keys.iter().map(|key| StoredKey {
        seed: STANDARD.encode(key.seed.expose()),
        created_at: key.created_at,
        retired_at: key.retired_at,
    });
    let file = KeyFile {
        keys: stored.collect(),
    };
    let text =
        serde_json::to_vec_pretty(&file).map_err(|error| io(path, std::io::Error::other(error)))?;
    let beside = path.with_extension("json.new");
    replace_file(&beside, path, &text).map_err(|error| io(path, error))
}

fn replace_file(beside: &Path, path: &Path, text: &[u8]) -> std::io::Result<()> {
    let mut out = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(beside)?;
    out.write_all(text)?;
    out.sync_all()?;
    std::fs::rename(beside, path)?;
    match path.parent() {
        Some(dir) => std::fs::File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}

fn io(path: &Path, error: std::io::Error) -> KeyRingError {
    KeyRingError::Io {
        path: path.to_owned(),
        error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kid_of(ring: &KeyRing) -> String {
        let token = ring.sign(&serde_json::json!({}));
        let unverified = super::super::jose::Unverified::parse(&token).expect("own token");
        unverified.kid().expect("named").to_owned()
    }

    #[test]
    fn keys_survive_a_restart_and_overlap() {
        let dir = tempfile::tempdir().unwrap();
        let ring = KeyRing::open(dir.path(), 1).unwrap();
        let first = kid_of(&ring);
        let second = ring.rotate(100).unwrap();
        assert_eq!(kid_of(&ring), second);
        drop(ring);

        let ring = KeyRing::open(dir.path(), 200).unwrap();
        assert_eq!(kid_of(&ring), second);
        assert!(ring.verifying_key(Some(&first)).is_some(), "still verifies");
        assert_eq!(ring.jwks().keys.len(), 2);
        ring.forget(100).unwrap();
        assert!(
            ring.verifying_key(Some(&first)).is_some(),
            "not retired before 100"
        );
        ring.forget(101).unwrap();
        assert!(ring.verifying_key(Some(&first)).is_none());
        assert!(ring.verifying_key(None).is_none());
        assert_eq!(ring.age(300), 200);
    }

    #[test]
    fn the_file_is_private_and_stays_so() {
        let dir = tempfile::tempdir().unwrap();
        drop(KeyRing::open(dir.path(), 1).unwrap());
        let path = dir.path().join(KEY_FILE);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(
            KeyRing::open(dir.path(), 1),
            Err(KeyRingError::Exposed(_))
        ));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&path, "{}").unwrap();
        assert!(matches!(
            KeyRing::open(dir.path(), 1),
            Err(KeyRingError::Format(_))
        ));
    }

    #[test]
    fn a_configured_key_is_used_and_not_changed() {
        let seed = Secret::new("07".repeat(32));
        let alone = |seed: &Secret<String>| KeyRing::fixed(&[("auth.signing_key", seed)], 1);
        let ring = alone(&seed).unwrap();
        let same = alone(&Secret::new(STANDARD.encode([7; 32]))).unwrap();
        assert_eq!(kid_of(&ring), kid_of(&same));
        assert!(matches!(ring.rotate(2), Err(KeyRingError::Fixed)));
        assert!(alone(&Secret::new("short".into())).is_err());
    }

    /// DEP-095 of the deployment contract: a process from before a change and one from after it
    /// accept each other's tokens.
    #[test]
    fn dep_095_keys_of_the_configuration_overlap() {
        let seeds = ["01", "02", "03", "04"].map(|byte| Secret::new(byte.repeat(32)));
        let ring = |former: usize, now: usize, next: usize| {
            let seeds = [
                ("auth.signing_key", &seeds[now]),
                ("auth.signing_key_next", &seeds[next]),
                ("auth.signing_key_former", &seeds[former]),
            ];
            KeyRing::fixed(&seeds, 1).unwrap()
        };
        let (before, after) = (ring(0, 1, 2), ring(1, 2, 3));
        assert!(before.verifying_key(Some(&kid_of(&after))).is_some());
        assert!(after.verifying_key(Some(&kid_of(&before))).is_some());
        let published = |ring: &KeyRing| -> Vec<String> {
            let keys = ring.jwks().keys;
            let kids = keys.iter().map(|key| key["kid"].as_str().expect("named"));
            kids.map(str::to_owned).collect()
        };
        assert_eq!(published(&before).len(), 3);
        assert_eq!(
            published(&before)[0],
            kid_of(&before),
            "the signing one first"
        );
        assert!(
            published(&before).contains(&kid_of(&after)),
            "known before it signs"
        );
        assert_eq!(published(&ring(1, 1, 1)).len(), 1, "each once");
    }
}
