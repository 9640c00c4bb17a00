//! Many callers at once: one total order that respects real time, and races with one winner.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use florin_ledger::{
    Answer, Call, Ledger, Outcome, Policy, Query, View,
    call::{LimitMember, LimitsUpdate, RefusalCode, ResolveHold, ReverseCall, UpdateWallet},
    engine::ReadView,
    model::{AccountId, Body, Mode, Status, WalletType},
};
use tokio::{runtime::Runtime, sync::Barrier};

use super::{
    generate::Step,
    model::{Item, Mode as ItemMode},
    property_calls::call as call_of,
    support::{Bank, Random, records, refusal, refused},
};

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_time()
        .build()
        .expect("a runtime")
}

/// All calls at the same instant; answers in the order given.
fn race(runtime: &Runtime, ledger: &Ledger, calls: Vec<Call>) -> Vec<Answer> {
    runtime.block_on(async {
        let gate = Arc::new(Barrier::new(calls.len()));
        let tasks: Vec<_> = calls
            .into_iter()
            .map(|call| {
                let (ledger, gate) = (ledger.clone(), gate.clone());
                tokio::spawn(async move {
                    gate.wait().await;
                    ledger.submit(call).await.expect("an answer")
                })
            })
            .collect();
        let mut answers = Vec::new();
        for task in tasks {
            answers.push(task.await.expect("a task ends"));
        }
        answers
    })
}

fn is_done(answer: &Answer) -> bool {
    matches!(answer.outcome, Outcome::Done(_))
}

fn done(answers: &[Answer]) -> usize {
    answers.iter().filter(|a| is_done(a)).count()
}

fn moves(bank: &Bank, op: WalletType, wallet: u128, amount: &str, count: usize) -> Vec<Call> {
    (0..count)
        .map(|n| {
            let movement = bank.movement(op, wallet, amount, &format!("race-{n}"));
            Call::WalletMove(Box::new(movement))
        })
        .collect()
}

fn funded(bank: &Bank, amount: &str) -> u128 {
    let wallet = bank.wallet("ana", "BRL");
    bank.run(bank.movement(WalletType::Deposit, wallet, amount, "start"));
    wallet
}

#[test]
fn cases_1_2_racing_withdrawals_take_what_is_there() {
    let dir = tempfile::tempdir().expect("a directory");
    let (bank, runtime) = (Bank::open(dir.path()), runtime());
    for (start, amount, callers, takers) in [("0.01", "0.01", 2, 1), ("50.00", "1.00", 100, 50)] {
        let wallet = funded(&bank, start);
        let calls = moves(&bank, WalletType::Withdrawal, wallet, amount, callers);
        let answers = race(&runtime, &bank.ledger, calls);
        assert_eq!(done(&answers), takers);
        for answer in answers.iter().filter(|a| !is_done(a)) {
            assert_eq!(refused(answer), RefusalCode::InsufficientFunds);
        }
        assert_eq!(bank.balance(wallet), (0, 0));
    }
}

#[test]
fn case_9_equal_calls_at_the_same_instant_post_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let (bank, runtime) = (Bank::open(dir.path()), runtime());
    for round in 0..20 {
        let wallet = bank.wallet("ana", "BRL");
        let movement = bank.movement(WalletType::Deposit, wallet, "3.00", "same");
        let calls = (0..16).map(|_| {
            let mut movement = movement.clone();
            movement.transfer_id = bank.ledger.new_id().to_string().into();
            Call::WalletMove(Box::new(movement))
        });
        let answers = race(&runtime, &bank.ledger, calls.collect());
        let first = records(&answers[0])[0].seq;
        assert!(
            answers.iter().all(|a| records(a)[0].seq == first),
            "round {round}"
        );
        assert_eq!(answers.iter().filter(|a| !a.replayed).count(), 1);
        assert_eq!(bank.balance(wallet), (300, 300));
    }
}

#[test]
fn case_33_money_never_lands_in_a_closed_wallet() {
    let dir = tempfile::tempdir().expect("a directory");
    let (bank, runtime) = (Bank::open(dir.path()), runtime());
    for _ in 0..40 {
        let wallet = bank.wallet("ana", "BRL");
        let mut calls = moves(&bank, WalletType::Deposit, wallet, "1.00", 1);
        calls.push(Call::UpdateWallet(Box::new(UpdateWallet {
            actor: None,
            owner: None,
            id: wallet,
            status: Some(Status::Closed),
            limits: None,
            reason: None,
        })));
        let answers = race(&runtime, &bank.ledger, calls);
        let view = bank.view(wallet);
        match (is_done(&answers[0]), is_done(&answers[1])) {
            (true, false) => {
                assert_eq!(refused(&answers[1]), RefusalCode::WalletNotEmpty);
                assert_eq!((bank.balance(wallet).0, view.status), (100, Status::Open));
            }
            (false, true) => {
                assert_eq!(refused(&answers[0]), RefusalCode::WalletClosed);
                assert_eq!((bank.balance(wallet).0, view.status), (0, Status::Closed));
            }
            both => panic!("deposit and close: {both:?}"),
        }
    }
}

fn resolution(bank: &Bank, hold: &str, capture: bool, reference: &str) -> Call {
    Call::ResolveHold(Box::new(ResolveHold {
        actor: None,
        owner: None,
        hold: hold.into(),
        capture,
        amount: None,
        transfer_id: bank.ledger.new_id().to_string().into(),
        reference: florin_ledger::call::Reference {
            id: reference.into(),
            generated: false,
        },
        module: "wallets".into(),
    }))
}

fn hold(bank: &Bank, wallet: u128, reference: &str, seconds: u32) -> (String, i64) {
    let mut movement = bank.movement(WalletType::Hold, wallet, "1.00", reference);
    movement.expires_in_seconds = Some(seconds);
    let placed = bank.run(movement);
    let transfer = records(&placed)[0].transfer().expect("a transfer");
    let expires = transfer.expires_at.expect("it expires");
    (transfer.id.to_string(), expires.0)
}

#[test]
fn case_37_capture_and_void_have_one_winner() {
    let dir = tempfile::tempdir().expect("a directory");
    let (bank, runtime) = (Bank::open(dir.path()), runtime());
    let wallet = funded(&bank, "100.00");
    let mut captured = 0;
    for n in 0..40 {
        let (hold, _) = hold(&bank, wallet, &format!("h{n}"), 1_000);
        let mut calls = vec![
            resolution(&bank, &hold, true, "c"),
            resolution(&bank, &hold, false, "v"),
        ];
        if n % 2 == 1 {
            calls.reverse();
        }
        let answers = race(&runtime, &bank.ledger, calls);
        assert_eq!(done(&answers), 1);
        let loser = answers.iter().find(|a| !is_done(a)).expect("one lost");
        match refused(loser) {
            RefusalCode::HoldAlreadyCaptured => captured += 1,
            code => assert_eq!(code, RefusalCode::HoldAlreadyVoided),
        }
    }
    assert_eq!(
        bank.balance(wallet),
        (10_000 - 100 * captured, 10_000 - 100 * captured)
    );
}

#[test]
fn case_39_capture_and_expiry_have_one_winner_by_ledger_time() {
    let dir = tempfile::tempdir().expect("a directory");
    let (bank, runtime) = (Bank::open(dir.path()), runtime());
    let wallet = funded(&bank, "100.00");
    let mut random = Random(39);
    let mut left = 10_000;
    let mut winners = [0, 0];
    for n in 0..40 {
        let (hold, expires) = hold(&bank, wallet, &format!("h{n}"), 1);
        // The clock passes `expiresAt` while the capture is on its way.
        bank.clock.advance(999_990);
        let clock = bank.clock.clone();
        let steps = random.below(40);
        let ticking = std::thread::spawn(move || {
            for _ in 0..steps {
                clock.advance(1);
                std::thread::yield_now();
            }
        });
        let capture = vec![resolution(&bank, &hold, true, "c")];
        let answer = race(&runtime, &bank.ledger, capture).remove(0);
        ticking.join().expect("the clock stops");
        if is_done(&answer) {
            assert!(answer.recorded_at.0 < expires, "captured in time");
            left -= 100;
            winners[0] += 1;
        } else {
            assert_eq!(refused(&answer), RefusalCode::HoldExpired);
            assert!(answer.recorded_at.0 >= expires);
            winners[1] += 1;
        }
        bank.clock.advance(2_000_000);
        bank.run(bank.movement(WalletType::Deposit, wallet, "0.01", &format!("d{n}")));
        left += 1;
        assert_eq!(bank.balance(wallet), (left, left), "one resolution");
    }
    eprintln!("captured {}, expired {}", winners[0], winners[1]);
}

#[test]
fn case_69_a_daily_limit_holds_under_ten_racing_withdrawals() {
    let dir = tempfile::tempdir().expect("a directory");
    let (bank, runtime) = (Bank::open(dir.path()), runtime());
    for _ in 0..10 {
        let wallet = funded(&bank, "5000.00");
        let mut members = [LimitMember::Unlimited; 6];
        let limit = florin_base::Decimal::parse("1000.00").expect("a decimal");
        members[1] = LimitMember::Amount(limit);
        let limited = bank.submit(Call::UpdateWallet(Box::new(UpdateWallet {
            actor: None,
            owner: None,
            id: wallet,
            status: None,
            limits: Some(LimitsUpdate {
                tier: None,
                members,
            }),
            reason: None,
        })));
        assert!(is_done(&limited));
        let calls = moves(&bank, WalletType::Withdrawal, wallet, "300.00", 10);
        let answers = race(&runtime, &bank.ledger, calls);
        assert_eq!(done(&answers), 3, "INV-L19");
        for answer in answers.iter().filter(|a| !is_done(a)) {
            let hit = refusal(answer).limit.as_ref().expect("the limit is named");
            assert_eq!((hit.limit, hit.remaining), ("out.daily", Some(10_000)));
        }
    }
}

#[test]
fn inv_l16_racing_reversals_reverse_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let (bank, runtime) = (Bank::open(dir.path()), runtime());
    for n in 0..20 {
        let wallet = funded(&bank, "9.00");
        let deposit =
            bank.run(bank.movement(WalletType::Deposit, wallet, "1.00", &format!("d{n}")));
        let id = records(&deposit)[0]
            .transfer()
            .expect("a transfer")
            .id
            .clone();
        let calls = (0..8)
            .map(|caller| {
                Call::Reverse(ReverseCall {
                    actor: None,
                    id: id.clone(),
                    reason: ["same", "other"][caller % 2].into(),
                    effective_at: None,
                    metadata: Default::default(),
                    as_wallet: true,
                })
            })
            .collect();
        let answers = race(&runtime, &bank.ledger, calls);
        assert_eq!(done(&answers), 4, "the winner and its equals");
        assert_eq!(
            answers.iter().filter(|a| is_done(a) && !a.replayed).count(),
            1
        );
        for answer in answers.iter().filter(|a| !is_done(a)) {
            assert_eq!(refused(answer), RefusalCode::AlreadyReversed);
        }
        assert_eq!(bank.balance(wallet), (900, 900));
    }
}

/// One caller's call as an outside observer sees it.
struct Observed {
    sent: u64,
    answered: u64,
    seqs: Vec<u64>,
}

fn item(id: String, random: &mut Random, pendings: &[String]) -> Item {
    let account = |n: usize| {
        format!(
            "florin:{}:BRL",
            ["external", "suspense", "fx", "opening"][n]
        )
    };
    let from = random.below(4);
    if !pendings.is_empty() && random.one_in(3) {
        return Item {
            id,
            mode: Some(if random.one_in(2) {
                ItemMode::Post
            } else {
                ItemMode::Void
            }),
            pending: Some(random.pick(pendings).clone()),
            ..Item::default()
        };
    }
    Item {
        id,
        mode: random.one_in(3).then_some(ItemMode::Pending),
        debit: Some(account(from)),
        credit: Some(account((from + 1 + random.below(3)) % 4)),
        amount: Some((1 + random.below(100)).to_string()),
        asset: Some("BRL".into()),
        code: Some("t".into()),
        ..Item::default()
    }
}

async fn caller(ledger: Ledger, number: u64, ticks: Arc<AtomicU64>) -> Vec<Observed> {
    let mut random = Random(number);
    let mut observed = Vec::new();
    // All callers resolve the same reservations.
    let shared: Vec<String> = (0..40).map(|n| format!("shared-{n}")).collect();
    for n in 0..120 {
        let mut items: Vec<Item> = (0..1 + random.below(4))
            .map(|i| item(format!("c{number}-{n}-{i}"), &mut random, &shared))
            .collect();
        if items.len() > 2 {
            items[0].linked = true;
        }
        if random.one_in(8) {
            let id = random.pick(&shared).clone();
            items[0] = Item {
                mode: Some(ItemMode::Pending),
                debit: Some("florin:external:BRL".into()),
                credit: Some("florin:suspense:BRL".into()),
                amount: Some("10".into()),
                asset: Some("BRL".into()),
                code: Some("t".into()),
                id,
                ..Item::default()
            };
        }
        let call = call_of(&Step::Transfers(items, None));
        let sent = ticks.fetch_add(1, Ordering::SeqCst);
        let answer = ledger.submit(call).await.expect("an answer");
        let answered = ticks.fetch_add(1, Ordering::SeqCst);
        let Outcome::Items(results) = &answer.outcome else {
            panic!("{answer:?}");
        };
        let created = results.iter().filter(|r| r.code.word() == "created");
        let seqs: Vec<u64> = created.filter_map(|r| r.seq).collect();
        if random.one_in(10) && !seqs.is_empty() {
            let id = AccountId::parse("florin:external:BRL").expect("an id");
            let Ok(View::Account(Some(view))) = ledger.query(Query::Account(id)).await else {
                panic!("the account exists");
            };
            assert!(
                view.as_of_seq >= seqs[0],
                "reads show what was acknowledged"
            );
        }
        observed.push(Observed {
            sent,
            answered,
            seqs,
        });
    }
    observed
}

/// What a reader of the feed knows after each line.
#[derive(Default)]
struct Follower {
    seen: u64,
    at: i64,
    posted: [u128; 2],
    open: std::collections::BTreeMap<String, u128>,
    chain: Option<(Box<str>, u32, u64)>,
}

impl Follower {
    fn read(&mut self, view: &ReadView) {
        let mut next = std::mem::take(self);
        let from = next.seen;
        let last = view
            .records(from, usize::MAX, |r| {
                assert_eq!(r.seq, next.seen + 1, "INV-L7: no gap at the tip");
                assert!(r.recorded_at.0 >= next.at, "INV-L7: time never falls");
                (next.seen, next.at) = (r.seq, r.recorded_at.0);
                let Body::Transfer(t) = &r.body else { return };
                match t.mode {
                    Mode::Single | Mode::Post => {
                        let touched = [r.touches.first, r.touches.second].map(|x| x.expect("two"));
                        assert_ne!(touched[0].slot, touched[1].slot);
                        next.posted = next.posted.map(|p| p + t.amount);
                    }
                    Mode::Pending => drop(next.open.insert(t.id.to_string(), t.amount)),
                    Mode::Void => {}
                }
                if let Some(pending) = &t.pending_id {
                    let reserved = next.open.remove(&**pending);
                    assert!(
                        reserved.is_some_and(|r| t.amount <= r),
                        "INV-L8: resolved once"
                    );
                }
                let chain = t.chain.as_ref().map(|(c, i)| (c.clone(), *i, r.batch));
                if let Some((id, place, batch)) = chain.as_ref().filter(|c| c.1 > 0) {
                    let before = Some((id.clone(), place - 1, *batch));
                    assert_eq!(next.chain, before, "INV-L9");
                }
                next.chain = chain;
            })
            .expect("readable");
        assert_eq!(last, next.seen.max(from));
        *self = next;
    }
}

#[test]
fn inv_l13_one_order_that_respects_real_time_and_a_feed_without_gaps() {
    let dir = tempfile::tempdir().expect("a directory");
    let bank = Bank::open_with(dir.path(), Policy::default(), |o| {
        o.snapshot_bytes = 200 << 10
    });
    let runtime = runtime();
    let ticks = Arc::new(AtomicU64::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    let reader = {
        let (ledger, stop) = (bank.ledger.clone(), stop.clone());
        runtime.spawn(async move {
            let mut follower = Follower::default();
            let mut watch = ledger.watch();
            loop {
                let last = stop.load(Ordering::SeqCst);
                let view = ledger.read_view().await.expect("the index follows");
                follower.read(&view);
                if last {
                    return follower;
                }
                let wait = tokio::time::Duration::from_millis(20);
                // Stopping is noticed after a while without news.
                drop(tokio::time::timeout(wait, watch.changed()).await);
            }
        })
    };
    let clock = bank.clock.clone();
    let observed: Vec<Observed> = runtime.block_on(async {
        let tasks: Vec<_> = (0..16)
            .map(|n| tokio::spawn(caller(bank.ledger.clone(), n, ticks.clone())))
            .collect();
        let mut all = Vec::new();
        for task in tasks {
            clock.advance(1_000);
            all.extend(task.await.expect("a caller ends"));
        }
        all
    });
    stop.store(true, Ordering::SeqCst);
    let follower = runtime.block_on(reader).expect("the reader ends");
    let mut by_sent: Vec<&Observed> = observed.iter().filter(|o| !o.seqs.is_empty()).collect();
    let mut by_answer = by_sent.clone();
    by_sent.sort_by_key(|o| o.sent);
    by_answer.sort_by_key(|o| o.answered);
    let mut answered = by_answer.into_iter().peekable();
    let mut highest = 0;
    for o in by_sent {
        while let Some(before) = answered.next_if(|b| b.answered < o.sent) {
            highest = highest.max(*before.seqs.last().expect("not empty"));
        }
        assert!(
            o.seqs[0] > highest,
            "INV-L13: {} after {highest}",
            o.seqs[0]
        );
    }
    let query = bank
        .runtime
        .block_on(bank.ledger.query(Query::TrialBalance));
    let Ok(View::TrialBalance(sums, head)) = query else {
        panic!("no trial balance");
    };
    let brl = &sums[0].totals;
    assert_eq!(follower.seen, head.seq);
    assert_eq!(
        [brl.debits_posted, brl.credits_posted],
        follower.posted,
        "INV-L1"
    );
    let open: u128 = follower.open.values().sum();
    assert_eq!(
        [brl.debits_pending, brl.credits_pending],
        [open, open],
        "INV-L2"
    );
    assert!(follower.seen > 1_500, "{}", follower.seen);
}
