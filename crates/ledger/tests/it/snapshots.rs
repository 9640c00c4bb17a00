//! Snapshots are written while postings go on: a start from one of them knows the same.

use std::{path::Path, sync::Arc};

use florin_base::clock::ManualClock;
use florin_ledger::{
    Call, Policy, Query, View,
    journal::fault::{FaultIo, Faults},
    model::WalletType,
};

use super::support::{Bank, Random, START};

/// Wallets of more than two chunks, so that a snapshot takes several commits.
const WALLETS: usize = 8_300;

fn open(dir: &Path, clock: &Arc<ManualClock>, io: &FaultIo) -> Bank {
    Bank::try_open(dir, Policy::default(), clock.clone(), |o| {
        o.snapshot_bytes = 4 << 10;
        o.io = Arc::new(io.clone());
    })
    .expect("the ledger opens")
}

fn used_in(bank: &Bank, wallet: u128) -> u128 {
    let query = Query::Limits {
        id: wallet,
        owner: None,
    };
    match bank.runtime.block_on(bank.ledger.query(query)) {
        Ok(View::Limits(Some(view))) => view.used.in_day,
        other => panic!("no limits: {other:?}"),
    }
}

#[test]
fn inv_l19_wallets_made_while_a_snapshot_is_written_keep_their_use_of_limits() {
    let dir = tempfile::tempdir().expect("a directory");
    let clock = Arc::new(ManualClock::new(START));
    let io = FaultIo::new(1);
    let bank = open(dir.path(), &clock, &io);
    for n in 0..WALLETS {
        bank.wallet(&format!("user-{}", n / 50), "BRL");
    }
    let late: Vec<u128> = (0..120)
        .map(|n| {
            let wallet = bank.wallet(&format!("late-{}", n / 50), "BRL");
            bank.run(bank.movement(WalletType::Deposit, wallet, "1.00", "d"));
            wallet
        })
        .collect();
    drop(bank);
    let entries = std::fs::read_dir(dir.path().join("snapshots")).expect("snapshots");
    let mut snapshots: Vec<_> = entries.map(|e| e.expect("an entry").path()).collect();
    snapshots.sort();
    assert!(snapshots.len() >= 2, "{snapshots:?}");
    // The newest is that of the clean stop; the one before was written under way.
    std::fs::remove_file(snapshots.pop().expect("two")).expect("a file");
    let bank = open(dir.path(), &clock, &io);
    for (n, wallet) in late.iter().enumerate() {
        assert_eq!(used_in(&bank, *wallet), 100, "late wallet {n}");
        assert_eq!(bank.balance(*wallet), (100, 100), "INV-L3");
    }
}

#[test]
fn inv_l3_a_snapshot_never_holds_what_a_failed_commit_left_in_memory() {
    let dir = tempfile::tempdir().expect("a directory");
    let clock = Arc::new(ManualClock::new(START));
    let io = FaultIo::new(3);
    let mut bank = open(dir.path(), &clock, &io);
    let wallets: Vec<u128> = (0..WALLETS)
        .map(|n| bank.wallet(&format!("user-{}", n / 50), "BRL"))
        .collect();
    let mut random = Random(3);
    for round in 0..30 {
        io.set_faults(Faults {
            syncs_until_error: Some(random.below(24) as u64),
            ..Faults::default()
        });
        for n in 0.. {
            bank.clock.advance(1_000);
            let wallet = *random.pick(&wallets);
            let movement =
                bank.movement(WalletType::Deposit, wallet, "1.00", &format!("{round}-{n}"));
            let call = Call::WalletMove(Box::new(movement));
            if bank.runtime.block_on(bank.ledger.submit(call)).is_err() {
                break;
            }
        }
        // Time for whatever the writer still does with its memory.
        for _ in 0..10 {
            let read = bank.runtime.block_on(bank.ledger.query(Query::Head));
            assert!(read.is_err(), "memory may be ahead of the disk");
        }
        bank.ledger.close();
        io.crash().expect("a crash");
        drop(bank);
        io.set_faults(Faults::default());
        bank = open(dir.path(), &clock, &io);
        let sums = bank.read().trial_balance(None, None).expect("readable");
        let query = bank
            .runtime
            .block_on(bank.ledger.query(Query::TrialBalance));
        let Ok(View::TrialBalance(memory, _)) = query else {
            panic!("no trial balance");
        };
        let credits = |s: &[florin_ledger::call::AssetSums]| s[0].totals.credits_posted;
        assert_eq!(
            credits(&memory),
            credits(&sums),
            "round {round}: memory is the fold"
        );
        assert_eq!(memory[0].totals.debits_posted, credits(&memory), "INV-L1");
    }
}
