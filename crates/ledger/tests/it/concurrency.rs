//! Races of many callers have the winners that the contract allows. The order of all calls is
//! the subject of `order`.

use std::sync::Arc;

use florin_ledger::{
    Answer, Call, Ledger, Outcome,
    call::{LimitMember, LimitsUpdate, RefusalCode, ResolveHold, ReverseCall, UpdateWallet},
    model::{Status, WalletType},
};
use tokio::{runtime::Runtime, sync::Barrier};

use super::support::{Bank, Random, records, refusal, refused};

pub fn runtime() -> Runtime {
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
