//! One look of one monitor: which books are wrong, since when, and what says so.

use std::collections::BTreeMap;

use florin_platform::sql::query;
use serde_json::{Value, json};

use super::rules::{Kind, Monitor};
use super::service::Monitors;
use crate::drift::evidence::Closing;
use crate::drift::explain::Class;
use crate::drift::facts;
use crate::drift::force::InForce;
use crate::drift::table::number;
use crate::model::BookId;
use crate::model::amount::full;
use crate::store::WriteError;

/// Books that one look of a drift monitor compares.
const BOOKS_MAX: i64 = 100_000;
/// Statements that are read at a time.
const CLOSINGS: usize = 1_000;

/// Something that is wrong now.
#[derive(Debug, Clone)]
pub(super) struct Wrong {
    pub account: String,
    pub currency: String,
    /// Since when the records say so; `None`: since this look.
    pub since: Option<i64>,
    pub figures: Value,
}

/// A figure that a book is compared with.
#[derive(Debug, Clone)]
struct Figure {
    reported: i128,
    as_of: Option<i64>,
    given_at: i64,
    source: String,
}

impl Monitors {
    /// Everything that is wrong in the eyes of a monitor, by account and currency.
    pub(super) async fn observe(&self, monitor: &Monitor) -> Result<Vec<Wrong>, WriteError> {
        let wrong = match monitor.kind {
            Kind::Drift => self.drift(monitor).await?,
            Kind::HeldAge => self.held().await?,
            Kind::ReviewAge => self.review().await?,
            Kind::SequenceGap => self.gaps().await?,
            Kind::FeedLag => self.lag().await?,
            Kind::DeadLetters => self.letters().await?,
            Kind::StatementGap | Kind::StatementLate => self.statements(monitor).await?,
            Kind::SelfCheck => self.self_check().await?,
        };
        let watched = |wrong: &Wrong| match monitor.kind {
            // These are not about one book.
            Kind::DeadLetters | Kind::SequenceGap => true,
            _ => monitor.watches(&wrong.account, &wrong.currency),
        };
        Ok(wrong.into_iter().filter(watched).collect())
    }

    /// The newest figure of each watched book: a closing balance, or what a check was given.
    async fn figures(&self, monitor: &Monitor) -> Result<BTreeMap<BookId, Figure>, WriteError> {
        let mut figures = BTreeMap::new();
        let text = "SELECT account_id, currency, reported, as_of, check_id, given_at
            FROM shadow_drift_figures ORDER BY account_id, currency LIMIT $1";
        let db = self.shadow().db();
        for row in db.fetch_all(query(text).bind(BOOKS_MAX)).await? {
            let id = BookId::new(
                row.get::<String>("account_id")?,
                row.get::<String>("currency")?,
            );
            if !monitor.watches(&id.account_id, &id.currency) {
                continue;
            }
            let check: String = row.get("check_id")?;
            let figure = Figure {
                reported: number(&row.get::<String>("reported")?)?,
                as_of: row.get("as_of")?,
                given_at: row.get("given_at")?,
                source: format!("check:{check}"),
            };
            figures.insert(id, figure);
        }
        for closing in self.closings().await? {
            let newer = |known: &Figure| known.given_at >= closing.imported_at;
            if !monitor.watches(&closing.book.account_id, &closing.book.currency)
                || figures.get(&closing.book).is_some_and(newer)
            {
                continue;
            }
            let figure = Figure {
                reported: closing.balance,
                as_of: Some(closing.closes_at),
                given_at: closing.imported_at,
                source: format!("statement:{}", closing.statement),
            };
            figures.insert(closing.book, figure);
        }
        Ok(figures)
    }

    async fn closings(&self) -> Result<Vec<Closing>, WriteError> {
        let mut all: Vec<Closing> = Vec::new();
        loop {
            let after = all.last().map(|closing| closing.book.clone());
            let page = self
                .checker()
                .evidence()
                .closings(after.as_ref(), CLOSINGS)
                .await?;
            let full = page.len() >= CLOSINGS;
            all.extend(page);
            if !full {
                return Ok(all);
            }
        }
    }

    /// Only what is unexplained or ambiguous: what one record explains is a matter of the
    /// corrections, and timing is nobody's.
    async fn drift(&self, monitor: &Monitor) -> Result<Vec<Wrong>, WriteError> {
        let figures = self.figures(monitor).await?;
        let shadow = self.shadow();
        let control = self.checker().control();
        let policy = InForce {
            max_subset: control.policy.max_subset,
            look_back_days: control.policy.look_back_days,
            ..InForce::default()
        };
        let letters = facts::letters(shadow.db(), shadow.currencies()).await?;
        let mut wrong = Vec::new();
        for (id, figure) in figures {
            let threshold = monitor.threshold;
            let seen = self
                .checker()
                .look_at(
                    &policy,
                    &letters,
                    &id,
                    figure.as_of,
                    figure.reported,
                    threshold,
                )
                .await?;
            let Some(seen) = seen else { continue };
            if seen.unique && seen.class != Class::Subset {
                continue;
            }
            let scale = shadow.currencies().scale(&id.currency).unwrap_or(0);
            let figures = json!({
                "reportedBalance": full(figure.reported, scale),
                "shadowBalance": full(seen.shadow, scale),
                "difference": full(figure.reported - seen.shadow, scale),
                "asOf": figure.as_of,
                "source": figure.source,
                "class": seen.class.as_str(),
                "rivals": seen.rivals,
                "events": seen.events,
                "lines": seen.lines,
            });
            wrong.push(Wrong {
                account: id.account_id,
                currency: id.currency,
                since: None,
                figures,
            });
        }
        Ok(wrong)
    }

    async fn held(&self) -> Result<Vec<Wrong>, WriteError> {
        let now = self.shadow().clock().wall_micros();
        let text = "SELECT b.account_id, b.currency, MIN(e.deadline) AS since, COUNT(*) AS n
            FROM shadow_entries AS e JOIN shadow_books AS b ON b.book_id = e.book_id
            WHERE e.state <> 'applied' AND e.state = 'held' AND e.deadline <= $1
            GROUP BY b.account_id, b.currency ORDER BY b.account_id, b.currency";
        self.grouped(text, Some(now), "held").await
    }

    async fn review(&self) -> Result<Vec<Wrong>, WriteError> {
        let text = "SELECT b.account_id, b.currency, MIN(l.recorded_at) AS since, COUNT(*) AS n
            FROM shadow_entries AS e JOIN shadow_books AS b ON b.book_id = e.book_id
            JOIN shadow_log AS l ON l.log_seq = e.changed_seq
            WHERE e.state <> 'applied' AND e.state = 'held_for_review'
            GROUP BY b.account_id, b.currency ORDER BY b.account_id, b.currency";
        self.grouped(text, None, "heldForReview").await
    }

    async fn grouped(
        &self,
        text: &'static str,
        arg: Option<i64>,
        name: &str,
    ) -> Result<Vec<Wrong>, WriteError> {
        let mut statement = query(text);
        if let Some(arg) = arg {
            statement = statement.bind(arg);
        }
        let mut wrong = Vec::new();
        for row in self.shadow().db().fetch_all(statement).await? {
            let since: i64 = row.get("since")?;
            let count: i64 = row.get("n")?;
            let since_text = florin_base::Timestamp(since).to_string();
            wrong.push(Wrong {
                account: row.get("account_id")?,
                currency: row.get("currency")?,
                since: Some(since),
                figures: json!({ name: count, "oldest": since_text }),
            });
        }
        Ok(wrong)
    }

    /// Sources whose numbers are not complete.
    async fn gaps(&self) -> Result<Vec<Wrong>, WriteError> {
        let text = "SELECT source, MIN(sequence) AS low, MAX(sequence) AS high,
            COUNT(DISTINCT sequence) AS n FROM shadow_entries
            WHERE sequence IS NOT NULL AND source IS NOT NULL GROUP BY source ORDER BY source";
        let mut wrong = Vec::new();
        for row in self.shadow().db().fetch_all(query(text)).await? {
            let (low, high): (i64, i64) = (row.get("low")?, row.get("high")?);
            let missing = high - low + 1 - row.get::<i64>("n")?;
            if missing > 0 {
                wrong.push(Wrong {
                    account: row.get("source")?,
                    currency: String::new(),
                    since: None,
                    figures: json!({ "missing": missing, "first": low, "last": high }),
                });
            }
        }
        Ok(wrong)
    }

    async fn lag(&self) -> Result<Vec<Wrong>, WriteError> {
        let Some(links) = self.links() else {
            return Ok(Vec::new());
        };
        let now = self.shadow().clock().wall_micros();
        let mut wrong = Vec::new();
        for link in links.all().await? {
            let Ok(standing) = links.standing(&link.book).await else {
                continue;
            };
            if standing.lag_micros > 0 {
                wrong.push(Wrong {
                    account: link.book.account_id,
                    currency: link.book.currency,
                    since: Some(now.saturating_sub(standing.lag_micros)),
                    figures: json!({
                        "feedPosition": standing.feed_position,
                        "lagSeconds": standing.lag_micros / 1_000_000,
                    }),
                });
            }
        }
        Ok(wrong)
    }

    async fn letters(&self) -> Result<Vec<Wrong>, WriteError> {
        let text = "SELECT COUNT(*) AS n, MIN(received_at) AS since FROM shadow_dead_letters
            WHERE status = 'parked'";
        let row = self.shadow().db().fetch_optional(query(text)).await?;
        let row = row.ok_or(WriteError::Damaged("dead letters"))?;
        let parked: i64 = row.get("n")?;
        if parked == 0 {
            return Ok(Vec::new());
        }
        Ok(vec![Wrong {
            account: String::new(),
            currency: String::new(),
            since: row.get("since")?,
            figures: json!({ "parked": parked }),
        }])
    }

    async fn statements(&self, monitor: &Monitor) -> Result<Vec<Wrong>, WriteError> {
        let late = monitor.kind == Kind::StatementLate;
        let mut wrong = Vec::new();
        for closing in self.closings().await? {
            let since = match late {
                true => Some(closing.imported_at),
                false => closing.gap_since,
            };
            if let Some(since) = since {
                wrong.push(Wrong {
                    account: closing.book.account_id,
                    currency: closing.book.currency,
                    since: Some(since),
                    figures: json!({ "statementId": closing.statement }),
                });
            }
        }
        Ok(wrong)
    }
}
