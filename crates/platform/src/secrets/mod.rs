//! Secrets that lie elsewhere: references in the configuration, and the stores they lead to.
//!
//! **Boundary.** Reads secrets, over HTTP, with bounded waits; never writes, keeps or prints one.
//! `env:` and `file:` references need no network and are the configuration's own business.
//!
//! | reference | leads to |
//! |---|---|
//! | `aws-secretsmanager://name`, `…#json-key`, `…?version`, `…#json-key?version` | AWS Secrets Manager; `name` may be an ARN, `version` a stage (`AWSPREVIOUS`) or a version id |
//! | `vault://mount/path#key`, `…#key?version` | HashiCorp Vault or OpenBao, KV version 2 |
//!
//! **Invariants.** Errors name the reference, the cause and a remedy, and hold nothing of any
//! answer but its error code. A secret is read once, when the process starts.

mod credentials;
mod manager;
mod sigv4;
mod vault;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use florin_base::{Clock, Secret};

pub use credentials::{Credentials, find as find_credentials, region};
pub use sigv4::{Signable, sign};

use crate::http::client::{ClientConfig, Outgoing, Targets};

/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(2);
/// Longest wait for an answer.
const ANSWER: Duration = Duration::from_secs(5);
/// Tries of one call while the store is overloaded or away.
const TRIES: u32 = 3;
/// Wait before the second try; twice as long before the third.
const PAUSE: Duration = Duration::from_millis(200);
/// Largest answer that is read.
const ANSWER_MAX: usize = 256 * 1024;

/// Reads a variable of the environment; passed in, so that tests need none.
pub type Env = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Why a secret cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct SecretError {
    /// What is wrong; names the reference.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

impl SecretError {
    fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            remedy: remedy.into(),
        }
    }
}

const MANAGER: &str = "aws-secretsmanager://";
const VAULT: &str = "vault://";

/// Where a secret lies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    store: Store,
    /// Name or path in the store.
    name: String,
    version: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Store {
    Manager,
    Vault,
}

/// A reference, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    place: Place,
    key: Option<String>,
    text: String,
}

impl Reference {
    /// Reads a reference; `None` for a text that is none.
    ///
    /// # Errors
    /// [`SecretError`] for one that cannot lead anywhere.
    pub fn parse(text: &str) -> Result<Option<Self>, SecretError> {
        let (store, rest) = if let Some(rest) = text.strip_prefix(MANAGER) {
            (Store::Manager, rest)
        } else if let Some(rest) = text.strip_prefix(VAULT) {
            (Store::Vault, rest)
        } else {
            return Ok(None);
        };
        let (rest, version) = match rest.rsplit_once('?') {
            Some((rest, version)) => (rest, Some(version.to_owned())),
            None => (rest, None),
        };
        let (name, key) = match rest.split_once('#') {
            Some((name, key)) => (name, Some(key.to_owned())),
            None => (rest, None),
        };
        let empty = |part: &Option<String>| part.as_ref().is_some_and(String::is_empty);
        let valid_name = |c: char| c.is_ascii_alphanumeric() || "/_+=.@-:!".contains(c);
        let shape = match store {
            Store::Manager => "aws-secretsmanager://name#json-key?version",
            Store::Vault => "vault://mount/path#key",
        };
        let path_ok = store == Store::Manager
            || (key.is_some()
                && name.split('/').count() >= 2
                && name.split('/').all(|part| !part.is_empty() && part != ".."));
        if name.is_empty()
            || !name.chars().all(valid_name)
            || empty(&key)
            || empty(&version)
            || !path_ok
        {
            return Err(SecretError::new(
                format!("`{text}` is no reference to a secret"),
                format!("the form is {shape}"),
            ));
        }
        Ok(Some(Self {
            place: Place {
                store,
                name: name.to_owned(),
                version,
            },
            key,
            text: text.to_owned(),
        }))
    }

    /// The reference as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The secret in what the store answered.
    fn pick(&self, found: &Found) -> Result<Secret<String>, SecretError> {
        let fields = match (&self.key, found) {
            (None, Found::Text(text)) => return Ok(text.clone()),
            (Some(_), Found::Text(text)) => serde_json::from_str(text.expose()).ok(),
            (_, Found::Fields(fields)) => Some(fields.expose().clone()),
        };
        let fields: serde_json::Map<String, serde_json::Value> = fields.ok_or_else(|| {
            SecretError::new(
                format!("`{}`: the secret is no JSON object", self.text),
                "leave the #key out, or store an object",
            )
        })?;
        let value = self.key.as_ref().and_then(|key| fields.get(key));
        let text = match value {
            Some(serde_json::Value::String(text)) => text.clone(),
            Some(serde_json::Value::Number(number)) => number.to_string(),
            Some(serde_json::Value::Bool(flag)) => flag.to_string(),
            Some(_) | None => {
                return Err(SecretError::new(
                    format!("`{}`: the secret has no such key with a text", self.text),
                    "correct the part behind # in the reference, or the secret",
                ));
            }
        };
        Ok(Secret::new(text))
    }
}

/// What a store answered.
#[derive(Debug, Clone)]
enum Found {
    Text(Secret<String>),
    Fields(Secret<serde_json::Map<String, serde_json::Value>>),
}

/// Follows references; asks for each secret once.
pub struct Reader {
    env: Env,
    clock: Arc<dyn Clock>,
    http: Outgoing,
    credentials: Option<Credentials>,
    found: BTreeMap<Place, Found>,
}

impl Reader {
    /// A reader with the surroundings that `env` describes.
    ///
    /// # Errors
    /// [`SecretError`] when no HTTP client can be made.
    pub fn new(env: Env, clock: Arc<dyn Clock>) -> Result<Self, SecretError> {
        let mut config = ClientConfig::new(Targets::Any);
        (config.connect_timeout, config.timeout) = (CONNECT, ANSWER);
        if let Some(file) = env("VAULT_CACERT").filter(|file| !file.is_empty()) {
            let pem = std::fs::read(&file).map_err(|error| {
                SecretError::new(
                    format!("VAULT_CACERT names {file}: {error}"),
                    "the file must exist and be readable by the server",
                )
            })?;
            config.extra_roots.push(pem);
        }
        let http = Outgoing::new(&config)
            .map_err(|error| SecretError::new(error.to_string(), "look at VAULT_CACERT"))?;
        Ok(Self {
            env,
            clock,
            http,
            credentials: None,
            found: BTreeMap::new(),
        })
    }

    /// The secret that a reference leads to.
    ///
    /// # Errors
    /// [`SecretError`].
    pub async fn read(&mut self, reference: &Reference) -> Result<Secret<String>, SecretError> {
        let place = &reference.place;
        if let Some(found) = self.found.get(place) {
            return reference.pick(found);
        }
        let found = match place.store {
            Store::Manager => {
                if self.credentials.is_none() {
                    self.credentials =
                        Some(credentials::find(&self.env, &self.http, &*self.clock).await?);
                }
                let credentials = self.credentials.as_ref().expect("found just now");
                manager::read(self, credentials, reference).await?
            }
            Store::Vault => vault::read(self, reference).await?,
        };
        let picked = reference.pick(&found);
        self.found.insert(place.clone(), found);
        picked
    }

    /// Sends a call, again while the store is overloaded or away; answers status and body.
    async fn call(
        &self,
        reference: &Reference,
        make: impl Fn() -> Result<reqwest::RequestBuilder, SecretError>,
    ) -> Result<(u16, Vec<u8>), SecretError> {
        let mut pause = PAUSE;
        let mut last = String::new();
        for attempt in 0..TRIES {
            if attempt > 0 {
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            match send(make()?).await {
                Ok((status, _)) if status == 429 || status >= 500 => {
                    last = format!("it answers {status}");
                }
                Ok(answer) => return Ok(answer),
                Err(error) => last = error,
            }
        }
        Err(SecretError::new(
            format!("`{}`: the store cannot be asked: {last}", reference.text),
            "the store must be reachable from here when the server starts; look at address, network and proxy",
        ))
    }
}

/// One call: status and body, or words for people without the URL's query.
async fn send(request: reqwest::RequestBuilder) -> Result<(u16, Vec<u8>), String> {
    let mut response = request.send().await.map_err(words)?;
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(words)? {
        if body.len() + chunk.len() > ANSWER_MAX {
            return Err("its answer is too large".to_owned());
        }
        body.extend_from_slice(&chunk);
    }
    Ok((status, body))
}

fn words(error: reqwest::Error) -> String {
    let what = if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the call broke off"
    };
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    format!("{what} ({cause})")
}

/// Follows all references at once, for a process that starts; blocks. Asks nobody when there
/// are none.
///
/// # Errors
/// The first [`SecretError`], with the position of its reference.
pub fn read_all(
    references: &[Reference],
    env: Env,
    clock: Arc<dyn Clock>,
) -> Result<Vec<Secret<String>>, (usize, SecretError)> {
    if references.is_empty() {
        return Ok(Vec::new());
    }
    let refused = |error: &dyn std::fmt::Display| {
        (
            0,
            SecretError::new(error.to_string(), "try again; florin doctor looks closer"),
        )
    };
    // On a thread of its own: the caller may or may not stand inside a runtime.
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|error| refused(&error))?;
            runtime.block_on(async {
                let mut reader = Reader::new(env, clock).map_err(|error| (0, error))?;
                let mut secrets = Vec::with_capacity(references.len());
                for (at, reference) in references.iter().enumerate() {
                    let read = reader.read(reference).await;
                    secrets.push(read.map_err(|error| (at, error))?);
                }
                Ok(secrets)
            })
        });
        let done = reading.join();
        done.unwrap_or_else(|_| Err(refused(&"the secrets could not be read")))
    })
}

#[cfg(test)]
mod tests;
