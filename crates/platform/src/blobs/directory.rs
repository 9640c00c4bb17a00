//! Blobs in a folder: one file each, and beside it, in a folder of its own, what it is.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use florin_base::{Clock, IdSource, Timestamp};
use futures_util::StreamExt as _;
use ring::hmac;
use tokio::io::AsyncReadExt as _;

use super::sign::Covered;
use super::{
    Answering, BlobError, Key, Meta, OCTETS, Pieces, Put, PutMode, Reading, SignedUrl, Signing,
    Store, bounded,
};

/// What is being written; no key begins with a dot.
const HALF_WRITTEN: &str = ".writing";
/// What blobs are, under their keys.
const TYPES: &str = ".types";
/// Bytes read at a time.
const PIECE: usize = 64 * 1024;
/// The route that serves signed URLs.
pub(super) const ROUTE: &str = "/api/v1/blobs";

/// A folder of blobs.
pub struct DirectoryStore {
    folder: PathBuf,
    signing: hmac::Key,
    public_url: String,
    clock: Arc<dyn Clock>,
}

/// A file that is not a blob yet; removed unless it becomes one.
struct Draft {
    path: PathBuf,
    file: File,
}

impl Drop for Draft {
    fn drop(&mut self) {
        // It is gone when it was moved to its place; a leftover is removed at the next start.
        let _ = fs::remove_file(&self.path);
    }
}

impl DirectoryStore {
    /// Makes the folder, mode 0700, and clears away what a crash left half-written.
    pub(super) fn open(
        folder: &Path,
        signing_key: &[u8; 32],
        public_url: &str,
        clock: Arc<dyn Clock>,
    ) -> io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt as _;
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(folder)?;
        builder.create(folder.join(TYPES))?;
        let drafts = folder.join(HALF_WRITTEN);
        builder.create(&drafts)?;
        for entry in fs::read_dir(&drafts)? {
            fs::remove_file(entry?.path())?;
        }
        Ok(Self {
            folder: folder.to_owned(),
            signing: hmac::Key::new(hmac::HMAC_SHA256, signing_key),
            public_url: public_url.trim_end_matches('/').to_owned(),
            clock,
        })
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.folder.join(key.as_str())
    }

    fn draft(&self) -> io::Result<Draft> {
        let name = hex::encode(IdSource::random_32());
        let path = self.folder.join(HALF_WRITTEN).join(name);
        let file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        Ok(Draft { path, file })
    }

    /// Whether a signed URL allows this, now.
    pub(super) fn allows(&self, covered: &Covered<'_>, signature: &str) -> bool {
        let now = self.clock.wall_micros() / 1_000_000;
        covered.expires > now && covered.verify(&self.signing, signature)
    }
}

fn unavailable(error: &io::Error) -> BlobError {
    BlobError::Unavailable(error.to_string())
}

/// Runs something that blocks.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BlobError> + Send + 'static,
) -> Result<T, BlobError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| BlobError::Unavailable(error.to_string()))?
}

/// Makes a draft the blob: synced before it can be seen, its folder synced after.
fn place(draft: &Draft, folder: &Path, key: &Key, put: &Put) -> Result<(), BlobError> {
    let kind = put.content_type.as_deref().unwrap_or(OCTETS);
    let types = folder.join(TYPES).join(key.as_str());
    let target = folder.join(key.as_str());
    let place = || -> io::Result<()> {
        draft.file.sync_all()?;
        for path in [&types, &target] {
            fs::create_dir_all(path.parent().unwrap_or(folder))?;
        }
        let mut exists = None;
        if put.mode == PutMode::Create {
            // A link to a name that exists fails: of several one succeeds.
            match fs::hard_link(&draft.path, &target) {
                Ok(()) => fs::write(&types, kind)?,
                // Who linked it may have stopped before it was durable; who is told that it
                // exists may rely on it.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => exists = Some(error),
                Err(error) => return Err(error),
            }
        } else {
            fs::write(&types, kind)?;
            fs::rename(&draft.path, &target)?;
        }
        let mut above = target.parent();
        while let Some(directory) = above.filter(|directory| directory.starts_with(folder)) {
            File::open(directory)?.sync_all()?;
            above = directory.parent();
        }
        exists.map_or(Ok(()), Err)
    };
    place().map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists if put.mode == PutMode::Create => BlobError::Exists(key.clone()),
        _ => unavailable(&error),
    })
}

fn meta(key: &Key, path: &Path) -> Result<Meta, BlobError> {
    let found = fs::metadata(path).and_then(|found| match found.is_file() {
        true => Ok((found.len(), found.modified()?)),
        false => Err(ErrorKind::NotFound.into()),
    });
    match found {
        Ok((size, modified)) => {
            let since = modified.duration_since(std::time::UNIX_EPOCH);
            let micros = since.map_or(0, |since| since.as_micros());
            Ok(Meta {
                key: key.clone(),
                size,
                modified: Timestamp(i64::try_from(micros).unwrap_or(i64::MAX)),
            })
        }
        Err(error) if is_absent(&error) => Err(BlobError::NotFound(key.clone())),
        Err(error) => Err(unavailable(&error)),
    }
}

/// A part of the key may be a blob itself.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// All keys below a folder, in any order.
fn walk(root: &Path, folder: &Path, keys: &mut Vec<Key>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if is_absent(&error) => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        let relative = path.strip_prefix(root).ok().and_then(Path::to_str);
        let Some(Ok(key)) = relative.map(Key::parse) else {
            continue;
        };
        match entry.file_type()?.is_dir() {
            true => walk(root, &path, keys)?,
            false => keys.push(key),
        }
    }
    Ok(())
}

impl Store for DirectoryStore {
    fn put<'a>(&'a self, key: &'a Key, bytes: Bytes, put: &'a Put) -> Answering<'a, ()> {
        Box::pin(async move {
            let draft = self.draft().map_err(|error| unavailable(&error))?;
            let (folder, key, put) = (self.folder.clone(), key.clone(), put.clone());
            blocking(move || {
                let mut draft = draft;
                let written = draft.file.write_all(&bytes);
                written.map_err(|error| unavailable(&error))?;
                place(&draft, &folder, &key, &put)
            })
            .await
        })
    }

    fn put_pieces<'a>(
        &'a self,
        key: &'a Key,
        pieces: Pieces,
        put: &'a Put,
        max: u64,
    ) -> Answering<'a, u64> {
        Box::pin(async move {
            let mut draft = self.draft().map_err(|error| unavailable(&error))?;
            let mut pieces = bounded(pieces, max);
            let mut size = 0;
            while let Some(piece) = pieces.next().await {
                let piece = piece?;
                size += piece.len() as u64;
                draft = blocking(move || {
                    let written = draft.file.write_all(&piece);
                    written.map_err(|error| unavailable(&error))?;
                    Ok(draft)
                })
                .await?;
            }
            let (folder, key, put) = (self.folder.clone(), key.clone(), put.clone());
            blocking(move || place(&draft, &folder, &key, &put)).await?;
            Ok(size)
        })
    }

    fn get<'a>(&'a self, key: &'a Key) -> Answering<'a, Reading> {
        Box::pin(async move {
            let meta = self.head(key).await?;
            let types = self.folder.join(TYPES).join(key.as_str());
            let content_type = tokio::fs::read_to_string(types).await;
            let file = tokio::fs::File::open(self.path(key)).await;
            let file = file.map_err(|error| match is_absent(&error) {
                true => BlobError::NotFound(key.clone()),
                false => unavailable(&error),
            })?;
            let pieces = futures_util::stream::try_unfold(file, |mut file| async move {
                let mut piece = vec![0; PIECE];
                let read = file.read(&mut piece).await;
                let length = read.map_err(|error| unavailable(&error))?;
                piece.truncate(length);
                Ok((length > 0).then(|| (Bytes::from(piece), file)))
            });
            Ok(Reading {
                meta,
                content_type: content_type.unwrap_or_else(|_| OCTETS.to_owned()),
                pieces: pieces.boxed(),
            })
        })
    }

    fn head<'a>(&'a self, key: &'a Key) -> Answering<'a, Meta> {
        let (key, path) = (key.clone(), self.path(key));
        Box::pin(blocking(move || meta(&key, &path)))
    }

    fn list<'a>(
        &'a self,
        folder: Option<&'a Key>,
        after: Option<&'a Key>,
        limit: usize,
    ) -> Answering<'a, Vec<Meta>> {
        let root = self.folder.clone();
        let start = folder.map_or_else(|| root.clone(), |folder| self.path(folder));
        let after = after.cloned();
        Box::pin(blocking(move || {
            let mut keys = Vec::new();
            walk(&root, &start, &mut keys).map_err(|error| unavailable(&error))?;
            keys.sort_unstable();
            let wanted = keys
                .into_iter()
                .filter(|key| after.as_ref().is_none_or(|after| key > after));
            let mut found = Vec::new();
            for key in wanted.take(limit) {
                match meta(&key, &root.join(key.as_str())) {
                    Ok(meta) => found.push(meta),
                    // Removed since the folder was read.
                    Err(BlobError::NotFound(_)) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(found)
        }))
    }

    fn delete<'a>(&'a self, key: &'a Key) -> Answering<'a, ()> {
        let paths = [self.path(key), self.folder.join(TYPES).join(key.as_str())];
        Box::pin(blocking(move || {
            for path in &paths {
                match fs::remove_file(path) {
                    Ok(()) => {}
                    Err(error) if is_absent(&error) => {}
                    Err(error) => return Err(unavailable(&error)),
                }
            }
            Ok(())
        }))
    }

    fn sign<'a>(&'a self, key: &'a Key, signing: &'a Signing) -> Answering<'a, SignedUrl> {
        let lives = i64::try_from(signing.lives().as_secs()).unwrap_or(i64::MAX);
        let expires = (self.clock.wall_micros() / 1_000_000).saturating_add(lives);
        let (content_type, digest) = match signing {
            Signing::Get { .. } => (String::new(), String::new()),
            Signing::Put {
                content_type,
                sha256,
                ..
            } => (
                content_type.clone(),
                sha256.map(hex::encode).unwrap_or_default(),
            ),
        };
        let covered = Covered {
            method: signing.method(),
            key,
            expires,
            content_type: &content_type,
            sha256: &digest,
        };
        let signature = covered.sign(&self.signing);
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("key", key.as_str());
        query.append_pair("expires", &expires.to_string());
        let mut headers = Vec::new();
        if let Signing::Put { .. } = signing {
            query.append_pair("type", &content_type);
            headers.push(("content-type".to_owned(), content_type));
            if !digest.is_empty() {
                query.append_pair("sha256", &digest);
            }
        }
        query.append_pair("signature", &signature);
        let url = format!("{}{ROUTE}?{}", self.public_url, query.finish());
        let signed = SignedUrl {
            method: signing.method(),
            url,
            headers,
            expires_at: Timestamp(expires.saturating_mul(1_000_000)),
        };
        Box::pin(std::future::ready(Ok(signed)))
    }

    fn served(&self) -> Option<&DirectoryStore> {
        Some(self)
    }
}
