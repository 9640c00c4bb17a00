//! What other sites send is refused.

use axum::body::Body;
use axum::extract::{FromRequest as _, Request};
use florin_platform::http::json::RawBody;
use http::HeaderMap;
use http::request::Parts;

use super::FORM_TOKEN;
use crate::reply::Failure;
use crate::session::same;

/// The fields of a form that carries the session's token.
pub(super) async fn own_form(
    parts: Parts,
    body: Body,
    token: &str,
) -> Result<Vec<(String, String)>, Failure> {
    let headers = parts.headers.clone();
    let read = RawBody::from_request(Request::from_parts(parts, body), &()).await;
    let RawBody(bytes) = read.map_err(|problem| Failure::Bad(problem.detail().to_owned()))?;
    let form: Vec<(String, String)> = form_urlencoded::parse(&bytes).into_owned().collect();
    own(&headers, Some(super::value(&form, FORM_TOKEN)), token)?;
    Ok(form)
}

/// Refuses what other sites send. Browsers that say where a request comes from are believed; the
/// token is asked for in any case.
pub(super) fn own(headers: &HeaderMap, given: Option<&str>, token: &str) -> Result<(), Failure> {
    let site = headers.get("sec-fetch-site");
    let foreign = site.is_some_and(|site| site != "same-origin" && site != "none");
    match given {
        Some(given) if !foreign && same(given, token) => Ok(()),
        _ => Err(Failure::ForeignForm),
    }
}

/// Refuses a form of another site before anybody has signed in.
pub(crate) fn is_own(headers: &HeaderMap, given: &str, token: &str) -> bool {
    own(headers, Some(given), token).is_ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn forms_of_other_sites_are_refused() {
        let mut headers = HeaderMap::new();
        assert!(is_own(&headers, "t0ken", "t0ken"));
        assert!(!is_own(&headers, "t0kem", "t0ken"));
        assert!(!is_own(&headers, "", "t0ken"));
        headers.insert("sec-fetch-site", HeaderValue::from_static("cross-site"));
        assert!(!is_own(&headers, "t0ken", "t0ken"));
        headers.insert("sec-fetch-site", HeaderValue::from_static("same-origin"));
        assert!(is_own(&headers, "t0ken", "t0ken"));
    }
}
