//! Answers of success in the shared form (contracts, "success").

use axum::response::{IntoResponse, Response};
use http::header::LOCATION;
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use super::json::Json;
use super::problem::Problem;

/// 201 with `Location`: something was created.
pub fn created<T: Serialize>(location: &str, body: T) -> Result<Response, Problem> {
    with_location(StatusCode::CREATED, location, body)
}

/// 202: work goes on; `Location` is where to look for its end.
pub fn accepted<T: Serialize>(location: &str, body: T) -> Result<Response, Problem> {
    with_location(StatusCode::ACCEPTED, location, body)
}

/// A status with `Location`. Ids in the path must be URL-safe; anything else is a fault of the
/// caller of this function and answers 500.
pub fn with_location<T: Serialize>(
    status: StatusCode,
    location: &str,
    body: T,
) -> Result<Response, Problem> {
    let location = HeaderValue::from_str(location)
        .map_err(|error| Problem::internal(format_args!("Location: {error}")))?;
    let mut response = Json(body).into_response();
    // A body that could not be serialised is a 500 already.
    if response.status() == StatusCode::OK {
        *response.status_mut() = status;
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

/// 204: done, nothing to say.
pub fn no_content() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn created_carries_its_place() {
        let response = created("/api/v1/things/1", 7).expect("valid");
        assert_eq!(response.status(), 201);
        assert_eq!(response.headers()[LOCATION], "/api/v1/things/1");
        assert!(created("/a\nb", 7).is_err());
        assert_eq!(no_content().status(), 204);
    }
}
