//! Damaged files: the truth refuses to start and names the place, what is derived is passed over
//! or says how to make it again.

use std::{
    fs,
    path::{Path, PathBuf},
};

use florin_ledger::{OpenError, OpenOptions, Policy, model::WalletType};

use super::support::{Bank, Random};

fn small(o: &mut OpenOptions) {
    o.segment_bytes = 64 << 10;
    o.snapshot_bytes = 8 << 10;
}

/// A ledger of several segments; returns a wallet with its balance.
fn filled(dir: &Path) -> (u128, u128) {
    let bank = Bank::open_with(dir, Policy::default(), small);
    let ana = bank.wallet("ana", "BRL");
    for n in 0..600 {
        bank.run(bank.movement(WalletType::Deposit, ana, "0.07", &format!("d{n}")));
    }
    (ana, bank.balance(ana).0)
}

fn open(dir: &Path) -> Result<Bank, OpenError> {
    let clock = florin_base::clock::ManualClock::new(super::support::START + 3_600_000_000);
    Bank::try_open(dir, Policy::default(), std::sync::Arc::new(clock), small)
}

fn refusal(dir: &Path) -> String {
    match open(dir) {
        Ok(_) => panic!("damage went unnoticed"),
        Err(error) => error.to_string(),
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).expect("a folder");
    let mut files: Vec<PathBuf> = entries.map(|e| e.expect("an entry").path()).collect();
    files.retain(|f| f.is_file());
    files.sort();
    files
}

fn flip(file: &Path, at: usize) {
    let mut bytes = fs::read(file).expect("readable");
    bytes[at] ^= 0x40;
    fs::write(file, bytes).expect("writable");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry").path();
        let target = to.join(entry.file_name().expect("a name"));
        if entry.is_dir() {
            copy(&entry, &target);
        } else {
            fs::copy(&entry, &target).expect("a copy");
        }
    }
}

#[test]
fn a_damaged_journal_refuses_to_start_and_names_the_place() {
    let whole = tempfile::tempdir().expect("a directory");
    filled(whole.path());
    let mut random = Random(7);
    let journal = |dir: &Path| {
        let mut segments = files(&dir.join("journal"));
        segments.retain(|f| fs::metadata(f).is_ok_and(|m| m.len() == 64 << 10));
        segments
    };
    let count = journal(whole.path()).len();
    assert!(count >= 3, "{count} segments");
    for _ in 0..40 {
        let dir = tempfile::tempdir().expect("a directory");
        copy(whole.path(), dir.path());
        // Without snapshots the whole journal is read at the start.
        fs::remove_dir_all(dir.path().join("snapshots")).expect("snapshots");
        let segment = &journal(dir.path())[random.below(count - 2)];
        let before = fs::read(segment).expect("readable");
        let used = before.iter().rposition(|b| *b != 0).expect("not empty");
        let at = random.below(used);
        flip(segment, at);
        let text = refusal(dir.path());
        let name = segment.file_name().expect("a name").to_string_lossy();
        assert!(
            text.contains(&*name) && text.contains("damaged"),
            "byte {at}: {text}"
        );
        assert!(text.contains("offset"), "byte {at}: {text}");
        // Refusing changes nothing: with the byte put back it starts.
        fs::write(segment, before).expect("writable");
        assert!(open(dir.path()).is_ok(), "byte {at}");
    }
}

#[test]
fn a_damaged_index_says_how_to_make_it_again() {
    let whole = tempfile::tempdir().expect("a directory");
    let (ana, balance) = filled(whole.path());
    let mut random = Random(8);
    let mut refused = 0;
    let count = files(&whole.path().join("index")).len();
    for n in 0..count * 2 {
        let dir = tempfile::tempdir().expect("a directory");
        copy(whole.path(), dir.path());
        let file = &files(&dir.path().join("index"))[n % count];
        let length = fs::metadata(file).expect("metadata").len() as usize;
        if length == 0 {
            continue;
        }
        flip(file, random.below(length));
        match open(dir.path()) {
            Ok(bank) => {
                // Blocks are checked when they are read: a wrong answer is never given.
                let view = bank.read();
                let read = view.records(0, usize::MAX, |_| {});
                let slot = view.seq();
                assert!(read.is_err() || slot > 600, "all or an error");
            }
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains("rebuild-index"), "{}: {text}", file.display());
                refused += 1;
            }
        }
        // Derived: without it the start makes it again.
        fs::remove_dir_all(dir.path().join("index")).expect("the index");
        let bank = open(dir.path()).expect("the index is derived");
        assert_eq!(bank.balance(ana).0, balance);
        assert!(bank.read().records(0, usize::MAX, |_| {}).is_ok());
    }
    assert!(refused > 0, "no damage was found at the start");
}

#[test]
fn a_damaged_snapshot_is_passed_over() {
    let whole = tempfile::tempdir().expect("a directory");
    let (ana, balance) = filled(whole.path());
    let mut random = Random(9);
    assert!(!files(&whole.path().join("snapshots")).is_empty());
    for round in 0..12 {
        let dir = tempfile::tempdir().expect("a directory");
        copy(whole.path(), dir.path());
        for snapshot in files(&dir.path().join("snapshots")) {
            let length = fs::metadata(&snapshot).expect("metadata").len();
            match round % 3 {
                0 => fs::write(&snapshot, b"").expect("writable"),
                1 => {
                    let file = fs::OpenOptions::new().write(true).open(&snapshot);
                    file.and_then(|f| f.set_len(length / 2)).expect("cut");
                }
                _ => flip(&snapshot, random.below(length as usize)),
            }
        }
        let bank = open(dir.path()).expect("a snapshot is derived");
        assert_eq!(bank.balance(ana).0, balance, "round {round}");
    }
}

#[test]
fn a_journal_that_lost_commits_is_not_taken_for_the_truth() {
    let dir = tempfile::tempdir().expect("a directory");
    filled(dir.path());
    let segments = files(&dir.path().join("journal"));
    let segments: Vec<_> = segments
        .iter()
        .filter(|f| fs::metadata(f).is_ok_and(|m| m.len() == 64 << 10))
        .collect();
    // Zeros from the middle of the last used segment on look like a clean end.
    for segment in segments.iter().rev() {
        let mut bytes = fs::read(segment).expect("readable");
        let used = bytes.iter().rposition(|b| *b != 0).expect("a header");
        if used < 8 << 10 {
            continue;
        }
        bytes[4 << 10..].fill(0);
        fs::write(segment, bytes).expect("writable");
        break;
    }
    let text = refusal(dir.path());
    assert!(text.contains("journal"), "{text}");
}
