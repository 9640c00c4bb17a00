//! Certificates of what the check talks to: whether they hold, and for how long.
//!
//! Boundary: the handshake and the end of validity; whose names a certificate carries and who signed
//! it is judged by rustls, against the authorities that the image holds (contract, DEP-066, DEP-105).

use std::path::Path;
use std::sync::Arc;

use florin_base::time::Timestamp;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// A certificate that ends earlier is bad (contract, B5).
pub const DAYS_LEFT_MIN: i64 = 30;
const MICROS_PER_DAY: i64 = 86_400_000_000;

/// Where the image keeps authorities: those of the web, those of RDS.
const BUNDLES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/ssl/certs/rds.pem",
];

/// What is said before the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// Nothing.
    Nothing,
    /// PostgreSQL is asked for TLS first.
    PostgresRequest,
}

/// PostgreSQL's request for TLS: length 8, code 80877103.
const POSTGRES_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// A client that trusts the authorities of `bundles`; files that are not there are passed over.
pub fn trusting(bundles: &[&Path]) -> Arc<ClientConfig> {
    florin_platform::http::client::install_crypto();
    let mut roots = RootCertStore::empty();
    for bundle in bundles {
        let Ok(found) = CertificateDer::pem_file_iter(bundle) else {
            continue;
        };
        roots.add_parsable_certificates(found.filter_map(Result::ok));
    }
    let config = ClientConfig::builder().with_root_certificates(roots);
    Arc::new(config.with_no_client_auth())
}

/// A client that trusts what the image trusts.
pub fn as_the_image_does() -> Arc<ClientConfig> {
    let paths: Vec<&Path> = BUNDLES.iter().map(Path::new).collect();
    trusting(&paths)
}

/// Makes a handshake; the certificate that was shown, or why there was none.
pub async fn handshake(
    mut stream: TcpStream,
    host: &str,
    before: Before,
    config: &Arc<ClientConfig>,
) -> Result<Vec<u8>, String> {
    let said = |error: &dyn std::fmt::Display| error.to_string();
    if before == Before::PostgresRequest {
        stream
            .write_all(&POSTGRES_REQUEST)
            .await
            .map_err(|e| said(&e))?;
        if stream.read_u8().await.map_err(|e| said(&e))? != b'S' {
            return Err("the server has no TLS".to_owned());
        }
    }
    let name = ServerName::try_from(host.to_owned()).map_err(|e| said(&e))?;
    let connector = TlsConnector::from(Arc::clone(config));
    let stream = connector.connect(name, stream).await;
    let stream = stream.map_err(|e| said(&e))?;
    let shown = stream.get_ref().1.peer_certificates();
    let first = shown.and_then(|list| list.first());
    first
        .map(|certificate| certificate.to_vec())
        .ok_or_else(|| "no certificate was shown".to_owned())
}

/// Days until a certificate ends; `None` when it cannot be read.
pub fn days_left(certificate: &[u8], now_micros: i64) -> Option<i64> {
    Some((not_after(certificate)? - now_micros).div_euclid(MICROS_PER_DAY))
}

/// End of validity, microseconds of the epoch (RFC 5280, section 4.1).
fn not_after(certificate: &[u8]) -> Option<i64> {
    let (_, outer, _) = element(certificate)?;
    let (_, mut body, _) = element(outer)?;
    // A version may stand first, in a context tag of its own.
    if body.first() == Some(&0xA0) {
        body = element(body)?.2;
    }
    // Serial number, algorithm, issuer.
    for _ in 0..3 {
        body = element(body)?.2;
    }
    let (_, validity, _) = element(body)?;
    let (_, _, after) = element(validity)?;
    let (tag, text, _) = element(after)?;
    let text = std::str::from_utf8(text).ok()?;
    // UTCTime has two digits of the year, and means 1950 to 2049.
    let text = match (tag, text.get(..2)?) {
        (0x17, year) if year < "50" => format!("20{text}"),
        (0x17, _) => format!("19{text}"),
        (0x18, _) => text.to_owned(),
        _ => return None,
    };
    let part = |from: usize, to: usize| text.get(from..to);
    let time = format!(
        "{}-{}-{}T{}:{}:{}Z",
        part(0, 4)?,
        part(4, 6)?,
        part(6, 8)?,
        part(8, 10)?,
        part(10, 12)?,
        part(12, 14)?
    );
    Timestamp::parse(&time).ok().map(|time| time.0)
}

/// Tag, content and what follows of the first element (DER).
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7F => (usize::from(*first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7F))?;
            let length = digits
                .iter()
                .fold(0_usize, |sum, digit| (sum << 8) | usize::from(*digit));
            (length, rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

#[cfg(test)]
mod tests {
    use florin_platform::testing::postgres::TestPostgres;

    use super::*;

    /// A certificate of which only the order of elements matters.
    fn made(after: &[u8], tag: u8, version: bool) -> Vec<u8> {
        let wrap = |tag: u8, content: &[u8]| {
            let length = u8::try_from(content.len()).expect("short");
            [&[tag, length], content].concat()
        };
        let times = [wrap(0x17, b"260101000000Z"), wrap(tag, after)].concat();
        let mut body = Vec::new();
        if version {
            body.extend(wrap(0xA0, &[2, 1, 2]));
        }
        body.extend(wrap(0x02, &[1]));
        body.extend(wrap(0x30, &[]));
        body.extend(wrap(0x30, &[]));
        body.extend(wrap(0x30, &times));
        wrap(0x30, &wrap(0x30, &body))
    }

    #[test]
    fn dep_106_the_end_of_a_certificate_is_read_in_both_forms() {
        let day = Timestamp::parse("2026-11-21T00:00:00Z").expect("a time").0;
        assert_eq!(
            days_left(&made(b"261231000000Z", 0x17, true), day),
            Some(40)
        );
        assert_eq!(
            days_left(&made(b"20261121000000Z", 0x18, false), day),
            Some(0)
        );
        assert_eq!(
            days_left(&made(b"261120000000Z", 0x17, true), day),
            Some(-1)
        );
        assert_eq!(days_left(&made(b"991231000000Z", 0x17, true), day), {
            let then = Timestamp::parse("1999-12-31T00:00:00Z").expect("a time").0;
            Some((then - day).div_euclid(MICROS_PER_DAY))
        });
        let whole = made(b"261231000000Z", 0x17, true);
        for end in 0..whole.len() {
            assert_eq!(days_left(&whole[..end], day), None, "cut at {end}");
        }
        assert_eq!(days_left(&made(b"261231000000Z", 0x04, true), day), None);
    }

    /// DEP-066, DEP-152: against a real server, with its authority and without it.
    #[tokio::test]
    async fn dep_066_dep_152_a_database_is_judged_by_the_certificate_it_shows() {
        let Some(server) = TestPostgres::start_with_tls().await else {
            println!(
                "SKIPPED a_database_is_judged_by_the_certificate_it_shows: PostgreSQL is not installed"
            );
            return;
        };
        drop(server.fresh().await);
        let connect = || async {
            let place = ("localhost", server.port());
            TcpStream::connect(place).await.expect("it listens")
        };
        let path = server.certificate();
        let ours = trusting(&[&path]);
        let shown = handshake(connect().await, "localhost", Before::PostgresRequest, &ours).await;
        let shown = shown.expect("its own authority is trusted");
        let now = Timestamp::parse("2026-11-21T00:00:00Z").expect("a time").0;
        assert!(days_left(&shown, now).expect("an end") > DAYS_LEFT_MIN);
        let other = handshake(
            connect().await,
            "example.com",
            Before::PostgresRequest,
            &ours,
        )
        .await;
        assert!(other.is_err(), "another name is refused");
        let nobody = trusting(&[]);
        let refused = handshake(
            connect().await,
            "localhost",
            Before::PostgresRequest,
            &nobody,
        )
        .await;
        assert!(refused.is_err(), "without an authority nothing holds");
    }
}
