//! Import of a file: read in a thread of its own, lines staged in chunks, everything shown in
//! one commit (contract D1).
//!
//! **Invariants.** Nothing of a file is seen before the commit that shows all of it; a file that
//! fails, and one that a crash cut short, leaves nothing (INV-S20, `import.mid`). The same bytes
//! give the first result again.

use std::collections::BTreeSet;
use std::sync::Arc;

use florin_base::IdSource;
use florin_platform::http::problem::Problem;
use florin_platform::sql::{SqlError, query};
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::csv::{Given, Profile};
use super::fault::{FaultCode, StatementFault};
use super::gate::{Gate, Rules};
use super::input::Limits;
use super::model::{Format, Head, Options};
use super::read::{Request, read};
use super::settle::{Item, Settled, Settling};
use super::spool::Spooled;
use super::stage::{MESSAGES_MAX, Message, Sending, Stage, forget};
use super::{problem, tables};
use crate::model::BookId;
use crate::store::keys::{Keyed, made_before};
use crate::store::{Actor, NewRecord, Shadow, WriteError};

/// Kind of the records that tell what came of a file.
pub const RECORD: &str = "statement";
/// How long a file may be read before another process may think that its reader is gone.
const ABANDONED_MICROS: i64 = 3_600 * 1_000_000;

/// How a file is to be read.
#[derive(Debug, Clone)]
pub struct ImportOptions {
    /// Given format.
    pub format: Option<Format>,
    /// The account of all its statements.
    pub account: Option<String>,
    /// Name of the CSV profile.
    pub profile: Option<String>,
    /// `mode=lenient`.
    pub lenient: bool,
    /// Keep the statements that pass.
    pub partial: bool,
    /// Refuse statements without balances.
    pub require_balances: bool,
    /// Opening balance, as written in the query.
    pub opening: Option<String>,
    /// Closing balance, as written in the query.
    pub closing: Option<String>,
    /// `Idempotency-Key`.
    pub key: Option<String>,
}

impl ImportOptions {
    /// The request under its key: the file and nothing else, since the same bytes are one import.
    pub(super) fn keyed(&self, file: [u8; 32], actor: &Actor) -> Option<Keyed> {
        let asked = vec![("file", hex::encode(file).into())];
        let key = self.key.as_deref()?;
        Some(Keyed::new("import", actor, key, asked))
    }
}

impl Default for ImportOptions {
    fn default() -> Self {
        Self {
            format: None,
            account: None,
            profile: None,
            lenient: false,
            partial: false,
            require_balances: true,
            opening: None,
            closing: None,
            key: None,
        }
    }
}

/// What came of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// `importId`.
    pub id: String,
    /// The file was known: this is the first result.
    pub replayed: bool,
    /// Books that got new statements.
    pub books: Vec<BookId>,
}

/// Takes statements in; cheap to clone.
#[derive(Clone)]
pub struct Statements {
    shadow: Shadow,
    limits: Limits,
    ids: Arc<Mutex<IdSource>>,
    /// What was begun before is of another life of this process.
    opened_at: i64,
}

impl Statements {
    /// Over a shadow ledger.
    pub fn new(shadow: Shadow, limits: Limits) -> Self {
        Self {
            opened_at: shadow.clock().wall_micros(),
            shadow,
            limits,
            ids: Arc::new(Mutex::new(IdSource::new())),
        }
    }

    /// The shadow ledger.
    pub const fn shadow(&self) -> &Shadow {
        &self.shadow
    }

    /// Size bounds.
    pub const fn limits(&self) -> Limits {
        self.limits
    }

    /// Forgets what crashed imports left behind. Where other processes use the same tables,
    /// only what has stood there for an hour.
    ///
    /// # Errors
    /// The store's.
    pub async fn recover(&self) -> Result<(), WriteError> {
        let wait = if self.shadow.db().is_shared() {
            ABANDONED_MICROS
        } else {
            0
        };
        let before = self.opened_at - wait;
        for number in tables::staging(self.shadow.db(), before).await? {
            forget(&self.shadow, number).await?;
        }
        Ok(())
    }

    pub(super) fn new_id(&self) -> String {
        let now = self.shadow.clock().wall_micros();
        self.ids.lock().uuid_v7(now).to_string()
    }

    /// Imports a file.
    ///
    /// # Errors
    /// A problem with the code of the fault, or the store's.
    pub async fn import(
        &self,
        file: Spooled,
        options: ImportOptions,
        actor: &Actor,
    ) -> Result<Imported, Problem> {
        let digest = file.digest();
        let key = options.keyed(digest, actor);
        let before = made_before(self.shadow.db(), key.as_ref()).await?;
        if let Some(known) = self.known(digest).await? {
            if before.is_none() && key.is_some() {
                self.keep_key(key, known.id.clone()).await?;
            }
            return Ok(known);
        }
        let profile = self.profile(&options).await?;
        let file = Arc::new(file);
        let first = self.attempt(&file, &options, profile.clone(), actor).await;
        let outcome = match first {
            // Another import of the same file or statement was shown meanwhile.
            Err(Failure::Store(WriteError::Store(SqlError::Duplicate(_)))) => {
                if let Some(known) = self.known(digest).await? {
                    return Ok(known);
                }
                self.attempt(&file, &options, profile, actor).await
            }
            other => other,
        };
        match outcome {
            Ok(imported) => Ok(imported),
            Err(Failure::Fault(fault)) => {
                self.note_refused(digest, &fault, actor).await?;
                Err(problem::of(&fault))
            }
            Err(Failure::Store(error)) => Err(error.into()),
        }
    }

    /// Another key for the same file: from now on it stands for it.
    async fn keep_key(&self, key: Option<Keyed>, import: String) -> Result<(), WriteError> {
        let kept = self.shadow.write(move |session| {
            Box::pin(async move {
                match session.made_under(key.as_ref()).await? {
                    Some(_) => Ok(()),
                    None => session.keep_made(key.as_ref(), 200, import).await,
                }
            })
        });
        kept.await
    }

    async fn known(&self, digest: [u8; 32]) -> Result<Option<Imported>, Problem> {
        let known = tables::import_of(self.shadow.db(), digest).await?;
        Ok(known.map(|id| Imported {
            id,
            replayed: true,
            books: Vec::new(),
        }))
    }

    async fn profile(&self, options: &ImportOptions) -> Result<Option<Profile>, Problem> {
        let Some(name) = &options.profile else {
            return Ok(None);
        };
        match tables::profile(self.shadow.db(), name).await? {
            Some(profile) => Ok(Some(profile)),
            None => {
                let detail = "There is no CSV profile of this name.";
                Err(problem::of(&StatementFault::new(
                    FaultCode::ProfileUnknown,
                    detail,
                )))
            }
        }
    }

    async fn attempt(
        &self,
        file: &Arc<Spooled>,
        options: &ImportOptions,
        profile: Option<Profile>,
        actor: &Actor,
    ) -> Result<Imported, Failure> {
        let import = self.start(file.digest(), actor).await?;
        let outcome = self
            .run(import.0, &import.1, file, options, profile, actor)
            .await;
        if outcome.is_err() {
            // What stays behind if this fails too is forgotten at the next start.
            forget(&self.shadow, import.0).await?;
        }
        outcome
    }

    /// Number and id of a new import.
    async fn start(&self, digest: [u8; 32], actor: &Actor) -> Result<(i64, String), WriteError> {
        let (id, actor) = (self.new_id(), actor.clone());
        self.shadow
            .write(move |session| {
                Box::pin(async move {
                    let next =
                        query("SELECT COALESCE(MAX(number), 0) + 1 AS next FROM shadow_imports");
                    let row = session.tx().fetch_optional(next).await?;
                    let number: i64 = row.ok_or(WriteError::Damaged("imports"))?.get("next")?;
                    let now = session.now();
                    let insert = query(
                        "INSERT INTO shadow_imports (number, id, file_digest, state, whole, items,
                            actor, trace_id, created_at)
                         VALUES ($1, $2, $3, 'staging', FALSE, '[]', $4, $5, $6)",
                    )
                    .bind(number)
                    .bind(&id)
                    .bind(digest)
                    .bind(&actor.subject)
                    .bind(actor.trace_id)
                    .bind(now);
                    session.tx().execute(insert).await?;
                    Ok((number, id))
                })
            })
            .await
    }

    async fn run(
        &self,
        import: i64,
        id: &str,
        file: &Arc<Spooled>,
        options: &ImportOptions,
        profile: Option<Profile>,
        actor: &Actor,
    ) -> Result<Imported, Failure> {
        let (send, receive) = mpsc::channel(MESSAGES_MAX);
        let reading = self.reading(Arc::clone(file), options.clone(), profile, send);
        let staged = self.stage(import, options, receive).await;
        let read = reading.await.map_err(|error| {
            Failure::Fault(StatementFault::new(FaultCode::Io, error.to_string()))
        })?;
        // The store's own error says more than that the reader met a closed door.
        let staged = staged?;
        read.map_err(Failure::Fault)?;
        let settling = Settling {
            import,
            id: id.to_owned(),
            key: options.keyed(file.digest(), actor),
            format: staged.format,
            items: staged.items,
            options: options.clone(),
            actor: actor.clone(),
        };
        let settled: Settled = settling.commit(&self.shadow).await?;
        if let Some(format) = staged.format {
            metrics::counter!("shadow_statements_total", "format" => format.word(), "result" => "imported")
                .increment(settled.imported);
        }
        Ok(Imported {
            id: id.to_owned(),
            replayed: false,
            books: settled
                .books
                .into_iter()
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect(),
        })
    }

    fn reading(
        &self,
        file: Arc<Spooled>,
        options: ImportOptions,
        profile: Option<Profile>,
        send: mpsc::Sender<Message>,
    ) -> tokio::task::JoinHandle<Result<(), StatementFault>> {
        let (shadow, limits) = (self.shadow.clone(), self.limits);
        tokio::task::spawn_blocking(move || {
            let currencies = shadow.currencies();
            let scale_of = |code: &str| currencies.scale(code);
            let given = profile.as_ref().zip(options.account.as_deref());
            let request = Request {
                format: options.format,
                csv: given.map(|(profile, account)| Given {
                    profile,
                    account,
                    default_currency: currencies.default_code(),
                    opening: options.opening.as_deref(),
                    closing: options.closing.as_deref(),
                }),
                csv_account_missing: profile.is_some() && options.account.is_none(),
                limits,
                options: Options {
                    lenient: options.lenient,
                    scale_of: &scale_of,
                },
            };
            let rules = Rules {
                partial: options.partial,
                require_balances: options.require_balances,
                opening: options.opening.as_deref(),
                closing: options.closing.as_deref(),
            };
            let formats = send.clone();
            let mut sending = Sending::new(send);
            let mut gate = Gate::new(rules, &mut sending);
            let mut found = |format| {
                // A closed door is met again by the first statement.
                let _ = formats.blocking_send(Message::Format(format));
            };
            read(file.reader()?, &request, &mut gate, &mut found).map(drop)
        })
    }

    async fn stage(
        &self,
        import: i64,
        options: &ImportOptions,
        mut receive: mpsc::Receiver<Message>,
    ) -> Result<Staged, Failure> {
        let mut stage = Stage::new(self.shadow.clone(), import);
        let mut staged = Staged::default();
        let mut account = String::new();
        let mut reference: Option<String> = None;
        while let Some(message) = receive.recv().await {
            match message {
                Message::Format(format) => staged.format = Some(format),
                Message::Begin(head, reply) => {
                    stage.begin().map_err(Failure::Fault)?;
                    let csv = staged.format == Some(Format::Csv);
                    let answer = self.account_of(&head, options, csv, &mut reference).await?;
                    let answer = answer.map(|found| account = found);
                    // The reader may be gone: then nothing more comes.
                    let _ = reply.send(answer);
                }
                Message::Lines(lines) => stage.lines(lines).await?,
                Message::Pass(checked) => staged.items.push(Item::Passed {
                    number: stage.statement(),
                    id: self.new_id(),
                    account: account.clone(),
                    checked,
                }),
                Message::Refuse(head, fault) => staged.items.push(Item::Refused {
                    number: stage.statement(),
                    head,
                    fault,
                }),
            }
        }
        stage.flush().await?;
        Ok(staged)
    }

    /// The account of a statement: from the query, or from what was said about its reference.
    async fn account_of(
        &self,
        head: &Head,
        options: &ImportOptions,
        csv: bool,
        reference: &mut Option<String>,
    ) -> Result<Result<String, StatementFault>, WriteError> {
        let unmapped =
            |detail: String| Ok(Err(StatementFault::new(FaultCode::AccountUnmapped, detail)));
        if let Some(account) = &options.account {
            let first = reference.get_or_insert_with(|| head.account_ref.clone());
            if !csv && *first != head.account_ref {
                return unmapped("The file speaks of several accounts; map each reference.".into());
            }
            return Ok(Ok(account.clone()));
        }
        match tables::account_of(self.shadow.db(), &head.account_ref).await? {
            Some(account) => Ok(Ok(account)),
            None => unmapped(format!(
                "Nobody said which account `{}` is.",
                head.account_ref
            )),
        }
    }

    async fn note_refused(
        &self,
        digest: [u8; 32],
        fault: &StatementFault,
        actor: &Actor,
    ) -> Result<(), WriteError> {
        metrics::counter!("shadow_statements_total", "format" => "any", "result" => "refused")
            .increment(1);
        let body = serde_json::json!({
            "fileDigest": hex::encode(digest),
            "code": fault.code.code(),
            "line": fault.line,
        });
        let record = NewRecord::new(RECORD, actor.clone(), &body)
            .subject(hex::encode(&digest[..16]))
            .emits("shadow.statement.refused");
        self.shadow
            .write(move |session| {
                Box::pin(async move {
                    session.append(record);
                    Ok(())
                })
            })
            .await
    }
}

#[derive(Default)]
struct Staged {
    format: Option<Format>,
    items: Vec<Item>,
}

/// Why a file was not imported.
#[derive(Debug)]
pub(super) enum Failure {
    /// The file.
    Fault(StatementFault),
    /// The store.
    Store(WriteError),
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        Self::Store(error)
    }
}
