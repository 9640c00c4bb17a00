//! Keys that verify, and their JSON form (RFC 7517, 7518, 8037).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::{hmac, signature};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Algorithm, JoseError, decode};

/// A key that can check signatures of exactly one algorithm.
#[derive(Clone)]
pub enum VerifyingKey {
    /// Public key of 32 bytes.
    Ed25519([u8; 32]),
    /// Big-endian modulus and exponent; 2048 to 8192 bits.
    Rsa {
        /// Modulus.
        n: Vec<u8>,
        /// Exponent.
        e: Vec<u8>,
    },
    /// Uncompressed point, 65 bytes.
    P256(Vec<u8>),
    /// Shared secret, with the algorithm it is for.
    Hmac(hmac::Key, Algorithm),
}

impl std::fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "VerifyingKey({:?})", self.algorithm())
    }
}

impl VerifyingKey {
    /// A shared secret.
    ///
    /// # Errors
    /// [`JoseError::Key`] for one that is shorter than [`Algorithm::hmac_bytes`], or for an
    /// algorithm that has none.
    pub fn hmac(secret: &[u8], algorithm: Algorithm) -> Result<Self, JoseError> {
        let hash = match algorithm {
            Algorithm::HS256 => hmac::HMAC_SHA256,
            Algorithm::HS384 => hmac::HMAC_SHA384,
            Algorithm::HS512 => hmac::HMAC_SHA512,
            Algorithm::EdDSA | Algorithm::RS256 | Algorithm::ES256 => return Err(JoseError::Key),
        };
        let least = algorithm.hmac_bytes().unwrap_or(usize::MAX);
        if secret.len() < least {
            return Err(JoseError::Key);
        }
        Ok(Self::Hmac(hmac::Key::new(hash, secret), algorithm))
    }

    /// The one algorithm of this key.
    pub fn algorithm(&self) -> Algorithm {
        match self {
            Self::Ed25519(_) => Algorithm::EdDSA,
            Self::Rsa { .. } => Algorithm::RS256,
            Self::P256(_) => Algorithm::ES256,
            Self::Hmac(_, algorithm) => *algorithm,
        }
    }

    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), JoseError> {
        match self {
            Self::Ed25519(key) => signature::UnparsedPublicKey::new(&signature::ED25519, key)
                .verify(message, signature),
            Self::Rsa { n, e } => signature::RsaPublicKeyComponents { n, e }.verify(
                &signature::RSA_PKCS1_2048_8192_SHA256,
                message,
                signature,
            ),
            Self::P256(point) => {
                signature::UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point)
                    .verify(message, signature)
            }
            Self::Hmac(key, _) => hmac::verify(key, message, signature),
        }
        .map_err(|_| JoseError::Signature)
    }
}

/// A public key as it stands in a key set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwk {
    /// Type: `OKP`, `RSA`, `EC`.
    pub kty: String,
    /// Name of the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// `sig` where given.
    #[serde(default, rename = "use", skip_serializing_if = "Option::is_none")]
    pub usage: Option<String>,
    /// The algorithm where given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alg: Option<String>,
    /// Curve of `OKP` and `EC`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crv: Option<String>,
    /// Public key or x coordinate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x: Option<String>,
    /// y coordinate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub y: Option<String>,
    /// RSA modulus.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<String>,
    /// RSA exponent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e: Option<String>,
}

/// `{"keys": […]}`. Members of other kinds are left for others to understand.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct JwkSet {
    /// The keys, each read on its own so that one strange key does not spoil the set.
    pub keys: Vec<serde_json::Value>,
}

impl Jwk {
    /// The public half of an Ed25519 key, named by its thumbprint (RFC 7638).
    pub fn ed25519(public: &[u8; 32]) -> Self {
        let x = URL_SAFE_NO_PAD.encode(public);
        let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
        Self {
            kty: "OKP".to_owned(),
            kid: Some(URL_SAFE_NO_PAD.encode(Sha256::digest(canonical))),
            usage: Some("sig".to_owned()),
            alg: Some("EdDSA".to_owned()),
            crv: Some("Ed25519".to_owned()),
            x: Some(x),
            y: None,
            n: None,
            e: None,
        }
    }

    /// The key that this describes.
    ///
    /// # Errors
    /// [`JoseError::Key`] for other types, uses, curves and algorithms; symmetric keys (`oct`)
    /// among them, since a published secret is none.
    pub fn verifying_key(&self) -> Result<VerifyingKey, JoseError> {
        if self.usage.as_deref().is_some_and(|usage| usage != "sig") {
            return Err(JoseError::Key);
        }
        let key = match (self.kty.as_str(), self.crv.as_deref()) {
            ("OKP", Some("Ed25519")) => {
                let public = member(&self.x)?;
                VerifyingKey::Ed25519(public.try_into().map_err(|_| JoseError::Key)?)
            }
            ("RSA", _) => VerifyingKey::Rsa {
                n: integer(&self.n)?,
                e: integer(&self.e)?,
            },
            ("EC", Some("P-256")) => {
                let (x, y) = (member(&self.x)?, member(&self.y)?);
                if x.len() != 32 || y.len() != 32 {
                    return Err(JoseError::Key);
                }
                VerifyingKey::P256([&[4][..], &x, &y].concat())
            }
            _ => return Err(JoseError::Key),
        };
        let named = format!("{:?}", key.algorithm());
        match &self.alg {
            Some(alg) if *alg != named => Err(JoseError::Key),
            _ => Ok(key),
        }
    }
}

fn member(value: &Option<String>) -> Result<Vec<u8>, JoseError> {
    let text = value.as_deref().ok_or(JoseError::Key)?;
    decode(text).map_err(|_| JoseError::Key)
}

/// Some issuers put a zero in front of the modulus, which the canonical form has not.
fn integer(value: &Option<String>) -> Result<Vec<u8>, JoseError> {
    let mut bytes = member(value)?;
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.drain(..zeros);
    Ok(bytes)
}
