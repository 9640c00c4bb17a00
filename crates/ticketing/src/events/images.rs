//! Images of events (contract A5): uploaded to a signed URL, checked after the upload.
//!
//! What is served is never the object that the URL can write: the checked bytes are copied under
//! a key of their own, so that a later PUT with the same URL changes nothing.

use florin_platform::blobs::{BlobError, Key, Put};
use florin_platform::http::problem::Problem;
use serde_json::json;

use crate::Ticketing;
use crate::store::images::{Image, judge};

/// Largest image, bytes.
pub const SIZE_MAX: i64 = 10 * 1024 * 1024;
/// Most images of one event.
pub const IMAGES_MAX: usize = 20;
/// Types that are taken. SVG is not: it can carry script.
pub const TYPES: [&str; 4] = ["image/jpeg", "image/png", "image/webp", "image/gif"];

/// Type by the leading bytes.
pub fn sniff(bytes: &[u8]) -> Option<&'static str> {
    if bytes.starts_with(&[0xFF, 0xD8, 0xFF]) {
        return Some("image/jpeg");
    }
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        return Some("image/png");
    }
    if bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a") {
        return Some("image/gif");
    }
    (bytes.len() >= 12 && bytes.starts_with(b"RIFF") && &bytes[8..12] == b"WEBP")
        .then_some("image/webp")
}

/// Where an upload lands.
pub fn upload_key(event_id: &str, image_id: &str) -> String {
    format!("ticketing/tmp/events/{event_id}/{image_id}")
}

fn served_key(event_id: &str, image_id: &str) -> String {
    format!("ticketing/events/{event_id}/{image_id}")
}

pub(crate) fn key(text: &str) -> Result<Key, Problem> {
    Key::parse(text).map_err(Problem::internal)
}

/// A store of blobs that does not answer.
pub(crate) fn away(error: BlobError) -> Problem {
    Problem::unavailable("store_unavailable", "The blob store does not answer.").with_cause(error)
}

/// Judges the uploaded bytes; the image is `ready` or `rejected` from then on.
///
/// # Errors
/// The stores'.
pub async fn complete(room: &Ticketing, mut image: Image) -> Result<Image, Problem> {
    if image.status != "pending" {
        return Ok(image);
    }
    let uploaded = key(&image.blob_key)?;
    let most = u64::try_from(SIZE_MAX).unwrap_or(u64::MAX);
    let verdict = match room.blobs.get(&uploaded, most).await {
        Err(BlobError::NotFound(_)) => Err("image_missing"),
        Err(BlobError::TooLarge(_)) => Err("image_size"),
        Err(error) => return Err(away(error)),
        Ok(bytes) => {
            let size = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
            match sniff(&bytes) {
                Some(kind) if kind == image.content_type && size == image.size_bytes => Ok(bytes),
                Some(kind) if kind == image.content_type => Err("image_size"),
                _ => Err("image_type"),
            }
        }
    };
    match verdict {
        Ok(bytes) => {
            let served = served_key(&image.event_id, &image.id);
            let put = Put {
                content_type: Some(image.content_type.clone()),
                ..Put::default()
            };
            let target = key(&served)?;
            room.blobs.put(&target, bytes, &put).await.map_err(away)?;
            image.status = "ready".to_owned();
            image.blob_key = served;
        }
        Err(reason) => {
            image.status = "rejected".to_owned();
            image.reason = Some(reason.to_owned());
        }
    }
    let mut tx = room.store.begin_event(&image.event_id).await?;
    let first = judge(&mut tx, &image).await?;
    tx.commit().await?;
    if first {
        let removed = room.blobs.delete(&uploaded).await;
        if let Err(error) = removed {
            tracing::warn!(%error, "an upload stays behind");
        }
    }
    Ok(image)
}

/// Removes the bytes of an image that is gone.
pub async fn forget(room: &Ticketing, image: &Image) {
    let Ok(place) = key(&image.blob_key) else {
        return;
    };
    if let Err(error) = room.blobs.delete(&place).await {
        tracing::warn!(%error, image = image.id, "the bytes of an image stay behind");
    }
}

/// What is told of an image that was refused.
pub fn refusal(image: &Image) -> Option<serde_json::Value> {
    image.reason.as_ref().map(|reason| json!({"code": reason}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_told_by_their_leading_bytes() {
        assert_eq!(sniff(&[0xFF, 0xD8, 0xFF, 0xE0]), Some("image/jpeg"));
        assert_eq!(sniff(b"\x89PNG\r\n\x1a\nrest"), Some("image/png"));
        assert_eq!(sniff(b"GIF89a"), Some("image/gif"));
        assert_eq!(sniff(b"RIFF\0\0\0\0WEBPVP8 "), Some("image/webp"));
        assert_eq!(sniff(b"RIFF\0\0\0\0WAVEfmt "), None);
        assert_eq!(sniff(b"<svg xmlns"), None);
        assert_eq!(sniff(b"<html>"), None);
        assert_eq!(sniff(b""), None);
    }
}
