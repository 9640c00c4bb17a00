//! Blobs in S3, and in what speaks its protocol.
//!
//! Credentials are looked for as everywhere on AWS: environment, web identity, the container's
//! endpoint, the instance's metadata service.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use florin_base::{Clock, Timestamp};
use futures_util::{StreamExt as _, TryStreamExt as _};
use http::{HeaderName, HeaderValue, Method, header::CONTENT_TYPE};
use object_store::aws::{AmazonS3, AmazonS3Builder, Checksum, S3ConditionalPut};
use object_store::path::Path;
use object_store::signer::{SignedUrlOptions, Signer as _};
use object_store::{
    Attribute, Attributes, ClientOptions, Error, ObjectMeta, ObjectStore, ObjectStoreExt as _,
    PutMultipartOptions, PutOptions, RetryConfig, WriteMultipart,
};

use super::settings::OpenError;
use super::{
    Answering, BlobError, BlobSettings, Key, Meta, OCTETS, Pieces, Put, PutMode, Reading,
    SignedUrl, Signing, Store, bounded,
};
use crate::http::client::install_crypto;

/// Bytes of one part of a large blob; also what is written in one call at most.
const PART: usize = 8 * 1024 * 1024;
/// Parts under way at a time: with [`PART`] the bound of memory for one blob.
const PARTS_UNDER_WAY: usize = 2;
/// Longest wait for a connection, for an answer, and for all tries of one call.
const CONNECT: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(30);
const TRIES: Duration = Duration::from_secs(20);
const CHECKSUM: HeaderName = HeaderName::from_static("x-amz-checksum-sha256");

/// A bucket, or a part of one.
pub struct S3Store {
    bucket: AmazonS3,
    prefix: Option<Path>,
    clock: Arc<dyn Clock>,
}

impl S3Store {
    /// From the settings and the environment of the process.
    pub(super) fn open(
        settings: &BlobSettings,
        bucket: &str,
        prefix: &str,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        Self::with(AmazonS3Builder::from_env(), settings, bucket, prefix, clock)
    }

    /// As [`S3Store::open`], over what a builder knows already.
    pub(super) fn with(
        builder: AmazonS3Builder,
        settings: &BlobSettings,
        bucket: &str,
        prefix: &str,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        install_crypto();
        let options = ClientOptions::new()
            .with_connect_timeout(CONNECT)
            .with_timeout(ANSWER);
        let retry = RetryConfig {
            max_retries: 4,
            retry_timeout: TRIES,
            ..RetryConfig::default()
        };
        let mut builder = builder
            .with_client_options(options)
            .with_retry(retry)
            .with_bucket_name(bucket)
            .with_conditional_put(S3ConditionalPut::ETagMatch)
            .with_virtual_hosted_style_request(!settings.path_style);
        if settings.checksums {
            builder = builder.with_checksum_algorithm(Checksum::SHA256);
        }
        if let Some(region) = &settings.region {
            builder = builder.with_region(region);
        }
        if let Some(endpoint) = &settings.endpoint {
            builder = builder
                .with_endpoint(endpoint)
                .with_allow_http(endpoint.starts_with("http://"));
        }
        let bucket = builder.build().map_err(|error| {
            OpenError::new(
                format!("`blobs.url`: {error}"),
                "look at blobs.region and blobs.endpoint",
            )
        })?;
        Ok(Self {
            bucket,
            prefix: (!prefix.is_empty()).then(|| Path::from(prefix)),
            clock,
        })
    }

    fn path(&self, key: &Key) -> Path {
        match &self.prefix {
            Some(prefix) => Path::from(format!("{prefix}/{key}")),
            None => Path::from(key.as_str()),
        }
    }

    /// The key of something in the bucket; `None` for what nobody put through a key.
    fn key(&self, path: &Path) -> Option<Key> {
        let whole = path.as_ref();
        let own = match &self.prefix {
            Some(prefix) => whole.strip_prefix(prefix.as_ref())?.strip_prefix('/')?,
            None => whole,
        };
        Key::parse(own).ok()
    }

    fn attributes(put: &Put) -> Attributes {
        let kind = put.content_type.as_deref().unwrap_or(OCTETS).to_owned();
        Attributes::from_iter([(Attribute::ContentType, kind)])
    }

    async fn put_parts(
        &self,
        key: &Key,
        pieces: &mut Pieces,
        first: Bytes,
        put: &Put,
    ) -> Result<u64, BlobError> {
        let options = PutMultipartOptions {
            attributes: Self::attributes(put),
            ..PutMultipartOptions::default()
        };
        let path = self.path(key);
        let upload = self.bucket.put_multipart_opts(&path, options).await;
        let upload = upload.map_err(|error| told(key, error))?;
        let mut parts = WriteMultipart::new_with_chunk_size(upload, PART);
        let mut size = first.len() as u64;
        parts.put(first);
        let fed = async {
            while let Some(piece) = pieces.next().await {
                let piece = piece?;
                size += piece.len() as u64;
                let room = parts.wait_for_capacity(PARTS_UNDER_WAY).await;
                room.map_err(|error| told(key, error))?;
                parts.put(piece);
            }
            Ok(())
        };
        match fed.await {
            Ok(()) => {
                let finished = parts.finish().await;
                finished.map_err(|error| told(key, error))?;
                Ok(size)
            }
            Err(error) => {
                // The bucket's own rule removes what this leaves behind.
                let _ = parts.abort().await;
                Err(error)
            }
        }
    }
}

/// The error in our words.
fn told(key: &Key, error: Error) -> BlobError {
    match error {
        Error::NotFound { .. } => BlobError::NotFound(key.clone()),
        Error::AlreadyExists { .. } | Error::Precondition { .. } => BlobError::Exists(key.clone()),
        error => BlobError::Unavailable(error.to_string()),
    }
}

fn meta(key: Key, found: &ObjectMeta) -> Meta {
    Meta {
        key,
        size: found.size,
        modified: Timestamp(found.last_modified.timestamp_micros()),
    }
}

impl Store for S3Store {
    fn put<'a>(&'a self, key: &'a Key, bytes: Bytes, put: &'a Put) -> Answering<'a, ()> {
        Box::pin(async move {
            let options = PutOptions {
                mode: match put.mode {
                    PutMode::Overwrite => object_store::PutMode::Overwrite,
                    PutMode::Create => object_store::PutMode::Create,
                },
                attributes: Self::attributes(put),
                ..PutOptions::default()
            };
            let path = self.path(key);
            let done = self.bucket.put_opts(&path, bytes.into(), options).await;
            done.map(drop).map_err(|error| told(key, error))
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
            let mut pieces = bounded(pieces, max);
            let mut first = Vec::new();
            while first.len() < PART {
                match pieces.next().await {
                    Some(piece) => first.extend_from_slice(&piece?),
                    None => {
                        let size = first.len() as u64;
                        self.put(key, first.into(), put).await?;
                        return Ok(size);
                    }
                }
            }
            if put.mode == PutMode::Create {
                // Parts know no condition: the name is taken first, by one of several.
                self.put(key, Bytes::new(), put).await?;
                let written = self.put_parts(key, &mut pieces, first.into(), put).await;
                if written.is_err() {
                    let _ = self.delete(key).await;
                }
                return written;
            }
            self.put_parts(key, &mut pieces, first.into(), put).await
        })
    }

    fn get<'a>(&'a self, key: &'a Key) -> Answering<'a, Reading> {
        Box::pin(async move {
            let found = self.bucket.get(&self.path(key)).await;
            let found = found.map_err(|error| told(key, error))?;
            let kind = found.attributes.get(&Attribute::ContentType);
            let content_type = kind.map_or_else(|| OCTETS.to_owned(), |kind| kind.to_string());
            let meta = meta(key.clone(), &found.meta);
            let key = key.clone();
            let pieces = found.into_stream();
            Ok(Reading {
                meta,
                content_type,
                pieces: pieces.map_err(move |error| told(&key, error)).boxed(),
            })
        })
    }

    fn head<'a>(&'a self, key: &'a Key) -> Answering<'a, Meta> {
        Box::pin(async move {
            let found = self.bucket.head(&self.path(key)).await;
            let found = found.map_err(|error| told(key, error))?;
            Ok(meta(key.clone(), &found))
        })
    }

    fn list<'a>(
        &'a self,
        folder: Option<&'a Key>,
        after: Option<&'a Key>,
        limit: usize,
    ) -> Answering<'a, Vec<Meta>> {
        Box::pin(async move {
            let below = match folder {
                Some(folder) => Some(self.path(folder)),
                None => self.prefix.clone(),
            };
            let found = match after {
                Some(after) => self
                    .bucket
                    .list_with_offset(below.as_ref(), &self.path(after)),
                None => self.bucket.list(below.as_ref()),
            };
            let known = found.try_filter_map(|found| {
                let key = self.key(&found.location);
                std::future::ready(Ok(key.map(|key| meta(key, &found))))
            });
            let listed: Result<Vec<Meta>, Error> = known.take(limit).try_collect().await;
            listed.map_err(|error| BlobError::Unavailable(error.to_string()))
        })
    }

    fn delete<'a>(&'a self, key: &'a Key) -> Answering<'a, ()> {
        Box::pin(async move {
            match self.bucket.delete(&self.path(key)).await {
                Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
                Err(error) => Err(told(key, error)),
            }
        })
    }

    fn sign<'a>(&'a self, key: &'a Key, signing: &'a Signing) -> Answering<'a, SignedUrl> {
        Box::pin(async move {
            let mut options = SignedUrlOptions::new();
            let mut headers = Vec::new();
            let method = match signing {
                Signing::Get { .. } => Method::GET,
                Signing::Put {
                    content_type,
                    sha256,
                    ..
                } => {
                    headers.push((CONTENT_TYPE, content_type.clone()));
                    if let Some(digest) = sha256 {
                        headers.push((CHECKSUM, BASE64.encode(digest)));
                    }
                    Method::PUT
                }
            };
            for (name, value) in &headers {
                let value = HeaderValue::from_str(value)
                    .map_err(|error| BlobError::Unavailable(error.to_string()))?;
                options = options.with_signed_header(name.clone(), value);
            }
            let (path, lives) = (self.path(key), signing.lives());
            let signed = self.bucket.signed_url_opts(method, &path, lives, &options);
            let url = signed.await.map_err(|error| told(key, error))?;
            let micros = i64::try_from(lives.as_micros()).unwrap_or(i64::MAX);
            Ok(SignedUrl {
                method: signing.method(),
                url: url.to_string(),
                headers: headers
                    .into_iter()
                    .map(|(name, value)| (name.to_string(), value))
                    .collect(),
                expires_at: Timestamp(self.clock.wall_micros().saturating_add(micros)),
            })
        })
    }
}
