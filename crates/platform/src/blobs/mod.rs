//! Blobs: documents, images, exports and archives, by key.
//!
//! **Boundary.** Bytes under a key and nothing of their meaning. The default is a folder of the
//! data directory; with the feature `s3` an `s3://bucket/prefix` URL leads to S3 or what speaks
//! its protocol. [`open`] chooses; one suite of tests holds both to the same behaviour.
//!
//! **Invariants.**
//! - A blob is there whole or not at all, and durable when a call that writes it returns.
//! - Of several [`PutMode::Create`] of one key one succeeds.
//! - A signed URL is good for one method, one key, one content type and digest where they are
//!   given, and until its time; never longer than [`SIGNED_MAX`].
//! - A key cannot lead out of its store.

pub mod api;
mod directory;
mod key;
#[cfg(feature = "s3")]
mod s3;
mod settings;
mod sign;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use florin_base::Timestamp;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use serde::Serialize;

pub use directory::DirectoryStore;
pub use key::Key;
#[cfg(feature = "s3")]
pub use s3::S3Store;
pub use settings::{BlobSettings, OpenError, open};
pub use sign::{SignedUrl, Signing};

/// Longest life of a signed URL (deployment contract, DEP-091).
pub const SIGNED_MAX: Duration = Duration::from_secs(3_600);
/// Usual life of a URL to put something.
pub const SIGNED_PUT: Duration = Duration::from_secs(900);
/// Usual life of a URL to get something.
pub const SIGNED_GET: Duration = Duration::from_secs(300);
/// Most entries of one list.
pub const LIST_MAX: usize = 1_000;
/// Content type of a blob that was put without one.
pub const OCTETS: &str = "application/octet-stream";

/// What goes wrong with blobs.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// There is no such blob.
    #[error("there is no blob {0}")]
    NotFound(Key),
    /// [`PutMode::Create`] of a key that exists.
    #[error("the blob {0} exists")]
    Exists(Key),
    /// Larger than the caller allows.
    #[error("larger than {0} bytes")]
    TooLarge(u64),
    /// A signed URL for longer than [`SIGNED_MAX`].
    #[error("a signed URL lives at most {} s", SIGNED_MAX.as_secs())]
    SignedTooLong,
    /// The store cannot be reached or refuses; nothing about the key follows from it.
    #[error("the blob store does not answer: {0}")]
    Unavailable(String),
}

/// Whether a blob may be there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PutMode {
    /// Takes the place of what is there.
    #[default]
    Overwrite,
    /// Fails with [`BlobError::Exists`].
    Create,
}

/// What is known of a blob without reading it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Meta {
    /// Its key.
    pub key: Key,
    /// Bytes.
    pub size: u64,
    /// When it was written.
    pub modified: Timestamp,
}

/// Pieces of a blob.
pub type Pieces = BoxStream<'static, Result<Bytes, BlobError>>;

/// A blob that is being read.
pub struct Reading {
    /// What is known of it.
    pub meta: Meta,
    /// What its writer said it is.
    pub content_type: String,
    /// Its bytes.
    pub pieces: Pieces,
}

/// How a blob is put.
#[derive(Debug, Clone, Default)]
pub struct Put {
    /// Whether it may be there.
    pub mode: PutMode,
    /// What it is; [`OCTETS`] when nothing is said.
    pub content_type: Option<String>,
}

/// A pending answer of a store.
pub type Answering<'a, T> = BoxFuture<'a, Result<T, BlobError>>;

/// What a store can do; [`Blobs`] is what rooms use.
pub trait Store: Send + Sync + 'static {
    /// Writes all of a blob.
    fn put<'a>(&'a self, key: &'a Key, bytes: Bytes, put: &'a Put) -> Answering<'a, ()>;
    /// Writes a blob piece by piece, at most `max` bytes; answers how many. Nothing stays when
    /// the pieces break off.
    fn put_pieces<'a>(
        &'a self,
        key: &'a Key,
        pieces: Pieces,
        put: &'a Put,
        max: u64,
    ) -> Answering<'a, u64>;
    /// Begins to read a blob.
    fn get<'a>(&'a self, key: &'a Key) -> Answering<'a, Reading>;
    /// What is known of a blob.
    fn head<'a>(&'a self, key: &'a Key) -> Answering<'a, Meta>;
    /// Blobs below a folder, ascending by key, after a key.
    fn list<'a>(
        &'a self,
        folder: Option<&'a Key>,
        after: Option<&'a Key>,
        limit: usize,
    ) -> Answering<'a, Vec<Meta>>;
    /// Removes a blob, if it is there.
    fn delete<'a>(&'a self, key: &'a Key) -> Answering<'a, ()>;
    /// A URL by which somebody without credentials may do one thing.
    fn sign<'a>(&'a self, key: &'a Key, signing: &'a Signing) -> Answering<'a, SignedUrl>;
    /// Judges a URL that this store signed and the process itself serves; `None` where the
    /// store's own server does that.
    fn served(&self) -> Option<&DirectoryStore> {
        None
    }
}

/// The blobs of an installation; clones share them.
#[derive(Clone)]
pub struct Blobs(Arc<dyn Store>);

impl Blobs {
    /// Over a store.
    pub fn new(store: impl Store) -> Self {
        Self(Arc::new(store))
    }

    /// Writes all of a blob.
    ///
    /// # Errors
    /// [`BlobError::Exists`] with [`PutMode::Create`], [`BlobError::Unavailable`].
    pub async fn put(
        &self,
        key: &Key,
        bytes: impl Into<Bytes>,
        put: &Put,
    ) -> Result<(), BlobError> {
        self.0.put(key, bytes.into(), put).await
    }

    /// Writes a blob of unknown size piece by piece, at most `max` bytes, in bounded memory;
    /// answers how many bytes it has. Nothing stays when the pieces break off.
    ///
    /// # Errors
    /// As [`Blobs::put`], [`BlobError::TooLarge`], and what the pieces bring.
    pub async fn put_pieces(
        &self,
        key: &Key,
        pieces: Pieces,
        put: &Put,
        max: u64,
    ) -> Result<u64, BlobError> {
        self.0.put_pieces(key, pieces, put, max).await
    }

    /// All of a blob, if it has at most `max` bytes.
    ///
    /// # Errors
    /// [`BlobError::NotFound`], [`BlobError::TooLarge`], [`BlobError::Unavailable`].
    pub async fn get(&self, key: &Key, max: u64) -> Result<Bytes, BlobError> {
        let reading = self.0.get(key).await?;
        if reading.meta.size > max {
            return Err(BlobError::TooLarge(max));
        }
        let bytes: Vec<Bytes> = reading.pieces.try_collect().await?;
        Ok(bytes.concat().into())
    }

    /// Begins to read a blob.
    ///
    /// # Errors
    /// [`BlobError::NotFound`], [`BlobError::Unavailable`].
    pub async fn read(&self, key: &Key) -> Result<Reading, BlobError> {
        self.0.get(key).await
    }

    /// What is known of a blob.
    ///
    /// # Errors
    /// [`BlobError::NotFound`], [`BlobError::Unavailable`].
    pub async fn head(&self, key: &Key) -> Result<Meta, BlobError> {
        self.0.head(key).await
    }

    /// At most `limit` (and [`LIST_MAX`]) blobs below a folder, ascending by key, after a key.
    ///
    /// # Errors
    /// [`BlobError::Unavailable`].
    pub async fn list(
        &self,
        folder: Option<&Key>,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<Meta>, BlobError> {
        self.0.list(folder, after, limit.min(LIST_MAX)).await
    }

    /// Removes a blob, if it is there.
    ///
    /// # Errors
    /// [`BlobError::Unavailable`].
    pub async fn delete(&self, key: &Key) -> Result<(), BlobError> {
        self.0.delete(key).await
    }

    /// A URL by which somebody without credentials may do one thing with one blob.
    ///
    /// # Errors
    /// [`BlobError::SignedTooLong`], [`BlobError::Unavailable`].
    pub async fn sign(&self, key: &Key, signing: &Signing) -> Result<SignedUrl, BlobError> {
        if signing.lives() > SIGNED_MAX {
            return Err(BlobError::SignedTooLong);
        }
        self.0.sign(key, signing).await
    }

    /// The store whose signed URLs this process serves.
    pub(crate) fn served(&self) -> Option<&DirectoryStore> {
        self.0.served()
    }
}

/// Cuts pieces off that are more than `max` bytes in all.
fn bounded(pieces: Pieces, max: u64) -> Pieces {
    let mut left = max;
    pieces
        .map(move |piece| {
            let piece = piece?;
            left = left
                .checked_sub(piece.len() as u64)
                .ok_or(BlobError::TooLarge(max))?;
            Ok(piece)
        })
        .boxed()
}

#[cfg(test)]
mod tests;
