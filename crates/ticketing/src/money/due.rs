//! Postings that are due: remembered in the transaction of the business fact, posted after it.
//!
//! A row names what is due; its legs are made from the business row each time, so that they are
//! always the same and the ledger knows them again. Rows of one line (an order, a refund, a
//! payout) are posted in their order: what cannot be posted now holds back the rest of its line.
//!
//! **Invariants.** Between commit and posting nothing is lost: the row stands until the ledger has
//! answered. A row that is posted twice has one effect (INV-T6).

use florin_ledger::model::WalletType;
use florin_platform::http::problem::Problem;
use florin_platform::sql::{Arg, Tx, query};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::{
    Account, MoneyError, Posting, p02_sale, p05_refund, p08_payout, p09_payout_end, post, wallet,
};
use crate::card;
use crate::model::amounts::FeePayer;
use crate::orders::refunds::RefundRow;
use crate::orders::{payouts, refunds, row};
use crate::store::{Store, bulk};
use crate::{Ticketing, room::Inner};

/// Whoever made a row posts it; the worker takes it up after this time.
pub const GRACE_MICROS: i64 = 4_000_000;
/// Longest wait between two tries.
const WAIT_MAX_MICROS: i64 = 60_000_000;
/// Rows whose end may wait to be written.
const ENDED_MAX: usize = 8_192;
/// Lines that the worker takes up at a time.
const LINES_MAX: i64 = 256;

/// What is due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Due {
    /// The second half of P3.
    Capture {
        /// The wallet attempt, which is the ledger's hold.
        hold: String,
    },
    /// P3 undone.
    Release {
        /// The wallet attempt.
        hold: String,
    },
    /// P2 or P2o of an order.
    Sale {
        /// The order.
        order_id: String,
    },
    /// P5 of a refund.
    RefundDecided {
        /// The refund.
        refund_id: String,
    },
    /// P6 of a refund into a wallet.
    RefundToWallet {
        /// The refund.
        refund_id: String,
        /// The try, from 1.
        attempt: i64,
        /// The wallet.
        wallet_id: String,
    },
    /// P6 of a refund by card.
    CardRefundDone {
        /// The try.
        try_id: String,
    },
    /// P6 undone: the card's bank refused it after all.
    CardRefundBack {
        /// The try.
        try_id: String,
    },
    /// P8.
    PayoutStarted {
        /// The payout.
        payout_id: String,
    },
    /// P9 into a wallet.
    PayoutToWallet {
        /// The payout.
        payout_id: String,
    },
    /// P9 by the bank.
    PayoutPaid {
        /// The payout.
        payout_id: String,
    },
    /// P9 of a failed payout.
    PayoutFailed {
        /// The payout.
        payout_id: String,
    },
}

impl Due {
    /// Its place in its line: what the ledger needs first comes first, since it remembers a
    /// refusal for want of funds for ever.
    const fn place(&self) -> i64 {
        match self {
            Self::Capture { .. }
            | Self::Release { .. }
            | Self::RefundDecided { .. }
            | Self::PayoutStarted { .. } => 0,
            _ => 1,
        }
    }
}

/// A row.
#[derive(Debug, Clone)]
pub struct DueRow {
    /// Its id.
    pub id: String,
    /// What is due.
    pub due: Due,
}

/// Where the ends of rows are written, many at a time.
#[derive(Debug, Clone)]
pub struct Ends(mpsc::Sender<String>);

/// The other end, until the room is there.
pub struct Unserved(mpsc::Receiver<String>);

impl Ends {
    /// A queue.
    pub fn new() -> (Self, Unserved) {
        let (sender, receiver) = mpsc::channel(ENDED_MAX);
        (Self(sender), Unserved(receiver))
    }

    fn put(&self, id: String) {
        // A row whose end is not written is posted again, to no effect.
        let _ = self.0.try_send(id);
    }
}

impl Unserved {
    /// Writes ends until the room is dropped.
    pub fn serve(self, room: &std::sync::Weak<Inner>) {
        tokio::spawn(write_ends(room.clone(), self.0));
    }
}

async fn write_ends(room: std::sync::Weak<Inner>, mut ended: mpsc::Receiver<String>) {
    let mut ids = Vec::new();
    while ended.recv_many(&mut ids, 256).await > 0 {
        let Some(room) = room.upgrade().map(Ticketing::from_inner) else {
            return;
        };
        if let Err(problem) = delete(&room, &ids).await {
            tracing::warn!(%problem, "ends of postings were not written; they are posted again");
        }
        ids.clear();
    }
}

async fn delete(room: &Ticketing, ids: &[String]) -> Result<(), Problem> {
    // A lane of its own: this must not wait for a sale, nor a sale for this.
    let mut tx = room
        .store
        .db
        .lane("ticketing_due")
        .patient()
        .begin()
        .await?;
    let keys = ids.iter().map(Arg::from).collect();
    let marks = room.store.marks();
    bulk::execute(
        &mut tx,
        marks,
        "DELETE FROM tk_due WHERE id IN",
        "",
        &[],
        keys,
    )
    .await?;
    tx.commit().await?;
    Ok(())
}

/// Remembers what is due, in the transaction of the business fact.
///
/// # Errors
/// The store's.
pub async fn plan(
    store: &Store,
    tx: &mut Tx,
    line: &str,
    dues: &[Due],
) -> Result<Vec<DueRow>, Problem> {
    let mut planned = plan_all(store, tx, &[(line, dues)]).await?;
    Ok(planned.pop().unwrap_or_default())
}

/// [`plan`] for many lines, in their order.
///
/// # Errors
/// The store's.
pub async fn plan_all(
    store: &Store,
    tx: &mut Tx,
    lines: &[(&str, &[Due])],
) -> Result<Vec<Vec<DueRow>>, Problem> {
    let now = store.now();
    let mut rows = Vec::new();
    let mut planned = Vec::with_capacity(lines.len());
    for (line, dues) in lines {
        let mut of_line = Vec::with_capacity(dues.len());
        for due in *dues {
            let id = store.id();
            let body = serde_json::to_string(due).map_err(Problem::internal)?;
            rows.push(vec![
                Arg::from(&id),
                Arg::from(*line),
                Arg::from(due.place()),
                Arg::from(body),
                Arg::from("due"),
                Arg::from(now + GRACE_MICROS),
                Arg::from(now),
            ]);
            of_line.push(DueRow {
                id,
                due: due.clone(),
            });
        }
        planned.push(of_line);
    }
    let prefix = "INSERT INTO tk_due (id, line, place, body, state, next_at, created_at)";
    bulk::insert(tx, store.marks(), prefix, "", rows).await?;
    Ok(planned)
}

/// Posts rows in their order, after the commit. What is left over is the worker's.
///
/// # Errors
/// The first that could not be posted; those behind it were not tried.
pub async fn drive(room: &Ticketing, rows: &[DueRow]) -> Result<(), MoneyError> {
    for row in rows {
        run(room, &row.due).await?;
        room.due_ends.put(row.id.clone());
    }
    Ok(())
}

/// Posts what is due in a line now: after it, everything that was due is in the ledger.
///
/// # Errors
/// 503 when something could not be posted, which stays in its row and is tried again; the
/// store's.
pub async fn drive_line(room: &Ticketing, line: &str) -> Result<(), Problem> {
    let text = "SELECT id, body, tries FROM tk_due WHERE line = $1 AND state = 'due'
        ORDER BY place, created_at, id";
    for row in room.store.db.fetch_all(query(text).bind(line)).await? {
        let id: String = row.get("id")?;
        let body: String = row.get("body")?;
        let due: Due = serde_json::from_str(&body).map_err(Problem::internal)?;
        match run(room, &due).await {
            Ok(()) => delete(room, std::slice::from_ref(&id)).await?,
            Err(error) => {
                postpone(room, &id, row.get("tries")?, &error).await?;
                let detail = "A posting before it waits for the ledger.";
                return Err(Problem::unavailable("store_unavailable", detail));
            }
        }
    }
    Ok(())
}

async fn postpone(
    room: &Ticketing,
    id: &str,
    tries: i64,
    error: &MoneyError,
) -> Result<(), Problem> {
    let refused = matches!(error, MoneyError::Refused { .. } | MoneyError::Wallet(_));
    if refused {
        // Whole lines wait behind it until a person has looked: money must not go round it.
        tracing::error!(due = id, %error, "a posting was refused");
    }
    let wait = (GRACE_MICROS << tries.clamp(0, 8)).min(WAIT_MAX_MICROS);
    let text = "UPDATE tk_due SET tries = tries + 1, next_at = $1, fault = $2 WHERE id = $3";
    let statement = query(text)
        .bind(room.now() + wait)
        .bind(error.to_string())
        .bind(id);
    let mut tx = room
        .store
        .db
        .lane("ticketing_due")
        .patient()
        .begin()
        .await?;
    tx.execute(statement).await?;
    tx.commit().await?;
    Ok(())
}

/// Takes up lines that nobody has finished; `all`: also those whose maker may still be at work
/// (after a start, on a store that only this process has).
///
/// # Errors
/// The store's.
pub async fn sweep(room: &Ticketing, all: bool) -> Result<usize, Problem> {
    let until = if all { i64::MAX } else { room.now() };
    let text = "SELECT line, MIN(id) AS first FROM tk_due WHERE state = 'due' AND next_at <= $1
        GROUP BY line ORDER BY first LIMIT $2";
    let rows = room
        .store
        .db
        .fetch_all(query(text).bind(until).bind(LINES_MAX))
        .await?;
    for row in &rows {
        let line: String = row.get("line")?;
        if let Err(problem) = drive_line(room, &line).await {
            tracing::warn!(line, %problem, "postings wait");
        }
    }
    Ok(rows.len())
}

async fn run(room: &Ticketing, due: &Due) -> Result<(), MoneyError> {
    match due {
        Due::Capture { hold } => wallet::resolve(&room.ledger, hold, true).await.map(drop),
        Due::Release { hold } => wallet::resolve(&room.ledger, hold, false).await.map(drop),
        Due::Sale { order_id } => sale(room, order_id).await,
        Due::RefundDecided { refund_id } => refund_decided(room, refund_id).await,
        Due::RefundToWallet {
            refund_id,
            attempt,
            wallet_id,
        } => refund_to_wallet(room, refund_id, *attempt, wallet_id).await,
        Due::CardRefundDone { try_id } => card::refunds::post(room, try_id, false).await,
        Due::CardRefundBack { try_id } => card::refunds::post(room, try_id, true).await,
        Due::PayoutStarted { payout_id } => {
            let payout = payout(room, payout_id).await?;
            post(&room.ledger, &payout_started(&payout)).await?;
            payouts::on_its_way(room, payout_id).await.map_err(away)
        }
        Due::PayoutToWallet { payout_id } => payout_to_wallet(room, payout_id).await,
        Due::PayoutPaid { payout_id } => {
            let payout = payout(room, payout_id).await?;
            let subject = payout.subject();
            let posting =
                p09_payout_end::paid(&subject, payout_id, &payout.currency, payout.amount);
            post(&room.ledger, &posting).await.map(drop)
        }
        Due::PayoutFailed { payout_id } => {
            let payout = payout(room, payout_id).await?;
            let subject = payout.subject();
            let posting =
                p09_payout_end::failed(&subject, payout_id, &payout.currency, &payout.lines);
            post(&room.ledger, &posting).await.map(drop)
        }
    }
}

/// Reads of rows fail as the ledger does when it is away: the row is tried again.
fn away(problem: Problem) -> MoneyError {
    tracing::warn!(%problem, "a posting waits for the tables");
    MoneyError::Unavailable(florin_ledger::Unavailable::StoreUnavailable)
}

fn missing(what: &str, id: &str) -> MoneyError {
    MoneyError::Refused {
        posting: what.to_owned(),
        key: id.to_owned(),
        code: "row_not_found".to_owned(),
    }
}

async fn sale(room: &Ticketing, order_id: &str) -> Result<(), MoneyError> {
    let found = row::find(&room.store.db, order_id).await.map_err(away)?;
    let order = found.ok_or_else(|| missing("P2", order_id))?;
    let posting = p02_sale::sale(
        &order.subject(),
        order_id,
        &order.event_id,
        1,
        &order.currency,
        order.fee_payer,
        &order.sums(),
    );
    post(&room.ledger, &posting).await.map(drop)
}

async fn refund_decided(room: &Ticketing, refund_id: &str) -> Result<(), MoneyError> {
    let found = refunds::find(&room.store.db, refund_id)
        .await
        .map_err(away)?;
    let refund = found.ok_or_else(|| missing("P5", refund_id))?;
    post(&room.ledger, &decided(&refund)).await.map(drop)
}

/// P5 of a refund.
pub(super) fn decided(refund: &RefundRow) -> Posting {
    p05_refund::refund(
        &refund.subject(),
        &refund.id,
        &refund.event_id,
        &refund.currency,
        FeePayer::from_word(&refund.fee_payer),
        &refund.parts,
    )
}

/// P8 of a payout.
pub(super) fn payout_started(payout: &payouts::PayoutRow) -> Posting {
    p08_payout::started(
        &payout.subject(),
        &payout.id,
        &payout.currency,
        &payout.lines,
    )
}

fn wallet_number(text: &str) -> Option<u128> {
    florin_base::ids::parse_canonical_uuid(text).map(|id| id.as_u128())
}

async fn refund_to_wallet(
    room: &Ticketing,
    refund_id: &str,
    attempt: i64,
    wallet_id: &str,
) -> Result<(), MoneyError> {
    let found = refunds::find(&room.store.db, refund_id)
        .await
        .map_err(away)?;
    let refund = found.ok_or_else(|| missing("P6", refund_id))?;
    let number = wallet_number(wallet_id).ok_or_else(|| missing("P6", refund_id))?;
    let subject = refund.subject();
    let ask = wallet::Move {
        posting: "P6",
        key: &format!("{refund_id}:{attempt}:P6"),
        wallet: number,
        owner: None,
        counter: Account::Refund(refund_id.to_owned()),
        amount: refund.amount,
        currency: (
            &refund.currency,
            room.settings.scale(&refund.currency).unwrap_or(2),
        ),
        description: "Ticket refund".to_owned(),
        subject: &subject,
    };
    let failed = match wallet::pay_in(&room.ledger, &ask, WalletType::Refund).await {
        Ok(_) => None,
        Err(MoneyError::Wallet(code)) => Some(code.word()),
        Err(error) => return Err(error),
    };
    let ended = refunds::Ended {
        refund_id: refund.id,
        order_id: refund.order_id,
        event_id: refund.event_id,
        failure: failed,
    };
    room.desk.end_refund(ended).await.map_err(away)
}

async fn payout(room: &Ticketing, id: &str) -> Result<payouts::PayoutRow, MoneyError> {
    let found = payouts::find(&room.store.db, id).await.map_err(away)?;
    found.ok_or_else(|| missing("P8", id))
}

async fn payout_to_wallet(room: &Ticketing, payout_id: &str) -> Result<(), MoneyError> {
    let payout = payout(room, payout_id).await?;
    let wallet_id = payout.wallet_id().ok_or_else(|| missing("P9", payout_id))?;
    let number = wallet_number(wallet_id).ok_or_else(|| missing("P9", payout_id))?;
    let subject = payout.subject();
    let ask = wallet::Move {
        posting: "P9",
        key: &format!("{payout_id}:1:P9"),
        wallet: number,
        owner: None,
        counter: Account::Payout(payout_id.to_owned()),
        amount: payout.amount,
        currency: (
            &payout.currency,
            room.settings.scale(&payout.currency).unwrap_or(2),
        ),
        description: "Ticket payout".to_owned(),
        subject: &subject,
    };
    let failed = match wallet::pay_in(&room.ledger, &ask, WalletType::Payout).await {
        Ok(_) => None,
        Err(MoneyError::Wallet(code)) => Some(code.word()),
        Err(error) => return Err(error),
    };
    payouts::wallet_ended(room, payout_id, failed)
        .await
        .map_err(away)
}
