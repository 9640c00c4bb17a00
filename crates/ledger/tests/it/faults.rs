//! The engine on a file system that fails: what was acknowledged is there once, whatever else is
//! there once or not at all, and the state of the store is told by name.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use florin_base::clock::ManualClock;
use florin_ledger::{
    Answer, Call, OpenOptions, Outcome, Policy, Query, Unavailable, View,
    call::TransfersCall,
    engine::IdLookup,
    journal::fault::{FaultIo, Faults},
    model::{AccountId, Body, Side},
    rules::prepare::{RawItem, prepare},
};

use super::support::{Bank, Random, START, codes, setting};

/// A ledger on a disk that fails on demand, with what its callers know.
struct Machine {
    dir: tempfile::TempDir,
    io: FaultIo,
    clock: Arc<ManualClock>,
    bank: Option<Bank>,
}

const SEGMENT_BYTES: u64 = 128 << 10;

fn single(id: &str, amount: u64) -> String {
    format!(
        r#"{{"id":"{id}","debitAccountId":"florin:external:BRL","creditAccountId":"florin:suspense:BRL","amountMinor":"{amount}","asset":"BRL","code":"t"}}"#
    )
}

fn transfers(json: &str) -> Call {
    let raw: Vec<RawItem<'_>> = serde_json::from_str(json).expect("items");
    let prepared = raw.into_iter().map(|r| prepare(r, || "made".into()));
    Call::Transfers(TransfersCall {
        actor: None,
        items: prepared.collect(),
        key: None,
    })
}

impl Machine {
    fn new(seed: u64) -> Self {
        let mut machine = Self {
            dir: tempfile::tempdir().expect("a directory"),
            io: FaultIo::new(seed),
            clock: Arc::new(ManualClock::new(START)),
            bank: None,
        };
        machine.start();
        machine
    }

    fn start(&mut self) {
        self.bank = Some(self.try_start().expect("the ledger opens"));
    }

    fn try_start(&self) -> Result<Bank, florin_ledger::OpenError> {
        let io = Arc::new(self.io.clone());
        Bank::try_open(
            self.dir.path(),
            Policy::default(),
            self.clock.clone(),
            |o| {
                o.segment_bytes = SEGMENT_BYTES;
                o.snapshot_bytes = 16 << 10;
                o.io = io;
            },
        )
    }

    /// The process ends; the disk works again; a new one starts.
    fn restart(&mut self, power_cut: bool) {
        if power_cut {
            self.io.crash().expect("a crash");
        } else {
            self.io.kill();
        }
        self.bank = None;
        self.io.set_faults(Faults::default());
        self.start();
    }

    fn bank(&self) -> &Bank {
        self.bank.as_ref().expect("open")
    }

    fn submit(&self, json: &str) -> Result<Answer, Unavailable> {
        let bank = self.bank();
        bank.clock.advance(1_000);
        bank.runtime.block_on(bank.ledger.submit(transfers(json)))
    }

    fn post(&self, id: &str) -> Result<Answer, Unavailable> {
        self.submit(&format!("[{}]", single(id, 5)))
    }

    fn head(&self) -> Result<View, Unavailable> {
        let bank = self.bank();
        bank.runtime.block_on(bank.ledger.query(Query::Head))
    }

    /// Ids recorded, each as often as it is in the feed.
    fn recorded(&self) -> BTreeMap<String, u32> {
        let mut ids = BTreeMap::new();
        let view = self.bank().read();
        let mut next = 1;
        view.records(0, usize::MAX, |record| {
            assert_eq!(record.seq, next, "INV-L7");
            next += 1;
            if let Body::Transfer(t) = &record.body {
                *ids.entry(t.id.to_string()).or_default() += 1;
            }
        })
        .expect("readable");
        ids
    }

    fn balance(&self) -> u128 {
        let id = AccountId::parse("florin:suspense:BRL").expect("an id");
        let bank = self.bank();
        match bank.runtime.block_on(bank.ledger.query(Query::Account(id))) {
            Ok(View::Account(Some(view))) => view.totals.balance(Side::Credit).magnitude,
            Ok(View::Account(None)) => 0,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn short_writes_are_no_fault() {
    let mut machine = Machine::new(1);
    machine.io.set_faults(Faults {
        short_writes: true,
        ..Faults::default()
    });
    for n in 0..100 {
        assert_eq!(
            codes(&machine.post(&format!("t{n}")).expect("taken")),
            ["created"]
        );
    }
    machine.restart(true);
    assert_eq!((machine.recorded().len(), machine.balance()), (100, 500));
}

/// What is in flight becomes `commit_unknown`; nothing else is taken or shown until a restart.
fn a_failing_commit(faults: Faults, cause: &str) {
    let mut machine = Machine::new(2);
    for n in 0..20 {
        machine.post(&format!("t{n}")).expect("taken");
    }
    machine.io.set_faults(faults);
    let lost = machine.post("lost");
    assert_eq!(
        lost.expect_err("not durable"),
        Unavailable::CommitUnknown,
        "{cause}"
    );
    machine.io.set_faults(Faults::default());
    let later = machine.post("later");
    assert_eq!(
        later.expect_err("refused"),
        Unavailable::StoreUnavailable,
        "{cause}"
    );
    let read = machine.head();
    assert_eq!(
        read.expect_err("memory may be ahead of the disk"),
        Unavailable::StoreUnavailable
    );
    let status = machine.bank().ledger.status();
    let failed = status.failed.expect("the status names the cause");
    assert!(failed.contains(cause), "{failed}");
    machine.restart(true);
    assert!(machine.bank().ledger.status().failed.is_none());
    let ids = machine.recorded();
    for n in 0..20 {
        assert_eq!(ids.get(&format!("t{n}")), Some(&1), "INV-L10");
    }
    assert!(
        !ids.contains_key("later"),
        "store_unavailable promised that"
    );
    let again = machine.post("lost").expect("settled");
    let expected = if ids.contains_key("lost") {
        "exists"
    } else {
        "created"
    };
    assert_eq!(codes(&again), [expected], "INV-L11");
    assert_eq!(machine.balance(), 21 * 5);
}

#[test]
fn a_failed_sync_stops_the_ledger_until_a_restart() {
    a_failing_commit(
        Faults {
            syncs_until_error: Some(0),
            ..Faults::default()
        },
        "sync",
    );
}

#[test]
fn a_failed_write_stops_the_ledger_until_a_restart() {
    a_failing_commit(
        Faults {
            writes_until_error: Some(0),
            ..Faults::default()
        },
        "write",
    );
}

/// Posts until the disk refuses; returns how many were taken.
fn fill(machine: &Machine, prefix: &str) -> (usize, Unavailable) {
    let text = "x".repeat(500);
    for n in 0..4_000 {
        let id = format!("{prefix}{n}");
        let item =
            single(&id, 5).replace("\"code\"", &format!("\"description\":\"{text}\",\"code\""));
        match machine.submit(&format!("[{item}]")) {
            Ok(answer) => assert_eq!(codes(&answer), ["created"]),
            Err(refusal) => return (n, refusal),
        }
    }
    panic!("the disk never filled");
}

fn recovers_by_itself(machine: &Machine, id: &str) -> Answer {
    // The store looks at the disk again by its own timer, and tells nobody.
    let bank = machine.bank();
    bank.runtime.block_on(async {
        let mut again = tokio::time::interval(Duration::from_millis(50));
        for _ in 0..100 {
            again.tick().await;
            let call = transfers(&format!("[{}]", single(id, 5)));
            if let Ok(answer) = bank.ledger.submit(call).await {
                return answer;
            }
        }
        panic!("the store did not recover: {:?}", bank.ledger.status());
    })
}

#[test]
fn a_full_disk_refuses_and_recovers_by_itself() {
    let mut machine = Machine::new(3);
    machine.io.set_faults(Faults {
        space_left: Some(0),
        ..Faults::default()
    });
    let (taken, refusal) = fill(&machine, "a");
    assert_eq!(
        refusal,
        Unavailable::StoreUnavailable,
        "promises that nothing was done"
    );
    let status = machine.bank().ledger.status();
    assert_eq!(status.failed, None, "a full disk is no reason to restart");
    let refusing = status.refusing.expect("the status names the cause");
    assert!(refusing.contains("space"), "{refusing}");
    assert!(machine.head().is_ok(), "reads go on");
    assert_eq!(machine.recorded().len(), taken);
    machine.io.set_faults(Faults::default());
    assert_eq!(codes(&recovers_by_itself(&machine, "after")), ["created"]);
    assert_eq!(machine.bank().ledger.status().refusing, None);
    machine.restart(true);
    assert_eq!(machine.recorded().len(), taken + 1);
    assert_eq!(machine.balance(), (taken as u128 + 1) * 5);
}

/// Wants more of the disk free than there is.
fn nearly_full(options: &mut OpenOptions) {
    options.disk_free_min_per_mille = 1_001;
}

#[test]
fn a_nearly_full_disk_is_named_and_what_is_there_is_read() {
    const WHY: &str = "the disk has less than 100.1 % of its space free";
    let dir = tempfile::tempdir().expect("a directory");
    let clock = Arc::new(ManualClock::new(START));
    let first = Bank::try_open(dir.path(), Policy::default(), clock, nearly_full);
    let why = first.err().expect("its assets cannot be recorded");
    assert_eq!(why.to_string(), format!("it takes no postings: {WHY}"));
    drop(Bank::open(dir.path()));
    let bank = Bank::open_with(dir.path(), Policy::default(), nearly_full);
    let call = transfers(&format!("[{}]", single("a", 5)));
    let refused = bank.runtime.block_on(bank.ledger.submit(call));
    assert_eq!(refused.err(), Some(Unavailable::StoreUnavailable));
    assert_eq!(bank.ledger.status().refusing.as_deref(), Some(WHY));
    let head = bank.runtime.block_on(bank.ledger.query(Query::Head));
    assert!(matches!(head, Ok(View::Head(head)) if head.seq > 0));
}

#[test]
fn a_read_only_disk_stops_acknowledging_at_once_and_says_so() {
    let mut machine = Machine::new(4);
    machine.post("before").expect("taken");
    machine.io.set_faults(Faults {
        read_only: true,
        ..Faults::default()
    });
    let refusal = machine.post("during").expect_err("not durable");
    let status = machine.bank().ledger.status();
    let cause = status
        .failed
        .or(status.refusing)
        .expect("the status names the cause");
    assert!(cause.to_lowercase().contains("read-only"), "{cause}");
    machine.restart(false);
    let ids = machine.recorded();
    assert_eq!(ids.get("before"), Some(&1));
    if refusal != Unavailable::CommitUnknown {
        assert!(!ids.contains_key("during"), "{refusal:?} promised that");
    }
    assert_eq!(
        machine.post("during").map(|a| a.outcome).map(|o| match o {
            Outcome::Items(r) => r[0].code.is_success(),
            _ => false,
        }),
        Ok(true)
    );
    assert_eq!(machine.balance(), 10);
}

fn random_faults(random: &mut Random) -> Faults {
    let mut rarely = |below: usize| random.one_in(4).then(|| random.below(below) as u64);
    Faults {
        writes_until_error: rarely(60),
        syncs_until_error: rarely(30),
        space_left: rarely(2 * SEGMENT_BYTES as usize),
        read_only: rarely(8) == Some(0),
        short_writes: random.one_in(2),
    }
}

/// What the callers of many lives know: id of each call's first item → acknowledged or not.
#[derive(Default)]
struct Callers {
    /// Calls by first id: the ids of their items (one chain each).
    calls: BTreeMap<String, Vec<String>>,
    acknowledged: BTreeSet<String>,
    /// Refused with a promise that nothing was done.
    not_done: BTreeSet<String>,
    count: usize,
}

impl Callers {
    fn call(&mut self, random: &mut Random) -> (String, Vec<String>) {
        let first = format!("t{}-0", self.count);
        let ids: Vec<String> = (0..1 + random.below(4))
            .map(|i| format!("t{}-{i}", self.count))
            .collect();
        self.count += 1;
        self.calls.insert(first.clone(), ids.clone());
        (first, ids)
    }
}

fn chain_json(ids: &[String]) -> String {
    let items: Vec<String> = ids
        .iter()
        .enumerate()
        .map(|(i, id)| {
            let linked = format!("\"linked\":{},\"code\"", i + 1 < ids.len());
            single(id, 1).replace("\"code\"", &linked)
        })
        .collect();
    format!("[{}]", items.join(","))
}

fn live(machine: &Machine, callers: &mut Callers, random: &mut Random) {
    let bank = machine.bank();
    for _ in 0..random.below(12) {
        // Several calls at once, so that they share a commit.
        let calls: Vec<(String, Vec<String>)> = (0..1 + random.below(5))
            .map(|_| callers.call(random))
            .collect();
        bank.clock.advance(1_000);
        let answers = bank.runtime.block_on(async {
            let tasks: Vec<_> = calls
                .iter()
                .map(|(_, ids)| {
                    let (ledger, call) = (bank.ledger.clone(), transfers(&chain_json(ids)));
                    tokio::spawn(async move { ledger.submit(call).await })
                })
                .collect();
            let mut answers = Vec::new();
            for task in tasks {
                answers.push(task.await.expect("a task ends"));
            }
            answers
        });
        for ((first, _), answer) in calls.into_iter().zip(answers) {
            match answer {
                Ok(answer) => {
                    assert!(codes(&answer).iter().all(|c| *c == "created"), "{answer:?}");
                    callers.acknowledged.insert(first);
                }
                Err(Unavailable::CommitUnknown) => {}
                Err(_) => drop(callers.not_done.insert(first)),
            }
        }
    }
}

fn check(machine: &Machine, callers: &mut Callers) {
    let recorded = machine.recorded();
    assert!(recorded.values().all(|n| *n == 1), "INV-L5: once");
    for (first, ids) in &callers.calls {
        let found = ids.iter().filter(|id| recorded.contains_key(*id)).count();
        assert!(found == 0 || found == ids.len(), "INV-L9: {first} is torn");
        if callers.acknowledged.contains(first) {
            assert_eq!(found, ids.len(), "INV-L10: {first} was acknowledged");
        }
        if callers.not_done.contains(first) {
            assert_eq!(found, 0, "{first} was promised not to be done");
        }
    }
    assert_eq!(machine.balance(), recorded.len() as u128, "INV-L3");
    // What was found once must stay.
    let found = callers.calls.keys().filter(|f| recorded.contains_key(*f));
    let found: Vec<String> = found.cloned().collect();
    callers.acknowledged.extend(found);
}

fn lives(seed: u64) {
    let mut machine = Machine::new(seed);
    let mut random = Random(seed ^ 0xFA17);
    let mut callers = Callers::default();
    for _ in 0..8 {
        machine.io.set_faults(random_faults(&mut random));
        live(&machine, &mut callers, &mut random);
        let power_cut = random.one_in(3);
        if power_cut {
            machine.io.crash().expect("a crash");
        } else {
            machine.io.kill();
        }
        machine.bank = None;
        if random.one_in(3) {
            // A start may be hit itself and must leave something that can be started.
            machine.io.set_faults(random_faults(&mut random));
            drop(machine.try_start());
            if random.one_in(2) {
                machine.io.crash().expect("a crash");
            }
        }
        for derived in ["snapshots", "index"] {
            let path = machine.dir.path().join(derived);
            if random.one_in(4) && path.exists() {
                std::fs::remove_dir_all(path).expect("derived files go");
            }
        }
        machine.io.set_faults(Faults::default());
        machine.start();
        check(&machine, &mut callers);
    }
    // Everything again: each is there exactly once.
    for ids in callers.calls.values() {
        let answer = machine.submit(&chain_json(ids)).expect("the disk works");
        assert!(
            codes(&answer)
                .iter()
                .all(|c| matches!(*c, "created" | "exists"))
        );
    }
    let all: usize = callers.calls.values().map(Vec::len).sum();
    assert_eq!(machine.recorded().len(), all, "INV-L11");
    assert_eq!(machine.balance(), all as u128, "INV-L11");
    let view = machine.bank().read();
    let IdLookup::Unknown = view.transfer("never").expect("readable") else {
        panic!("an id that was never sent");
    };
}

#[test]
fn random_faults_lose_nothing_acknowledged_and_apply_nothing_twice() {
    let first = setting("FLORIN_SEED", 1);
    let seeds = setting("FLORIN_CASES", 40);
    for seed in first..first + seeds {
        // The last line is the seed to look at.
        eprintln!("FLORIN_SEED={seed}");
        lives(seed);
    }
}
