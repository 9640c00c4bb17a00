//! Standard Webhooks signatures: `webhook-signature: v1,` + base64 of HMAC-SHA256 over
//! `id.timestamp.body` (contract B8).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use florin_base::{IdSource, Secret};
use ring::hmac;

const PREFIX: &str = "whsec_";

/// A signing secret as its owner sees it: `whsec_` and base64; the decoded bytes are the key.
#[derive(Debug, Clone)]
pub struct SigningSecret(Secret<String>);

impl SigningSecret {
    /// A fresh secret of 32 random bytes.
    pub fn generate() -> Self {
        Self(Secret::new(format!(
            "{PREFIX}{}",
            BASE64.encode(IdSource::random_32())
        )))
    }

    /// A secret from its text; `None` when it is not one.
    pub fn parse(text: String) -> Option<Self> {
        let key = BASE64.decode(text.strip_prefix(PREFIX)?).ok()?;
        (!key.is_empty()).then_some(Self(Secret::new(text)))
    }

    /// The text, to be shown once or stored.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// The signature of one message; `timestamp` in seconds since 1970.
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let text = self.0.expose().strip_prefix(PREFIX).unwrap_or_default();
        let key = BASE64.decode(text).unwrap_or_default();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        let mut context = hmac::Context::with_key(&key);
        context.update(format!("{id}.{timestamp}.").as_bytes());
        context.update(body);
        format!("v1,{}", BASE64.encode(context.sign()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with an independent implementation of HMAC-SHA256.
    #[test]
    fn a_known_signature() {
        let secret = SigningSecret::parse(format!("{PREFIX}{}", BASE64.encode("key of the test")))
            .expect("a secret");
        assert_eq!(
            secret.sign("msg-1", 1_700_000_000, b"{\"a\":1}"),
            "v1,IP2cAj+D1HoSXOhxWk6nDroPXpUy5GExSoy9NiyDTQ4="
        );
    }

    #[test]
    fn secrets_have_the_prefix_and_hide_themselves() {
        let secret = SigningSecret::generate();
        assert!(SigningSecret::parse(secret.expose().to_owned()).is_some());
        assert!(!format!("{secret:?}").contains(secret.expose()));
        for bad in ["", "whsec_", "whsec_***", "c2VjcmV0"] {
            assert!(SigningSecret::parse(bad.to_owned()).is_none(), "{bad}");
        }
    }
}
