//! The embedded engine: postings, replays, restarts, time.

use florin_base::Timestamp;
use florin_ledger::{
    Call, Outcome,
    call::{RefusalCode, ReverseCall},
    engine::EntryPage,
    model::{AccountId, WalletType},
};

use crate::support::{Bank, codes, records, refused};

#[test]
fn money_moves_and_a_repeated_call_is_replayed_also_after_a_restart() {
    let dir = tempfile::tempdir().expect("a directory");
    let bank = Bank::open(dir.path());
    let (ana, bob) = (bank.wallet("ana", "BRL"), bank.wallet("bob", "BRL"));
    let deposit = bank.movement(WalletType::Deposit, ana, "100.00", "dep-1");
    let first = bank.run(deposit.clone());
    assert!(!first.replayed);
    let mut transfer = bank.movement(WalletType::Transfer, ana, "30.50", "tr-1");
    transfer.destination = Some(bob);
    bank.run(transfer.clone());
    assert_eq!(
        (bank.balance(ana), bank.balance(bob)),
        ((6_950, 6_950), (3_050, 3_050))
    );

    let again = bank.run(deposit.clone());
    assert!(again.replayed, "case 4");
    assert_eq!(records(&again), records(&first));
    let poor = bank.run(bank.movement(WalletType::Withdrawal, ana, "100.00", "w-1"));
    assert_eq!(refused(&poor), RefusalCode::InsufficientFunds);
    drop(bank);

    let bank = Bank::open(dir.path());
    assert_eq!(
        (bank.balance(ana), bank.balance(bob)),
        ((6_950, 6_950), (3_050, 3_050))
    );
    let again = bank.run(deposit.clone());
    assert!(again.replayed);
    assert_eq!(records(&again), records(&first));
    bank.run(bank.movement(WalletType::Deposit, ana, "500.00", "dep-2"));
    let still = bank.run(bank.movement(WalletType::Withdrawal, ana, "100.00", "w-1"));
    assert_eq!(
        (refused(&still), still.replayed),
        (RefusalCode::InsufficientFunds, true),
        "case 10"
    );
    let mut other = deposit;
    other.amount.decimal = florin_base::Decimal::parse("100.01").expect("a decimal");
    assert_eq!(
        refused(&bank.run(other)),
        RefusalCode::IdempotencyConflict,
        "case 6"
    );
}

#[test]
fn case_48_49_a_refused_chain_leaves_nothing_and_its_culprit_is_remembered() {
    let dir = tempfile::tempdir().expect("a directory");
    let bank = Bank::open(dir.path());
    let item = |id: &str, from: &str, to: &str, amount: &str, linked: bool| {
        format!(
            r#"{{"id":"{id}","debitAccountId":"{from}","creditAccountId":"{to}","amountMinor":"{amount}","asset":"BRL","code":"t","linked":{linked}}}"#
        )
    };
    for id in ["a", "b"] {
        bank.submit(Call::CreateAccount(florin_ledger::call::CreateAccount {
            actor: None,
            id: AccountId::parse(id).expect("an id"),
            asset: "BRL".into(),
            kind: florin_ledger::model::AccountKind::Liability,
            normal: None,
            floor: Default::default(),
            metadata: Default::default(),
            key: None,
        }));
    }
    let chain = format!(
        "[{},{},{}]",
        item("1", "florin:external:BRL", "a", "5", true),
        item("2", "b", "a", "5", true),
        item("3", "a", "b", "1", false)
    );
    let failed = [
        "linked_transfer_failed",
        "insufficient_funds",
        "linked_transfer_failed",
    ];
    let answer = bank.transfers(&chain);
    assert_eq!(
        (codes(&answer), answer.batch),
        (failed.to_vec(), None),
        "case 48"
    );
    bank.transfers(&format!(
        "[{}]",
        item("top", "florin:external:BRL", "b", "5", false)
    ));
    assert_eq!(
        codes(&bank.transfers(&chain)),
        [
            "linked_transfer_failed",
            "id_already_failed",
            "linked_transfer_failed"
        ],
        "case 49"
    );
    let good = format!(
        "[{},{}]",
        item("x", "b", "a", "2", true),
        item("y", "a", "b", "1", false)
    );
    assert_eq!(codes(&bank.transfers(&good)), ["created", "created"]);
    assert_eq!(
        codes(&bank.transfers(&good)),
        ["exists", "exists"],
        "case 51"
    );
    let alone = format!("[{}]", item("x", "b", "a", "2", false));
    assert_eq!(
        codes(&bank.transfers(&alone)),
        ["exists_with_different_chain"],
        "case 51"
    );
}

#[test]
fn case_41_a_hold_that_just_expired_frees_its_money_first() {
    let dir = tempfile::tempdir().expect("a directory");
    let bank = Bank::open(dir.path());
    let ana = bank.wallet("ana", "BRL");
    bank.run(bank.movement(WalletType::Deposit, ana, "10.00", "d"));
    let mut hold = bank.movement(WalletType::Hold, ana, "10.00", "h");
    hold.expires_in_seconds = Some(60);
    let placed = bank.run(hold);
    assert_eq!(bank.balance(ana), (1_000, 0));
    assert_eq!(
        refused(&bank.run(bank.movement(WalletType::Withdrawal, ana, "10.00", "w1"))),
        RefusalCode::InsufficientFunds
    );
    bank.clock.advance(60_000_000);
    let withdrawn = bank.run(bank.movement(WalletType::Withdrawal, ana, "10.00", "w2"));
    let view = bank
        .runtime
        .block_on(bank.ledger.read_view())
        .expect("a view");
    let expiry = format!(
        "{}:exp",
        records(&placed)[0].transfer().expect("a transfer").id
    );
    let florin_ledger::engine::IdLookup::Recorded(expired) =
        view.transfer(&expiry).expect("readable")
    else {
        panic!("no expiry record");
    };
    assert!(expired.seq < records(&withdrawn)[0].seq);
    assert_eq!(bank.balance(ana), (0, 0));
}

#[test]
fn balances_on_two_axes_also_with_back_dated_records() {
    let dir = tempfile::tempdir().expect("a directory");
    let bank = Bank::open(dir.path());
    let ana = bank.wallet("ana", "BRL");
    let slot = bank
        .runtime
        .block_on(bank.ledger.slot_of(&AccountId::Wallet(ana)))
        .expect("answers")
        .expect("an account");
    let first = bank
        .run(bank.movement(WalletType::Deposit, ana, "10.00", "d1"))
        .recorded_at;
    bank.clock.advance(10_000_000);
    let mut late = bank.movement(WalletType::Deposit, ana, "5.00", "d2");
    late.effective_at = Some(Timestamp(first.0 - 1_000_000));
    let second = bank.run(late).recorded_at;
    let view = bank
        .runtime
        .block_on(bank.ledger.read_view())
        .expect("a view");
    let at = |e: Option<i64>, r: Option<i64>| {
        view.totals_at(slot, e.map(Timestamp), r.map(Timestamp))
            .expect("readable")
            .credits_posted
    };
    assert_eq!(at(None, None), 1_500);
    assert_eq!(at(None, Some(second.0 - 1)), 1_000);
    assert_eq!(at(Some(first.0 - 1), None), 500);
    assert_eq!(at(Some(first.0), None), 1_500);
    assert_eq!(at(Some(first.0), Some(second.0 - 1)), 1_000);
    assert_eq!(at(Some(first.0 - 1_000_001), None), 0);
    let page = EntryPage {
        effective: true,
        limit: 10,
        ..EntryPage::default()
    };
    let entries = view.entries(slot, &page).expect("readable");
    let after: Vec<u128> = entries.iter().map(|e| e.after.credits_posted).collect();
    assert_eq!(after, [500, 1_500]);
    let page = EntryPage {
        descending: true,
        limit: 1,
        ..EntryPage::default()
    };
    let newest = view.entries(slot, &page).expect("readable");
    assert_eq!((newest.len(), newest[0].after.credits_posted), (1, 1_500));
}

#[test]
fn case_42_43_45_a_reversal_happens_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let bank = Bank::open(dir.path());
    let ana = bank.wallet("ana", "BRL");
    let deposit = bank.run(bank.movement(WalletType::Deposit, ana, "10.00", "d1"));
    let id = records(&deposit)[0]
        .transfer()
        .expect("a transfer")
        .id
        .clone();
    let reverse = |id: &str, reason: &str| {
        bank.submit(Call::Reverse(ReverseCall {
            actor: Some("op".into()),
            id: id.into(),
            reason: reason.into(),
            effective_at: None,
            metadata: Default::default(),
            as_wallet: true,
        }))
    };
    let first = reverse(&id, "mistake");
    assert_eq!(bank.balance(ana), (0, 0));
    let again = reverse(&id, "mistake");
    assert!(again.replayed && records(&again) == records(&first));
    assert_eq!(
        refused(&reverse(&id, "another")),
        RefusalCode::AlreadyReversed
    );
    assert_eq!(
        refused(&reverse(&format!("{id}:rev"), "undo")),
        RefusalCode::TransferNotReversible
    );
}

#[test]
fn inv_l6_the_feed_has_the_same_bytes_after_a_restart_and_the_tree_agrees() {
    let dir = tempfile::tempdir().expect("a directory");
    let feed = |bank: &Bank| {
        let view = bank
            .runtime
            .block_on(bank.ledger.read_view())
            .expect("a view");
        let mut lines = Vec::new();
        view.feed(0, usize::MAX, &mut lines).expect("readable");
        let (batch, size, chain) = view.last_batch().expect("readable").expect("batches");
        (
            lines,
            batch,
            size,
            chain,
            view.root(size).expect("readable"),
        )
    };
    let bank = Bank::open(dir.path());
    let ana = bank.wallet("ana", "BRL");
    for n in 0..700 {
        let answer = bank.run(bank.movement(WalletType::Deposit, ana, "0.01", &format!("d{n}")));
        assert!(matches!(answer.outcome, Outcome::Done(_)));
    }
    let before = feed(&bank);
    drop(bank);
    std::fs::remove_dir_all(dir.path().join("snapshots")).expect("snapshots are derived");
    std::fs::remove_dir_all(dir.path().join("index")).expect("the index is derived");
    let bank = Bank::open(dir.path());
    assert_eq!(feed(&bank), before);
    assert_eq!(bank.balance(ana), (700, 700));
}

#[test]
fn inv_l23_a_proof_verifies_against_its_signed_checkpoint() {
    let dir = tempfile::tempdir().expect("a directory");
    let bank = Bank::open(dir.path());
    let ana = bank.wallet("ana", "BRL");
    for n in 0..300 {
        bank.run(bank.movement(WalletType::Deposit, ana, "1.00", &format!("d{n}")));
    }
    let made = bank.runtime.block_on(bank.ledger.checkpoint_now());
    let (first, news) = made.expect("available").expect("records");
    assert!(news);
    bank.run(bank.movement(WalletType::Deposit, ana, "1.00", "more"));
    let made = bank.runtime.block_on(bank.ledger.checkpoint_now());
    let (second, _) = made.expect("available").expect("records");
    let keys: Vec<_> = bank
        .ledger
        .checkpoints()
        .keys()
        .expect("readable")
        .into_iter()
        .map(|k| k.key)
        .collect();
    let body = first
        .verify(bank.ledger.ledger_id(), &keys)
        .expect("a good signature");
    let view = bank
        .runtime
        .block_on(bank.ledger.read_view())
        .expect("a view");
    for seq in [1, 2, 255, 256, 257, first.tree_size] {
        let (leaf, path) = view.inclusion(seq, first.tree_size).expect("readable");
        let root = &body.root_hash;
        florin_ledger::proof::verify_inclusion(&leaf, seq - 1, first.tree_size, &path, root)
            .expect("included");
    }
    let path = view
        .consistency(first.tree_size, second.tree_size)
        .expect("readable");
    florin_ledger::proof::verify_consistency(
        first.tree_size,
        &first.root_hash,
        second.tree_size,
        &second.root_hash,
        &path,
    )
    .expect("consistent");
}

#[test]
fn inv_l9_a_chain_that_first_uses_system_accounts_stands_side_by_side_and_can_be_reversed() {
    let dir = tempfile::tempdir().expect("a directory");
    let bank = Bank::open(dir.path());
    let item = |id: &str, asset: &str, linked: bool| {
        format!(
            r#"{{"id":"{id}","debitAccountId":"florin:external:{asset}","creditAccountId":"florin:suspense:{asset}","amountMinor":"5","asset":"{asset}","code":"t","linked":{linked}}}"#
        )
    };
    let items = [
        item("1", "BRL", true),
        item("2", "USD", true),
        item("3", "EUR", false),
    ];
    let answer = bank.transfers(&format!("[{}]", items.join(",")));
    assert_eq!(codes(&answer), ["created"; 3]);
    let Outcome::Items(results) = &answer.outcome else {
        panic!("no items: {answer:?}");
    };
    let seqs: Vec<u64> = results.iter().filter_map(|r| r.seq).collect();
    assert_eq!(seqs, [seqs[0], seqs[0] + 1, seqs[0] + 2]);
    let reversed = bank.submit(Call::Reverse(ReverseCall {
        actor: None,
        id: "2".into(),
        reason: "mistake".into(),
        effective_at: None,
        metadata: Default::default(),
        as_wallet: false,
    }));
    assert_eq!(records(&reversed).len(), 3, "case 45");
}
