//! AWS Signature Version 4 in headers: pure, for any service but S3.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html>

use std::fmt::Write as _;

use ring::{digest, hmac};

use super::Credentials;
use florin_base::Timestamp;

/// A request before it is signed.
#[derive(Debug, Clone)]
pub struct Signable<'a> {
    /// Method.
    pub method: &'a str,
    /// `host` or `host:port`.
    pub host: &'a str,
    /// Path, percent-encoded, from `/`.
    pub path: &'a str,
    /// Query parameters, not encoded.
    pub query: &'a [(&'a str, &'a str)],
    /// Further headers, names in lower case.
    pub headers: &'a [(&'a str, &'a str)],
    /// Body.
    pub body: &'a [u8],
    /// Region.
    pub region: &'a str,
    /// Service.
    pub service: &'a str,
}

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// The headers that a request needs beside its own: `x-amz-date`, `authorization`, and
/// `x-amz-security-token` for temporary credentials. `now` is the wall clock in microseconds.
pub fn sign(
    request: &Signable<'_>,
    credentials: &Credentials,
    now: i64,
) -> Vec<(&'static str, String)> {
    let time = amz_time(now);
    let mut headers: Vec<(&str, &str)> = request.headers.to_vec();
    headers.push(("host", request.host));
    headers.push(("x-amz-date", &time));
    if let Some(token) = &credentials.session_token {
        headers.push(("x-amz-security-token", token.expose()));
    }
    headers.sort_unstable();
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let canonical = canonical(request, &headers, &names);
    let day = &time[..8];
    let scope = format!("{day}/{}/{}/aws4_request", request.region, request.service);
    let to_sign = format!(
        "{ALGORITHM}\n{time}\n{scope}\n{}",
        sha256(canonical.as_bytes())
    );
    let mut key = format!("AWS4{}", credentials.secret_key.expose()).into_bytes();
    for part in [day, request.region, request.service, "aws4_request"] {
        key = mac(&key, part.as_bytes());
    }
    let signature = hex::encode(mac(&key, to_sign.as_bytes()));
    let authorization = format!(
        "{ALGORITHM} Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
        credentials.access_key
    );
    let mut added = vec![("authorization", authorization)];
    if let Some(token) = &credentials.session_token {
        added.push(("x-amz-security-token", token.expose().clone()));
    }
    added.push(("x-amz-date", time));
    added
}

fn canonical(request: &Signable<'_>, headers: &[(&str, &str)], names: &str) -> String {
    let mut query: Vec<(String, String)> = request
        .query
        .iter()
        .map(|(name, value)| (encoded(name), encoded(value)))
        .collect();
    query.sort_unstable();
    let query: Vec<String> = query
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let mut text = format!(
        "{}\n{}\n{}\n",
        request.method,
        request.path,
        query.join("&")
    );
    for (name, value) in headers {
        let value: Vec<&str> = value.split(' ').filter(|part| !part.is_empty()).collect();
        let _ = writeln!(text, "{name}:{}", value.join(" "));
    }
    let _ = write!(text, "\n{names}\n{}", sha256(request.body));
    text
}

/// Percent-encodes everything but the unreserved characters (RFC 3986).
pub(super) fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes))
}

fn mac(key: &[u8], bytes: &[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, bytes).as_ref().to_vec()
}

/// `20150830T123600Z`.
fn amz_time(now: i64) -> String {
    let text = Timestamp(now).to_string();
    let seconds = text.split('.').next().unwrap_or_default();
    let digits: String = seconds.chars().filter(|c| !"-:Z".contains(*c)).collect();
    format!("{digits}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The credentials of AWS's published test suite.
    fn credentials() -> Credentials {
        Credentials::new(
            "AKIDEXAMPLE",
            "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
            None,
        )
    }

    const NOW: i64 = 1_440_938_160_000_000;

    fn signature(request: &Signable<'_>) -> String {
        let signed = sign(request, &credentials(), NOW);
        let (_, authorization) = &signed[0];
        authorization.clone()
    }

    fn request<'a>(method: &'a str) -> Signable<'a> {
        Signable {
            method,
            host: "example.amazonaws.com",
            path: "/",
            query: &[],
            headers: &[],
            body: b"",
            region: "us-east-1",
            service: "service",
        }
    }

    #[test]
    fn the_published_vectors_come_out() {
        let begin = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=";
        // get-vanilla
        assert_eq!(
            signature(&request("GET")),
            format!(
                "{begin}host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
            )
        );
        // post-vanilla
        assert_eq!(
            signature(&request("POST")),
            format!(
                "{begin}host;x-amz-date, Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"
            )
        );
        // get-vanilla-query-order-key-case
        let ordered = Signable {
            query: &[("Param2", "value2"), ("Param1", "value1")],
            ..request("GET")
        };
        assert_eq!(
            signature(&ordered),
            format!(
                "{begin}host;x-amz-date, Signature=b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"
            )
        );
        // post-x-www-form-urlencoded
        let form = Signable {
            headers: &[("content-type", "application/x-www-form-urlencoded")],
            body: b"Param1=value1",
            ..request("POST")
        };
        assert_eq!(
            signature(&form),
            format!(
                "{begin}content-type;host;x-amz-date, Signature=ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"
            )
        );
    }

    #[test]
    fn temporary_credentials_send_and_sign_their_token() {
        let temporary = Credentials::new("AKIDEXAMPLE", "secret", Some("token"));
        let signed = sign(&request("GET"), &temporary, NOW);
        assert!(
            signed[0]
                .1
                .contains("SignedHeaders=host;x-amz-date;x-amz-security-token,")
        );
        assert!(signed.contains(&("x-amz-security-token", "token".to_owned())));
        assert!(signed.contains(&("x-amz-date", "20150830T123600Z".to_owned())));
    }

    #[test]
    fn queries_are_encoded_as_aws_wants() {
        assert_eq!(encoded("a b/ä~"), "a%20b%2F%C3%A4~");
    }
}
