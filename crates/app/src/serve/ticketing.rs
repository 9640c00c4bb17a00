//! Ticketing in this process: its tables, its secret, the provider of card payments, mails.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use florin_base::IdSource;
use florin_platform::http::client::{ClientConfig, Outgoing, Targets};
use florin_platform::sql::Db;
use florin_ticketing::card::Provider;
use florin_ticketing::card::stripe::{Stripe, StripeSettings};
use florin_ticketing::fake_stripe::{FakeStripe, PUBLISHABLE_KEY, SECRET_KEY};
use florin_ticketing::mail::{Delivering, Mail, Mailer};
use florin_ticketing::{Parts, Ticketing};
use ring::hmac;

use super::files;
use super::parts::Wired;
use crate::config;
use crate::fail::OrHint as _;

/// The tables of ticketing, where they lie in the data directory: a file of their own, so that a
/// sale holds nobody else up.
pub const TICKETING_FILE: &str = "ticketing.db";
/// File of the secret, unless the configuration has one.
const SECRET: &str = "ticketing.key";

/// Where a provider's webhooks arrive.
const WEBHOOK_PATH: &str = "/api/v1/payments/stripe/webhook";

/// A mail gateway: takes `{from, to, subject, text, html, attachments}` as JSON.
struct HttpMailer {
    outgoing: Outgoing,
    url: String,
    key: Option<florin_base::Secret<String>>,
}

impl Mailer for HttpMailer {
    fn deliver<'a>(&'a self, from: &'a str, to: &'a str, mail: &'a Mail) -> Delivering<'a> {
        Box::pin(async move {
            let mut body = serde_json::to_value(mail).map_err(|error| error.to_string())?;
            body["from"] = from.into();
            body["to"] = to.into();
            let request = self.outgoing.post(&self.url);
            let mut request = request.map_err(|error| error.to_string())?.json(&body);
            if let Some(key) = &self.key {
                request = request.bearer_auth(key.expose());
            }
            // The error of a request may quote its body; its kind is enough.
            let answer = request.send().await.map_err(|_| "no answer".to_owned())?;
            match answer.status().is_success() {
                true => Ok(()),
                false => Err(format!("status {}", answer.status().as_u16())),
            }
        })
    }
}

impl Wired {
    pub(super) async fn start_ticketing(&mut self) -> anyhow::Result<()> {
        let db = match self.config.database.postgres() {
            Some(_) => self.db(),
            None => Db::open_sqlite_busy(&self.data_dir.join(TICKETING_FILE))
                .await
                .or_hint("the data directory must be writable; florin doctor looks closer")?,
        };
        let url = self.config.server.public_url.clone().unwrap_or_default();
        let settings = config::ticketing(&self.config, &url, self.unsafe_dev)?;
        let parts = Parts {
            db,
            clock: Arc::clone(&self.clock),
            ledger: self.ledger(),
            cursors: self.cursors.clone(),
            blobs: self.blobs(),
            cache: self.cache.clone(),
            audit: Some(self.audit()),
            webhooks: Some(self.webhooks()),
            secret: self.ticketing_secret()?,
            card: self.card_provider(&url)?,
            mailer: self.mailer()?,
            settings,
        };
        self.ticketing = Some(Ticketing::open(parts).await?);
        Ok(())
    }

    /// The same in every process of an installation.
    fn ticketing_secret(&self) -> anyhow::Result<[u8; 32]> {
        let configured = [&self.config.ticketing.secret, &self.config.auth.signing_key];
        let Some(secret) = configured.into_iter().flatten().next() else {
            return files::secret_file(&self.data_dir.join(SECRET), IdSource::random_32);
        };
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(hmac::sign(&key, b"florin ticketing").as_ref());
        Ok(bytes)
    }

    /// The configured provider; with `--unsafe-dev` and none configured, a fake of our own on a
    /// loopback port.
    fn card_provider(&self, url: &str) -> anyhow::Result<Option<Arc<dyn Provider>>> {
        let settings = match config::stripe(&self.config)? {
            Some(settings) => settings,
            None if self.unsafe_dev => self.fake_provider(url)?,
            None => return Ok(None),
        };
        Ok(Some(Arc::new(Stripe::new(settings)?)))
    }

    fn fake_provider(&self, url: &str) -> anyhow::Result<StripeSettings> {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let fake = FakeStripe::bind(any, Arc::clone(&self.clock))?;
        let secret = fake.add_webhook(&format!("{url}{WEBHOOK_PATH}"));
        let settings = StripeSettings {
            base_url: fake.base_url().to_owned(),
            secret_key: SECRET_KEY.to_owned().into(),
            publishable_key: PUBLISHABLE_KEY.to_owned(),
            webhook_secrets: vec![secret.into()],
        };
        let address = &settings.base_url;
        tracing::info!(address, "a fake provider of card payments, for development");
        tokio::spawn(fake.serve(self.shutdown.clone()));
        Ok(settings)
    }

    fn mailer(&self) -> anyhow::Result<Option<Arc<dyn Mailer>>> {
        let section = &self.config.ticketing;
        let Some(url) = section.mail_url.clone() else {
            return Ok(None);
        };
        Ok(Some(Arc::new(HttpMailer {
            outgoing: Outgoing::new(&ClientConfig::new(Targets::Any))?,
            url,
            key: section.mail_key.clone(),
        })))
    }

    /// Ticketing, as its routes and workers hold it.
    pub fn ticketing(&self) -> Ticketing {
        let open = self.ticketing.clone();
        open.expect("the table of roles starts a part before it is used")
    }
}
