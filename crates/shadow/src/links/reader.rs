//! From the ledger's entries to events of linked books.

use std::time::Duration;

use florin_ledger::engine::{EntryPage, ReadError};
use florin_ledger::model::{Mode, Side, Slot};
use florin_ledger::{Ledger, ReadView};
use florin_platform::http::shutdown::Shutdown;
use florin_platform::sql::query;

use super::CODE;
use super::model::Link;
use super::service::Links;
use crate::corrections::steps::Desk;
use crate::corrections::table;
use crate::model::Event;
use crate::store::{Session, WriteError};

/// Entries that are mirrored in one transaction.
const PAGE: usize = 500;
/// Time between two tries after a failure, and between two looks for new links.
const RETRY: Duration = Duration::from_millis(500);

/// One entry of a linked account, as the book takes it.
#[derive(Debug, Clone)]
struct Mirrored {
    event: Event,
    /// The transfer may be a correction's.
    transfer: Option<String>,
}

/// What a page of entries came to.
#[derive(Debug, Clone)]
struct Page {
    /// `seq` of the last entry read.
    last: u64,
    full: bool,
    mirrored: Vec<Mirrored>,
}

/// Why a page was not mirrored; it is read again.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// The ledger.
    #[error("the ledger: {0}")]
    Ledger(String),
    /// The store.
    #[error(transparent)]
    Store(#[from] WriteError),
}

impl Links {
    /// Mirrors linked accounts and posts approved corrections until draining begins.
    pub async fn run(self, shutdown: Shutdown) {
        let work = async {
            let mut watch = self.0.ledger.watch();
            loop {
                // What is recorded from here on wakes the wait below.
                watch.borrow_and_update();
                if let Err(error) = self.step().await {
                    tracing::warn!(%error, "linked books wait");
                    tokio::time::sleep(RETRY).await;
                    continue;
                }
                tokio::select! {
                    changed = watch.changed() => if changed.is_err() { return },
                    () = self.0.corrections.approved().notified() => {}
                    () = tokio::time::sleep(RETRY) => {}
                }
            }
        };
        tokio::select! {
            () = shutdown.drain() => {}
            () = work => {}
        }
    }

    /// One round: what was approved is posted, what was posted is mirrored. Answers how many
    /// entries were.
    ///
    /// # Errors
    /// [`FeedError`]; the next round goes on where this one stopped.
    pub async fn step(&self) -> Result<usize, FeedError> {
        self.post_approved().await?;
        let mut mirrored = 0;
        let mut lag = 0_i64;
        for link in self.all().await? {
            mirrored += self.mirror(link.clone()).await?;
            lag = lag.max(self.lag(&link).await);
        }
        let lag = Duration::from_micros(lag.unsigned_abs());
        metrics::gauge!("shadow_feed_lag_seconds").set(lag.as_secs_f64());
        Ok(mirrored)
    }

    async fn lag(&self, link: &Link) -> i64 {
        let standing = self.standing(&link.book).await;
        standing.map_or(0, |standing| standing.lag_micros)
    }

    /// Mirrors everything that the ledger holds now for one link.
    async fn mirror(&self, mut link: Link) -> Result<usize, FeedError> {
        let slot = self.slot(&link.ledger_account).await;
        let Some(slot) = slot.map_err(|problem| FeedError::Ledger(problem.detail().to_owned()))?
        else {
            return Ok(0);
        };
        let view = self.0.ledger.read_view().await;
        let view = view.map_err(|error| FeedError::Ledger(error.to_string()))?;
        let mut mirrored = 0;
        loop {
            let (of, view, ledger) = (link.clone(), view.clone(), self.0.ledger.clone());
            let read = move || read_page(&ledger, &view, &of, slot);
            let page = tokio::task::spawn_blocking(read).await;
            let page = page
                .map_err(|error| FeedError::Ledger(error.to_string()))?
                .map_err(|error| FeedError::Ledger(error.to_string()))?;
            if page.last == link.position {
                return Ok(mirrored);
            }
            mirrored += page.mirrored.len();
            let (last, full) = (page.last, page.full);
            let desk = self.0.corrections.desk().clone();
            let from = link.clone();
            self.shadow()
                .write(move |session| {
                    Box::pin(async move { enter(session, &desk, &from, page).await })
                })
                .await?;
            link.position = last;
            if !full {
                return Ok(mirrored);
            }
        }
    }
}

fn read_page(ledger: &Ledger, view: &ReadView, link: &Link, slot: Slot) -> Result<Page, ReadError> {
    let wanted = EntryPage {
        after: Some((0, link.position)),
        limit: PAGE,
        ..EntryPage::default()
    };
    let entries = view.entries(slot, &wanted)?;
    let asset = ledger.asset(ledger.facts(slot).asset);
    let mut page = Page {
        last: entries.last().map_or(link.position, |entry| entry.seq),
        full: entries.len() >= PAGE,
        mirrored: Vec::with_capacity(entries.len()),
    };
    for entry in entries {
        let record = view.record(entry.seq)?;
        let Some(transfer) = record.transfer() else {
            continue;
        };
        if !matches!(transfer.mode, Mode::Single | Mode::Post) {
            continue;
        }
        let side = match transfer.debit == slot {
            true => Side::Debit,
            false => Side::Credit,
        };
        let amount = i128::try_from(transfer.amount)
            .map_err(|_| ReadError::Store("an amount beyond 127 bits".into()))?;
        if amount == 0 {
            continue;
        }
        let letter = match side {
            Side::Debit => 'D',
            Side::Credit => 'C',
        };
        page.mirrored.push(Mirrored {
            event: Event {
                event_id: format!("LED-{}-{letter}", transfer.id),
                account_id: link.book.account_id.clone(),
                direction: link.orientation.direction(side),
                amount,
                timestamp: transfer.effective_at.micros().div_euclid(1_000),
                currency: asset.code.to_string(),
                reference: Some(transfer.id.to_string()),
                description: transfer.description.as_deref().map(str::to_owned),
                source: Some("ledger".to_owned()),
                sequence: None,
            },
            transfer: (&*transfer.code == CODE).then(|| transfer.id.to_string()),
        });
    }
    Ok(page)
}

/// Enters a page and moves the position, in one transaction.
async fn enter(
    session: &mut Session,
    desk: &Desk,
    link: &Link,
    page: Page,
) -> Result<(), WriteError> {
    let now = session.now();
    let from = i64::try_from(link.position).unwrap_or(i64::MAX);
    let text = "UPDATE shadow_links SET position = $3, read_at = $4
        WHERE account_id = $1 AND currency = $2 AND position = $5";
    let moved = query(text)
        .bind(&link.book.account_id)
        .bind(&link.book.currency)
        .bind(i64::try_from(page.last).unwrap_or(i64::MAX))
        .bind(now)
        .bind(from);
    if session.tx().execute(moved).await? == 0 {
        // Another process was faster.
        return Ok(());
    }
    for mirrored in &page.mirrored {
        let correction = match &mirrored.transfer {
            Some(transfer) => table::of_transfer(session.tx(), transfer).await?,
            None => None,
        };
        let cause = correction.as_ref().map(|found| found.id.as_str());
        let entered = session
            .enter_mirrored(&mirrored.event, correction.is_some(), cause)
            .await?;
        entered.map_err(|_| WriteError::Damaged("sums of a linked book"))?;
        if let Some(transfer) = &mirrored.transfer {
            desk.arrived(session, transfer).await?;
        }
    }
    Ok(())
}
