//! What goes along and what stays behind: headers that belong to one connection (RFC 9110,
//! section 7.6.1), and those that say who the client is.

use std::net::IpAddr;

use axum::body::Body;
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, header};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const FORWARDED: HeaderName = HeaderName::from_static("forwarded");

/// Headers of one connection, beside those that `Connection` names.
const HOPS: [HeaderName; 8] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
];

/// Removes the headers of one connection.
pub(super) fn drop_hops(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOPS) {
        headers.remove(name);
    }
}

/// The headers of a request on its way to the process behind.
pub(super) fn outgoing(given: &HeaderMap, client: IpAddr) -> HeaderMap {
    let mut headers = given.clone();
    drop_hops(&mut headers);
    for name in [
        X_FORWARDED_HOST,
        X_REAL_IP,
        FORWARDED,
        header::CONTENT_LENGTH,
        header::EXPECT,
    ] {
        headers.remove(name);
    }
    if let Some(host) = headers.remove(header::HOST) {
        headers.insert(X_FORWARDED_HOST, host);
    }
    let client = HeaderValue::from_str(&client.to_string()).expect("addresses are visible ASCII");
    headers.insert(X_FORWARDED_FOR, client);
    headers
}

/// An answer on its way to the client.
pub(super) fn incoming(answer: http::Response<reqwest::Body>) -> Response {
    let (mut head, body) = answer.into_parts();
    drop_hops(&mut head.headers);
    Response::from_parts(head, Body::new(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    #[test]
    fn a_client_cannot_claim_an_address_or_smuggle_connection_headers() {
        let given = map(&[
            ("host", "api.example"),
            ("x-forwarded-for", "10.0.0.1"),
            ("forwarded", "for=10.0.0.1"),
            ("connection", "close, x-secret"),
            ("x-secret", "1"),
            ("te", "trailers"),
            ("idempotency-key", "k"),
        ]);
        let sent = outgoing(&given, "203.0.113.9".parse().expect("address"));
        let expected = map(&[
            ("idempotency-key", "k"),
            ("x-forwarded-for", "203.0.113.9"),
            ("x-forwarded-host", "api.example"),
        ]);
        assert_eq!(sent, expected);
    }
}
