//! The room as its routes and workers hold it.

use std::sync::{Arc, OnceLock};

use florin_ledger::Ledger;
use florin_platform::audit::AuditLog;
use florin_platform::blobs::Blobs;
use florin_platform::cache::Cache;
use florin_platform::http::page::Cursors;
use florin_platform::sql::{Db, SqlError};
use florin_platform::webhooks::Webhooks;
use ring::hmac;
use tokio::sync::Notify;

use crate::api::pages::Pages;
use crate::card::Provider;
use crate::gate::together::Turnstiles;
use crate::limits::RoomLimits;
use crate::mail::Mailer;
use crate::money::due;
use crate::orders::desk::Desk;
use crate::orders::numbers::Numbers;
use crate::orders::payouts::review::Review;
use crate::privacy::Vault;
use crate::settings::Settings;
use crate::store::Store;

/// Keys that are made from the installation's one secret, a label each.
#[derive(Clone)]
pub struct Secrets(hmac::Key);

impl Secrets {
    /// From the installation's secret, which all its processes share.
    pub fn new(secret: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// The key of a label; always the same.
    pub fn derive(&self, label: &str) -> [u8; 32] {
        let mut key = [0; 32];
        key.copy_from_slice(hmac::sign(&self.0, label.as_bytes()).as_ref());
        key
    }

    /// A keyed digest under a label: for tokens and look-ups that must not be guessed.
    pub fn digest(&self, label: &str, text: &[u8]) -> [u8; 32] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.derive(label));
        let mut digest = [0; 32];
        digest.copy_from_slice(hmac::sign(&key, text).as_ref());
        digest
    }
}

/// What the room is opened with.
pub struct Parts {
    /// The service tables.
    pub db: Db,
    /// Time and ids come from here.
    pub clock: Arc<dyn florin_base::Clock>,
    /// The one ledger.
    pub ledger: Ledger,
    /// Makes and reads cursors.
    pub cursors: Cursors,
    /// Images, exports.
    pub blobs: Blobs,
    /// What processes remember together.
    pub cache: Cache,
    /// The audit log, in the same service tables, where they are the same.
    pub audit: Option<AuditLog>,
    /// Webhooks of the installation, where this process has them.
    pub webhooks: Option<Webhooks>,
    /// The installation's secret.
    pub secret: [u8; 32],
    /// Takes card payments; without it `card` is refused.
    pub card: Option<Arc<dyn Provider>>,
    /// Sends mails; without it they end in the local sink.
    pub mailer: Option<Arc<dyn Mailer>>,
    /// What the installation decided.
    pub settings: Settings,
}

/// The room; cheap to clone.
#[derive(Clone)]
pub struct Ticketing(Arc<Inner>);

/// What [`Ticketing`] leads to.
pub struct Inner {
    /// Tables, clock and ids.
    pub store: Store,
    /// The one ledger.
    pub ledger: Ledger,
    /// Makes and reads cursors.
    pub cursors: Cursors,
    /// Images, exports.
    pub blobs: Blobs,
    /// What processes remember together.
    pub cache: Cache,
    /// Who did what.
    pub audit: Option<AuditLog>,
    /// Webhooks, where this process has them.
    pub webhooks: Option<Webhooks>,
    /// Keys of the installation.
    pub secrets: Secrets,
    /// Keys of persons.
    pub vault: Vault,
    /// Takes card payments.
    pub card: Option<Arc<dyn Provider>>,
    /// Sends mails.
    pub mailer: Option<Arc<dyn Mailer>>,
    /// Public pages, for a moment.
    pub pages: Pages,
    /// Rate limits of single things.
    pub limits: RoomLimits,
    /// What the installation decided.
    pub settings: Settings,
    /// Wakes the outbox.
    pub told: Notify,
    /// Wakes the worker of card payments.
    pub card_wake: Notify,
    /// Roots of the provenance log's complete blocks.
    pub blocks: crate::provenance::read::Blocks,
    /// Where orders of an event are written, many in one commit.
    pub desk: Desk,
    /// Where its scans are.
    pub turnstiles: Turnstiles,
    /// Order numbers.
    pub numbers: Numbers,
    /// Where postings that are done are struck out.
    pub due_ends: due::Ends,
    payout_review: OnceLock<Arc<dyn Review>>,
}

impl std::ops::Deref for Ticketing {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Ticketing {
    /// Opens the room; runs its migrations.
    ///
    /// # Errors
    /// As [`Db::migrate`].
    pub async fn open(parts: Parts) -> Result<Self, SqlError> {
        let store = Store::open(parts.db, parts.clock).await?;
        let secrets = Secrets::new(&parts.secret);
        let (desk, calls) = Desk::new(store.db.is_shared());
        let (due_ends, ended) = due::Ends::new();
        let limits = RoomLimits::new(&parts.settings, &parts.cache, Arc::clone(&store.clock));
        let room = Self(Arc::new(Inner {
            vault: Vault::new(&secrets),
            numbers: Numbers::new(&store.db, &secrets),
            desk,
            due_ends,
            payout_review: OnceLock::new(),
            store,
            ledger: parts.ledger,
            cursors: parts.cursors,
            blobs: parts.blobs,
            cache: parts.cache,
            audit: parts.audit,
            webhooks: parts.webhooks,
            secrets,
            card: parts.card,
            mailer: parts.mailer,
            pages: Pages::default(),
            limits,
            settings: parts.settings,
            told: Notify::new(),
            turnstiles: Turnstiles::default(),
            card_wake: Notify::new(),
            blocks: crate::provenance::read::Blocks::default(),
        }));
        let weak = Arc::downgrade(&room.0);
        calls.serve(&weak);
        ended.serve(&weak);
        Ok(room)
    }

    pub(crate) fn from_inner(inner: Arc<Inner>) -> Self {
        Self(inner)
    }

    /// Payouts start only after this part's word; set once, when the room is opened.
    pub fn review_payouts(&self, review: Arc<dyn Review>) {
        // The first one counts.
        let _ = self.0.payout_review.set(review);
    }

    /// Whoever reviews payouts, if anybody does.
    pub fn payout_review(&self) -> Option<&dyn Review> {
        self.0.payout_review.get().map(|review| &**review)
    }

    /// Wall clock in microseconds.
    pub fn now(&self) -> i64 {
        self.store.now()
    }
}

impl Ticketing {
    /// Writes an entry into the audit log, after the commit of what it tells. A log that does
    /// not answer is told to the process's log and holds nobody up.
    pub async fn note(&self, entry: florin_platform::audit::Entry) {
        if let Some(audit) = &self.audit
            && let Err(error) = audit.append(entry).await
        {
            tracing::error!(%error, "the audit log did not take an entry");
        }
    }
}
