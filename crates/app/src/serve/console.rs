//! The console in this process: its secret, and its way to the API, which is this process's own
//! router or another process, usually the gateway.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Request, Response};
use florin_base::{IdSource, Secret};
use florin_console::api::{Answer, Api, Away, Call, Calling};
use florin_console::oidc::Oidc;
use florin_console::{Console, Parts, Settings};
use florin_platform::http::client::{ClientConfig, Outgoing, Targets};
use florin_platform::http::guard::Peer;
use florin_platform::http::health::{FnCheck, Verdict};
use florin_platform::http::trace;
use reqwest::Url;
use ring::hmac;
use tower::ServiceExt as _;

use super::files;
use super::parts::Wired;
use crate::config;
use crate::fail::failure;

/// File of the secret, unless the configuration has one.
const SECRET: &str = "console.key";
/// Longest wait for the head of an answer of another process.
const ANSWER: Duration = Duration::from_secs(60);
/// Longest answer of another process: streams end before.
const WHOLE: Duration = Duration::from_secs(3_600);

/// What a process has of the console.
#[derive(Clone)]
pub struct OpenConsole {
    console: Console,
    own: Arc<OnceLock<Router>>,
}

/// The API in this process: the same router and the same guard as for any caller.
struct InProcess(Arc<OnceLock<Router>>);

impl Api for InProcess {
    fn call(&self, call: Call) -> Calling<'_> {
        Box::pin(async move {
            let router = self.0.get();
            let router = router.ok_or_else(|| Away("the server is starting".to_owned()))?;
            let client = call.client;
            let (mut request, _) = request_of(call)?;
            // Rate limits count the visitor, not the console.
            let peer = Peer(SocketAddr::new(client, 0));
            request.extensions_mut().insert(peer);
            let answered = router.clone().oneshot(request).await;
            answered.map_err(|never| match never {})
        })
    }
}

/// The API in another process.
struct Remote {
    outgoing: Outgoing,
    base: String,
}

impl Api for Remote {
    fn call(&self, call: Call) -> Calling<'_> {
        Box::pin(async move {
            let client = HeaderValue::from_str(&call.client.to_string());
            let url = format!("{}{}", self.base, call.path);
            let asked = call.path.split('?').next().unwrap_or_default().to_owned();
            // A path that URL rules would turn into another one is not asked for.
            let prefix = Url::parse(&self.base).map_err(away)?.path().to_owned();
            let path = Url::parse(&url).map_err(away)?.path().to_owned();
            if path != format!("{}{asked}", prefix.trim_end_matches('/')) {
                return Err(Away("there is no such path".to_owned()));
            }
            let (request, empty) = request_of(call)?;
            let (head, body) = request.into_parts();
            let mut outgoing = self.outgoing.request(head.method, &url).map_err(away)?;
            outgoing = outgoing.headers(head.headers);
            if let Ok(client) = client {
                outgoing = outgoing.header("x-forwarded-for", client);
            }
            if !empty {
                let body = reqwest::Body::wrap_stream(body.into_data_stream());
                outgoing = outgoing.body(body);
            }
            let answered = tokio::time::timeout(ANSWER, outgoing.send()).await;
            let answered = answered.map_err(|_| Away("no answer in time".to_owned()))?;
            let answered = answered.map_err(|error| away(error.without_url()))?;
            let (head, body) = Response::<reqwest::Body>::from(answered).into_parts();
            Ok::<Answer, Away>(Response::from_parts(head, Body::new(body)))
        })
    }
}

fn away(error: impl std::fmt::Display) -> Away {
    Away(error.to_string())
}

/// The request, and whether its body is empty.
fn request_of(call: Call) -> Result<(Request<Body>, bool), Away> {
    let empty = call.body.size_hint().exact() == Some(0);
    let mut headers: HeaderMap = call.headers;
    if let Some(token) = &call.token {
        let bearer = HeaderValue::from_str(&format!("Bearer {}", token.expose()));
        let mut bearer = bearer.map_err(|_| Away("the token is none".to_owned()))?;
        bearer.set_sensitive(true);
        headers.insert(AUTHORIZATION, bearer);
    }
    if let Some(current) = trace::current() {
        current.context().inject(&mut headers);
        if let Ok(id) = HeaderValue::from_str(current.trace_id()) {
            headers.insert(HeaderName::from_static("x-trace-id"), id);
        }
    }
    let request = Request::builder().method(call.method).uri(call.path);
    let mut request = request.body(call.body).map_err(away)?;
    *request.headers_mut() = headers;
    Ok((request, empty))
}

impl Wired {
    pub(super) fn start_console(&mut self) -> anyhow::Result<()> {
        let section = self.config.console.clone();
        let own = Arc::new(OnceLock::new());
        let roles = &self.config.roles;
        let has_gateway = roles.is_empty() || roles.iter().any(|role| role == "gateway");
        if section.api_url.is_none() && !has_gateway {
            self.health.register(FnCheck::new("console-api", false, || {
                Verdict::degraded(
                    "the console cannot reach users and rooms: they are not in this process",
                    "console.api_url = \"https://gateway.internal:8443\"",
                )
            }));
        }
        let api: Arc<dyn Api> = match section.api_url {
            Some(url) => Arc::new(remote(&url)?),
            None => Arc::new(InProcess(Arc::clone(&own))),
        };
        let public_url = self.config.server.public_url.clone().unwrap_or_default();
        let oidc = match config::oidc(&self.config)? {
            None => None,
            Some(settings) => {
                let client = Outgoing::new(&ClientConfig::new(Targets::Any))?;
                Some(Oidc::new(settings, client))
            }
        };
        let console = Console::new(Parts {
            settings: Settings {
                public_url: public_url.trim_end_matches('/').to_owned(),
                environment: self.config.environment.word().to_owned(),
                session: section.session,
            },
            api,
            secret: self.console_secret()?,
            cache: self.cache.clone(),
            oidc,
            clock: Arc::clone(&self.clock),
            shutdown: self.shutdown.clone(),
        });
        self.console = Some(OpenConsole { console, own });
        Ok(())
    }

    /// The same in every process of an installation.
    fn console_secret(&self) -> anyhow::Result<[u8; 32]> {
        let configured: [&Option<Secret<String>>; 2] =
            [&self.config.console.secret, &self.config.auth.signing_key];
        let Some(secret) = configured.into_iter().flatten().next() else {
            return files::secret_file(&self.data_dir.join(SECRET), IdSource::random_32);
        };
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(hmac::sign(&key, b"florin console").as_ref());
        Ok(bytes)
    }

    /// The console, as its routes and workers hold it.
    pub fn console(&self) -> Console {
        let open = self.console.as_ref().map(|open| open.console.clone());
        open.expect("the table of roles starts a part before it is used")
    }

    /// Gives the console the routes of this process, its own among them.
    pub(super) fn give_console(&self, router: Router) {
        if let Some(open) = &self.console {
            // A second router would be the same one.
            let _ = open.own.set(router);
        }
    }
}

fn remote(url: &str) -> anyhow::Result<Remote> {
    let base = url.trim_end_matches('/').to_owned();
    florin_platform::http::client::check_url(&base, Targets::Any).map_err(|error| {
        failure(
            format!("`console.api_url`: {error}"),
            "console.api_url = \"https://gateway.internal:8443\"",
        )
    })?;
    let mut client = ClientConfig::new(Targets::Any);
    client.timeout = WHOLE;
    Ok(Remote {
        outgoing: Outgoing::new(&client)?,
        base,
    })
}
