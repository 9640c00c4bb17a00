//! Password hashing: argon2id on blocking threads, bounded, and as slow for nobody as for
//! somebody.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use florin_base::{IdSource, Secret};
use tokio::sync::Semaphore;

use super::error::{IdentityError, invalid};
use super::settings::PasswordCost;

/// Shortest password, in characters (NIST SP 800-63B asks for 8, for sole factors 15; OWASP 12).
pub const MIN_CHARS: usize = 12;

/// Longest password, in bytes; bounds the work of hashing.
pub const MAX_BYTES: usize = 1_024;

/// Password computations that may wait or run; more are refused at once.
const MAX_WAITING: usize = 64;

/// Hashes and checks passwords.
pub struct Passwords {
    argon: Argon2<'static>,
    running: Arc<Semaphore>,
    waiting: AtomicUsize,
    /// Checked when there is no user, so that the answer takes as long.
    decoy: String,
}

impl Passwords {
    /// With these parameters. Hashes once, for the decoy.
    ///
    /// # Errors
    /// [`IdentityError::Internal`] if argon2 refuses the parameters.
    pub fn try_new(cost: PasswordCost) -> Result<Self, IdentityError> {
        let params = Params::new(cost.memory_kib, cost.iterations, cost.parallelism, None)
            .map_err(|error| IdentityError::Internal(format!("auth.password: {error}")))?;
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let decoy = hash(&argon, &IdSource::random_32())?;
        Ok(Self {
            argon,
            running: Arc::new(Semaphore::new(cost.concurrent.max(1) as usize)),
            waiting: AtomicUsize::new(0),
            decoy,
        })
    }

    /// The PHC string of a password, salted.
    ///
    /// # Errors
    /// [`IdentityError::Invalid`] for a password outside the bounds,
    /// [`IdentityError::Overloaded`].
    pub async fn hash(
        &self,
        field: &'static str,
        password: Secret<String>,
    ) -> Result<String, IdentityError> {
        if password.expose().chars().count() < MIN_CHARS {
            let message = format!("The password must have at least {MIN_CHARS} characters.");
            return Err(invalid(field, message));
        }
        if password.expose().len() > MAX_BYTES {
            let message = format!("The password must have at most {MAX_BYTES} bytes.");
            return Err(invalid(field, message));
        }
        let argon = self.argon.clone();
        self.work(move || hash(&argon, password.expose().as_bytes()))
            .await?
    }

    /// True when the password fits. `stored` is `None` for users that do not exist or have no
    /// password: the work is the same, the answer is no.
    ///
    /// # Errors
    /// [`IdentityError::Overloaded`].
    pub async fn check(
        &self,
        stored: Option<String>,
        password: Secret<String>,
    ) -> Result<bool, IdentityError> {
        let exists = stored.is_some();
        let stored = stored.unwrap_or_else(|| self.decoy.clone());
        let argon = self.argon.clone();
        let fits = self
            .work(move || {
                let bytes = password.expose().as_bytes();
                // A longer one was never accepted; the first bytes cost the same work.
                let bytes = &bytes[..bytes.len().min(MAX_BYTES + 1)];
                PasswordHash::new(&stored)
                    .is_ok_and(|stored| argon.verify_password(bytes, &stored).is_ok())
            })
            .await?;
        Ok(fits && exists)
    }

    async fn work<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, IdentityError> {
        let _place = Place::take(&self.waiting)?;
        let permit = Arc::clone(&self.running).acquire_owned().await;
        let permit = permit.map_err(|_| IdentityError::Overloaded)?;
        // The permit goes along: a caller that gives up does not end the computation.
        let job = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            job()
        });
        job.await
            .map_err(|error| IdentityError::Internal(format!("password task: {error}")))
    }
}

struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize) -> Result<Self, IdentityError> {
        let place = Self(waiting);
        match waiting.fetch_add(1, Ordering::Relaxed) < MAX_WAITING {
            true => Ok(place),
            false => Err(IdentityError::Overloaded),
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn hash(argon: &Argon2<'_>, password: &[u8]) -> Result<String, IdentityError> {
    let salt = IdSource::random_32();
    argon
        .hash_password_with_salt(password, &salt[..16])
        .map(|hash| hash.to_string())
        .map_err(|error| IdentityError::Internal(format!("argon2: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    #[tokio::test]
    async fn only_the_same_password_fits() {
        let passwords = Passwords::try_new(PasswordCost::WEAKEST).expect("parameters");
        let stored = passwords
            .hash("password", secret("correct horse battery"))
            .await
            .unwrap();
        assert!(
            stored.starts_with("$argon2id$v=19$m=8,t=1,p=1$"),
            "{stored}"
        );
        let again = passwords
            .hash("password", secret("correct horse battery"))
            .await
            .unwrap();
        assert_ne!(stored, again, "salted");
        let check = |stored: Option<&str>, given: &str| {
            passwords.check(stored.map(str::to_owned), secret(given))
        };
        assert!(check(Some(&stored), "correct horse battery").await.unwrap());
        assert!(!check(Some(&stored), "correct horse batterz").await.unwrap());
        assert!(!check(None, "correct horse battery").await.unwrap());
        assert!(
            !check(Some("rubbish"), "correct horse battery")
                .await
                .unwrap()
        );
    }

    #[tokio::test]
    async fn bounds_are_named() {
        let passwords = Passwords::try_new(PasswordCost::WEAKEST).expect("parameters");
        for bad in ["elevenchars", &"x".repeat(1_025)] {
            let error = passwords.hash("password", secret(bad)).await.unwrap_err();
            assert!(
                matches!(
                    error,
                    IdentityError::Invalid {
                        field: "password",
                        ..
                    }
                ),
                "{error}"
            );
        }
        passwords
            .hash("password", secret(&"x".repeat(1_024)))
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn what_cannot_wait_is_refused_at_once() {
        let passwords = Passwords::try_new(PasswordCost::WEAKEST).expect("parameters");
        passwords.waiting.store(MAX_WAITING, Ordering::Relaxed);
        let refused = passwords.check(None, secret("x")).await;
        assert!(matches!(refused, Err(IdentityError::Overloaded)));
        passwords.waiting.store(MAX_WAITING - 1, Ordering::Relaxed);
        assert!(!passwords.check(None, secret("x")).await.unwrap());
        assert_eq!(passwords.waiting.load(Ordering::Relaxed), MAX_WAITING - 1);
    }
}
