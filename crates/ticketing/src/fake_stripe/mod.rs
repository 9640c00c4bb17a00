//! A payment provider for development that speaks Stripe's protocol over HTTP (contract C5,
//! "Local fake"): form-encoded requests, secret keys, idempotency keys, Stripe's objects and error
//! objects, signed webhooks with retries, 3-D Secure, disputes, refunds, balance transactions.
//!
//! **Boundary.** A tool that listens on a port of its own. The room never calls into it: it is
//! reached by the same client as the real provider, and only the base address differs. Its state
//! lives and ends with its process; it moves no money anywhere.
//!
//! **Invariants.**
//! - The balance is the sum of `net` over all balance transactions.
//! - A key (`Idempotency-Key`) has one outcome, also when the answer was lost on the way.
//! - Every change of an object that Stripe tells about makes one event; webhooks are told of it at
//!   least once, unless the control routes say otherwise.

mod answer;
mod book;
mod charges;
mod control;
mod deliver;
mod disputes;
mod endpoints;
mod faults;
mod form;
mod http;
mod intents;
mod lists;
mod objects;
mod page;
mod refunds;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use florin_base::Clock;
use florin_platform::http::client::{ClientConfig, ClientError, Outgoing, Targets};
use florin_platform::http::server::{BindError, Server, ServerConfig};
use florin_platform::http::shutdown::Shutdown;
use parking_lot::Mutex;
use tokio::sync::Notify;

use book::Book;

/// Secret key that the fake is shown in examples; any that begins with `sk_test_` is taken.
pub const SECRET_KEY: &str = "sk_test_florin";
/// Publishable key that belongs to it.
pub const PUBLISHABLE_KEY: &str = "pk_test_florin";

/// Longest wait for a webhook's answer.
const WEBHOOK_TIMEOUT: Duration = Duration::from_secs(10);
/// How often time is looked at: for refunds that settle later.
const TICK: Duration = Duration::from_millis(100);

/// Why the fake cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// No client for the webhooks.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// A provider that has its address and does not answer yet.
pub struct FakeStripe {
    shared: Shared,
    server: Server,
}

/// What routes and workers of the fake hold.
pub(crate) type Shared = Arc<Fake>;

pub(crate) struct Fake {
    book: Mutex<Book>,
    clock: Arc<dyn Clock>,
    /// Wakes the deliverer.
    due: Notify,
    client: Outgoing,
    /// `http://host:port`.
    base: String,
}

impl FakeStripe {
    /// Takes the address; port 0 picks a free one. The time is that of `clock`, plus whatever
    /// `POST /_control/clock` adds.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn bind(listen: SocketAddr, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        let mut config = ClientConfig::new(Targets::Any);
        config.timeout = WEBHOOK_TIMEOUT;
        let server = Server::bind(ServerConfig::new(listen))?;
        let base = format!("http://{}", server.local_addr());
        Ok(Self {
            shared: Arc::new(Fake {
                book: Mutex::new(Book::new()),
                clock,
                due: Notify::new(),
                client: Outgoing::new(&config)?,
                base,
            }),
            server,
        })
    }

    /// Where it is reached: `http://host:port`.
    pub fn base_url(&self) -> &str {
        &self.shared.base
    }

    /// Registers a webhook for all events and answers its secret, as
    /// `POST /v1/webhook_endpoints` does.
    pub fn add_webhook(&self, url: &str) -> String {
        let now = self.shared.now();
        endpoints::add(&mut self.shared.book.lock(), url, vec!["*".to_owned()], now)
    }

    /// As [`FakeStripe::add_webhook`], with a secret that is known already.
    pub fn add_webhook_with(&self, url: &str, secret: &str) {
        let now = self.shared.now();
        let mut book = self.shared.book.lock();
        endpoints::add_with(&mut book, url, vec!["*".to_owned()], secret.to_owned(), now);
    }

    /// Answers until the end; webhooks that are still to be delivered are lost with it.
    pub async fn serve(self, shutdown: Shutdown) {
        let router = http::router(Arc::clone(&self.shared));
        tokio::select! {
            _ = self.server.serve(router, shutdown) => {}
            () = deliver::run(Arc::clone(&self.shared)) => {}
            () = tick(&self.shared) => {}
        }
    }
}

impl Fake {
    /// Seconds since the epoch, the unit of Stripe's times.
    fn now(&self) -> i64 {
        let offset = self.book.lock().clock_offset;
        (self.clock.wall_micros() + offset).div_euclid(1_000_000)
    }
}

/// Lets time pass for what settles later.
async fn tick(fake: &Fake) {
    let mut every = tokio::time::interval(TICK);
    loop {
        every.tick().await;
        let now = fake.now();
        if refunds::settle_due(&mut fake.book.lock(), now) {
            fake.due.notify_one();
        }
    }
}
