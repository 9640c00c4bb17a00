//! Sign-in through an outside provider: OpenID Connect, authorization code with PKCE (RFC 7636).
//!
//! **Boundary.** The provider only hands out tokens; whether they are good is decided by the API,
//! which must know the same issuer (`auth.issuers`). Its documents are found by discovery.
//!
//! **Invariants.** `state`, `nonce` and the verifier are random, live in a sealed cookie and are
//! used once. A code is exchanged only with the issuer that discovery names, and an answer of
//! another one (RFC 9207) is refused.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use florin_base::Secret;
use florin_platform::http::client::Outgoing;
use ring::digest;
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use crate::session::{Tokens, random, same};

/// Longest wait for the provider.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Life of an access token of a provider that does not say, in seconds.
const UNSAID_LIFE: i64 = 300;
/// Largest document, in bytes.
const MAX_DOCUMENT: usize = 256 * 1024;

/// What the configuration says of the provider.
#[derive(Debug, Clone)]
pub struct OidcSettings {
    /// Its URL; discovery starts there.
    pub issuer: String,
    /// Our name there.
    pub client_id: String,
    /// Our secret there; public clients have none.
    pub client_secret: Option<Secret<String>>,
    /// What is asked for, separated by blanks.
    pub scopes: String,
    /// On the button.
    pub name: String,
    /// The id token is shown to the API instead of the access token.
    pub use_id_token: bool,
}

/// The provider.
pub struct Oidc {
    settings: OidcSettings,
    client: Outgoing,
    found: OnceCell<Discovery>,
}

#[derive(Debug, Clone, Deserialize)]
struct Discovery {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

/// Why a sign-in through the provider does not work.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// It does not answer, or not as it should.
    #[error("the sign-in provider does not answer as it should: {0}")]
    Provider(String),
    /// It refused.
    #[error("the sign-in provider refused: {0}")]
    Refused(String),
    /// The answer belongs to no sign-in that this browser began.
    #[error("this sign-in was not begun in this browser, or a while ago")]
    Foreign,
}

/// What must come back from the provider.
#[derive(Debug, Serialize, Deserialize)]
pub struct Begun {
    state: String,
    nonce: String,
    verifier: String,
    /// Where to go afterwards.
    pub next: String,
}

/// What the provider sent the browser back with.
#[derive(Debug, Default)]
pub struct Returned<'q> {
    /// The code.
    pub code: &'q str,
    /// Ours.
    pub state: &'q str,
    /// Who answers (RFC 9207).
    pub issuer: &'q str,
    /// A refusal.
    pub error: &'q str,
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
    #[serde(default)]
    id_token: Option<String>,
    #[serde(default)]
    refresh_token: Option<String>,
    #[serde(default)]
    expires_in: Option<i64>,
}

#[derive(Deserialize)]
struct IdClaims {
    #[serde(default)]
    nonce: Option<String>,
}

impl Oidc {
    /// `client` may reach any address: the operator named the provider.
    pub fn new(settings: OidcSettings, client: Outgoing) -> Self {
        Self {
            settings,
            client,
            found: OnceCell::new(),
        }
    }

    /// The name on the button.
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// Begins a sign-in: what to keep in the browser, and where to send it.
    ///
    /// # Errors
    /// [`OidcError::Provider`].
    pub async fn begin(&self, redirect: &str, next: &str) -> Result<(Begun, String), OidcError> {
        let found = self.discover().await?;
        let begun = Begun {
            state: random(),
            nonce: random(),
            verifier: random(),
            next: next.to_owned(),
        };
        let challenge = digest::digest(&digest::SHA256, begun.verifier.as_bytes());
        let challenge = URL_SAFE_NO_PAD.encode(challenge);
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("redirect_uri", redirect)
            .append_pair("scope", &self.settings.scopes)
            .append_pair("state", &begun.state)
            .append_pair("nonce", &begun.nonce)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256")
            .finish();
        let endpoint = &found.authorization_endpoint;
        let mark = if endpoint.contains('?') { '&' } else { '?' };
        Ok((begun, format!("{endpoint}{mark}{query}")))
    }

    /// Ends it: the tokens for what came back.
    ///
    /// # Errors
    /// [`OidcError`].
    pub async fn finish(
        &self,
        begun: &Begun,
        back: &Returned<'_>,
        redirect: &str,
    ) -> Result<Tokens, OidcError> {
        if !same(&begun.state, back.state) {
            return Err(OidcError::Foreign);
        }
        if !back.error.is_empty() {
            return Err(OidcError::Refused(back.error.chars().take(64).collect()));
        }
        let found = self.discover().await?;
        let silent =
            back.issuer.is_empty() && !found.authorization_response_iss_parameter_supported;
        if !silent && back.issuer != found.issuer {
            return Err(OidcError::Foreign);
        }
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", back.code),
            ("redirect_uri", redirect),
            ("code_verifier", begun.verifier.as_str()),
        ];
        let answer = self.ask(&fields).await?;
        if let Some(id_token) = &answer.id_token
            && nonce_of(id_token).is_none_or(|nonce| !same(&nonce, &begun.nonce))
        {
            return Err(OidcError::Foreign);
        }
        self.tokens(answer)
    }

    /// New tokens; `None` when the provider wants a new sign-in.
    ///
    /// # Errors
    /// [`OidcError::Provider`] when it does not answer.
    pub async fn renew(&self, refresh: &Secret<String>) -> Result<Option<Tokens>, OidcError> {
        let fields = [
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh.expose().as_str()),
        ];
        match self.ask(&fields).await {
            Ok(answer) => self.tokens(answer).map(Some),
            Err(OidcError::Refused(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn tokens(&self, answer: TokenAnswer) -> Result<Tokens, OidcError> {
        let access = match self.settings.use_id_token {
            false => answer.access_token,
            true => answer
                .id_token
                .ok_or_else(|| OidcError::Provider("no id token".to_owned()))?,
        };
        Ok(Tokens {
            access: Secret::new(access),
            refresh: answer.refresh_token.map(Secret::new),
            expires_in: answer.expires_in.unwrap_or(UNSAID_LIFE).clamp(1, 86_400),
        })
    }

    async fn ask(&self, fields: &[(&str, &str)]) -> Result<TokenAnswer, OidcError> {
        let found = self.discover().await?;
        let form = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .append_pair("client_id", &self.settings.client_id)
            .finish();
        let mut request = self
            .client
            .post(&found.token_endpoint)
            .map_err(provider)?
            .timeout(TIMEOUT)
            .header("accept", "application/json")
            .header("content-type", "application/x-www-form-urlencoded");
        if let Some(secret) = &self.settings.client_secret {
            // RFC 6749, section 2.3.1: both are form-encoded before they are joined.
            let encode = |text: &str| -> String {
                form_urlencoded::byte_serialize(text.as_bytes()).collect()
            };
            let id = encode(&self.settings.client_id);
            request = request.basic_auth(id, Some(encode(secret.expose())));
        }
        let answer = request.body(form).send().await;
        let answer = answer.map_err(|error| provider(error.without_url()))?;
        let status = answer.status();
        if status.is_client_error() {
            return Err(OidcError::Refused(format!("status {}", status.as_u16())));
        }
        if !status.is_success() {
            return Err(provider(format_args!("status {}", status.as_u16())));
        }
        document(answer).await
    }

    async fn discover(&self) -> Result<&Discovery, OidcError> {
        self.found.get_or_try_init(|| self.fetch()).await
    }

    async fn fetch(&self) -> Result<Discovery, OidcError> {
        let issuer = &self.settings.issuer;
        let base = issuer.trim_end_matches('/');
        let url = format!("{base}/.well-known/openid-configuration");
        let request = self.client.get(&url).map_err(provider)?.timeout(TIMEOUT);
        let answer = request.send().await;
        let answer = answer.map_err(|error| provider(error.without_url()))?;
        if !answer.status().is_success() {
            return Err(provider(format_args!("status {}", answer.status())));
        }
        let found: Discovery = document(answer).await?;
        match found.issuer == *issuer {
            true => Ok(found),
            false => Err(provider("it names another issuer")),
        }
    }
}

fn provider(error: impl std::fmt::Display) -> OidcError {
    OidcError::Provider(error.to_string())
}

async fn document<T: serde::de::DeserializeOwned>(
    mut answer: reqwest::Response,
) -> Result<T, OidcError> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(provider)? {
        if body.len() + chunk.len() > MAX_DOCUMENT {
            return Err(provider("a document is too large"));
        }
        body.extend_from_slice(&chunk);
    }
    // The text of such an error would quote the document, which may hold a token.
    serde_json::from_slice(&body).map_err(|_| provider("a document is not as it should be"))
}

/// The nonce of an id token. It came from the token endpoint itself, over the connection that we
/// opened, so that its signature need not be checked here (OpenID Connect Core, 3.1.3.7); the API
/// checks that of every token it is shown.
fn nonce_of(token: &str) -> Option<String> {
    let payload = token.split('.').nth(1)?;
    let bytes = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    let claims: IdClaims = serde_json::from_slice(&bytes).ok()?;
    claims.nonce
}
