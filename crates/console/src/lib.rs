//! The console: the pages under `/console` in which operators, auditors and organisers look
//! instead of reading JSON.
//!
//! **Boundary.** It depends on `base` and `platform` only. Whatever a page shows or does goes
//! through the public API, called by [`api::Api`] with the visitor's own token: in the same
//! process, or over HTTP when the roles run apart. The console reads no table and no ledger.
//!
//! **Invariants.**
//! - No powers of its own: a page can show and do what its visitor's token can, and nothing else.
//!   What the API refuses is shown as refused, in the API's words.
//! - Tokens live in a sealed cookie ([`session`]); no page, script or log ever holds one.
//! - Every form carries a token bound to the session; a POST without it is refused.
//! - Nothing is loaded from elsewhere, and no script or style stands inside a page: the content
//!   security policy forbids both ([`reply`]).
//! - Amounts are handled as text or integers, never as floats ([`ui::money`]).
//!
//! Pages are written with the pieces of [`ui`]; [`visit`] turns a request into a call of a page.

#![cfg_attr(not(test), warn(clippy::unwrap_used))]

pub mod api;
pub mod assets;
pub mod oidc;
mod pages;
pub mod reply;
pub mod session;
mod sign_in;
pub mod ui;
pub mod visit;
pub mod watch;

use std::sync::Arc;
use std::time::Duration;

use florin_base::Clock;
use florin_platform::cache::Cache;
use florin_platform::http::router::Routes;
use florin_platform::http::shutdown::Shutdown;

use api::Api;
use oidc::Oidc;
use session::Sessions;
use watch::Watch;

/// Where the pages are.
pub const BASE: &str = "/console";

/// What the configuration says of the console.
#[derive(Debug, Clone)]
pub struct Settings {
    /// URL under which browsers reach the server, without `/` at its end. Cookies are `Secure`
    /// when it starts with `https://`.
    pub public_url: String,
    /// `development`, `staging` or `production`; shown on every page unless production.
    pub environment: String,
    /// Longest life of a sign-in.
    pub session: Duration,
}

/// What the console is made of.
pub struct Parts {
    /// What the configuration says.
    pub settings: Settings,
    /// The way to the API.
    pub api: Arc<dyn Api>,
    /// Seals cookies: the same in every process of an installation.
    pub secret: [u8; 32],
    /// Lets several processes share a refreshed token.
    pub cache: Cache,
    /// Sign-in through an outside provider.
    pub oidc: Option<Oidc>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Ends streams.
    pub shutdown: Shutdown,
}

/// The console as its handlers hold it; clones share it.
#[derive(Clone)]
pub struct Console(Arc<Inner>);

struct Inner {
    settings: Settings,
    api: Arc<dyn Api>,
    sessions: Sessions,
    oidc: Option<Oidc>,
    clock: Arc<dyn Clock>,
    shutdown: Shutdown,
    watch: Watch,
}

impl Console {
    /// A console over these parts.
    pub fn new(parts: Parts) -> Self {
        let secure = parts.settings.public_url.starts_with("https://");
        let sessions = Sessions::new(
            &parts.secret,
            secure,
            parts.settings.session,
            Arc::clone(&parts.clock),
            parts.cache,
        );
        Self(Arc::new(Inner {
            sessions,
            settings: parts.settings,
            api: parts.api,
            oidc: parts.oidc,
            clock: parts.clock,
            shutdown: parts.shutdown,
            watch: Watch::default(),
        }))
    }

    /// The configuration.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// The figures of the last hours.
    pub fn watch(&self) -> &Watch {
        &self.0.watch
    }

    /// Hears of the end of the process.
    pub fn shutdown(&self) -> &Shutdown {
        &self.0.shutdown
    }

    /// Wall clock in microseconds.
    pub fn now(&self) -> i64 {
        self.0.clock.wall_micros()
    }

    /// Looks at `/metrics` every few seconds until draining begins.
    pub async fn run(self, shutdown: Shutdown) {
        let look = watch::run(&self.0.watch, &self.0.api, &*self.0.clock);
        tokio::select! {
            () = look => {}
            () = shutdown.drain() => {}
        }
    }
}

/// All routes of the console. They are public to the HTTP kit: who may see what is decided by
/// the API behind them, call by call.
pub fn routes() -> Routes<Console> {
    let routes = assets::routes(Routes::new());
    let routes = sign_in::routes(routes);
    pages::routes(routes)
}
