//! Whole ledgers: good ones pass, changed ones do not (INV-L22), from exports and directories.

use std::io::Write as _;

use tempfile::TempDir;

use super::{
    fixture::{Book, LEDGER, signer},
    random::{Random, random_book},
    *,
};
use crate::{
    checkpoints::{CHECKPOINTS_FILE, Checkpoints},
    codes::ResultCode,
    exchange::{FeedData, FeedLine},
    model::Body,
    proof::{Checkpoint, CheckpointBody, Signer, hash},
    rules::book::Note,
};

fn text(lines: &[Vec<u8>]) -> Vec<u8> {
    lines
        .iter()
        .flat_map(|line| [line.as_slice(), b"\n"].concat())
        .collect()
}

fn verify(export: &[u8], evidence: &Evidence) -> Result<Report, VerifyError> {
    verify_export(&mut &export[..], evidence, &mut |_| {})
}

fn violation(result: Result<Report, VerifyError>) -> Violation {
    match result {
        Err(VerifyError::Violation(violation)) => *violation,
        other => panic!("expected a violation: {other:?}"),
    }
}

fn evidence(checkpoints: impl IntoIterator<Item = Checkpoint>) -> Evidence {
    Evidence {
        checkpoints: checkpoints.into_iter().map(Into::into).collect(),
        keys: vec![signer().verifier_key().clone()],
        ledger_id: None,
    }
}

fn seeds() -> impl Iterator<Item = u64> {
    (1..=12).inspect(|seed| println!("seed {seed}"))
}

#[test]
fn the_vector_of_contract_a9() {
    let line = |code: &str, seq: u64| {
        format!(
            r#"{{"batch":1,"data":{{"code":"{code}","kind":"fiat","scale":2}},"recordedAt":"2026-01-01T00:00:00.000000Z","seq":{seq},"type":"asset.created","v":1}}"#
        )
    };
    let export = format!("{}\n{}\n", line("BRL", 1), line("USD", 2));
    let known = Evidence {
        ledger_id: Some(LEDGER),
        ..Evidence::default()
    };
    let report = verify(export.as_bytes(), &known).expect("good");
    assert_eq!(
        report.head.root_hash.to_string(),
        "6f28a1c61f3213cfe8bbf912dfb66b1a8bf5386f723987b7e008301fba0d0ade"
    );
    assert_eq!(
        report.head.chain_hash.expect("the id is known").to_string(),
        "edf795180ae53629acd8fb0bbe256ecd78e384a66304dac1ab37d7fd10644a14"
    );
    assert_eq!((report.records, report.batches, report.assets), (2, 1, 2));
}

#[test]
fn random_ledgers_are_good_and_reported_in_full() {
    for seed in seeds() {
        let book = random_book(&mut Random(seed), 60);
        let end = book.batch;
        let given = evidence([book.checkpoint(end / 2, 1), book.checkpoint(end, 2)]);
        let report = verify(&text(&book.lines()), &given).expect("good");
        assert_eq!(report.records, book.records.len() as u64);
        assert_eq!((report.batches, report.accounts), (end, 4));
        assert_eq!(
            (report.checkpoints_verified, report.signatures_verified),
            (2, 2)
        );
        assert_eq!(report.covered_seq, report.records);
        assert_eq!(report.open_pendings, book.pendings.len() as u64);
        let sums = report.sums[0].totals;
        assert!(sums.debits_posted > 0);
        assert_eq!(sums.debits_posted, sums.credits_posted);
        assert_eq!(sums.debits_pending, sums.credits_pending);
        assert_eq!(
            (&*report.sums[0].asset, report.sums[0].accounts),
            ("BRL", 4)
        );
    }
}

#[test]
fn feed_lines_are_read_back_as_they_were_written() {
    let book = random_book(&mut Random(77), 60);
    let lines = book.lines();
    let read = lines
        .iter()
        .map(|line| FeedLine::parse(line).expect("a line").data);
    let read: Vec<FeedData> = read.collect();
    let transfers = book
        .records
        .iter()
        .filter(|r| r.transfer().is_some())
        .count();
    let found = read
        .iter()
        .filter(|d| matches!(d, FeedData::Transfer(_)))
        .count();
    assert_eq!(found, transfers);
    let expired = book
        .records
        .iter()
        .filter(|r| matches!(r.body, Body::Expired { .. }));
    assert!(expired.count() > 0 && transfers > 50);
}

/// One change to the lines before `end`.
fn mutate(lines: &mut Vec<Vec<u8>>, end: usize, random: &mut Random) -> String {
    let at = random.below(end);
    let other = (at + 1 + random.below(end - 1)) % end;
    match random.below(7) {
        0 => {
            lines.remove(at);
            format!("line {at} dropped")
        }
        1 => {
            let line = lines[at].clone();
            lines.insert(other, line);
            format!("line {at} again at {other}")
        }
        2 => {
            lines.swap(at, other);
            format!("lines {at} and {other} swapped")
        }
        3 => {
            lines.truncate(at);
            format!("all from line {at} dropped")
        }
        4 => {
            // A digit, so that the line stays one.
            let digits: Vec<usize> = (0..lines[at].len())
                .filter(|i| lines[at][*i].is_ascii_digit())
                .collect();
            let digit = digits[random.below(digits.len())];
            let now = b'0' + (lines[at][digit] - b'0' + 1 + random.below(9) as u8) % 10;
            lines[at][digit] = now;
            format!("digit {digit} of line {at}")
        }
        5 => {
            let byte = random.below(lines[at].len());
            lines[at][byte] ^= 1 << random.below(8);
            format!("byte {byte} of line {at}")
        }
        _ => {
            let length = lines[at].len();
            lines[at].insert(random.below(length), b' ');
            format!("a space in line {at}")
        }
    }
}

#[test]
fn inv_l22_every_changed_line_up_to_the_newest_checkpoint_is_found() {
    for seed in seeds() {
        let mut random = Random(seed);
        let book = random_book(&mut random, 25);
        let lines = book.lines();
        let batch = book.batch - 5;
        let given = evidence([book.checkpoint(batch / 2, 1), book.checkpoint(batch, 2)]);
        verify(&text(&lines), &given).expect("good before");
        let covered = book.records.iter().filter(|r| r.batch <= batch).count();
        for _ in 0..150 {
            let mut changed = lines.clone();
            let what = mutate(&mut changed, covered, &mut random);
            let result = verify(&text(&changed), &given);
            let Err(VerifyError::Violation(found)) = result else {
                panic!("seed {seed}: {what}: {result:?}")
            };
            assert!(
                found.seq <= covered as u64 + 1,
                "seed {seed}: {what}: {found}"
            );
        }
    }
}

/// A consistent history with another amount passes the fold; only the hashes know better.
#[test]
fn inv_l22_a_rewritten_consistent_history_is_found_by_the_checkpoint() {
    let ledger = |amount| {
        let mut book = Book::new();
        book.commit();
        let t = book.single("t", 0, 1, amount);
        book.post(t);
        book
    };
    let signed = ledger(100).checkpoint(2, 1);
    let forged = text(&ledger(1_000).lines());
    verify(&forged, &Evidence::default()).expect("consistent in itself");
    let found = violation(verify(&forged, &evidence([signed])));
    assert_eq!(
        (found.kind, found.batch, found.seq),
        (Kind::RootMismatch, 2, 1)
    );
}

#[test]
fn batches_cut_differently_are_found_by_the_chain() {
    let mut one = Book::new();
    one.commit();
    let t = one.single("t", 0, 1, 5);
    one.post(t);
    let checkpoint = one.checkpoint(2, 1);
    let body = CheckpointBody {
        tree_size: checkpoint.tree_size,
        root_hash: checkpoint.root_hash,
        batch: 2,
        chain_hash: hash::chain0(LEDGER),
        ledger_id: LEDGER,
    };
    let wrong = Checkpoint::sign(1, &body, &[&signer()]);
    let found = violation(verify(&text(&one.lines()), &evidence([wrong])));
    assert_eq!(found.kind, Kind::ChainMismatch);
    let early = CheckpointBody { batch: 1, ..body };
    let early = Checkpoint::sign(1, &early, &[&signer()]);
    let found = violation(verify(&text(&one.lines()), &evidence([early])));
    assert_eq!(found.kind, Kind::CheckpointMisplaced);
}

#[test]
fn checkpoints_must_be_signed_whole_and_of_this_ledger() {
    let book = Book::new();
    let export = text(&book.lines());
    let good = book.checkpoint(1, 1);
    let kind = |checkpoint: Checkpoint, evidence: &dyn Fn(Checkpoint) -> Evidence| {
        violation(verify(&export, &evidence(checkpoint))).kind
    };
    let signed = |checkpoint| evidence([checkpoint]);
    let mut other_text = good.clone();
    other_text.note = other_text.note.replacen("chain 1 ", "chain 2 ", 1);
    assert_eq!(kind(other_text, &signed), Kind::CheckpointSignature);
    let mut other_member = good.clone();
    other_member.tree_size += 1;
    assert_eq!(kind(other_member, &signed), Kind::CheckpointMalformed);
    let mut cut = good.clone();
    cut.note.pop();
    assert_eq!(kind(cut, &signed), Kind::CheckpointMalformed);
    let other_key = Signer::from_seed("other", &[1; 32]).expect("a name");
    let other = |checkpoint| Evidence {
        keys: vec![other_key.verifier_key().clone()],
        ..evidence([checkpoint])
    };
    assert_eq!(kind(good.clone(), &other), Kind::CheckpointSignature);
    let elsewhere = |checkpoint| Evidence {
        ledger_id: Some(Uuid::from_u128(5)),
        ..evidence([checkpoint])
    };
    assert_eq!(
        kind(good.clone(), &elsewhere),
        Kind::CheckpointOfOtherLedger
    );
    let unsigned = Evidence {
        keys: Vec::new(),
        ..evidence([good])
    };
    let report = verify(&export, &unsigned).expect("good");
    assert_eq!(
        (report.checkpoints_verified, report.signatures_verified),
        (1, 0)
    );
}

#[test]
fn an_export_without_its_last_line_end_was_cut_off() {
    let mut export = text(&Book::new().lines());
    export.pop();
    let found = violation(verify(&export, &Evidence::default()));
    assert_eq!((found.kind, found.seq), (Kind::LineMalformed, 4));
}

#[test]
fn checkpoints_and_keys_are_read_in_all_their_forms() {
    let book = random_book(&mut Random(3), 4);
    let (one, two) = (book.checkpoint(1, 1), book.checkpoint(2, 2));
    let json = |checkpoint: &Checkpoint| serde_json::to_string(checkpoint).expect("JSON");
    let both: Vec<GivenCheckpoint> = vec![one.clone().into(), two.clone().into()];
    let lines = format!("{}\n{}\n", json(&one), json(&two));
    assert_eq!(read_checkpoints(&lines), Ok(both.clone()));
    let page = format!(
        r#"{{"items":[{},{}],"nextCursor":null}}"#,
        json(&one),
        json(&two)
    );
    assert_eq!(read_checkpoints(&page), Ok(both));
    let note = read_checkpoints(&one.note).expect("a note");
    assert_eq!(
        (note.len(), &note[0].note, &note[0].json),
        (1, &one.note, &None)
    );
    assert!(read_checkpoints("hello").is_err());
    assert!(read_checkpoints(r#"{"number":1}"#).is_err());
    let key = signer().verifier_key().clone();
    let keys = [
        format!("# of the ledger\n\n{key}\n"),
        format!(r#"{{"keys":[{{"key":"{key}","validFrom":"x"}}]}}"#),
        format!(r#"{{"items":["{key}"]}}"#),
    ];
    for text in keys {
        assert_eq!(read_keys(&text), Ok(vec![key.clone()]), "{text}");
    }
    assert!(read_keys("\n").is_err());
    assert!(read_keys("a+b").is_err());
}

fn refused(id: &str) -> Note {
    Note::IdRefused {
        id: id.into(),
        code: ResultCode::InsufficientFunds,
    }
}

#[test]
fn inv_l3_a_directory_is_verified_with_its_stored_balances_and_own_checkpoints() {
    for seed in seeds().take(3) {
        let dir = TempDir::new().expect("a directory");
        let book = random_book(&mut Random(seed), 30);
        let refusals = |batch: u64| {
            batch
                .is_multiple_of(3)
                .then(|| refused(&format!("no{batch}")))
        };
        book.write_journal(dir.path(), refusals);
        let store = Checkpoints::open(dir.path(), LEDGER, None, book.now).expect("opens");
        for batch in [7, book.batch] {
            let made = book.checkpoint(batch, 1);
            let body = made
                .verify(LEDGER, &[signer().verifier_key().clone()])
                .expect("good");
            store.make(&body).expect("made");
        }
        let mut shown = Progress::default();
        let report = verify_directory(dir.path(), &Evidence::default(), &mut |p| shown = p);
        let report = report.expect("good");
        assert_eq!(report.records, book.records.len() as u64);
        assert_eq!(
            (report.checkpoints_verified, report.signatures_verified),
            (2, 2)
        );
        assert_eq!(
            (shown.records, shown.batches),
            (report.records, report.batches)
        );
        // The export of the same ledger says the same of itself.
        let given = evidence([book.checkpoint(book.batch, 9)]);
        let exported = verify(&text(&book.lines()), &given).expect("good");
        assert_eq!(exported.head, report.head);
        assert!(report.sums[0].totals.events > 0);
        // A checkpoint kept outside is held against the directory too.
        let kept = verify_directory(dir.path(), &given, &mut |_| {}).expect("good");
        assert_eq!(
            (kept.checkpoints_verified, kept.signatures_verified),
            (3, 3)
        );
    }
}

#[test]
fn inv_l3_a_stored_balance_that_differs_is_found() {
    let book = random_book(&mut Random(8), 10);
    let with_touches: Vec<usize> = (0..book.records.len())
        .filter(|at| book.records[*at].touches.first.is_some())
        .collect();
    for at in with_touches.into_iter().step_by(5) {
        let mut changed = random_book(&mut Random(8), 10);
        let touch = changed.records[at]
            .touches
            .first
            .as_mut()
            .expect("chosen so");
        touch.after.credits_posted += 1;
        let dir = TempDir::new().expect("a directory");
        changed.write_journal(dir.path(), |_| None);
        let found = violation(verify_directory(
            dir.path(),
            &Evidence::default(),
            &mut |_| {},
        ));
        assert_eq!(
            (found.kind, found.seq),
            (Kind::StoredBalance, at as u64 + 1),
            "{found}"
        );
    }
}

#[test]
fn inv_l5_an_id_refused_for_good_is_not_recorded_later() {
    let mut book = Book::new();
    book.commit();
    let t = book.single("late", 0, 1, 5);
    book.post(t);
    let dir = TempDir::new().expect("a directory");
    book.write_journal(dir.path(), |batch| (batch == 1).then(|| refused("late")));
    let found = violation(verify_directory(
        dir.path(),
        &Evidence::default(),
        &mut |_| {},
    ));
    assert_eq!(
        (found.kind, found.batch, found.seq),
        (Kind::IdUsedTwice, 2, 5)
    );
}

#[test]
fn damage_and_missing_records_of_a_directory_are_violations() {
    let dir = TempDir::new().expect("a directory");
    let book = random_book(&mut Random(4), 20);
    book.write_journal(dir.path(), |_| None);
    let store = Checkpoints::open(dir.path(), LEDGER, None, book.now).expect("opens");
    let key = signer().verifier_key().clone();
    let body = book
        .checkpoint(book.batch, 1)
        .verify(LEDGER, &[key])
        .expect("good");
    let ahead = CheckpointBody {
        tree_size: body.tree_size + 4,
        batch: body.batch + 2,
        ..body
    };
    store.make(&ahead).expect("made");
    drop(store);
    let check = || {
        violation(verify_directory(
            dir.path(),
            &Evidence::default(),
            &mut |_| {},
        ))
    };
    assert_eq!(check().kind, Kind::RecordsMissing);

    let file = std::fs::OpenOptions::new()
        .append(true)
        .open(dir.path().join(CHECKPOINTS_FILE));
    file.and_then(|mut f| f.write_all(b"{}\n"))
        .expect("written");
    assert_eq!(check().kind, Kind::CheckpointMalformed);
    std::fs::remove_file(dir.path().join(CHECKPOINTS_FILE)).expect("removed");

    let journal = dir.path().join("journal");
    let segment = std::fs::read_dir(&journal).expect("a directory");
    let segment = segment
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| std::fs::metadata(path).is_ok_and(|m| m.len() > 8192))
        .min()
        .expect("a segment");
    let mut bytes = std::fs::read(&segment).expect("readable");
    let frames = bytes.iter().rposition(|b| *b != 0).expect("not empty");
    bytes[4096 + (frames - 4096) / 4] ^= 1;
    std::fs::write(&segment, bytes).expect("writable");
    // Nothing proves that these frames were synced, unless a checkpoint covers them.
    match verify_directory(dir.path(), &Evidence::default(), &mut |_| {}) {
        Ok(report) => assert!(report.torn_bytes > 0 && report.records < body.tree_size),
        Err(error) => assert!(error.to_string().contains("journal_damaged"), "{error}"),
    }
    let kept = evidence([book.checkpoint(book.batch, 1)]);
    let found = violation(verify_directory(dir.path(), &kept, &mut |_| {}));
    assert!(
        matches!(found.kind, Kind::RecordsMissing | Kind::JournalDamaged),
        "{found}"
    );
}

#[test]
fn no_ledger_and_a_running_one_cannot_be_verified() {
    let dir = TempDir::new().expect("a directory");
    let result = verify_directory(dir.path(), &Evidence::default(), &mut |_| {});
    assert!(
        matches!(result, Err(VerifyError::CouldNotRun(_))),
        "{result:?}"
    );
    Book::new().write_journal(dir.path(), |_| None);
    let journal = dir.path().join("journal");
    let lock = crate::journal::DirLock::acquire(&journal, crate::journal::LOCK_FILE);
    let _lock = lock.expect("locked");
    let result = verify_directory(dir.path(), &Evidence::default(), &mut |_| {});
    assert!(
        matches!(&result, Err(VerifyError::CouldNotRun(why)) if why.contains("running")),
        "{result:?}"
    );
}
