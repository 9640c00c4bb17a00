//! What must pass and what must never pass.

use base64::Engine as _;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};

use super::*;

const NOW: i64 = 1_800_000_000;
const SECRET: &[u8] = b"q8Jw1rT0zXn5vB7mK3pL9sD2fG6hY4cA";

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn good_claims() -> Value {
    json!({ "iss": "us", "aud": "florin", "sub": "u1", "exp": NOW + 900, "iat": NOW })
}

fn ed25519() -> (Ed25519KeyPair, VerifyingKey) {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let public = pair.public_key().as_ref().try_into().unwrap();
    (pair, Jwk::ed25519(&public).verifying_key().unwrap())
}

fn signed(claims: &Value) -> String {
    let (pair, _) = ed25519();
    compact(Algorithm::EdDSA, "k1", claims, |message| {
        pair.sign(message).as_ref().to_vec()
    })
}

fn verify(token: &str, key: &VerifyingKey) -> Result<Claims, JoseError> {
    let audiences = ["other".to_owned(), "florin".to_owned()];
    let expected = Expected {
        issuer: "us",
        audiences: &audiences,
        now: NOW,
    };
    Unverified::parse(token)?.verify(key, &expected)
}

fn verify_claims(change: Value) -> Result<Claims, JoseError> {
    let mut claims = good_claims();
    for (name, value) in change.as_object().unwrap() {
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(name),
            value => claims
                .as_object_mut()
                .unwrap()
                .insert(name.clone(), value.clone()),
        };
    }
    verify(&signed(&claims), &ed25519().1)
}

#[test]
fn a_good_token_passes() {
    let claims = verify(&signed(&good_claims()), &ed25519().1).unwrap();
    assert_eq!(claims.text("sub"), Some("u1"));
    assert_eq!(claims.seconds("exp"), Ok(Some(NOW + 900)));
}

#[test]
fn every_changed_byte_is_found() {
    let token = signed(&good_claims());
    for index in 0..token.len() {
        let mut altered = token.clone().into_bytes();
        altered[index] = if altered[index] == b'A' { b'B' } else { b'A' };
        let altered = String::from_utf8(altered).unwrap();
        assert!(verify(&altered, &ed25519().1).is_err(), "byte {index}");
    }
}

#[test]
fn registered_claims_are_checked() {
    use JoseError as E;
    let cases = [
        (json!({ "iss": "them" }), Err(E::Issuer)),
        (json!({ "iss": null }), Err(E::Issuer)),
        (json!({ "aud": "else" }), Err(E::Audience)),
        (json!({ "aud": null }), Err(E::Audience)),
        (json!({ "aud": ["else", "florin"] }), Ok(())),
        (json!({ "aud": ["else"] }), Err(E::Audience)),
        (json!({ "exp": null }), Err(E::Claim)),
        (json!({ "exp": "soon" }), Err(E::Claim)),
        (json!({ "exp": NOW - 59 }), Ok(())),
        (json!({ "exp": NOW - 60 }), Err(E::Expired)),
        (json!({ "nbf": NOW + 60 }), Ok(())),
        (json!({ "nbf": NOW + 61 }), Err(E::NotYetValid)),
        (json!({ "iat": NOW + 61 }), Err(E::NotYetValid)),
    ];
    for (change, expected) in cases {
        assert_eq!(
            verify_claims(change.clone()).map(drop),
            expected,
            "{change}"
        );
    }
}

#[test]
fn none_and_foreign_algorithms_never_pass() {
    let payload = b64(good_claims().to_string());
    for alg in [
        "none", "None", "NONE", "", "HS224", "RS512", "ES384", "PS256", "eddsa",
    ] {
        let header = b64(json!({ "alg": alg, "kid": "k1" }).to_string());
        for signature in ["", "AAAA"] {
            let token = format!("{header}.{payload}.{signature}");
            assert_eq!(
                verify(&token, &ed25519().1).unwrap_err(),
                JoseError::Algorithm,
                "{alg}"
            );
        }
    }
}

/// The classic confusion: an HMAC computed with the published key as secret.
#[test]
fn a_key_never_works_under_another_algorithm() {
    let (pair, key) = ed25519();
    let public = pair.public_key().as_ref().to_vec();
    let forged = compact(Algorithm::HS256, "k1", &good_claims(), |message| {
        let secret = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &public);
        ring::hmac::sign(&secret, message).as_ref().to_vec()
    });
    assert_eq!(
        verify(&forged, &key).unwrap_err(),
        JoseError::AlgorithmMismatch
    );
    let secret = VerifyingKey::hmac(SECRET, Algorithm::HS256).unwrap();
    let token = signed(&good_claims());
    assert_eq!(
        verify(&token, &secret).unwrap_err(),
        JoseError::AlgorithmMismatch
    );
}

#[test]
fn shared_secrets_work_where_they_are_the_key() {
    let token = compact(Algorithm::HS256, "k1", &good_claims(), |message| {
        let secret = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET);
        ring::hmac::sign(&secret, message).as_ref().to_vec()
    });
    assert!(
        verify(
            &token,
            &VerifyingKey::hmac(SECRET, Algorithm::HS256).unwrap()
        )
        .is_ok()
    );
    let other = VerifyingKey::hmac(&[1; 32], Algorithm::HS256).unwrap();
    assert_eq!(verify(&token, &other).unwrap_err(), JoseError::Signature);
    assert!(VerifyingKey::hmac(b"short", Algorithm::HS256).is_err());
}

#[test]
fn es256_passes_by_its_published_key() {
    let random = SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let alg = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let pair = EcdsaKeyPair::from_pkcs8(alg, document.as_ref(), &random).unwrap();
    let point = pair.public_key().as_ref();
    let jwk: Jwk = serde_json::from_value(json!({
        "kty": "EC", "crv": "P-256", "x": b64(&point[1..33]), "y": b64(&point[33..]),
    }))
    .unwrap();
    let key = jwk.verifying_key().unwrap();
    let token = compact(Algorithm::ES256, "k1", &good_claims(), |message| {
        pair.sign(&random, message).unwrap().as_ref().to_vec()
    });
    assert!(verify(&token, &key).is_ok());
}

/// RFC 7515, appendix A.2: the standard's own RS256 example.
#[test]
fn rs256_accepts_the_example_of_the_standard() {
    let jwk: Jwk = serde_json::from_value(json!({
        "kty": "RSA",
        "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
        "e": "AQAB",
    }))
    .unwrap();
    let key = jwk.verifying_key().unwrap();
    assert_eq!(key.algorithm(), Algorithm::RS256);
    let signed = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let signature = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    assert!(Unverified::parse(&format!("{signed}.{signature}")).is_ok());
    assert_eq!(
        key.verify(signed.as_bytes(), &decode(signature).unwrap()),
        Ok(())
    );
    let mut wrong = decode(signature).unwrap();
    wrong[0] ^= 1;
    assert_eq!(
        key.verify(signed.as_bytes(), &wrong),
        Err(JoseError::Signature)
    );
}

#[test]
fn malformed_tokens_are_refused_without_a_fault() {
    let good = signed(&good_claims());
    let long = format!("{good}{}", "A".repeat(MAX_TOKEN_LEN));
    for bad in [
        "",
        ".",
        "..",
        "a.b",
        "a.b.c",
        "é.é.é",
        &good[..good.len() - 1],
        &long,
        &format!("{good}.x"),
    ] {
        assert!(verify(bad, &ed25519().1).is_err(), "{bad}");
    }
    let header = b64(r#"{"alg":"EdDSA","crit":["exp"]}"#);
    let payload = b64(good_claims().to_string());
    let critical = Unverified::parse(&format!("{header}.{payload}.AAAA")).map(drop);
    assert_eq!(critical, Err(JoseError::Critical));
    let header = b64(r#"{"alg":"none","alg":"EdDSA"}"#);
    let twice = Unverified::parse(&format!("{header}.{payload}.AAAA")).map(drop);
    assert_eq!(twice, Err(JoseError::Malformed));
}

#[test]
fn keys_for_other_uses_are_not_taken() {
    let (pair, _) = ed25519();
    let good = json!(Jwk::ed25519(
        &pair.public_key().as_ref().try_into().unwrap()
    ));
    for (name, value) in [
        ("use", json!("enc")),
        ("alg", json!("ES256")),
        ("kty", json!("oct")),
        ("crv", json!("Ed448")),
        ("x", json!("AAAA")),
    ] {
        let mut bad = good.clone();
        bad[name] = value;
        let jwk: Jwk = serde_json::from_value(bad).unwrap();
        assert_eq!(jwk.verifying_key().map(drop), Err(JoseError::Key), "{name}");
    }
}

/// RFC 8037, appendix A.3: the thumbprint of the example key.
#[test]
fn keys_are_named_by_their_thumbprint() {
    let x = decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap();
    let jwk = Jwk::ed25519(&x.try_into().unwrap());
    assert_eq!(
        jwk.kid.as_deref(),
        Some("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k")
    );
}

#[test]
fn claims_are_found_by_path() {
    let claims = verify_claims(json!({
        "realm_access": { "roles": ["a", 1, "b"] },
        "https://x.example/roles": ["c"],
        "scope": "d e",
    }))
    .unwrap();
    assert_eq!(claims.names("realm_access.roles"), ["a", "b"]);
    assert_eq!(claims.names("https://x.example/roles"), ["c"]);
    assert_eq!(claims.names("scope"), ["d", "e"]);
    assert!(claims.names("absent.roles").is_empty());
}
