//! Reads while memtables rotate and runs merge.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

/// Readers see every record up to the applied position at all times, while memtables rotate and
/// runs merge and disappear below them.
#[test]
fn readers_see_all_that_is_applied_while_runs_come_and_go() {
    let dir = tempfile::tempdir().unwrap();
    let (index, _) = Index::open(dir.path(), layout(), small(2)).unwrap();
    let done = AtomicBool::new(false);
    let fact_of = |seq: u64| Fact {
        id: seq,
        account: seq % 3,
        ..Fact::of(seq)
    };
    let (index, done) = (&index, &done);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..3u64)
            .map(|reader| {
                scope.spawn(move || {
                    let mut turns = 0;
                    while !done.load(Ordering::Acquire) || turns < 50 {
                        turns += 1;
                        let seq = index.applied().seq;
                        read_as_of(index, seq, scramble(reader << 32 | turns), fact_of);
                    }
                    turns
                })
            })
            .collect();
        for batch in 1..=200u64 {
            let through = Position {
                batch,
                seq: batch * 25,
            };
            let fill = |to: &mut Batch| {
                (through.seq - 24..=through.seq).for_each(|seq| fact_of(seq).put(to));
            };
            index.apply(through, fill).unwrap();
        }
        index.flush().unwrap();
        index.settle().unwrap();
        done.store(true, Ordering::Release);
        for reader in readers {
            assert!(reader.join().unwrap() >= 50);
        }
    });
    assert_eq!(
        index.covered(),
        Position {
            batch: 200,
            seq: 5_000
        }
    );
}

fn read_as_of(index: &Index, seq: u64, dice: u64, fact_of: impl Fn(u64) -> Fact) {
    if seq == 0 {
        return;
    }
    let some = fact_of(1 + dice % seq);
    let found = index.get(IDS, &id_key(some.id)).unwrap();
    assert_eq!(
        found,
        Some(some.seq.to_le_bytes().to_vec()),
        "seq {} of {seq}",
        some.seq
    );
    assert_eq!(
        index.get(IDS, &id_key(u64::MAX - dice % 1000)).unwrap(),
        None
    );

    let view = index.view(ENTRIES);
    let key = entry_key(some.account, some.seq + dice % 3);
    let found = view.predecessor(&key).unwrap().unwrap();
    assert!(found.key <= key && found.key >= entry_key(some.account, some.seq));
    let from = entry_key(some.account, some.seq);
    let to = entry_key(some.account, seq);
    let expected = (seq - some.seq) / 3 + 1;
    assert_eq!(
        collect(view.range(&from, &to, Direction::Forward)).len() as u64,
        expected
    );
    let mut latest = view.range(&from, &to, Direction::Backward);
    let latest = latest.next_record().unwrap().unwrap();
    assert_eq!(
        latest.key,
        entry_key(some.account, some.seq + (expected - 1) * 3)
    );
    let number = index.array(NUMBERS).get::<8>(some.seq - 1).unwrap();
    assert_eq!(number, Some((some.seq * 3).to_le_bytes()));
}
