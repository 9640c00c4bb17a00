//! A check whose accounts come as a stream of lines, NDJSON or CSV: they are kept page by page
//! while they arrive, and compared when the last one is there.
//!
//! **Invariants.** Memory holds one line, one page, and 16 bytes for each account (to find a book
//! named twice); a stream that breaks or is faulty leaves nothing behind.

use std::collections::HashSet;

use florin_platform::http::problem::{Problem, Status};
use florin_platform::sql::query;
use sha2::{Digest as _, Sha256};

use super::input::{self, Draft, Fault, Given, Item};
use super::run::{Checker, NewCheck, PAGE, RECORD};
use super::table::{self, Asked, Check};
use crate::store::{NewRecord, Session, WriteError};

/// Longest line, in bytes.
const LINE_MAX: usize = 64 << 10;
/// A stream that began so long ago, in microseconds, has been given up.
pub(super) const GIVEN_UP: i64 = 15 * 60 * 1_000_000;

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Ndjson,
    /// RFC 4180 with a header line, fields without line breaks.
    Csv,
}

/// Cuts bytes into lines.
#[derive(Debug, Default)]
struct Lines {
    rest: Vec<u8>,
}

/// Where the columns of a CSV file stand.
#[derive(Debug, Default)]
struct Columns {
    names: Vec<String>,
}

/// Accounts under way from a stream to the tables.
pub struct Receiver {
    checker: Checker,
    new: NewCheck,
    id: String,
    format: Format,
    lines: Lines,
    columns: Option<Columns>,
    number: usize,
    hash: Sha256,
    books: HashSet<[u8; 16]>,
    page: Vec<Asked>,
    pages: i64,
    accounts: i64,
    /// The id is known: the body is only compared.
    known: Option<Check>,
}

/// What a stream came to.
#[derive(Debug)]
pub struct Received {
    /// The check.
    pub id: String,
    /// The same was received before.
    pub replayed: bool,
}

fn fault_problem(fault: Fault, line: usize) -> Problem {
    let status = match fault.code {
        "too_many_accounts" => Status::PayloadTooLarge,
        _ => Status::BadRequest,
    };
    let field = fault.field.clone();
    Problem::new(
        status,
        fault.code,
        format!("Line {line}: {}", fault.message),
    )
    .with_error(field, fault.code, fault.message)
    .with("line", line)
}

impl Receiver {
    /// Begins to receive.
    ///
    /// # Errors
    /// 409 `idempotency_conflict` while another stream under the same id is received, and the
    /// store's.
    pub async fn begin(checker: Checker, new: NewCheck, format: Format) -> Result<Self, Problem> {
        let id = checker.id_of(&new);
        let known = begin(&checker, &id, &new).await?;
        Ok(Self {
            checker,
            new,
            id,
            format,
            lines: Lines::default(),
            columns: None,
            number: 0,
            hash: Sha256::new(),
            books: HashSet::new(),
            page: Vec::new(),
            pages: 0,
            accounts: 0,
            known,
        })
    }

    /// Takes some bytes.
    ///
    /// # Errors
    /// 400 with the first fault and its line; the store's. The receiver must then be
    /// [given up](Receiver::give_up).
    pub async fn take(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        self.hash.update(bytes);
        if self.known.is_some() {
            return Ok(());
        }
        let mut bytes = bytes;
        while let Some(end) = bytes.iter().position(|b| *b == b'\n') {
            let mut line = std::mem::take(&mut self.lines.rest);
            line.extend_from_slice(&bytes[..end]);
            bytes = &bytes[end + 1..];
            self.line(&line).await?;
        }
        self.lines.rest.extend_from_slice(bytes);
        if self.lines.rest.len() > LINE_MAX {
            let message = "The line is too long.";
            let fault = Fault::new("", "malformed_json", message);
            return Err(fault_problem(fault, self.number + 1));
        }
        Ok(())
    }

    async fn line(&mut self, line: &[u8]) -> Result<(), Problem> {
        self.number += 1;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        let number = self.number;
        let wrong = |fault| fault_problem(fault, number);
        let draft = match self.format {
            Format::Ndjson => input::draft(line, "").map_err(wrong)?,
            Format::Csv => match &self.columns {
                None => {
                    self.columns = Some(Columns::of(line).map_err(wrong)?);
                    return Ok(());
                }
                Some(columns) => columns.draft(line).map_err(wrong)?,
            },
        };
        let currencies = self.checker.shadow().currencies();
        let strict = self.new.policy.strict;
        let item = input::item(&draft, "", currencies, strict).map_err(|mut faults| {
            let first = faults.swap_remove(0);
            fault_problem(first, number)
        })?;
        let item = self
            .checker
            .with_statement(item, "")
            .await?
            .map_err(wrong)?;
        let control = self.checker.control();
        let policy = &self.new.policy;
        policy
            .check_tolerance(control, &item.currency, item.scale)
            .map_err(wrong)?;
        if !self.books.insert(book_key(&item)) {
            let message = "This book stands in the check twice.";
            return Err(wrong(Fault::new("accountId", "duplicate_account", message)));
        }
        self.page.push(Asked::from(&item));
        if self.page.len() >= PAGE {
            self.store_page().await?;
        }
        Ok(())
    }

    async fn store_page(&mut self) -> Result<(), Problem> {
        let (id, number, first) = (self.id.clone(), self.pages, self.accounts);
        let page = std::mem::take(&mut self.page);
        self.accounts += i64::try_from(page.len()).unwrap_or(i64::MAX);
        self.pages += 1;
        self.checker
            .shadow()
            .write(move |session| {
                Box::pin(async move {
                    table::insert_page(session.tx(), &id, number, first, &page).await
                })
            })
            .await?;
        Ok(())
    }

    /// The stream has ended: the check is accepted and will be run.
    ///
    /// # Errors
    /// 400 `empty_check`, 409 `idempotency_conflict`, and the store's.
    pub async fn end(mut self) -> Result<Received, Problem> {
        let last = std::mem::take(&mut self.lines.rest);
        if self.known.is_none() && !last.is_empty() {
            self.line(&last).await?;
        }
        if self.known.is_none() && !self.page.is_empty() {
            self.store_page().await?;
        }
        let digest: [u8; 32] = self.hash.clone().finalize().into();
        if let Some(known) = &self.known {
            return match known.body_digest == digest {
                true => Ok(Received {
                    id: self.id,
                    replayed: true,
                }),
                false => Err(conflict()),
            };
        }
        if self.accounts == 0 {
            let fault = Fault::new("", "empty_check", "There is no account.");
            return Err(fault_problem(fault, self.number));
        }
        let (id, pages, accounts) = (self.id.clone(), self.pages, self.accounts);
        let (actor, policy) = (self.new.actor.clone(), self.new.policy.clone());
        self.checker
            .shadow()
            .write(move |session| {
                Box::pin(async move {
                    let body = serde_json::json!({
                        "action": "drift_check.started",
                        "mode": policy.mode,
                        "policyVersion": policy.policy_version,
                        "accounts": accounts,
                    });
                    let record = NewRecord::new(RECORD, actor, &body).subject(&id);
                    let made = session.append(record);
                    let text = "UPDATE shadow_drift_checks SET state = 'running', body_digest = $2,
                        accounts = $3, pages = $4, made_seq = $5 WHERE check_id = $1";
                    let update = query(text)
                        .bind(&id)
                        .bind(digest)
                        .bind(accounts)
                        .bind(pages)
                        .bind(made);
                    session.tx().execute(update).await?;
                    Ok(())
                })
            })
            .await?;
        self.checker.waiting().notify_one();
        Ok(Received {
            id: self.id,
            replayed: false,
        })
    }

    /// The check's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Removes what was kept of a stream that is not accepted.
    pub async fn give_up(self) {
        if self.known.is_none() {
            self.checker.forget(&self.id).await;
        }
    }
}

impl Checker {
    /// Removes what was kept of a stream that was not accepted.
    pub async fn forget(&self, id: &str) {
        let id = id.to_owned();
        let removed = self
            .shadow()
            .write(move |session| Box::pin(async move { remove(session, &id).await }))
            .await;
        if let Err(error) = removed {
            // The next stream under this id removes it.
            tracing::warn!(%error, "a broken stream of a drift check was not removed");
        }
    }
}

fn conflict() -> Problem {
    let detail = "The same checkId or key was used with another body.";
    Problem::conflict("idempotency_conflict", detail)
}

async fn remove(session: &mut Session, id: &str) -> Result<(), WriteError> {
    let pages = "DELETE FROM shadow_drift_pages WHERE check_id = $1 AND EXISTS (
        SELECT 1 FROM shadow_drift_checks WHERE check_id = $1 AND state = 'receiving')";
    session.tx().execute(query(pages).bind(id)).await?;
    let check = "DELETE FROM shadow_drift_checks WHERE check_id = $1 AND state = 'receiving'";
    session.tx().execute(query(check).bind(id)).await?;
    Ok(())
}

/// Keeps the row of a check that is being received; answers the one that is known already.
async fn begin(checker: &Checker, id: &str, new: &NewCheck) -> Result<Option<Check>, Problem> {
    let (id, new) = (id.to_owned(), new.clone());
    let known = checker
        .shadow()
        .write(move |session| {
            Box::pin(async move {
                if let Some(known) = table::find_in(session.tx(), &id).await? {
                    if known.state != "receiving" {
                        return Ok(Some(known));
                    }
                    if session.now().saturating_sub(known.started_at) < GIVEN_UP {
                        return Err(conflict().into());
                    }
                    remove(session, &id).await?;
                }
                let policy = serde_json::to_string(&new.policy)
                    .map_err(|_| WriteError::Damaged("policy"))?;
                let check = Check {
                    id,
                    made_seq: 0,
                    log_seq: 0,
                    state: "receiving".to_owned(),
                    streamed: true,
                    body_digest: Vec::new(),
                    mode: new.policy.mode,
                    policy,
                    actor: new.actor.subject,
                    role: new.actor.role,
                    trace_id: new.actor.trace_id,
                    started_at: session.now(),
                    finished_at: None,
                    accounts: 0,
                    done: 0,
                    pages: 0,
                    drifts: 0,
                    corrections: 0,
                    tolerated: "{}".to_owned(),
                };
                check.insert(session.tx()).await?;
                Ok(None)
            })
        })
        .await?;
    Ok(known)
}

/// 16 bytes that name a book.
fn book_key(item: &Item) -> [u8; 16] {
    let mut hash = Sha256::new();
    hash.update(item.account.as_bytes());
    hash.update([0]);
    hash.update(item.currency.as_bytes());
    let digest: [u8; 32] = hash.finalize().into();
    let mut short = [0; 16];
    short.copy_from_slice(&digest[..16]);
    short
}

impl Columns {
    fn of(line: &[u8]) -> Result<Self, Fault> {
        const KNOWN: [&str; 5] = [
            "accountId",
            "reportedBalance",
            "asOf",
            "currency",
            "statementId",
        ];
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        let names = cells(line)?;
        for (at, name) in names.iter().enumerate() {
            if !KNOWN.contains(&name.as_str()) {
                let message = "This column is not known here.";
                return Err(Fault::new(name, "unknown_field", message));
            }
            if names[..at].contains(name) {
                let message = "The column is given twice.";
                return Err(Fault::new(name, "duplicate_field", message));
            }
        }
        Ok(Self { names })
    }

    fn draft(&self, line: &[u8]) -> Result<Draft, Fault> {
        let cells = cells(line)?;
        if cells.len() != self.names.len() {
            let message = "The row has another number of fields than the header.";
            return Err(Fault::new("", "malformed_csv", message));
        }
        let mut draft = Draft::default();
        for (name, cell) in self.names.iter().zip(&cells) {
            let given = Given::cell(cell);
            match name.as_str() {
                "accountId" => draft.account = given,
                "reportedBalance" => draft.reported = given,
                "asOf" => draft.as_of = given,
                "currency" => draft.currency = given,
                _ => draft.statement = given,
            }
        }
        Ok(draft)
    }
}

/// The fields of one line.
fn cells(line: &[u8]) -> Result<Vec<String>, Fault> {
    let bad = |message: &str| Fault::new("", "malformed_csv", message);
    let text = std::str::from_utf8(line).map_err(|_| bad("The line is not UTF-8."))?;
    let mut cells = Vec::new();
    let mut letters = text.chars().peekable();
    loop {
        let mut cell = String::new();
        if letters.next_if_eq(&'"').is_some() {
            loop {
                match letters.next() {
                    None => return Err(bad("A quoted field does not end.")),
                    Some('"') if letters.next_if_eq(&'"').is_some() => cell.push('"'),
                    Some('"') => break,
                    Some(letter) => cell.push(letter),
                }
            }
        } else {
            while let Some(letter) = letters.next_if(|letter| *letter != ',') {
                cell.push(letter);
            }
        }
        cells.push(cell);
        match letters.next() {
            None => return Ok(cells),
            Some(',') => {}
            Some(_) => return Err(bad("A quoted field goes on behind its quote.")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_follow_rfc_4180() {
        let read = |line: &str| cells(line.as_bytes());
        assert_eq!(read("a,,c").expect("plain"), ["a", "", "c"]);
        assert_eq!(
            read(r#""a ""b"", c",d"#).expect("quoted"),
            [r#"a "b", c"#, "d"]
        );
        assert_eq!(read("").expect("empty"), [""]);
        for bad in [r#""a"#, r#""a"b"#] {
            assert_eq!(read(bad).expect_err(bad).code, "malformed_csv");
        }
    }

    #[test]
    fn columns_come_in_any_order() {
        let columns = Columns::of(b"\xef\xbb\xbfreportedBalance,accountId").expect("header");
        let draft = columns.draft(b"-1.5,A").expect("row");
        assert_eq!(draft.account, Given::Bare("A".into()));
        assert_eq!(draft.as_of, Given::Absent);
        assert_eq!(
            columns.draft(b"1").expect_err("short").code,
            "malformed_csv"
        );
        assert_eq!(
            Columns::of(b"balance").expect_err("name").code,
            "unknown_field"
        );
    }
}
