//! Signed URLs of blobs that lie in a folder: the process serves them itself, as a bucket's
//! server would. The signature is the credential; whoever has the URL may do what it says until
//! it ends. Where blobs lie in a bucket these routes answer 404.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, Request, State};
use axum::response::Response;
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue, StatusCode};
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use utoipa::OpenApi;

use super::sign::Covered;
use super::{BlobError, Blobs, Key, Put};
use crate::http::auth::Access;
use crate::http::problem::{Problem, Status};
use crate::http::router::{RouteSpec, Routes};

/// Most bytes of one upload through a signed URL.
const UPLOAD_MAX: usize = 256 * 1024 * 1024;
const PATH: &str = "/api/v1/blobs";

/// What the routes work with.
pub type Shared = Arc<Blobs>;

#[derive(OpenApi)]
#[openapi(paths(read, write))]
struct Document;

/// The routes.
pub fn routes() -> Routes<Shared> {
    let get = RouteSpec::get(PATH, Access::Public);
    let put = RouteSpec::put(PATH, Access::Public).body_limit(UPLOAD_MAX);
    Routes::new()
        .route(get, read)
        .route(put, write)
        .document(Document::openapi())
}

/// What the query of a signed URL says.
struct Claimed {
    key: Key,
    expires: i64,
    content_type: String,
    sha256: String,
    signature: String,
}

impl Claimed {
    fn read(query: Option<String>) -> Option<Self> {
        let query = query.unwrap_or_default();
        let mut pairs: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if pairs
                .insert(name.into_owned(), value.into_owned())
                .is_some()
            {
                return None;
            }
        }
        let claimed = Self {
            key: Key::parse(&pairs.remove("key")?).ok()?,
            expires: pairs.remove("expires")?.parse().ok()?,
            content_type: pairs.remove("type").unwrap_or_default(),
            sha256: pairs.remove("sha256").unwrap_or_default(),
            signature: pairs.remove("signature")?,
        };
        pairs.is_empty().then_some(claimed)
    }
}

fn refused() -> Problem {
    let detail = "The URL was not signed here for this, or it has ended: ask for a new one.";
    Problem::new(Status::Forbidden, "forbidden", detail)
}

fn absent() -> Problem {
    Problem::not_found("blob_not_found", "There is no such blob.")
}

fn told(error: BlobError) -> Problem {
    match error {
        BlobError::NotFound(_) => absent(),
        BlobError::TooLarge(max) => {
            let detail = format!("At most {max} bytes.");
            Problem::new(Status::PayloadTooLarge, "body_too_large", detail)
        }
        BlobError::Unavailable(_) => {
            Problem::unavailable("store_unavailable", "The blob store does not answer.")
                .with_cause(error)
        }
        BlobError::Exists(_) | BlobError::SignedTooLong => Problem::internal(error),
    }
}

/// Judges the URL; answers what it claims, which then is so.
fn judge(blobs: &Blobs, method: &str, query: Option<String>) -> Result<Claimed, Problem> {
    let store = blobs.served().ok_or_else(absent)?;
    let claimed = Claimed::read(query).ok_or_else(refused)?;
    let covered = Covered {
        method,
        key: &claimed.key,
        expires: claimed.expires,
        content_type: &claimed.content_type,
        sha256: &claimed.sha256,
    };
    match store.allows(&covered, &claimed.signature) {
        true => Ok(claimed),
        false => Err(refused()),
    }
}

/// Reads the blob that a signed URL is for.
#[utoipa::path(
    get, path = "/api/v1/blobs", tag = "Blobs",
    params(
        ("key" = String, Query, description = "Key of the blob; this and what follows come from whoever signed the URL"),
        ("expires" = i64, Query, description = "When the URL ends, in seconds since 1970"),
        ("signature" = String, Query, description = "HMAC-SHA256 over method, key and the other parameters"),
    ),
    responses(
        (status = 200, description = "The bytes", content_type = "application/octet-stream", body = String),
        (status = 403, description = "`forbidden`: the URL was not signed for this, or it has ended"),
    )
)]
async fn read(State(blobs): State<Shared>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let claimed = judge(&blobs, "GET", query)?;
    let reading = blobs.read(&claimed.key).await.map_err(told)?;
    let mut response = Response::new(Body::from_stream(reading.pieces));
    let headers = response.headers_mut();
    let kind = HeaderValue::from_str(&reading.content_type);
    let octets = HeaderValue::from_static(super::OCTETS);
    headers.insert(CONTENT_TYPE, kind.unwrap_or(octets));
    headers.insert(CONTENT_LENGTH, reading.meta.size.into());
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(response)
}

/// Writes the blob that a signed URL is for.
#[utoipa::path(
    put, path = "/api/v1/blobs", tag = "Blobs",
    params(
        ("key" = String, Query, description = "Key of the blob; this and what follows come from whoever signed the URL"),
        ("expires" = i64, Query, description = "When the URL ends, in seconds since 1970"),
        ("type" = String, Query, description = "Content type that must be sent"),
        ("sha256" = Option<String>, Query, description = "SHA-256 that the bytes must have, in hex"),
        ("signature" = String, Query, description = "HMAC-SHA256 over method, key and the other parameters"),
    ),
    request_body(content = String, content_type = "application/octet-stream", description = "The bytes"),
    responses(
        (status = 200, description = "Kept"),
        (status = 400, description = "`validation_failed`: the bytes have another digest"),
        (status = 403, description = "`forbidden`: the URL was not signed for this, or it has ended"),
    )
)]
async fn write(
    State(blobs): State<Shared>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    request: Request,
) -> Result<StatusCode, Problem> {
    let claimed = judge(&blobs, "PUT", query)?;
    let given = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    if given != Some(claimed.content_type.as_str()) {
        return Err(refused());
    }
    let put = Put {
        content_type: Some(claimed.content_type.clone()),
        ..Put::default()
    };
    let digest = Arc::new(Mutex::new(Sha256::new()));
    let counting = Arc::clone(&digest);
    let body = request.into_body().into_data_stream();
    let pieces = body
        .map_err(|error| BlobError::Unavailable(format!("the upload broke off: {error}")))
        .inspect_ok(move |piece: &Bytes| counting.lock().update(piece))
        .boxed();
    let pieces = match claimed.sha256.is_empty() {
        true => pieces,
        false => checked(pieces, digest, claimed.sha256.clone()),
    };
    match blobs
        .put_pieces(&claimed.key, pieces, &put, UPLOAD_MAX as u64)
        .await
    {
        Ok(_) => Ok(StatusCode::OK),
        Err(BlobError::Unavailable(why)) if why == WRONG_DIGEST => {
            let detail = "The bytes are not those that the URL was signed for.";
            Err(Problem::new(
                Status::BadRequest,
                "validation_failed",
                detail,
            ))
        }
        Err(error) => Err(told(error)),
    }
}

const WRONG_DIGEST: &str = "the digest differs";

/// Breaks off at the end when the bytes have another digest, so that nothing is kept.
fn checked(pieces: super::Pieces, digest: Arc<Mutex<Sha256>>, expected: String) -> super::Pieces {
    let end = futures_util::stream::once(async move {
        let found = hex::encode(digest.lock().clone().finalize());
        match found == expected {
            true => Ok(Bytes::new()),
            false => Err(BlobError::Unavailable(WRONG_DIGEST.to_owned())),
        }
    });
    pieces.chain(end).boxed()
}
