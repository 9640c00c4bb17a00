//! A ledger in PostgreSQL as it stands, verified like a directory: its commits read back in
//! order, and beside them what the database keeps for itself: the head, the balances, the
//! checkpoints.

use super::{
    Evidence, GivenCheckpoint, Progress, VerifyError,
    hashes::Hashes,
    report::{Kind, Report, Violation},
    run::Verifier,
    source::{commit, statements},
};
use crate::{
    PostgresOptions,
    postgres::{commits::CommitsError, moving::Source},
    proof::VerifierKey,
};

/// Balances compared at a time.
const BALANCES: usize = 10_000;

fn could_not(error: impl std::fmt::Display) -> VerifyError {
    VerifyError::CouldNotRun(error.to_string())
}

/// Verifies a ledger in PostgreSQL, which may run on: everything is read in one state of the
/// database. `progress` is called now and then, and once at the end. Blocks, and not inside an
/// async task.
///
/// # Errors
/// The first violation, or why it could not be found out.
pub fn verify_database(
    options: &PostgresOptions,
    evidence: &Evidence,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report, VerifyError> {
    let source = Source::glance(options).map_err(could_not)?;
    let ledger_id = source.ledger_id();
    let own = source.checkpoints().map_err(could_not)?;
    let mut own_keys: Vec<VerifierKey> = own.keys.into_iter().map(|listed| listed.key).collect();
    let given_keys = if evidence.keys.is_empty() {
        own_keys.clone()
    } else {
        evidence.keys.clone()
    };
    let (mut bodies, mut signed) = statements(&evidence.checkpoints, &given_keys, Some(ledger_id))?;
    own_keys.extend_from_slice(&evidence.keys);
    let own: Vec<GivenCheckpoint> = own.checkpoints.into_iter().map(Into::into).collect();
    let (own_bodies, own_signed) = statements(&own, &own_keys, Some(ledger_id))?;
    bodies.extend(own_bodies);
    signed += own_signed;

    let hashes = Hashes::new(Some(ledger_id), bodies);
    let mut verifier = Verifier::new(hashes, signed, progress);
    let (mut notes, mut found) = (0, None);
    let walked = source.each(|next| match commit(&mut verifier, &next, &mut notes) {
        Ok(()) => true,
        Err(violation) => {
            found = Some(violation);
            false
        }
    });
    if let Some(violation) = found {
        return Err(violation.into());
    }
    match walked {
        Ok(()) => {}
        Err(CommitsError::Damaged { seq, what }) => {
            let mut violation = verifier.here(Kind::JournalDamaged, what);
            violation.batch = verifier.batch() + 1;
            violation.seq = seq;
            return Err(violation.into());
        }
        Err(error) => return Err(could_not(error)),
    }
    balances(&source, &verifier)?;
    let report = verifier.finish(0)?;
    head(&source, &report, notes)?;
    Ok(report)
}

/// INV-L3: stored balances are what the records amount to.
fn balances(source: &Source, verifier: &Verifier<'_>) -> Result<(), VerifyError> {
    let (mut after, mut count) = (None, 0);
    loop {
        let step = source.balances(after, BALANCES).map_err(could_not)?;
        let Some((last, _)) = step.last() else {
            break;
        };
        after = Some(*last);
        count += step.len();
        for (slot, totals) in &step {
            verifier.balance(*slot, totals)?;
        }
    }
    verifier.balances_end(count)?;
    Ok(())
}

/// The head agrees with the records.
fn head(source: &Source, report: &Report, notes: u64) -> Result<(), VerifyError> {
    let kept = source.head();
    let chain = report.head.chain_hash.filter(|_| report.records > 0);
    let agree = [
        (
            Kind::RecordsMissing,
            "last record",
            kept.seq == report.head.seq,
        ),
        (
            Kind::BatchGap,
            "last batch",
            kept.batch == report.head.batch,
        ),
        (Kind::CommitMalformed, "last note", kept.note == notes),
        (
            Kind::RootMismatch,
            "tree",
            kept.root == report.head.root_hash,
        ),
        (
            Kind::ChainMismatch,
            "hash chain",
            chain.is_none_or(|chain| chain == kept.chain),
        ),
    ];
    match agree.into_iter().find(|(_, _, agree)| !agree) {
        None => Ok(()),
        Some((kind, what, _)) => Err(Violation {
            kind,
            batch: kept.batch,
            seq: kept.seq,
            detail: format!("the head's {what} is not that of the records"),
        }
        .into()),
    }
}
