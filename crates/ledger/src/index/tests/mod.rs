//! The index against models, through flushes, merges, crashes, damage and concurrent reads.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;

mod concurrent;
mod faults;

const IDS: TableId = TableId(0);
const ENTRIES: TableId = TableId(1);
const BACKDATED: TableId = TableId(2);
const NUMBERS: ArrayId = ArrayId(0);
const HASHES: ArrayId = ArrayId(1);
const ACCOUNTS: u64 = 7;
const ID_POOL: u64 = 400;

struct Sum;

impl Cumulate for Sum {
    fn add(&self, sum: &mut Vec<u8>, _key: &[u8], delta: &[u8]) {
        let total = number(sum) + number(delta);
        sum.clear();
        sum.extend(total.to_le_bytes());
    }
}

fn number(bytes: &[u8]) -> i64 {
    if bytes.is_empty() {
        0
    } else {
        i64::from_le_bytes(bytes[..8].try_into().unwrap())
    }
}

fn layout() -> Layout {
    let backdated = TableSpec::ordered("backdated", 20, 4);
    Layout {
        tables: vec![
            TableSpec::point("ids", 16),
            TableSpec::ordered("entries", 12, 4),
            backdated.cumulate(Arc::new(Sum)).keep_merged_inputs(),
        ],
        arrays: vec![ArraySpec::new("numbers", 8), ArraySpec::new("hashes", 32)],
    }
}

fn small(fan_out: usize) -> Options {
    Options {
        flush_bytes: 24 << 10,
        fan_out,
    }
}

fn scramble(number: u64) -> u64 {
    let number = (number ^ (number >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number ^ (number >> 32)
}

fn id_key(id: u64) -> Vec<u8> {
    [scramble(id).to_be_bytes(), scramble(!id).to_be_bytes()].concat()
}

fn entry_key(account: u64, seq: u64) -> Vec<u8> {
    [&(account as u32).to_be_bytes()[..], &seq.to_be_bytes()].concat()
}

fn backdated_key(account: u64, effective: i64, seq: u64) -> Vec<u8> {
    let effective = (effective as u64) ^ (1 << 63);
    let account = (account as u32).to_be_bytes();
    [&account[..], &effective.to_be_bytes(), &seq.to_be_bytes()].concat()
}

/// What the records of `seq` say; everything follows from the number.
struct Fact {
    seq: u64,
    id: u64,
    account: u64,
    effective: i64,
    delta: i64,
}

impl Fact {
    fn of(seq: u64) -> Self {
        let dice = scramble(seq ^ 0x5eed);
        Self {
            seq,
            id: dice % ID_POOL,
            account: (dice >> 16) % ACCOUNTS,
            effective: ((dice >> 24) % 41) as i64 - 20,
            delta: ((dice >> 40) % 2001) as i64 - 1000,
        }
    }

    fn value(&self) -> Vec<u8> {
        vec![self.seq as u8; (self.delta.unsigned_abs() % 60) as usize]
    }

    fn put(&self, batch: &mut Batch) {
        batch.put(IDS, &id_key(self.id), &self.seq.to_le_bytes());
        batch.put(ENTRIES, &entry_key(self.account, self.seq), &self.value());
        let key = backdated_key(self.account, self.effective, self.seq);
        batch.put(BACKDATED, &key, &self.delta.to_le_bytes());
        batch.append(NUMBERS, &(self.seq * 3).to_le_bytes());
        batch.append(HASHES, &[self.seq as u8; 32]);
    }
}

/// The index and what it should say.
struct Bench {
    index: Option<Index>,
    options: Options,
    /// Last sequence number of each batch: the journal.
    journal: Vec<u64>,
    tables: [BTreeMap<Vec<u8>, Vec<u8>>; 3],
}

impl Bench {
    fn new(dir: &Path, options: Options) -> Self {
        let (index, covered) = Index::open(dir, layout(), options).unwrap();
        assert_eq!(covered, Position::default());
        Self {
            index: Some(index),
            options,
            journal: Vec::new(),
            tables: Default::default(),
        }
    }

    fn index(&self) -> &Index {
        self.index.as_ref().unwrap()
    }

    fn seq(&self) -> u64 {
        self.journal.last().copied().unwrap_or(0)
    }

    fn apply(&mut self, records: u64) {
        let first = self.seq() + 1;
        self.journal.push(first + records - 1);
        for fact in (first..first + records).map(Fact::of) {
            self.tables[0].insert(id_key(fact.id), fact.seq.to_le_bytes().into());
            self.tables[1].insert(entry_key(fact.account, fact.seq), fact.value());
            let key = backdated_key(fact.account, fact.effective, fact.seq);
            self.tables[2].insert(key, fact.delta.to_le_bytes().into());
        }
        replay(self.index(), &self.journal, self.journal.len() as u64 - 1);
    }

    /// Drops the index without a flush and applies the journal from where the files end.
    fn crash(&mut self, dir: &Path) {
        let stored = self.index().covered();
        self.index = None;
        let (index, covered) = Index::open(dir, layout(), self.options).unwrap();
        assert!(covered >= stored);
        let at = (covered.batch as usize)
            .checked_sub(1)
            .map_or(0, |batch| self.journal[batch]);
        assert_eq!(covered.seq, at, "opens at a batch boundary");
        assert_eq!(index.array(NUMBERS).len(), at);
        replay(&index, &self.journal, covered.batch);
        self.index = Some(index);
    }

    fn check(&self, seed: u64) {
        let index = self.index();
        for id in 0..ID_POOL + 50 {
            let key = id_key(id);
            assert_eq!(
                index.get(IDS, &key).unwrap().as_ref(),
                self.tables[0].get(&key),
                "id {id}"
            );
        }
        for turn in 0..24 {
            let dice = scramble(seed ^ turn);
            self.check_ordered(ENTRIES, &self.some_entry_keys(dice));
            self.check_ordered(BACKDATED, &self.some_backdated_keys(dice));
            self.check_bitemporal(dice);
        }
        for run in self.index().core.layers(ENTRIES.0).runs.iter() {
            for suffix in [run.low_suffix(), run.high_suffix()] {
                let fact = Fact::of(u64::from_be_bytes(suffix.try_into().unwrap()));
                let edge = entry_key(fact.account, fact.seq);
                self.check_ordered(ENTRIES, &[edge.clone(), edge.clone()]);
                self.check_ordered(ENTRIES, &[entry_key(fact.account, 0), edge.clone()]);
                self.check_ordered(ENTRIES, &[edge, entry_key(fact.account, u64::MAX)]);
            }
        }
        self.check_arrays(seed);
    }

    fn some_entry_keys(&self, dice: u64) -> [Vec<u8>; 2] {
        let account = dice % (ACCOUNTS + 1);
        let some_seq = |dice: u64| scramble(dice) % (self.seq() + 3);
        [
            entry_key(account, some_seq(dice)),
            entry_key(account, some_seq(!dice)),
        ]
    }

    fn some_backdated_keys(&self, dice: u64) -> [Vec<u8>; 2] {
        let account = dice % (ACCOUNTS + 1);
        let key = |dice: u64| {
            let dice = scramble(dice);
            backdated_key(
                account,
                (dice % 50) as i64 - 25,
                (dice >> 32) % (self.seq() + 3),
            )
        };
        [key(dice), key(!dice)]
    }

    fn check_ordered(&self, table: TableId, keys: &[Vec<u8>; 2]) {
        let model = &self.tables[table.0];
        let view = self.index().view(table);
        let (from, to) = if keys[0] <= keys[1] {
            (&keys[0], &keys[1])
        } else {
            (&keys[1], &keys[0])
        };
        assert_eq!(view.get(from).unwrap().as_ref(), model.get(from));
        let expected: Vec<_> = model.range(from.clone()..=to.clone()).collect();
        let forward = collect(view.range(from, to, Direction::Forward));
        assert!(
            forward
                .iter()
                .map(|r| (&r.key, &r.value))
                .eq(expected.iter().copied())
        );
        let mut backward = collect(view.range(from, to, Direction::Backward));
        backward.reverse();
        assert!(
            backward
                .iter()
                .map(|r| (&r.key, &r.value))
                .eq(expected.iter().copied())
        );
        let empty = collect(view.range(to, from, Direction::Forward));
        assert_eq!(empty.len(), usize::from(from == to && !expected.is_empty()));

        let before = model
            .range(..=to.clone())
            .next_back()
            .filter(|(key, _)| key[..4] == to[..4]);
        let found = view
            .predecessor(to)
            .unwrap()
            .map(|record| (record.key, record.value));
        assert_eq!(found.as_ref().map(|(key, value)| (key, value)), before);
    }

    fn check_bitemporal(&self, dice: u64) {
        let account = dice % ACCOUNTS;
        let seq = (dice >> 8) % (self.seq() + 2);
        let effective = ((dice >> 40) % 50) as i64 - 25;
        let facts = (1..=self.seq().min(seq)).map(Fact::of);
        let known = facts.filter(|f| f.account == account && f.effective <= effective);
        let expected: i64 = known.map(|fact| fact.delta).sum();

        let view = self.index().view(BACKDATED);
        let from = backdated_key(account, i64::MIN, 0);
        let to = backdated_key(account, effective, u64::MAX);
        let fresh = view.range_in_memory(&from, &to, Direction::Forward);
        let mut total = sum_until(fresh, seq);
        let mut covered = 0;
        let runs = view.runs_through(seq).unwrap();
        for run in &runs.whole {
            assert!(
                run.span().first_seq > covered,
                "runs are disjoint and in order"
            );
            covered = run.span().last_seq;
            total += whole_sum(run, &from, &to);
        }
        assert!(covered <= seq);
        if let Some(run) = runs.straddling {
            assert!(run.children().unwrap().is_empty() && run.span().first_seq > covered);
            total += sum_until(run.range(&from, &to, Direction::Forward), seq);
        }
        assert_eq!(
            total, expected,
            "account {account} at {effective} as of {seq}"
        );
    }

    fn check_arrays(&self, seed: u64) {
        let (numbers, hashes) = (self.index().array(NUMBERS), self.index().array(HASHES));
        assert_eq!((numbers.len(), hashes.len()), (self.seq(), self.seq()));
        assert_eq!(numbers.get::<8>(self.seq()).unwrap(), None);
        for turn in 0..20 {
            let at = scramble(seed + turn) % (self.seq() + 1);
            let expected = (at < self.seq()).then(|| [(at + 1) as u8; 32]);
            assert_eq!(hashes.get::<32>(at).unwrap(), expected);
            let before = |record: &[u8]| number(record) < (at * 3) as i64;
            assert_eq!(
                numbers.partition_point(before).unwrap(),
                at.saturating_sub(1)
            );
        }
        let from = seed % (self.seq() + 1);
        let all: Vec<u8> = (from..self.seq())
            .flat_map(|at| ((at + 1) * 3).to_le_bytes())
            .collect();
        assert_eq!(numbers.get_range(from, u64::MAX).unwrap(), all);
    }
}

fn replay(index: &Index, journal: &[u64], after: u64) {
    for batch in after as usize..journal.len() {
        let first = if batch == 0 {
            1
        } else {
            journal[batch - 1] + 1
        };
        let through = Position {
            batch: batch as u64 + 1,
            seq: journal[batch],
        };
        let fill = |to: &mut Batch| (first..=journal[batch]).for_each(|seq| Fact::of(seq).put(to));
        index.apply(through, fill).unwrap();
    }
}

fn collect(mut scan: Scan) -> Vec<Record> {
    let mut records = Vec::new();
    while let Some(RecordRef { key, value, sum }) = scan.next_record().unwrap() {
        records.push(Record {
            key: key.into(),
            value: value.into(),
            sum: sum.into(),
        });
    }
    records
}

fn sum_until(scan: Scan, seq: u64) -> i64 {
    let seq_of = |key: &[u8]| u64::from_be_bytes(key[12..20].try_into().unwrap());
    let known = collect(scan)
        .into_iter()
        .filter(|record| seq_of(&record.key) <= seq);
    known.map(|record| number(&record.value)).sum()
}

/// The running sum of a whole run up to `to`, which must be the sum of its deltas.
fn whole_sum(run: &RunView, from: &[u8], to: &[u8]) -> i64 {
    let children = run.children().unwrap();
    let below: u64 = children.iter().map(RunView::records).sum();
    assert!(children.is_empty() || below == run.records(), "{below}");
    let sum = run
        .predecessor(to)
        .unwrap()
        .map_or(0, |record| number(&record.sum));
    assert_eq!(
        sum,
        sum_until(run.range(from, to, Direction::Backward), u64::MAX)
    );
    sum
}

#[derive(Clone, Debug)]
enum Step {
    Apply(u64),
    Flush,
    Settle,
    Crash,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (1u64..250).prop_map(Step::Apply),
        2 => Just(Step::Flush),
        1 => Just(Step::Settle),
        1 => Just(Step::Crash),
    ];
    prop::collection::vec(step, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20, failure_persistence: None, ..Default::default() })]

    #[test]
    fn says_what_the_model_says(steps in steps(), fan_out in 2usize..=4, seed: u64) {
        let dir = tempfile::tempdir().unwrap();
        let mut bench = Bench::new(dir.path(), small(fan_out));
        for (turn, step) in steps.iter().enumerate() {
            match step {
                Step::Apply(records) => bench.apply(*records),
                Step::Flush => bench.index().flush().unwrap(),
                Step::Settle => bench.index().settle().unwrap(),
                Step::Crash => bench.crash(dir.path()),
            }
            if turn % 4 == 0 {
                bench.check(seed ^ turn as u64);
            }
        }
        bench.check(seed);
        bench.index().flush().unwrap();
        bench.index().settle().unwrap();
        bench.check(!seed);
        bench.index().verify().unwrap();
        bench.crash(dir.path());
        prop_assert_eq!(bench.index().covered(), bench.index().applied());
        bench.check(seed);
    }
}
