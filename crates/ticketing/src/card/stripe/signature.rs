//! The header `Stripe-Signature`: `t=…,v1=…[,v1=…]`, HMAC-SHA256 of `t.rawBody` (contract C5).

use florin_base::Secret;
use ring::hmac;

/// Oldest and newest time of a signature, seconds from now.
const TOLERANCE: i64 = 300;
/// Signatures of one header that are looked at.
const SIGNATURES_MAX: usize = 10;

/// Whether the header signs the body with one of the secrets, and not too long ago. Compared in
/// constant time.
pub fn is_good(header: &str, body: &[u8], secrets: &[Secret<String>], now: i64) -> bool {
    let mut time = None;
    let mut given = Vec::new();
    for part in header.split(',') {
        match part.trim().split_once('=') {
            Some(("t", text)) => time = text.parse::<i64>().ok(),
            Some(("v1", text)) if given.len() < SIGNATURES_MAX => {
                given.extend(hex::decode(text).ok());
            }
            _ => {}
        }
    }
    let Some(time) = time else {
        return false;
    };
    if (i128::from(now) - i128::from(time)).abs() > i128::from(TOLERANCE) {
        return false;
    }
    let mut signed = format!("{time}.").into_bytes();
    signed.extend_from_slice(body);
    let mut good = false;
    for secret in secrets {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
        for tag in &given {
            good |= hmac::verify(&key, &signed, tag).is_ok();
        }
    }
    good
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = br#"{"id":"evt_1"}"#;

    fn header(secret: &str, time: i64) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let signed = [format!("{time}.").as_bytes(), BODY].concat();
        format!("t={time},v1={}", hex::encode(hmac::sign(&key, &signed)))
    }

    fn secrets(all: &[&str]) -> Vec<Secret<String>> {
        all.iter()
            .map(|secret| Secret::new((*secret).to_owned()))
            .collect()
    }

    #[test]
    fn row_16_wrong_signatures_and_old_ones_are_not_taken() {
        let known = secrets(&["whsec_a", "whsec_b"]);
        let good = |header: &str, now| is_good(header, BODY, &known, now);
        assert!(good(&header("whsec_a", 1_000), 1_300));
        assert!(good(&header("whsec_b", 1_000), 700));
        assert!(!good(&header("whsec_a", 1_000), 1_301));
        assert!(!good(&header("whsec_a", 1_000), 699));
        assert!(!good(&header("whsec_c", 1_000), 1_000));
        assert!(!is_good(&header("whsec_a", 1_000), b"{}", &known, 1_000));
        for broken in ["", "t=1000", "v1=00", "t=x,v1=00", "t=1000,v1=zz"] {
            assert!(!good(broken, 1_000), "{broken}");
        }
        let two = format!("{},v1={}", header("whsec_c", 1_000), "00".repeat(32));
        assert!(!good(&two, 1_000));
        let rotated = format!(
            "t=1000,v1={},{}",
            "00".repeat(32),
            header("whsec_b", 1_000).trim_start_matches("t=1000,")
        );
        assert!(good(&rotated, 1_000));
    }
}
