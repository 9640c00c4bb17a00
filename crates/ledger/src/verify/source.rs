//! Where records come from: a stopped ledger's directory, or an export.

use std::{
    io::{BufRead, Read},
    path::Path,
    sync::Arc,
};

use uuid::Uuid;

use super::{
    Evidence, GivenCheckpoint, Progress, VerifyError,
    hashes::Hashes,
    report::{Kind, Report, Violation},
    run::Verifier,
};
use crate::{
    checkpoints::{CheckpointError, load_checkpoints, load_keys},
    journal::{DirLock, Frame, JournalError, LOCK_FILE, RealIo, inspect, ledger_id_of},
    proof::{CheckpointBody, VerifierKey},
    record::codec::{self, Commit},
    rules::book::Note,
};

/// Directory of the journal in a ledger's directory.
const JOURNAL_DIR: &str = "journal";
/// Longest line that is read; the longest that can be written is shorter.
const LINE_MAX: u64 = 1 << 20;

fn before_the_records(kind: Kind, detail: String) -> VerifyError {
    Violation {
        kind,
        batch: 0,
        seq: 0,
        detail,
    }
    .into()
}

/// The statements of checkpoints, and how many of their signatures were checked.
pub(super) fn statements(
    given: &[GivenCheckpoint],
    keys: &[VerifierKey],
    ledger_id: Option<Uuid>,
) -> Result<(Vec<CheckpointBody>, u64), VerifyError> {
    let bodies = given.iter().map(|checkpoint| {
        let body = checkpoint.body(keys, ledger_id);
        body.map_err(|(kind, detail)| before_the_records(kind, detail))
    });
    let bodies = bodies.collect::<Result<Vec<_>, _>>()?;
    let signed = if keys.is_empty() { 0 } else { bodies.len() };
    Ok((bodies, signed as u64))
}

/// Verifies an export: the exact feed lines from `seq` 1, each with its line end. `progress` is
/// called now and then, and once at the end.
///
/// # Errors
/// The first violation, or why it could not be found out.
pub fn verify_export(
    mut input: &mut dyn BufRead,
    evidence: &Evidence,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report, VerifyError> {
    let first = evidence.checkpoints.first();
    let named = match (evidence.ledger_id, first) {
        (Some(id), _) => Some(id),
        (None, None) => None,
        (None, Some(checkpoint)) => match checkpoint.body(&evidence.keys, None) {
            Ok(body) => Some(body.ledger_id),
            Err((kind, detail)) => return Err(before_the_records(kind, detail)),
        },
    };
    let (bodies, signed) = statements(&evidence.checkpoints, &evidence.keys, named)?;
    let mut verifier = Verifier::new(Hashes::new(named, bodies), signed, progress);
    let mut line = Vec::new();
    loop {
        line.clear();
        let bytes = Read::by_ref(&mut input)
            .take(LINE_MAX)
            .read_until(b'\n', &mut line)
            .map_err(|e| VerifyError::CouldNotRun(format!("cannot read the export: {e}")))?;
        if bytes == 0 {
            break;
        }
        let Some(whole) = line.strip_suffix(b"\n") else {
            let detail = "the line has no end: it was cut off";
            return Err(verifier.here(Kind::LineMalformed, detail).into());
        };
        verifier.exported(whole)?;
    }
    Ok(verifier.finish(0)?)
}

/// What stops the walk through a journal.
enum Stop {
    Found(Violation),
    Journal(JournalError),
}

impl From<JournalError> for Stop {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}

fn checkpoint_files(error: CheckpointError) -> VerifyError {
    match error {
        CheckpointError::Damaged { .. } => {
            before_the_records(Kind::CheckpointMalformed, error.to_string())
        }
        other => VerifyError::CouldNotRun(other.to_string()),
    }
}

/// Verifies a stopped ledger in its directory: journal, stored balances, its own checkpoints
/// and those given. `progress` is called now and then, and once at the end.
///
/// # Errors
/// The first violation, or why it could not be found out: the ledger is running, there is none,
/// a file cannot be read.
pub fn verify_directory(
    dir: &Path,
    evidence: &Evidence,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report, VerifyError> {
    let journal_dir = dir.join(JOURNAL_DIR);
    let could_not = |error: JournalError| VerifyError::CouldNotRun(error.to_string());
    let ledger_id = match ledger_id_of(&RealIo, &journal_dir) {
        Ok(Some(id)) => Uuid::from_bytes(id),
        Ok(None) => {
            let detail = format!("there is no ledger in {}", dir.display());
            return Err(VerifyError::CouldNotRun(detail));
        }
        Err(error @ JournalError::Damaged(_)) => {
            return Err(before_the_records(Kind::JournalDamaged, error.to_string()));
        }
        Err(error) => return Err(could_not(error)),
    };
    // On a read-only copy no lock can be had, and none is needed.
    let _lock = match DirLock::acquire(&journal_dir, LOCK_FILE) {
        Err(JournalError::Locked { .. }) => {
            let detail = "the ledger is running: stop it, or verify an export of it";
            return Err(VerifyError::CouldNotRun(detail.to_owned()));
        }
        acquired => acquired.ok(),
    };
    let own_keys = load_keys(dir).map_err(checkpoint_files)?;
    let mut own_keys: Vec<VerifierKey> = own_keys.into_iter().map(|listed| listed.key).collect();
    let given_keys = if evidence.keys.is_empty() {
        own_keys.clone()
    } else {
        evidence.keys.clone()
    };
    let (mut bodies, mut signed) = statements(&evidence.checkpoints, &given_keys, Some(ledger_id))?;
    own_keys.extend_from_slice(&evidence.keys);
    let own = load_checkpoints(dir, ledger_id).map_err(checkpoint_files)?;
    let own: Vec<GivenCheckpoint> = own.into_iter().map(Into::into).collect();
    let (own_bodies, own_signed) = statements(&own, &own_keys, Some(ledger_id))?;
    bodies.extend(own_bodies);
    signed += own_signed;

    let hashes = Hashes::new(Some(ledger_id), bodies);
    let mut verifier = Verifier::new(hashes, signed, progress);
    let mut notes = 0;
    let walked = inspect(Arc::new(RealIo), &journal_dir, &mut |frame: Frame<'_>| {
        let decoded = codec::decode(frame.payload)
            .map_err(|e| Stop::Found(verifier.here(Kind::CommitMalformed, e.to_string())))?;
        commit(&mut verifier, &decoded, &mut notes).map_err(Stop::Found)
    });
    match walked {
        Ok(recovery) => Ok(verifier.finish(recovery.torn_bytes_cut)?),
        Err(Stop::Found(violation)) => Err(violation.into()),
        Err(Stop::Journal(
            error @ (JournalError::Damaged(_) | JournalError::WrongLedger { .. }),
        )) => {
            let mut violation = verifier.here(Kind::JournalDamaged, error.to_string());
            violation.batch = verifier.batch() + 1;
            Err(violation.into())
        }
        Err(Stop::Journal(error)) => Err(could_not(error)),
    }
}

/// One commit of a journal. A commit without records (remembered refusals only) has no batch
/// of its own in the feed.
pub(super) fn commit(
    verifier: &mut Verifier<'_>,
    commit: &Commit,
    notes: &mut u64,
) -> Result<(), Violation> {
    let header = &commit.header;
    if header.first_seq != verifier.next_seq() {
        let detail = format!(
            "a commit starts with record {}, {} comes next",
            header.first_seq,
            verifier.next_seq()
        );
        return Err(verifier.here(Kind::SeqGap, detail));
    }
    if header.first_note != *notes + 1 {
        let detail = format!(
            "a commit starts with note {}, {} comes next",
            header.first_note,
            *notes + 1
        );
        return Err(verifier.here(Kind::CommitMalformed, detail));
    }
    *notes += u64::from(header.notes);
    if !commit.records.is_empty() && header.batch == verifier.batch() {
        let detail = format!("two commits have the number {}", header.batch);
        return Err(verifier.here(Kind::BatchGap, detail));
    }
    for record in &commit.records {
        verifier.stored(record)?;
    }
    for note in &commit.notes {
        if let Note::IdRefused { id, .. } = note {
            verifier.refused(id)?;
        }
    }
    Ok(())
}
