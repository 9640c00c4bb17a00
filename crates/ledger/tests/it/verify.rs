//! What the engine wrote is verified by code that shares no rule with it, as a directory, as an
//! export, and after the export was imported elsewhere (INV-L3, L9, L22, L24).

use std::path::Path;

use florin_base::Timestamp;
use florin_ledger::{
    Call, Outcome,
    call::{CreateAccount, ImportCall, ResolveHold, ReverseCall, UpdateWallet, WalletAmount},
    exchange::{Chunks, parse_line},
    model::{AccountId, AccountKind, Floor, Status, WalletType},
    proof::Checkpoint,
    verify::{Evidence, Report, read_checkpoints, verify_directory, verify_export},
};

use crate::support::{Bank, codes, records};

fn feed(bank: &Bank) -> Vec<u8> {
    let view = bank
        .runtime
        .block_on(bank.ledger.read_view())
        .expect("a view");
    let mut lines = Vec::new();
    view.feed(0, 1_000_000, &mut lines).expect("the feed");
    lines
}

fn account(bank: &Bank, id: &str, floor: Floor) {
    bank.submit(Call::CreateAccount(CreateAccount {
        actor: Some("tester".into()),
        id: AccountId::parse(id).expect("an id"),
        asset: "BRL".into(),
        kind: AccountKind::Liability,
        normal: None,
        floor,
        metadata: Default::default(),
        key: None,
    }));
}

fn reverse(bank: &Bank, id: &str) {
    let answer = bank.submit(Call::Reverse(ReverseCall {
        actor: Some("tester".into()),
        id: id.into(),
        reason: "by mistake".into(),
        effective_at: None,
        metadata: Default::default(),
        as_wallet: false,
    }));
    assert!(!records(&answer).is_empty());
}

fn resolve(bank: &Bank, hold: &str, capture: Option<&str>) {
    let answer = bank.submit(Call::ResolveHold(Box::new(ResolveHold {
        actor: None,
        owner: None,
        hold: hold.into(),
        capture: capture.is_some(),
        amount: capture.map(|text| WalletAmount {
            decimal: florin_base::Decimal::parse(text).expect("a decimal"),
            is_number: false,
        }),
        transfer_id: bank.ledger.new_id().to_string().into(),
        reference: florin_ledger::call::Reference {
            id: format!("resolve {hold}").into(),
            generated: false,
        },
        module: "wallets".into(),
    })));
    assert_eq!(records(&answer).len(), 1);
}

/// Everything a ledger records: wallets, holds, conversions, chains, reversals, refusals.
fn busy(bank: &Bank, with_expiry: bool) {
    let (ana, bob) = (bank.wallet("ana", "BRL"), bank.wallet("bob", "BRL"));
    let usd = bank.wallet("ana", "USD");
    let deposit = bank.run(bank.movement(WalletType::Deposit, ana, "500.00", "d1"));
    let poor = bank.run(bank.movement(WalletType::Withdrawal, bob, "1.00", "w1"));
    assert!(matches!(poor.outcome, Outcome::Refused(_)));
    let mut transfer = bank.movement(WalletType::Transfer, ana, "30.50", "t1");
    transfer.destination = Some(bob);
    bank.run(transfer);
    let mut conversion = bank.movement(WalletType::Transfer, ana, "10.00", "t2");
    conversion.destination = Some(usd);
    conversion.rate = Some(florin_ledger::call::Rate {
        text: "0.1999".into(),
        value: florin_base::Decimal::parse("0.1999").expect("a decimal"),
    });
    let converted = bank.run(conversion);
    assert_eq!(records(&converted).len(), 2);
    let mut holds = Vec::new();
    for (reference, life) in [
        ("h1", 3_600),
        ("h2", 3_600),
        ("h3", if with_expiry { 5 } else { 3_600 }),
        ("h4", 3_600),
    ] {
        let mut hold = bank.movement(WalletType::Hold, ana, "20.00", reference);
        hold.expires_in_seconds = Some(life);
        holds.push(hold.transfer_id.clone());
        assert_eq!(records(&bank.run(hold)).len(), 1);
    }
    resolve(bank, &holds[0], Some("12.00"));
    resolve(bank, &holds[1], None);
    bank.clock.advance(6_000_000);
    account(bank, "shop", Floor::Zero);
    account(bank, "till", Floor::Minus(500));
    // The second item makes an account on first use, in the middle of the chain.
    let chain = bank.transfers(
        r#"[{"id":"c1","linked":true,"debitAccountId":"florin:external:BRL","creditAccountId":"shop","amountMinor":"900","asset":"BRL","code":"sale"},
            {"id":"c2","linked":true,"debitAccountId":"shop","creditAccountId":"florin:suspense:BRL","amountMinor":"100","asset":"BRL","code":"fee"},
            {"id":"c3","debitAccountId":"shop","creditAccountId":"till","amountMinor":"300","asset":"BRL","code":"split"},
            {"id":"no","debitAccountId":"shop","creditAccountId":"till","amountMinor":"501","asset":"BRL","code":"split"}]"#,
    );
    assert_eq!(
        codes(&chain),
        ["created", "created", "created", "insufficient_funds"]
    );
    let pending = bank.transfers(
        r#"[{"id":"p1","mode":"pending","timeoutSeconds":60,"debitAccountId":"shop","creditAccountId":"till","amountMinor":"200","asset":"BRL","code":"order"},
            {"id":"p1-post","mode":"post","pendingId":"p1","amountMinor":"150"},
            {"id":"p2","mode":"pending","debitAccountId":"shop","creditAccountId":"till","amountMinor":"50","asset":"BRL","code":"order"},
            {"id":"back","debitAccountId":"florin:external:BRL","creditAccountId":"shop","amountMinor":"70","asset":"BRL","code":"late","effectiveAt":"2026-01-01T00:00:00Z"}]"#,
    );
    assert_eq!(codes(&pending), ["created"; 4]);
    reverse(bank, "p1-post");
    reverse(bank, "c2");
    let first = records(&deposit)[0]
        .transfer()
        .expect("a deposit")
        .id
        .clone();
    let status = |status| {
        bank.submit(Call::UpdateWallet(Box::new(UpdateWallet {
            actor: None,
            owner: None,
            id: ana,
            status: Some(status),
            limits: None,
            reason: Some("checked".into()),
        })))
    };
    status(Status::Frozen);
    let refused = bank.run(bank.movement(WalletType::Withdrawal, ana, "1.00", "w2"));
    assert!(
        matches!(refused.outcome, Outcome::Refused(_)),
        "{first} stays"
    );
    status(Status::Open);
    bank.run(bank.movement(WalletType::Withdrawal, ana, "1.00", "w3"));
}

fn checkpoint(bank: &Bank) -> Checkpoint {
    let made = bank.runtime.block_on(bank.ledger.checkpoint_now());
    made.expect("made").expect("there are records").0
}

#[track_caller]
fn verified(dir: &Path) -> Report {
    verify_directory(dir, &Evidence::default(), &mut |_| {}).expect("good")
}

#[test]
fn inv_l3_what_the_engine_wrote_is_good_as_directory_and_as_export() {
    let dir = tempfile::tempdir().expect("a directory");
    let bank = Bank::open(dir.path());
    busy(&bank, true);
    let signed = checkpoint(&bank);
    let keys = bank.ledger.checkpoints().keys().expect("readable");
    let export = feed(&bank);
    bank.ledger.close();
    drop(bank);
    let report = verified(dir.path());
    assert!(report.checkpoints_verified > 0);
    assert_eq!(report.signatures_verified, report.checkpoints_verified);
    assert_eq!(report.covered_seq, report.records);
    assert_eq!(
        report.records,
        export.split(|b| *b == b'\n').count() as u64 - 1
    );
    let evidence = Evidence {
        checkpoints: read_checkpoints(&serde_json::to_string(&signed).expect("JSON")).expect("one"),
        keys: keys.into_iter().map(|listed| listed.key).collect(),
        ledger_id: None,
    };
    let exported = verify_export(&mut &export[..], &evidence, &mut |_| {}).expect("good");
    assert_eq!(exported.head, report.head);
    assert_eq!(
        (exported.checkpoints_verified, exported.signatures_verified),
        (1, 1)
    );
}

/// Balance and available of every account, by id, at an effective time.
fn balances(bank: &Bank, effective: Timestamp) -> Vec<(String, [u128; 4])> {
    let view = bank
        .runtime
        .block_on(bank.ledger.read_view())
        .expect("a view");
    let now = view.recorded_at(view.seq()).expect("recorded");
    let accounts = 0..view.accounts().expect("readable") as u32;
    let mut found: Vec<(String, [u128; 4])> = accounts
        .map(|slot| {
            let t = view
                .totals_at(slot, Some(effective), Some(now))
                .expect("totals");
            let id = bank.ledger.facts(slot).id.to_string();
            (
                id,
                [
                    t.debits_posted,
                    t.credits_posted,
                    t.debits_pending,
                    t.credits_pending,
                ],
            )
        })
        .collect();
    found.sort();
    found
}

fn import(bank: &Bank, export: &[u8]) -> Vec<String> {
    let mut calls = Vec::new();
    let mut chunks = Chunks::new();
    for line in export
        .split(|b| *b == b'\n')
        .filter(|line| !line.is_empty())
    {
        calls.extend(chunks.push(parse_line(line, Some("importer")).expect("a line")));
    }
    calls.push(chunks.finish());
    let mut results = Vec::new();
    for lines in calls {
        let answer = bank.submit(Call::Import(ImportCall {
            actor: Some("importer".into()),
            lines,
            skip_floors: false,
        }));
        let Outcome::Lines(own, _) = answer.outcome else {
            panic!("{answer:?}")
        };
        results.extend(own.into_iter().map(|r| format!("{} {}", r.id, r.code)));
    }
    results
}

fn imported_elsewhere(with_expiry: bool) {
    let (from, to) = (
        tempfile::tempdir().expect("a directory"),
        tempfile::tempdir().expect("a directory"),
    );
    let bank = Bank::open(from.path());
    busy(&bank, with_expiry);
    let export = feed(&bank);
    let copy = Bank::open(to.path());
    copy.clock.advance(1_000_000_000);
    let results = import(&copy, &export);
    let bad: Vec<&String> = results
        .iter()
        .filter(|r| !r.ends_with(" created") && !r.ends_with(" exists"))
        .collect();
    assert!(bad.is_empty(), "{bad:?}");
    let start = crate::support::START;
    for second in [-5_000_000, 0, 1, 2, 3, 5, 6, 7, 8, 10, 100] {
        let at = Timestamp(start + second * 1_000_000);
        assert_eq!(balances(&copy, at), balances(&bank, at), "at {at}");
    }
    let again = import(&copy, &export);
    let new: Vec<&String> = again.iter().filter(|r| !r.ends_with(" exists")).collect();
    assert!(new.is_empty(), "case 74: {new:?}");
    copy.ledger.close();
    drop(copy);
    verified(to.path());
}

#[test]
fn inv_l24_an_imported_export_has_equal_balances_and_is_good() {
    imported_elsewhere(false);
}

#[test]
fn inv_l24_also_with_expiries() {
    imported_elsewhere(true);
}
