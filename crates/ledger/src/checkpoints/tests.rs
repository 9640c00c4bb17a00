//! Checkpoints survive restarts and crashes; damage is named.

use std::{fs, os::unix::fs::PermissionsExt};

use tempfile::TempDir;

use super::*;
use crate::proof::{Hash, SignedNote, VerifierKey};

const LEDGER: Uuid = Uuid::from_u128(0x0190_f000_0000_7000_8000_0000_0000_0001);

fn at(second: i64) -> Timestamp {
    Timestamp(second * 1_000_000)
}

fn body(batch: u64, tree_size: u64) -> CheckpointBody {
    CheckpointBody {
        ledger_id: LEDGER,
        tree_size,
        root_hash: Hash([batch as u8; 32]),
        batch,
        chain_hash: Hash([7; 32]),
    }
}

fn open(dir: &TempDir, now: i64) -> Checkpoints {
    Checkpoints::open(dir.path(), LEDGER, None, at(now)).expect("opens")
}

fn filled(dir: &TempDir) -> Checkpoints {
    let store = open(dir, 1);
    for (batch, size) in [(2, 10), (5, 20), (9, 20), (12, 31)] {
        store.make(&body(batch, size)).expect("made");
    }
    store
}

fn numbers(list: Vec<Checkpoint>) -> Vec<u64> {
    list.iter().map(|c| c.number).collect()
}

#[test]
fn checkpoints_are_found_by_number_and_by_record_also_after_a_restart() {
    let dir = TempDir::new().expect("a directory");
    drop(filled(&dir));
    let store = open(&dir, 2);
    assert_eq!(store.count().expect("readable"), 4);
    let third = store.get(3).expect("read").expect("there");
    assert_eq!((third.number, third.batch, third.tree_size), (3, 9, 20));
    let keys: Vec<VerifierKey> = store
        .keys()
        .expect("readable")
        .into_iter()
        .map(|k| k.key)
        .collect();
    assert_eq!(third.verify(LEDGER, &keys), Ok(body(9, 20)));
    assert_eq!(keys[0].name(), CheckpointBody::origin(LEDGER));
    let covering = |seq| store.covering(seq).expect("read").map(|c| c.number);
    assert_eq!(covering(1), Some(1));
    assert_eq!(covering(10), Some(1));
    assert_eq!(covering(11), Some(2));
    assert_eq!(covering(31), Some(4));
    assert_eq!(covering(32), None);
    assert_eq!(store.get(0).expect("read"), None);
    assert_eq!(store.get(5).expect("read"), None);
    let list = |before, limit| numbers(store.list_newest_first(before, limit).expect("read"));
    assert_eq!(list(None, 3), [4, 3, 2]);
    assert_eq!(list(Some(2), 3), [1]);
    assert_eq!(list(Some(1), 3), [0; 0]);
    let newest = store.newest().expect("read").expect("there");
    assert_eq!(newest.number, 4);
    let loaded = load_checkpoints(dir.path(), LEDGER).expect("loads");
    assert_eq!(loaded.last(), Some(&newest));
}

#[test]
fn no_news_makes_no_checkpoint_and_steps_back_are_refused() {
    let dir = TempDir::new().expect("a directory");
    let store = filled(&dir);
    assert_eq!(store.make(&body(12, 31)).expect("the last one").number, 4);
    assert_eq!(store.count().expect("readable"), 4);
    for wrong in [body(11, 40), body(13, 30)] {
        let refused = store.make(&wrong);
        assert!(
            matches!(refused, Err(CheckpointError::OutOfOrder { number: 5, .. })),
            "{refused:?}"
        );
    }
    assert_eq!(store.make(&body(13, 31)).expect("made").number, 5);
}

#[test]
fn every_cut_of_the_last_line_is_repaired() {
    let dir = TempDir::new().expect("a directory");
    drop(filled(&dir));
    let path = dir.path().join(CHECKPOINTS_FILE);
    let whole = fs::read(&path).expect("readable");
    let start = whole[..whole.len() - 1]
        .iter()
        .rposition(|b| *b == b'\n')
        .expect("four lines")
        + 1;
    let near_the_end = whole.len() - 2..whole.len();
    for cut in (start..whole.len()).step_by(37).chain(near_the_end) {
        fs::write(&path, &whole[..cut]).expect("writable");
        assert_eq!(
            load_checkpoints(dir.path(), LEDGER).expect("loads").len(),
            3
        );
        let store = open(&dir, 3);
        assert_eq!(store.count().expect("readable"), 3, "cut at {cut}");
        store.make(&body(12, 31)).expect("made again");
        assert_eq!(fs::read(&path).expect("readable"), whole, "cut at {cut}");
    }
    let mut holes = whole.clone();
    holes[start..start + 40].fill(0);
    fs::write(&path, &holes).expect("writable");
    assert_eq!(open(&dir, 3).count().expect("readable"), 3);
}

#[test]
fn damage_before_the_end_stops_the_opening_with_a_hint() {
    let dir = TempDir::new().expect("a directory");
    drop(filled(&dir));
    let path = dir.path().join(CHECKPOINTS_FILE);
    let whole = fs::read_to_string(&path).expect("readable");
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    let changed = [
        lines[1].replacen("\"batch\":5", "\"batch\":6", 1),
        lines[1].replacen("\"number\":2", "\"number\":3", 1),
        lines[1].replacen("\"treeSize\"", "\"size\"", 1),
        lines[3].to_owned(),
        String::new(),
        "\n".to_owned(),
    ];
    for line in changed {
        let text = format!("{}{line}{}{}", lines[0], lines[2], lines[3]);
        fs::write(&path, &text).expect("writable");
        let refused = Checkpoints::open(dir.path(), LEDGER, None, at(3));
        let Err(CheckpointError::Damaged {
            line: Some(2),
            hint,
            ..
        }) = refused
        else {
            panic!("{line}: {refused:?}")
        };
        assert!(hint.contains("backup"));
        assert_eq!(
            fs::read_to_string(&path).expect("readable"),
            text,
            "nothing is changed"
        );
    }
    fs::write(&path, &whole).expect("writable");
    let other = Checkpoints::open(dir.path(), Uuid::from_u128(1), None, at(3));
    assert!(matches!(
        other,
        Err(CheckpointError::Damaged { line: Some(1), .. })
    ));
}

#[test]
fn rotated_keys_stay_listed_and_sign_no_more() {
    let dir = TempDir::new().expect("a directory");
    let store = filled(&dir);
    let secret = dir.path().join(KEY_FILE);
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(&secret), 0o600);
    let old_secret = fs::read(&secret).expect("readable");
    let new = store.rotate(at(50)).expect("rotated");
    assert_eq!(mode(&secret), 0o600);
    let made = store.make(&body(20, 50)).expect("made");
    assert_eq!(
        made.verify(LEDGER, std::slice::from_ref(&new.key)),
        Ok(body(20, 50))
    );
    drop(store);

    let store = open(&dir, 60);
    let keys = store.keys().expect("readable");
    assert_eq!(keys.len(), 2);
    assert_eq!(
        (keys[0].valid_from, keys[0].valid_until),
        (at(1), Some(at(50)))
    );
    assert_eq!(keys[1], new);
    assert_eq!((new.valid_from, new.valid_until), (at(50), None));
    assert_eq!(load_keys(dir.path()).expect("loads"), keys);
    let first = store.get(1).expect("read").expect("there");
    assert_eq!(
        first.verify(LEDGER, std::slice::from_ref(&keys[0].key)),
        Ok(body(2, 10))
    );
    drop(store);

    // A crash between the two files: the secret is new, the list does not know it yet.
    fs::write(&secret, old_secret).expect("writable");
    let keys = open(&dir, 70).keys().expect("readable");
    assert_eq!(keys.len(), 3);
    assert_eq!(keys[1].valid_until, Some(at(70)));
    assert_eq!((&keys[2].key, keys[2].valid_from), (&keys[0].key, at(70)));
}

#[test]
fn a_key_of_another_name_is_another_key() {
    let dir = TempDir::new().expect("a directory");
    drop(filled(&dir));
    let store = Checkpoints::open(dir.path(), LEDGER, Some("books.example"), at(9)).expect("opens");
    let made = store.make(&body(20, 50)).expect("made");
    let note = SignedNote::parse(&made.note).expect("a note");
    assert_eq!(note.signatures()[0].key_name, "books.example");
    assert_eq!(store.keys().expect("readable").len(), 2);
    let refused = Checkpoints::open(dir.path(), LEDGER, Some("a b"), at(9));
    assert!(matches!(refused, Err(CheckpointError::Key(_))));
}

#[test]
fn unreadable_keys_are_named_with_a_hint() {
    let dir = TempDir::new().expect("a directory");
    drop(filled(&dir));
    let refused = |file: &str, text: &str| {
        let path = dir.path().join(file);
        let before = fs::read(&path).expect("readable");
        fs::write(&path, text).expect("writable");
        let refused = Checkpoints::open(dir.path(), LEDGER, None, at(9));
        fs::write(&path, before).expect("writable");
        refused.expect_err("refused").to_string()
    };
    assert!(refused(KEY_FILE, "abc\n").contains("64 hex digits"));
    assert!(refused(KEYS_FILE, "{}").contains("backup"));
    assert_eq!(open(&dir, 9).keys().expect("readable").len(), 1);
}
