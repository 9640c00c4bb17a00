//! The commit that shows an import: duplicates, conflicts, continuity, rows equal to others.

use florin_platform::sql::{Arg, query};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::day::Day;
use super::fault::{FaultCode, StatementFault};
use super::gate::{Checked, balance_after, out_of_balance};
use super::import::{Failure, ImportOptions, RECORD};
use super::model::{Balance, Format, Head};
use super::stored::{STATEMENT, Statement};
use super::tables;
use crate::model::BookId;
use crate::store::bulk::{self, Marks};
use crate::store::keys::Keyed;
use crate::store::{Actor, NewRecord, Session, Shadow, WriteError};

/// One statement of a file, after reading.
#[derive(Debug)]
pub enum Item {
    /// It passed the gate.
    Passed {
        /// Number under which its lines stand.
        number: i64,
        /// `statementId`.
        id: String,
        /// Its account.
        account: String,
        /// What is known of it.
        checked: Box<Checked>,
    },
    /// It did not, and the others are kept.
    Refused {
        /// Number under which lines of it may stand.
        number: i64,
        /// What stood at its beginning.
        head: Box<Head>,
        /// Why.
        fault: StatementFault,
    },
}

/// An import about to be shown.
pub(super) struct Settling {
    pub(super) import: i64,
    pub(super) id: String,
    pub(super) key: Option<Keyed>,
    pub(super) format: Option<Format>,
    pub(super) items: Vec<Item>,
    pub(super) options: ImportOptions,
    pub(super) actor: Actor,
}

/// What was shown.
pub(super) struct Settled {
    pub(super) imported: u64,
    pub(super) books: Vec<BookId>,
}

/// A refusal inside the transaction: it rolls everything back.
type Judged<T> = Result<Result<T, StatementFault>, WriteError>;

impl Settling {
    pub(super) async fn commit(self, shadow: &Shadow) -> Result<Settled, Failure> {
        let marks = bulk::marks_of(shadow.db());
        let fault = std::sync::Arc::new(parking_lot::Mutex::new(None));
        let seen = std::sync::Arc::clone(&fault);
        let written = shadow
            .write_at("import.mid", move |session| {
                Box::pin(async move {
                    match self.settle(session, marks).await? {
                        Ok(settled) => Ok(settled),
                        Err(found) => {
                            let problem = super::problem::of(&found);
                            *seen.lock() = Some(found);
                            Err(WriteError::Refused(problem))
                        }
                    }
                })
            })
            .await;
        match (written, fault.lock().take()) {
            (Ok(settled), _) => Ok(settled),
            (Err(WriteError::Refused(_)), Some(fault)) => Err(Failure::Fault(fault)),
            (Err(error), _) => Err(Failure::Store(error)),
        }
    }

    async fn settle(mut self, session: &mut Session, marks: Marks) -> Judged<Settled> {
        let mut shown = Vec::new();
        let mut settled = Settled {
            imported: 0,
            books: Vec::new(),
        };
        let mut whole = true;
        for item in std::mem::take(&mut self.items) {
            match item {
                Item::Refused {
                    number,
                    head,
                    fault,
                } => {
                    whole = false;
                    drop_lines(session, number).await?;
                    shown.push(refused(&head, &fault));
                }
                Item::Passed {
                    number,
                    id,
                    account,
                    checked,
                } => {
                    let head = checked.head.clone();
                    let statement = self
                        .statement(session, number, id, account, &checked)
                        .await?;
                    let kept = match statement {
                        Ok(statement) => self.keep(session, marks, statement, *checked).await?,
                        Err(fault) => Err(fault),
                    };
                    match kept {
                        Ok(Kept::New(statement)) => {
                            shown
                                .push(json!({ "statement": statement.number, "duplicate": false }));
                            settled.imported += 1;
                            settled
                                .books
                                .push(BookId::new(statement.account_id, statement.currency));
                        }
                        Ok(Kept::Known(number)) => {
                            shown.push(json!({ "statement": number, "duplicate": true }));
                        }
                        Err(fault) if self.options.partial => {
                            whole = false;
                            drop_lines(session, number).await?;
                            shown.push(refused(&head, &fault));
                        }
                        Err(fault) => return Ok(Err(fault)),
                    }
                }
            }
        }
        let items = serde_json::to_string(&shown).expect("numbers and texts");
        let done = query(
            "UPDATE shadow_imports SET state = 'done', whole = $2, items = $3, format = $4
             WHERE number = $1",
        )
        .bind(self.import)
        .bind(whole)
        .bind(items)
        .bind(self.format.map(Format::word));
        session.tx().execute(done).await?;
        if session.made_under(self.key.as_ref()).await?.is_none() {
            session
                .keep_made(self.key.as_ref(), 201, self.id.as_str())
                .await?;
        }
        Ok(Ok(settled))
    }

    /// The row of a statement; where the format has no opening, the closing before it is taken.
    async fn statement(
        &self,
        session: &mut Session,
        number: i64,
        id: String,
        account: String,
        checked: &Checked,
    ) -> Judged<Statement> {
        let (head, tail) = (&checked.head, &checked.tail);
        let days = checked
            .days
            .or(tail.closing.or(tail.opening).map(|b| (b.day, b.day)));
        let Some((first_day, last_line)) = days else {
            let detail = "The statement has neither lines nor balances.";
            return Ok(Err(StatementFault::new(FaultCode::BalanceMissing, detail)));
        };
        let last_day = tail
            .closing
            .map_or(last_line, |closing| closing.day.max(last_line));
        let mut statement = Statement {
            number,
            id,
            import: self.import,
            account_id: account,
            currency: head.currency.clone(),
            scale: head.scale,
            format: self.format.map_or("", Format::word).to_owned(),
            account_ref: head.account_ref.clone(),
            bank_statement_id: head.bank_statement_id.clone(),
            sequence: head.sequence.and_then(|n| i64::try_from(n).ok()),
            page: head.page.and_then(|n| i64::try_from(n).ok()),
            identity: Vec::new(),
            content: checked.content.to_vec(),
            opening: tail.opening,
            closing: tail.closing,
            total: checked.sum,
            lines: i64::try_from(checked.lines).unwrap_or(i64::MAX),
            pending: i64::try_from(tail.pending).unwrap_or(i64::MAX),
            information: i64::try_from(tail.information).unwrap_or(i64::MAX),
            first_day,
            last_day,
            proven: checked.proven,
            continuity: String::new(),
            gap: None,
            deviations: tail
                .deviations
                .iter()
                .map(|d| d.word().to_owned())
                .collect(),
            warnings: tail.warnings.iter().map(|w| w.word().to_owned()).collect(),
            log_seq: 0,
            recorded_at: session.now(),
        };
        statement.identity = identity(&statement);
        let previous = tables::previous(session.tx(), &statement).await?;
        if tail.opening_from_previous && statement.opening.is_none() {
            let before = previous.as_ref().and_then(|previous| previous.closing);
            if let Err(fault) = self.open_from(&mut statement, before) {
                return Ok(Err(fault));
            }
        }
        (statement.continuity, statement.gap) = continuity(previous.as_ref(), &statement);
        Ok(Ok(statement))
    }

    fn open_from(
        &self,
        statement: &mut Statement,
        before: Option<Balance>,
    ) -> Result<(), StatementFault> {
        match (before, statement.closing) {
            (Some(before), Some(closing)) => {
                let found = balance_after(before.amount, statement.total)?;
                out_of_balance(closing.amount, found, statement.scale)?;
                statement.opening = Some(Balance {
                    amount: before.amount,
                    day: statement.first_day,
                    intermediate: false,
                });
                statement.proven = true;
                Ok(())
            }
            _ if !self.options.require_balances => Ok(()),
            _ => {
                let detail = "The format has no opening balance, and no statement before this \
                              one gives it: state it as `opening`.";
                Err(StatementFault::new(FaultCode::BalanceMissing, detail))
            }
        }
    }

    async fn keep(
        &self,
        session: &mut Session,
        marks: Marks,
        mut statement: Statement,
        checked: Checked,
    ) -> Judged<Kept> {
        if let Some(known) = tables::by_identity(session.tx(), &statement.identity).await? {
            if known.content == statement.content {
                drop_lines(session, statement.number).await?;
                return Ok(Ok(Kept::Known(known.number)));
            }
            let detail = format!(
                "The statement `{}` of `{}` is known with other content.",
                statement.bank_statement_id, statement.account_ref
            );
            return Ok(Err(StatementFault::new(
                FaultCode::StatementConflict,
                detail,
            )));
        }
        if let Some((first, last)) = checked.days {
            mark_duplicates(session, &statement, first, last).await?;
        }
        let book = BookId::new(&statement.account_id, &statement.currency);
        let record = NewRecord::new(RECORD, self.actor.clone(), &body(&statement))
            .about(&book)
            .subject(&statement.id)
            .emits("shadow.statement.imported");
        statement.log_seq = session.append(record);
        let insert = format!("INSERT INTO shadow_statements ({STATEMENT})");
        bulk::insert(session.tx(), marks, &insert, "", vec![statement.row()]).await?;
        Ok(Ok(Kept::New(Box::new(statement))))
    }
}

enum Kept {
    New(Box<Statement>),
    Known(i64),
}

fn refused(head: &Head, fault: &StatementFault) -> serde_json::Value {
    json!({ "refused": {
        "bankStatementId": head.bank_statement_id,
        "accountRef": head.account_ref,
        "currency": head.currency,
        "code": fault.code.code(),
        "detail": fault.detail,
        "line": fault.line,
    }})
}

fn body(statement: &Statement) -> serde_json::Value {
    json!({
        "statementId": statement.id,
        "bankStatementId": statement.bank_statement_id,
        "accountRef": statement.account_ref,
        "format": statement.format,
        "opening": statement.opening.map(|b| b.amount.to_string()),
        "closing": statement.closing.map(|b| b.amount.to_string()),
        "lines": statement.lines,
        "total": statement.total.to_string(),
        "proven": statement.proven,
        "continuity": statement.continuity,
        "gap": statement.gap.map(|gap| gap.to_string()),
        "content": hex::encode(&statement.content),
    })
}

/// Account, bank's id, number, page and dates: what makes two statements the same.
fn identity(statement: &Statement) -> Vec<u8> {
    let day = |balance: Option<Balance>, other: Day| balance.map_or(other, |b| b.day).0;
    let parts = (
        &statement.account_ref,
        &statement.currency,
        &statement.bank_statement_id,
        statement.sequence,
        statement.page,
        day(statement.opening, statement.first_day),
        day(statement.closing, statement.last_day),
    );
    let bytes = serde_json::to_vec(&parts).expect("texts and numbers");
    Sha256::digest(bytes).to_vec()
}

/// How a statement stands to the one before it.
pub fn continuity(previous: Option<&Statement>, statement: &Statement) -> (String, Option<i128>) {
    let Some(previous) = previous else {
        return ("first".to_owned(), None);
    };
    let Some((closing, opening)) = previous.closing.zip(statement.opening) else {
        return ("unknown".to_owned(), None);
    };
    match opening.amount - closing.amount {
        0 => ("ok".to_owned(), None),
        gap => ("gap".to_owned(), Some(gap)),
    }
}

async fn drop_lines(session: &mut Session, statement: i64) -> Result<(), WriteError> {
    let delete = query("DELETE FROM shadow_lines WHERE statement = $1").bind(statement);
    session.tx().execute(delete).await?;
    Ok(())
}

/// Marks rows that also stand in another statement of the book whose days overlap.
async fn mark_duplicates(
    session: &mut Session,
    statement: &Statement,
    first: Day,
    last: Day,
) -> Result<(), WriteError> {
    let args: [Arg; 4] = [
        statement.account_id.as_str().into(),
        statement.currency.as_str().into(),
        i64::from(first.0).into(),
        i64::from(last.0).into(),
    ];
    let overlapping = "SELECT number FROM shadow_statements WHERE account_id = $1
        AND currency = $2 AND last_day >= $3 AND first_day <= $4";
    let mut find = query(overlapping);
    for arg in args {
        find = find.bind(arg);
    }
    for row in session.tx().fetch_all(find).await? {
        let other: i64 = row.get("number")?;
        let mark = query(
            "UPDATE shadow_lines SET duplicate = TRUE WHERE statement = $1 AND digest IN
                (SELECT o.digest FROM shadow_lines AS o WHERE o.statement = $2
                    AND o.day >= $3 AND o.day <= $4)",
        )
        .bind(statement.number)
        .bind(other)
        .bind(i64::from(first.0))
        .bind(i64::from(last.0));
        session.tx().execute(mark).await?;
    }
    Ok(())
}
