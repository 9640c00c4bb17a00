//! SCRAM (RFC 5802, RFC 7677) as Kafka brokers ask for it: the side of the client.
//!
//! **Invariant.** The broker is believed only when it has proven that it knows the password too.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::{digest, hmac, pbkdf2};

/// Fewest rounds that the standard allows, and most that are worked through for a broker.
const ROUNDS: std::ops::RangeInclusive<u32> = 4_096..=1_000_000;
/// Header of a client that binds no channel.
const NO_BINDING: &str = "n,,";

/// Which hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl Hash {
    const fn hmac(self) -> hmac::Algorithm {
        match self {
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha512 => hmac::HMAC_SHA512,
        }
    }

    const fn stretch(self) -> pbkdf2::Algorithm {
        match self {
            Self::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
            Self::Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
        }
    }

    const fn digest(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha512 => &digest::SHA512,
        }
    }

    pub fn sign(self, key: &[u8], text: &[u8]) -> Vec<u8> {
        let key = hmac::Key::new(self.hmac(), key);
        hmac::sign(&key, text).as_ref().to_vec()
    }

    /// The password made hard to guess.
    pub fn salted(self, password: &str, salt: &[u8], rounds: u32) -> Vec<u8> {
        let mut salted = vec![0; self.digest().output_len()];
        let rounds = std::num::NonZeroU32::new(rounds).unwrap_or(std::num::NonZeroU32::MIN);
        pbkdf2::derive(
            self.stretch(),
            rounds,
            salt,
            password.as_bytes(),
            &mut salted,
        );
        salted
    }

    /// `ClientKey` and `StoredKey`.
    pub fn client_keys(self, salted: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let key = self.sign(salted, b"Client Key");
        let stored = digest::digest(self.digest(), &key).as_ref().to_vec();
        (key, stored)
    }
}

/// What a broker says that cannot be believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScramError {
    /// Not as the standard has it.
    #[error("the broker's word is malformed: {0}")]
    Malformed(&'static str),
    /// It refused.
    #[error("the broker refuses user or password: {0}")]
    Refused(String),
    /// It does not know the password.
    #[error("the broker does not know the password itself: it is not the one that was meant")]
    Impostor,
}

/// One sign-in.
pub struct Scram<'a> {
    hash: Hash,
    password: &'a str,
    nonce: String,
    first: String,
}

/// What the broker must answer to the last word.
#[derive(Debug)]
pub struct Awaited {
    hash: Hash,
    server_key: Vec<u8>,
    text: String,
}

impl<'a> Scram<'a> {
    /// Begins; the nonce must be new each time and without commas.
    pub fn new(hash: Hash, user: &str, password: &'a str, nonce: String) -> Self {
        let user = user.replace('=', "=3D").replace(',', "=2C");
        let first = format!("n={user},r={nonce}");
        Self {
            hash,
            password,
            nonce,
            first,
        }
    }

    /// The first word.
    pub fn first(&self) -> String {
        format!("{NO_BINDING}{}", self.first)
    }

    /// The last word, in answer to the broker's first.
    ///
    /// # Errors
    /// [`ScramError::Malformed`], also for a nonce that is not the own one continued.
    pub fn last(&self, server_first: &str) -> Result<(String, Awaited), ScramError> {
        let hash = self.hash;
        let (nonce, salt, rounds) = challenge(server_first)?;
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err(ScramError::Malformed("another nonce"));
        }
        let salted = hash.salted(self.password, &salt, rounds);
        let (key, stored) = hash.client_keys(&salted);
        let binding = STANDARD.encode(NO_BINDING);
        let bare = format!("c={binding},r={nonce}");
        let text = format!("{},{server_first},{bare}", self.first);
        let signature = hash.sign(&stored, text.as_bytes());
        let proof: Vec<u8> = key.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        let awaited = Awaited {
            hash,
            server_key: hash.sign(&salted, b"Server Key"),
            text,
        };
        Ok((format!("{bare},p={}", STANDARD.encode(proof)), awaited))
    }
}

impl Awaited {
    /// Judges the broker's last word.
    ///
    /// # Errors
    /// [`ScramError`].
    pub fn judge(&self, server_last: &str) -> Result<(), ScramError> {
        if let Some(why) = server_last.strip_prefix("e=") {
            return Err(ScramError::Refused(why.to_owned()));
        }
        let first = server_last.split(',').next().unwrap_or_default();
        let shown = first
            .strip_prefix("v=")
            .and_then(|v| STANDARD.decode(v).ok());
        let shown = shown.ok_or(ScramError::Malformed("no signature"))?;
        let key = hmac::Key::new(self.hash.hmac(), &self.server_key);
        hmac::verify(&key, self.text.as_bytes(), &shown).map_err(|_| ScramError::Impostor)
    }
}

fn challenge(text: &str) -> Result<(&str, Vec<u8>, u32), ScramError> {
    let mut parts = text.split(',');
    let mut part = |name: &str| parts.next().and_then(|part| part.strip_prefix(name));
    let nonce = part("r=").ok_or(ScramError::Malformed("no nonce"))?;
    let salt = part("s=").and_then(|salt| STANDARD.decode(salt).ok());
    let salt = salt.ok_or(ScramError::Malformed("no salt"))?;
    let rounds = part("i=").and_then(|rounds| rounds.parse().ok());
    let rounds = rounds.filter(|rounds| ROUNDS.contains(rounds));
    let rounds = rounds.ok_or(ScramError::Malformed("the number of rounds"))?;
    Ok((nonce, salt, rounds))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER_FIRST: &str =
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

    fn pencil(hash: Hash) -> Scram<'static> {
        Scram::new(hash, "user", "pencil", "rOprNGfwEbeRWgbNEkqO".to_owned())
    }

    /// The example of RFC 7677, section 3.
    #[test]
    fn the_example_of_the_standard() {
        let scram = pencil(Hash::Sha256);
        assert_eq!(scram.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let (last, awaited) = scram.last(SERVER_FIRST).expect("a challenge");
        assert_eq!(
            last,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        let right = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
        assert_eq!(awaited.judge(right), Ok(()));
        let wrong = "v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
        assert_eq!(awaited.judge(wrong), Err(ScramError::Impostor));
        assert_eq!(
            awaited.judge("e=invalid-proof"),
            Err(ScramError::Refused("invalid-proof".to_owned()))
        );
        assert!(matches!(awaited.judge(""), Err(ScramError::Malformed(_))));
    }

    #[test]
    fn challenges_that_cannot_be_believed_are_refused() {
        let scram = pencil(Hash::Sha512);
        assert!(scram.last(SERVER_FIRST).is_ok());
        for (found, put) in [
            ("rOprNGfwEbeRWgbNEkqO%", "another%"),
            ("%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", ""),
            ("i=4096", "i=1"),
            ("i=4096", "i=1000000000"),
            ("s=W22", "s=!"),
        ] {
            let changed = SERVER_FIRST.replace(found, put);
            assert!(
                matches!(scram.last(&changed), Err(ScramError::Malformed(_))),
                "{changed}"
            );
        }
        assert!(matches!(scram.last(""), Err(ScramError::Malformed(_))));
    }

    #[test]
    fn names_with_signs_of_the_protocol_are_written_as_the_standard_says() {
        let scram = Scram::new(Hash::Sha512, "a=b,c", "p", "n".to_owned());
        assert_eq!(scram.first(), "n,,n=a=3Db=2Cc,r=n");
    }
}
