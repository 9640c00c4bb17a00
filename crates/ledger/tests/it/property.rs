//! Random calls against the naive ledger: every result, every record and every total must be the
//! same, through clean restarts, power cuts, and starts without snapshots or index.
//!
//! `FLORIN_SEED` repeats one run, `FLORIN_CASES` sets the number of steps of each run.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use florin_base::{Clock as _, clock::ManualClock};
use florin_ledger::{
    Answer, Outcome, PostgresOptions, Query, Sequencing, View,
    journal::fault::FaultIo,
    model::{self as own, Body, Record},
};

use super::{
    generate::Step,
    model::{Item, Model, Verdict},
    model_wallets as wallets,
    property_calls::{assets, call, compare_items, policy},
    property_history,
    property_runs::run,
    support::{Bank, Random, START, setting},
};

/// Where the engine keeps its ledger.
#[derive(Clone)]
pub enum Kept {
    /// The embedded engine, in a directory with faults.
    Files,
    /// PostgreSQL: server and schema.
    Database(String, String),
}

/// Replicas that write to a ledger in a database in turns.
const REPLICAS: usize = 3;

/// An engine and its model side by side.
pub struct World {
    pub bank: Option<Bank>,
    /// Further replicas on the same ledger.
    pub replicas: Vec<Bank>,
    /// How often the ledger was opened.
    starts: u32,
    pub kept: Kept,
    /// Directory of the ledger or of its replicas.
    pub home: PathBuf,
    pub segment_bytes: u64,
    /// What each step was answered.
    pub answers: Vec<String>,
    pub model: Model,
    pub random: Random,
    pub sample: Random,
    /// The model knows every record.
    pub is_current: bool,
    io: FaultIo,
    clock: Arc<ManualClock>,
    pub dir: tempfile::TempDir,
    /// Records compared so far.
    seen: u64,
    last_at: i64,
    last_batch: u64,
    last_chain: Option<(Box<str>, u32, u64)>,
    /// Feed lines sampled, to be read again.
    pub lines: BTreeMap<u64, Vec<u8>>,
    keys: BTreeMap<String, (Vec<Item>, Vec<Verdict>)>,
    pub counts: BTreeMap<&'static str, u64>,
    /// Totals at (account, effective, recorded) as they were answered once (INV-L14).
    pub sampled: Vec<(usize, i64, i64, super::model::Totals)>,
}

impl World {
    pub fn on(seed: u64, kept: Kept) -> Self {
        let mut model = Model {
            closed_before: Some(START - 3_600_000_000),
            now: START,
            ..Model::default()
        };
        for asset in assets() {
            let code: &'static str = Box::leak(asset.code);
            model.assets.push((code, asset.scale));
            model.record("asset.created", code, &[]);
        }
        let small = [30_000, 100_000, 250_000, 35_000, 200_000, 500_000].map(Some);
        model.wallets.tiers.insert(("small", "BRL"), small);
        let mut world = Self {
            bank: None,
            replicas: Vec::new(),
            starts: 0,
            kept,
            home: PathBuf::new(),
            segment_bytes: 1 << 20,
            answers: Vec::new(),
            model,
            random: Random(seed ^ 0x51DE),
            sample: Random(seed ^ 0x5A3B),
            is_current: true,
            io: FaultIo::new(seed),
            clock: Arc::new(ManualClock::new(START)),
            dir: tempfile::tempdir().expect("a directory"),
            seen: 0,
            last_at: 0,
            last_batch: 0,
            last_chain: None,
            lines: BTreeMap::new(),
            keys: BTreeMap::new(),
            counts: BTreeMap::new(),
            sampled: Vec::new(),
        };
        world.home = world.dir.path().join("first");
        world.start();
        world.compare_records();
        // The assets came faster than the clock goes, which leaves ledger time ahead of it until
        // a start takes it from there: by as much as the engine pleases.
        (world.bank, world.replicas) = (None, Vec::new());
        world.clock.advance(1_000_000);
        world.start();
        world
    }

    pub fn bank(&self) -> &Bank {
        self.bank.as_ref().expect("open")
    }

    /// The wall clock of the run.
    pub fn clock_micros(&self) -> i64 {
        self.clock.wall_micros()
    }

    pub fn start(&mut self) {
        if let Kept::Database(url, schema) = &self.kept {
            // Every other time the replicas hand their calls over to one of them.
            self.starts += 1;
            let linked = self.starts.is_multiple_of(2);
            for name in 0..REPLICAS {
                let dir = self.home.join(name.to_string());
                let mut options = PostgresOptions::new(url.clone(), dir);
                // Nearly every batch is written in two steps, with the next one judged beside it.
                options.large_batch = 2;
                options.schema = schema.clone();
                options.assets = assets();
                options.pool_max = 2;
                options.accounts_cached = 40;
                options.sequencing = linked.then(|| Sequencing {
                    candidate: true,
                    listen: ([127, 0, 0, 1], 0).into(),
                    advertise: None,
                });
                let opened = Bank::open_postgres(options, policy(), self.clock.clone());
                self.replicas.push(opened.expect("the ledger opens"));
            }
            self.bank = self.replicas.pop();
            return;
        }
        let (io, segment_bytes) = (Arc::new(self.io.clone()), self.segment_bytes);
        let opened = Bank::try_open(&self.home, policy(), self.clock.clone(), |o| {
            o.segment_bytes = segment_bytes;
            o.snapshot_bytes = 60 << 10;
            o.assets = assets();
            o.io = io;
        });
        self.bank = Some(opened.expect("the ledger opens"));
    }

    /// Clean, or by a power cut; with all files, or with derived ones gone.
    pub fn restart(&mut self) {
        let head = self
            .bank()
            .read()
            .last_batch()
            .expect("readable")
            .expect("commits");
        let root = self.bank().read().root(head.1).expect("readable");
        let power_cut = self.random.one_in(2);
        let is_files = matches!(self.kept, Kept::Files);
        if power_cut && is_files {
            self.io.crash().expect("a crash");
        }
        self.bank = None;
        self.replicas.clear();
        let remove = |folder: &str, path: &Path| {
            let gone = std::fs::remove_dir_all(path.join(folder));
            assert!(gone.is_ok() || !path.join(folder).exists(), "{folder} goes");
        };
        if self.random.one_in(2) && is_files {
            remove("snapshots", &self.home);
        }
        if self.random.one_in(2) && is_files {
            remove("index", &self.home);
        }
        self.start();
        let view = self.bank().read();
        assert_eq!(view.last_batch().expect("readable"), Some(head));
        assert_eq!(view.root(head.1).expect("readable"), root, "INV-L6");
        for (seq, line) in &self.lines {
            assert_eq!(
                view.line(*seq).expect("readable"),
                *line,
                "INV-L6, seq {seq}"
            );
        }
        property_history::compare_all(self);
    }

    fn advance(&mut self) {
        let by = match self.random.below(400) {
            0 => 86_400_000_000,
            1..3 => 3_600_000_000,
            3..60 => self.random.below(10_000_000) as i64,
            _ => self.random.below(20_000) as i64,
        };
        self.clock.advance(by);
    }

    /// Any replica takes the next call.
    fn take_turns(&mut self) {
        let next = self.sample.below(self.replicas.len() + 1);
        if let (Some(bank), Some(other)) = (&mut self.bank, self.replicas.get_mut(next)) {
            std::mem::swap(bank, other);
        }
    }

    pub fn step(&mut self, step: &Step) {
        self.advance();
        self.take_turns();
        let answer = self.bank().submit(call(step));
        self.answers.push(match &answer.outcome {
            Outcome::Items(results) => format!("{results:?}"),
            Outcome::Done(records) => {
                let seqs: Vec<u64> = records.iter().map(|r| r.seq).collect();
                format!("{} {seqs:?}", answer.replayed)
            }
            other => format!("{} {other:?}", answer.replayed),
        });
        let stored = matches!(step, Step::Transfers(_, Some(_))) && answer.replayed;
        if !stored {
            self.model.expire(answer.recorded_at.0);
        }
        match step {
            Step::Transfers(items, key) => self.transfers(items, key.as_deref(), &answer),
            _ => self.other(step, &answer),
        }
        // A stored answer does not tell what expired before it was given again.
        self.is_current = !stored;
        if self.is_current {
            self.compare_records();
        }
    }

    fn transfers(&mut self, items: &[Item], key: Option<&str>, answer: &Answer) {
        if let Some((before, verdicts)) = key.and_then(|k| self.keys.get(k)) {
            if before != items {
                let Outcome::Refused(refusal) = &answer.outcome else {
                    panic!("a changed call was taken: {answer:?}");
                };
                assert_eq!(refusal.code.word(), "idempotency_conflict");
                return;
            }
            assert!(answer.replayed, "the stored answer comes back");
            compare_items(&answer.outcome, items, verdicts);
            return;
        }
        assert!(!answer.replayed);
        let verdicts = self.model.transfers(items);
        for verdict in &verdicts {
            *self.counts.entry(verdict.code).or_default() += 1;
        }
        compare_items(&answer.outcome, items, &verdicts);
        if let Some(key) = key {
            self.keys.insert(key.into(), (items.to_vec(), verdicts));
        }
    }

    fn other(&mut self, step: &Step, answer: &Answer) {
        let m = &mut self.model;
        let expected = match step {
            Step::Transfers(..) => unreachable!("compared elsewhere"),
            Step::Move(movement) => m.wallet_move(movement),
            Step::Resolve(hold, capture, id) => {
                let capture = capture.as_ref().map(|(a, r)| (a.as_deref(), r.as_str()));
                m.resolve_hold(hold, capture, id)
            }
            Step::Reverse(id, reason, effective) => m.reverse(id, reason, *effective),
            Step::CreateAccount(id, asset, normal, floor) => {
                m.create_account(id, asset, *normal, *floor)
            }
            Step::PatchAccount(id, status, floor) => m.patch_account(id, *status, *floor),
            Step::CreateWallet(id, user, asset, tier) => m.create_wallet(*id, user, asset, tier),
            Step::UpdateWallet(id, status, limits) => {
                let scale = m
                    .wallets
                    .by_id
                    .get(id)
                    .map_or("BRL", |w| m.accounts[w.account].asset);
                let scale = m
                    .assets
                    .iter()
                    .find(|(c, _)| *c == scale)
                    .map_or(0, |(_, s)| *s);
                let unit = 10u128.pow(scale.into());
                let limits = limits.map(|l| l.map(|l| l.map(|units| units * unit)));
                m.update_wallet(*id, *status, limits)
            }
        };
        let kind = match step {
            Step::Move(_) => expected.refused.unwrap_or("moved"),
            Step::Resolve(..) => expected.refused.unwrap_or("resolved"),
            Step::Reverse(..) => expected.refused.unwrap_or("reversed"),
            _ => "other",
        };
        *self.counts.entry(kind).or_default() += 1;
        let actual = match &answer.outcome {
            Outcome::Done(records) => wallets::Outcome {
                seqs: records.iter().map(|r| r.seq).collect(),
                replayed: answer.replayed,
                ..Default::default()
            },
            Outcome::Refused(refusal) => wallets::Outcome {
                refused: Some(refusal.code.word()),
                // Only the fields that the contract names are compared.
                field: expected.field.and(refusal.field.as_deref().map(leak)),
                limit: refusal.limit.as_ref().map(|l| l.limit),
                replayed: answer.replayed,
                ..Default::default()
            },
            other => panic!("{other:?}"),
        };
        assert_eq!(actual, expected, "{step:?}");
    }

    /// Reads the new records and compares them with what the model recorded.
    pub fn compare_records(&mut self) {
        let view = self.bank().read();
        assert_eq!(
            view.seq(),
            self.model.seq(),
            "INV-L12: no more and no fewer records"
        );
        let mut records: Vec<Record> = Vec::new();
        view.records(self.seen, usize::MAX, |r| records.push(r.clone()))
            .expect("readable");
        for record in &records {
            self.compare_record(record);
            if self.random.one_in(300) {
                let line = view.line(record.seq).expect("readable");
                self.lines.insert(record.seq, line);
            }
        }
    }

    fn compare_record(&mut self, record: &Record) {
        assert_eq!(record.seq, self.seen + 1, "INV-L7: no gap");
        assert!(
            record.recorded_at.0 >= self.last_at,
            "INV-L7: recordedAt never falls"
        );
        assert!(
            record.batch == self.last_batch && record.recorded_at.0 == self.last_at
                || record.batch == self.last_batch + 1 && record.recorded_at.0 > self.last_at,
            "batches count by one and have one time"
        );
        (self.seen, self.last_at, self.last_batch) =
            (record.seq, record.recorded_at.0, record.batch);
        let expected = self.model.records[record.seq as usize - 1].clone();
        let account = |slot: own::Slot| self.model.accounts[slot as usize].id.clone();
        let (kind, id) = match &record.body {
            Body::AssetCreated(a) => ("asset.created", a.code.to_string()),
            Body::AccountCreated(a) => ("account.created", a.id.to_string()),
            Body::AccountUpdated { slot, .. } => ("account.updated", account(*slot)),
            Body::Transfer(t) => ("transfer", t.id.to_string()),
            Body::Expired { pending_id, .. } => ("transfer.expired", pending_id.to_string()),
            Body::WalletCreated(w) => ("wallet.created", account(w.slot)),
            Body::WalletUpdated { slot, .. } => ("wallet.updated", account(*slot)),
        };
        assert_eq!(
            (kind, &id),
            (expected.kind, &expected.id),
            "seq {}",
            record.seq
        );
        let after: Vec<_> = record
            .touches
            .iter()
            .map(|t| (t.slot as usize, property_history::totals(&t.after)))
            .collect();
        assert_eq!(
            after, expected.after,
            "seq {}: totals after {id}",
            record.seq
        );
        let Some(t) = record.transfer() else {
            if let Body::Expired { effective_at, .. } = &record.body {
                let expires = self.model.transfers[&id].expires;
                assert_eq!(Some(effective_at.0), expires, "expiries count at expiresAt");
                self.expired_at(record, effective_at.0);
            }
            return;
        };
        let m = &self.model.transfers[&id];
        let chain = t.chain.as_ref().map(|(c, i)| (c.to_string(), *i));
        assert_eq!(
            (
                t.debit as usize,
                t.credit as usize,
                t.amount,
                t.effective_at.0,
                &*t.code
            ),
            (m.debit, m.credit, m.amount, m.effective, m.code.as_str()),
            "{id}"
        );
        assert_eq!(
            (&chain, t.expires_at.map(|e| e.0)),
            (&m.chain, m.expires),
            "{id}"
        );
        assert_eq!(t.reversal_of.as_deref(), m.reversal_of.as_deref(), "{id}");
        assert_eq!(t.description.as_deref(), m.description.as_deref(), "{id}");
        assert_eq!(record.recorded_at.0, m.at, "{id}");
        let this = t.chain.as_ref().map(|(c, i)| (c.clone(), *i, record.batch));
        if let Some((chain, place, batch)) = this.as_ref().filter(|c| c.1 > 0) {
            let before = Some((chain.clone(), place - 1, *batch));
            assert_eq!(self.last_chain, before, "INV-L9: neighbours in one batch");
        }
        self.last_chain = this;
    }

    /// Expiries may be committed on their own before the call that needs them; the model takes
    /// their time over.
    fn expired_at(&mut self, record: &Record, expires: i64) {
        assert!(record.recorded_at.0 >= expires);
        for touch in record.touches.iter() {
            let moves = &mut self.model.accounts[touch.slot as usize].moves;
            let own = moves.iter_mut().find(|m| m.seq == record.seq);
            own.expect("the model expired it too").at = record.recorded_at.0;
        }
    }

    /// INV-L1, INV-L2: sums over all accounts from memory and from the index.
    pub fn compare_balance(&self) {
        let query = self
            .bank()
            .runtime
            .block_on(self.bank().ledger.query(Query::TrialBalance));
        let Ok(View::TrialBalance(sums, head)) = query else {
            panic!("no trial balance");
        };
        assert_eq!(head.seq, self.model.seq());
        for sum in sums {
            let t = sum.totals;
            let own = self
                .model
                .accounts
                .iter()
                .filter(|a| *a.asset == *sum.asset);
            let reserved = self.model.open.keys().map(|id| &self.model.transfers[id]);
            let reserved: u128 = reserved
                .filter(|p| *p.asset == *sum.asset)
                .fold(0, |s, p| s.saturating_add(p.amount));
            assert_eq!(t.debits_posted, t.credits_posted, "INV-L1 {}", sum.asset);
            assert_eq!(
                (t.debits_pending, t.credits_pending),
                (reserved, reserved),
                "INV-L2"
            );
            assert_eq!(sum.accounts, own.count() as u64);
        }
    }
}

fn leak(text: &str) -> &'static str {
    text.to_owned().leak()
}

#[test]
fn the_engine_agrees_with_the_naive_ledger() {
    let steps = setting("FLORIN_CASES", 5_000);
    match std::env::var("FLORIN_SEED") {
        Ok(_) => drop(run(setting("FLORIN_SEED", 0), steps, Kept::Files)),
        Err(_) => std::thread::scope(|scope| {
            for seed in 1..=3 {
                scope.spawn(move || run(seed, steps, Kept::Files));
            }
        }),
    }
}
