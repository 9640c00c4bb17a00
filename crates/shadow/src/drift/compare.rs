//! The first pass of a check: reported balances beside the shadow's, page by page.

use std::collections::{BTreeMap, HashMap, HashSet};

use florin_platform::sql::{Arg, Query, query};
use serde::Serialize;

use super::decide::Mismatch;
use super::force::InForce;
use super::found::{self, Found};
use super::read::{self, BookNow, Look};
use super::run::Checker;
use super::table::{Asked, Check, KNOWN, Page, Seen, TOLERATED};
use crate::corrections::control::Control;
use crate::model::BookId;
use crate::model::amount::{Currencies, join};
use crate::store::{Actor, NewRecord, Session, WriteError};

/// Kind of the records of the log that tell that a book differs, or no longer does.
pub const DRIFT: &str = "drift";

/// Keys of one statement.
const KEYS: usize = 500;

const FIGURES: &str = "INSERT INTO shadow_drift_figures (account_id, currency, reported, as_of,
    check_id, given_at, drifting)";
const FIGURES_AGAIN: &str = "ON CONFLICT (account_id, currency) DO UPDATE SET
    reported = excluded.reported, as_of = excluded.as_of, check_id = excluded.check_id,
    given_at = excluded.given_at, drifting = excluded.drifting";

/// What one page came to.
#[derive(Debug)]
pub(super) struct Compared {
    pub page: i64,
    pub items: Vec<Asked>,
    pub seen: Vec<Seen>,
    pub found: Vec<Found>,
    pub head: i64,
    /// |difference| of what was tolerated, by currency, minor units.
    pub tolerated: BTreeMap<String, i128>,
}

/// Content of a record of kind [`DRIFT`].
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DriftBody<'a> {
    action: &'static str,
    check_id: &'a str,
    reported: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    shadow: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    difference: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    as_of: Option<i64>,
}

/// What decides whether a difference counts.
struct Judge<'a> {
    control: &'a Control,
    policy: &'a InForce,
    currencies: &'a dyn Currencies,
}

impl Checker {
    /// Compares the accounts of one page.
    pub(super) async fn compare(
        &self,
        policy: &InForce,
        page: Page,
    ) -> Result<Compared, WriteError> {
        let shadow = self.shadow();
        let db = shadow.db();
        let mut accounts: Vec<&str> = page.items.iter().map(|item| item.0.as_str()).collect();
        accounts.sort_unstable();
        accounts.dedup();
        let pending = self.pending(&accounts).await?;
        let look = read::books(db, &accounts).await?;
        let earlier = self.earlier(&page.items, &look).await?;
        let judge = Judge {
            control: self.control(),
            policy,
            currencies: shadow.currencies(),
        };
        let mut done = Compared {
            page: page.page,
            seen: Vec::with_capacity(page.items.len()),
            found: Vec::new(),
            head: look.head,
            tolerated: BTreeMap::new(),
            items: Vec::new(),
        };
        for (at, item) in page.items.iter().enumerate() {
            let id = item.book();
            let book = look.books.get(&id);
            let (balance, changed) = match (book, item.2) {
                (None, _) => (0, 0),
                (Some(book), Some(until)) => {
                    let known = earlier.get(&(book.number, until));
                    known.map_or((book.balance, book.log_seq), |at| (at.balance, at.log_seq))
                }
                (Some(book), None) => (book.balance, book.log_seq),
            };
            let n = page.first + i64::try_from(at).unwrap_or(i64::MAX);
            let open = pending.get(&id).copied().unwrap_or(0);
            let one = judge.found(n, item, book, balance, open, look.head.max(changed))?;
            let mut flags = 0;
            flags |= KNOWN * u8::from(one.known);
            flags |= TOLERATED * u8::from(one.tolerated);
            done.seen
                .push(Seen(balance.to_string(), open.to_string(), flags));
            if !one.tolerated {
                done.found.push(one);
            } else if one.difference() != 0 {
                let sum = done.tolerated.entry(id.currency).or_default();
                *sum = sum.saturating_add(one.difference().abs());
            }
        }
        done.items = page.items;
        Ok(done)
    }

    /// Balances of those books whose last entry lies behind the instant that was asked for.
    async fn earlier(
        &self,
        items: &[Asked],
        look: &Look,
    ) -> Result<HashMap<(i64, i64), read::At>, WriteError> {
        let mut by_instant: BTreeMap<i64, Vec<&BookNow>> = BTreeMap::new();
        for item in items {
            let (Some(until), Some(book)) = (item.2, look.books.get(&item.book())) else {
                continue;
            };
            if book.last_ts.is_some_and(|last| last > until) {
                by_instant.entry(until).or_default().push(book);
            }
        }
        let mut earlier = HashMap::new();
        for (until, books) in by_instant {
            let found = read::balances_at(self.shadow().db(), &books, until).await?;
            earlier.extend(found.into_iter().map(|(number, at)| ((number, until), at)));
        }
        Ok(earlier)
    }

    /// Sums of open corrections by book.
    async fn pending(&self, accounts: &[&str]) -> Result<HashMap<BookId, i128>, WriteError> {
        let db = self.shadow().db();
        let mut sums: HashMap<BookId, i128> = HashMap::new();
        let any = "SELECT id FROM shadow_corrections WHERE status IN ('proposed', 'approved')
            LIMIT 1";
        if db.fetch_optional(query(any)).await?.is_none() {
            return Ok(sums);
        }
        for keys in accounts.chunks(KEYS) {
            let text = format!(
                "SELECT account_id, currency, m0, m1, m2 FROM shadow_corrections
                 WHERE status IN ('proposed', 'approved') AND kind <> 'variance'
                 AND account_id IN {}",
                read::marks(db, 1, keys.len())
            );
            let mut statement = Query::assembled(text);
            for key in keys {
                statement = statement.bind(*key);
            }
            for row in db.fetch_all(statement).await? {
                let columns = [row.get("m0")?, row.get("m1")?, row.get("m2")?];
                let signed = join(columns).ok_or(WriteError::Damaged("amount"))?;
                let id = BookId::new(
                    row.get::<String>("account_id")?,
                    row.get::<String>("currency")?,
                );
                let sum = sums.entry(id).or_default();
                *sum = sum.saturating_add(signed);
            }
        }
        Ok(sums)
    }

    /// Stores a page, once.
    pub(super) async fn store_page(&self, check: &Check, done: Compared) -> Result<(), WriteError> {
        let check = check.clone();
        self.shadow()
            .write(move |session| Box::pin(async move { store_page(session, &check, done).await }))
            .await
    }
}

impl Judge<'_> {
    fn found(
        &self,
        n: i64,
        item: &Asked,
        book: Option<&BookNow>,
        shadow: i128,
        pending: i128,
        log_seq: i64,
    ) -> Result<Found, WriteError> {
        let scale = self.currencies.scale(&item.1).unwrap_or(0);
        let own = book.and_then(|book| book.tolerance.as_deref());
        let tolerance = self.policy.tolerance(self.control, &item.1, scale, own);
        let reported = item.reported()?;
        let difference = reported
            .checked_sub(shadow)
            .ok_or(WriteError::Damaged("difference"))?;
        let known = book.is_some_and(|book| book.events > 0);
        let mismatch = match (known, difference > 0) {
            (false, _) => Mismatch::UnknownAccount,
            (true, true) => Mismatch::MissingCredit,
            (true, false) => Mismatch::IncorrectDebit,
        };
        Ok(Found {
            n,
            book: item.book(),
            as_of: item.2,
            statement: item.4.clone(),
            reported,
            shadow,
            pending,
            tolerated: tolerance.covers(difference, reported),
            known,
            linked: book.is_some_and(|book| book.linked),
            log_seq,
            mismatch,
            explanation: None,
            action: None,
            correction: None,
        })
    }
}

async fn store_page(
    session: &mut Session,
    check: &Check,
    done: Compared,
) -> Result<(), WriteError> {
    let seen = serde_json::to_string(&done.seen).map_err(|_| WriteError::Damaged("page"))?;
    let text = "UPDATE shadow_drift_pages SET seen = $3
        WHERE check_id = $1 AND page = $2 AND seen IS NULL";
    let update = query(text).bind(&check.id).bind(done.page).bind(seen);
    if session.tx().execute(update).await? == 0 {
        return Ok(());
    }
    found::insert(session, &check.id, &done.found).await?;
    let before = drifting(session, &done.items).await?;
    let now = session.now();
    let found: HashMap<&BookId, &Found> = done.found.iter().map(|f| (&f.book, f)).collect();
    let mut figures = Vec::with_capacity(done.items.len());
    for item in &done.items {
        let id = item.book();
        let one = found.get(&id);
        figures.push(vec![
            Arg::from(&item.0),
            Arg::from(&item.1),
            Arg::from(&item.3),
            Arg::from(item.2),
            Arg::from(&check.id),
            Arg::from(now),
            Arg::from(one.is_some()),
        ]);
        match (before.contains(&id), one) {
            (true, None) => tell(session, check, item, &id, None),
            (false, Some(one)) => tell(session, check, item, &id, Some(one)),
            _ => {}
        }
    }
    session.insert_many(FIGURES, FIGURES_AGAIN, figures).await?;
    add_up(session, check, &done).await
}

async fn add_up(session: &mut Session, check: &Check, done: &Compared) -> Result<(), WriteError> {
    let stored = super::table::find_in(session.tx(), &check.id).await?;
    let stored = stored.ok_or(WriteError::Damaged("check"))?;
    let mut sums: BTreeMap<String, String> =
        serde_json::from_str(&stored.tolerated).map_err(|_| WriteError::Damaged("check"))?;
    for (currency, sum) in &done.tolerated {
        let before = sums
            .get(currency)
            .map_or(Ok(0), |text| super::table::number(text))?;
        sums.insert(currency.clone(), before.saturating_add(*sum).to_string());
    }
    let sums = serde_json::to_string(&sums).map_err(|_| WriteError::Damaged("check"))?;
    let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let text = "UPDATE shadow_drift_checks SET done = done + $2, drifts = drifts + $3,
        tolerated = $4, log_seq = $5 WHERE check_id = $1";
    let log_seq = match stored.done {
        0 => done.head,
        _ => stored.log_seq,
    };
    let update = query(text)
        .bind(&check.id)
        .bind(count(done.items.len()))
        .bind(count(done.found.len()))
        .bind(sums)
        .bind(log_seq);
    session.tx().execute(update).await?;
    Ok(())
}

/// Which of these books differed when they were last compared.
async fn drifting(session: &mut Session, items: &[Asked]) -> Result<HashSet<BookId>, WriteError> {
    let any = "SELECT account_id FROM shadow_drift_figures WHERE drifting LIMIT 1";
    let mut known = HashSet::new();
    if session.tx().fetch_optional(query(any)).await?.is_none() {
        return Ok(known);
    }
    for keys in items.chunks(KEYS) {
        let names: Vec<String> = (1..=keys.len()).map(|n| format!("${n}")).collect();
        let text = format!(
            "SELECT account_id, currency FROM shadow_drift_figures
             WHERE drifting AND account_id IN ({})",
            names.join(", ")
        );
        let mut statement = Query::assembled(text);
        for key in keys {
            statement = statement.bind(&key.0);
        }
        for row in session.tx().fetch_all(statement).await? {
            known.insert(BookId::new(
                row.get::<String>("account_id")?,
                row.get::<String>("currency")?,
            ));
        }
    }
    Ok(known)
}

/// Says that a book begins to differ, or no longer does.
fn tell(session: &mut Session, check: &Check, item: &Asked, id: &BookId, found: Option<&Found>) {
    let actor = Actor {
        subject: check.actor.clone(),
        role: check.role.clone(),
        trace_id: check.trace_id.clone(),
    };
    let (action, emits) = match found {
        Some(_) => ("drift.detected", "shadow.drift.detected"),
        None => ("drift.cleared", "shadow.drift.cleared"),
    };
    let body = DriftBody {
        action,
        check_id: &check.id,
        reported: item.3.clone(),
        shadow: found.map(|found| found.shadow.to_string()),
        difference: found.map(|found| found.difference().to_string()),
        as_of: item.2,
    };
    let record = NewRecord::new(DRIFT, actor, &body)
        .about(id)
        .subject(&check.id)
        .emits(emits);
    session.append(record);
}
