//! Sealing: ChaCha20-Poly1305 (RFC 8439) under a key derived for the console, with the purpose as
//! additional data, so that what was sealed for one use cannot stand for another.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use florin_base::IdSource;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;

/// Seals and unseals texts of this installation.
pub(super) struct Sealer {
    key: LessSafeKey,
}

impl Sealer {
    pub(super) fn new(secret: &[u8; 32]) -> Self {
        let derive = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let bytes = hmac::sign(&derive, b"florin console cookies 1");
        let key = UnboundKey::new(&CHACHA20_POLY1305, bytes.as_ref());
        Self {
            key: LessSafeKey::new(key.expect("SHA-256 gives the 32 bytes of the key")),
        }
    }

    /// Base64 of nonce, cipher text and tag.
    pub(super) fn seal(&self, purpose: &str, plain: &[u8]) -> String {
        let random = IdSource::random_32();
        let mut nonce = [0; NONCE_LEN];
        nonce.copy_from_slice(&random[..NONCE_LEN]);
        let mut sealed = plain.to_vec();
        let aad = Aad::from(purpose.as_bytes());
        let nonce_used = Nonce::assume_unique_for_key(nonce);
        self.key
            .seal_in_place_append_tag(nonce_used, aad, &mut sealed)
            .expect("a cookie is far below the limit of the cipher");
        let mut whole = nonce.to_vec();
        whole.extend_from_slice(&sealed);
        URL_SAFE_NO_PAD.encode(whole)
    }

    /// The text again; `None` for anything that was not sealed here for this purpose.
    pub(super) fn unseal(&self, purpose: &str, text: &str) -> Option<Vec<u8>> {
        let whole = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (nonce, sealed) = whole.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut sealed = sealed.to_vec();
        let aad = Aad::from(purpose.as_bytes());
        let plain = self.key.open_in_place(nonce, aad, &mut sealed).ok()?;
        Some(plain.to_vec())
    }
}
