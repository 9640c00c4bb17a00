//! Holds that other rooms place are the first half of a PAYMENT (contracts, "rooms paying from and
//! into wallets").

use florin_ledger::{
    Answer, Call, Query, View,
    call::{
        CreateAccount, LimitMember, LimitsUpdate, Reference, RefusalCode, ResolveHold, UpdateWallet,
    },
    model::{AccountId, AccountKind, Floor, Status, WalletType},
};

use super::support::{Bank, records, refused};

const ROOM: &str = "ticketing";

fn clearing() -> AccountId {
    AccountId::parse("florin:tk:clearing:order:EUR").expect("an id")
}

/// A room's hold of 10.00 against its clearing account.
fn place(bank: &Bank, wallet: u128, reference: &str) -> Answer {
    bank.submit(Call::CreateAccount(CreateAccount {
        actor: None,
        id: clearing(),
        asset: "EUR".into(),
        kind: AccountKind::Liability,
        normal: None,
        floor: Floor::Zero,
        metadata: Default::default(),
        key: None,
    }));
    let mut movement = bank.movement(WalletType::Hold, wallet, "10.00", reference);
    movement.counter_account = Some(clearing());
    movement.expires_in_seconds = None;
    movement.module = ROOM.into();
    bank.run(movement)
}

fn resolve(bank: &Bank, hold: &str, capture: bool, module: &str) -> Answer {
    bank.submit(Call::ResolveHold(Box::new(ResolveHold {
        actor: None,
        owner: None,
        hold: hold.into(),
        capture,
        amount: None,
        transfer_id: bank.ledger.new_id().to_string().into(),
        reference: Reference {
            id: "the-end".into(),
            generated: false,
        },
        module: module.into(),
    })))
}

fn update(bank: &Bank, id: u128, status: Option<Status>, limits: Option<LimitsUpdate>) {
    let call = UpdateWallet {
        actor: None,
        owner: None,
        id,
        status,
        limits,
        reason: None,
    };
    records(&bank.submit(Call::UpdateWallet(Box::new(call))));
}

fn hold_of(answer: &Answer) -> String {
    let transfer = records(answer)[0].transfer().expect("a transfer");
    transfer.id.to_string()
}

#[test]
fn only_the_room_resolves_its_hold_and_the_capture_is_a_payment() {
    let dir = tempfile::tempdir().expect("a folder");
    let bank = Bank::open(dir.path());
    let wallet = bank.wallet("ana", "EUR");
    bank.run(bank.movement(WalletType::Deposit, wallet, "100.00", "in"));
    let hold = hold_of(&place(&bank, wallet, "tk:1"));
    assert_eq!(bank.balance(wallet), (10_000, 9_000));
    for capture in [true, false] {
        let foreign = resolve(&bank, &hold, capture, "wallets");
        assert_eq!(refused(&foreign), RefusalCode::HoldNotFound);
    }
    let done = resolve(&bank, &hold, true, ROOM);
    let transfer = records(&done)[0].transfer().expect("a transfer");
    let origin = transfer.origin.as_ref().expect("an origin");
    assert_eq!(
        (origin.r#type, &*origin.module),
        (WalletType::Payment, ROOM)
    );
    assert_eq!(origin.hold_id.as_deref(), Some(&*hold));
    assert_eq!(bank.balance(wallet), (9_000, 9_000));
    let again = resolve(&bank, &hold, true, ROOM);
    assert!(again.replayed, "the same capture again");
    assert_eq!(records(&again), records(&done));
    assert_eq!(bank.balance(wallet), (9_000, 9_000), "captured once");
    // A capture's reference is the hold's own: a payment may use the same one.
    let payment = bank.movement(WalletType::Payment, wallet, "1.00", "the-end");
    assert!(!bank.run(payment).replayed, "a payment of its own");
    assert_eq!(bank.balance(wallet), (8_900, 8_900));
}

#[test]
fn a_freeze_stops_the_next_payment_and_not_the_one_that_was_promised() {
    let dir = tempfile::tempdir().expect("a folder");
    let bank = Bank::open(dir.path());
    let wallet = bank.wallet("ana", "EUR");
    bank.run(bank.movement(WalletType::Deposit, wallet, "100.00", "in"));
    let hold = hold_of(&place(&bank, wallet, "tk:1"));
    update(&bank, wallet, Some(Status::Frozen), None);
    assert_eq!(
        refused(&place(&bank, wallet, "tk:2")),
        RefusalCode::WalletFrozen
    );
    records(&resolve(&bank, &hold, true, ROOM));
    assert_eq!(bank.balance(wallet), (9_000, 9_000));
}

/// A payment counts once against the limits, also after the journal was read again.
#[test]
fn a_payment_in_two_halves_counts_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let used = |bank: &Bank, id: u128| {
        let limits = Query::Limits { id, owner: None };
        match bank.runtime.block_on(bank.ledger.query(limits)) {
            Ok(View::Limits(Some(view))) => view.used.out_day,
            other => panic!("no limits: {other:?}"),
        }
    };
    let bank = Bank::open(dir.path());
    let wallet = bank.wallet("ana", "EUR");
    bank.run(bank.movement(WalletType::Deposit, wallet, "100.00", "in"));
    let daily = florin_base::Decimal::parse("25.00").expect("a decimal");
    let mut members = [LimitMember::Tier; 6];
    members[1] = LimitMember::Amount(daily);
    let limits = LimitsUpdate {
        tier: None,
        members,
    };
    update(&bank, wallet, None, Some(limits));
    let first = hold_of(&place(&bank, wallet, "tk:1"));
    records(&resolve(&bank, &first, true, ROOM));
    assert_eq!(used(&bank, wallet), 1_000);
    let second = hold_of(&place(&bank, wallet, "tk:2"));
    assert_eq!(
        refused(&place(&bank, wallet, "tk:3")),
        RefusalCode::LimitExceeded
    );
    records(&resolve(&bank, &second, false, ROOM));
    assert_eq!(used(&bank, wallet), 1_000);
    let third = hold_of(&place(&bank, wallet, "tk:4"));
    records(&resolve(&bank, &third, true, ROOM));
    assert_eq!(used(&bank, wallet), 2_000);
    bank.ledger.close();
    let clock = bank.clock.clone();
    drop(bank);
    let again = Bank::try_open(dir.path(), Default::default(), clock, |_| {}).expect("opens");
    assert_eq!(used(&again, wallet), 2_000);
    assert_eq!(again.balance(wallet), (8_000, 8_000));
}
