//! Public pages, remembered for a moment: what thousands look at before a sale is read from the
//! tables once.
//!
//! **Invariants.** A page is shown at most [`LIFE`] after it was read, which is what its
//! `max-age` says. Once a change by this process was answered, no page from before it is shown by
//! this process: a page is dropped when any transaction of the room ends. One caller reads a page,
//! the others wait for him.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use florin_platform::http::problem::Problem;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode};
use parking_lot::Mutex;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::Ticketing;

/// Microseconds.
const LIFE: i64 = 1_000_000;
/// Pages that are remembered; then all are forgotten.
const PAGES_MAX: usize = 4_096;

/// A page as it is sent.
#[derive(Debug, Clone)]
struct Page {
    body: Bytes,
    tag: HeaderValue,
    epoch: u64,
    read_at: i64,
}

type Place = Arc<tokio::sync::Mutex<Option<Page>>>;

/// The pages that this process remembers.
#[derive(Debug, Default)]
pub struct Pages(Mutex<HashMap<String, Place>>);

impl Pages {
    fn place(&self, name: &str) -> Place {
        let mut places = self.0.lock();
        if let Some(place) = places.get(name) {
            return Arc::clone(place);
        }
        if places.len() >= PAGES_MAX {
            places.clear();
        }
        let place = Place::default();
        places.insert(name.to_owned(), Arc::clone(&place));
        place
    }
}

/// The page of this name, remembered or read now; 304 for whoever has it.
///
/// # Errors
/// What reading it answers; refusals are not remembered.
pub async fn page<T: Serialize>(
    room: &Ticketing,
    name: &str,
    headers: &HeaderMap,
    read: impl Future<Output = Result<T, Problem>>,
) -> Result<Response, Problem> {
    let place = room.pages.place(name);
    let mut known = place.lock().await;
    let (epoch, now) = (room.store.epoch(), room.store.clock.boot_micros());
    let fresh = |page: &Page| page.epoch == epoch && (0..LIFE).contains(&(now - page.read_at));
    let page = match known.as_ref().filter(|page| fresh(page)) {
        Some(page) => page.clone(),
        None => {
            let body = serde_json::to_vec(&read.await?).map_err(Problem::internal)?;
            let body = Bytes::from(body);
            let digest = Sha256::digest(&body);
            let tag = format!("\"{}\"", hex::encode(&digest[..12]));
            let page = Page {
                body,
                tag: HeaderValue::from_str(&tag).map_err(Problem::internal)?,
                epoch,
                read_at: now,
            };
            *known = Some(page.clone());
            page
        }
    };
    drop(known);
    Ok(answer(page, headers))
}

fn answer(page: Page, headers: &HeaderMap) -> Response {
    let wanted = headers.get_all(IF_NONE_MATCH).iter();
    let has = wanted
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|tag| tag.trim().trim_start_matches("W/"))
        .any(|tag| tag == "*" || tag.as_bytes() == page.tag.as_bytes());
    let mut response = Response::new(match has {
        true => Body::empty(),
        false => Body::from(page.body),
    });
    let to = response.headers_mut();
    to.insert(ETAG, page.tag);
    to.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=1"));
    match has {
        true => *response.status_mut() = StatusCode::NOT_MODIFIED,
        false => {
            to.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
    }
    response
}
