//! Which store, and how it is reached.

use std::path::Path;
use std::sync::Arc;

use florin_base::Clock;
use serde::Deserialize;

use super::{Blobs, DirectoryStore};

/// Settings of the blobs.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlobSettings {
    /// `s3://bucket/prefix`; empty: a folder of the data directory.
    pub url: String,
    /// Another endpoint than that of AWS.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// Region of the bucket; else that of the environment.
    #[serde(default)]
    pub region: Option<String>,
    /// The bucket stands in the path and not in the host's name.
    pub path_style: bool,
    /// Every object is sent with its SHA-256, as buckets whose objects are locked demand it.
    #[serde(skip)]
    pub checksums: bool,
}

/// Why the configured store cannot be had. The words name the setting; the remedy is apart.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct OpenError {
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

impl OpenError {
    pub(super) fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            remedy: remedy.into(),
        }
    }
}

impl BlobSettings {
    /// Bucket and prefix; `None` for the folder.
    ///
    /// # Errors
    /// [`OpenError`] for a URL of another kind.
    pub fn bucket(&self) -> Result<Option<(&str, &str)>, OpenError> {
        if self.url.is_empty() {
            return Ok(None);
        }
        let rest = self.url.strip_prefix("s3://").unwrap_or_default();
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.trim_end_matches('/');
        let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
        let bucket_ok = (3..=63).contains(&bucket.len()) && bucket.chars().all(letter);
        if !bucket_ok || !(prefix.is_empty() || super::Key::parse(prefix).is_ok()) {
            return Err(OpenError::new(
                "`blobs.url` is not an S3 bucket",
                "such as \"s3://my-bucket/florin\"; leave it empty for a folder of the data directory",
            ));
        }
        Ok(Some((bucket, prefix)))
    }
}

/// Opens the configured store. `folder` is where the folder lies, `signing_key` signs the URLs
/// that this process serves under `public_url`. A bucket is not asked before it is used.
///
/// # Errors
/// [`OpenError`].
pub fn open(
    settings: &BlobSettings,
    folder: &Path,
    signing_key: &[u8; 32],
    public_url: &str,
    clock: Arc<dyn Clock>,
) -> Result<Blobs, OpenError> {
    match settings.bucket()? {
        Some((bucket, prefix)) => bucket_store(settings, bucket, prefix, clock),
        None => {
            let store = DirectoryStore::open(folder, signing_key, public_url, clock);
            let store = store.map_err(|error| {
                OpenError::new(
                    format!("the folder {} cannot be used: {error}", folder.display()),
                    "make it writable for this user, or set blobs.url",
                )
            })?;
            Ok(Blobs::new(store))
        }
    }
}

#[cfg(feature = "s3")]
fn bucket_store(
    settings: &BlobSettings,
    bucket: &str,
    prefix: &str,
    clock: Arc<dyn Clock>,
) -> Result<Blobs, OpenError> {
    Ok(Blobs::new(super::S3Store::open(
        settings, bucket, prefix, clock,
    )?))
}

#[cfg(not(feature = "s3"))]
fn bucket_store(_: &BlobSettings, _: &str, _: &str, _: Arc<dyn Clock>) -> Result<Blobs, OpenError> {
    Err(OpenError::new(
        "`blobs.url` is a bucket, and this program was built without S3",
        "build it with the feature: cargo build --release --features s3; or leave blobs.url empty",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_judged() {
        let with = |url: &str| BlobSettings {
            url: url.to_owned(),
            ..BlobSettings::default()
        };
        assert_eq!(with("").bucket(), Ok(None));
        assert_eq!(with("s3://my-bucket").bucket(), Ok(Some(("my-bucket", ""))));
        assert_eq!(
            with("s3://my-bucket/a/b/").bucket(),
            Ok(Some(("my-bucket", "a/b")))
        );
        for wrong in [
            "s3://",
            "s3://ab",
            "http://my-bucket",
            "s3://My-Bucket",
            "s3://my-bucket/../x",
        ] {
            let error = with(wrong).bucket().expect_err(wrong);
            assert!(error.what.contains("`blobs.url`"), "{error}");
        }
    }

    #[cfg(not(feature = "s3"))]
    #[test]
    fn a_program_without_s3_names_the_feature() {
        let settings = BlobSettings {
            url: "s3://my-bucket".to_owned(),
            ..BlobSettings::default()
        };
        let clock = Arc::new(florin_base::clock::ManualClock::new(0));
        let opened = open(&settings, Path::new("."), &[0; 32], "http://x", clock);
        let error = opened.err().expect("refused");
        assert!(error.remedy.contains("--features s3"), "{error:?}");
    }
}
