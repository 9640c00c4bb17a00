//! What callers with different rights see of the same records.

use florin_ledger::model::{
    AssetKind, Body, Metadata, Origin, Record, Totals, Touch, Touches, Transfer,
};
use serde_json::{Value, json};

use super::*;

const MARIA: u128 = 0x0190_f000_0000_7000_8000_0000_0000_000a;
const JOAO: u128 = 0x0190_f000_0000_7000_8000_0000_0000_000b;
const MARIA_SLOT: Slot = 10;
const JOAO_SLOT: Slot = 11;
const FX_BRL: Slot = 1;
const FX_USD: Slot = 2;

fn asset(code: &str) -> Asset {
    Asset {
        code: code.into(),
        scale: 2,
        kind: AssetKind::Fiat,
        name: None,
        metadata: Metadata::default(),
    }
}

fn record(seq: u64, transfer: Transfer, balances: [u128; 2]) -> Record {
    let touch = |slot, credits_posted| Touch {
        slot,
        after: Totals {
            credits_posted,
            ..Totals::default()
        },
        is_event: true,
    };
    Record {
        seq,
        batch: 1,
        recorded_at: Timestamp(0),
        actor: None,
        touches: Touches {
            first: Some(touch(transfer.debit, balances[0])),
            second: Some(touch(transfer.credit, balances[1])),
        },
        body: Body::Transfer(Box::new(transfer)),
    }
}

fn transfer(id: &str, debit: Slot, credit: Slot, amount: u128) -> Transfer {
    Transfer {
        id: id.into(),
        mode: Mode::Single,
        debit,
        credit,
        amount,
        asset: 0,
        code: "transfer".into(),
        effective_at: Timestamp(0),
        pending_id: None,
        timeout_seconds: None,
        expires_at: None,
        chain: None,
        reversal_of: None,
        description: None,
        metadata: Metadata::default(),
        source_recorded_at: None,
        origin: Some(Origin {
            module: "wallets".into(),
            r#type: WalletType::Transfer,
            reference_id: Some("ref-1".into()),
            wallet_id: MARIA,
            destination_wallet_id: Some(JOAO),
            hold_id: None,
            rate: None,
        }),
        floor_skipped: false,
        limit_window: None,
        reserved: None,
    }
}

/// The legs of a record for a caller who may read the given wallets.
fn leg<'a>(record: &'a Record, asset: &'a Asset, readable: &[u128]) -> Leg<'a> {
    let transfer = record.transfer().expect("a transfer");
    let party = |slot| {
        let wallet = match slot {
            MARIA_SLOT => Some(MARIA),
            JOAO_SLOT => Some(JOAO),
            _ => None,
        };
        Party {
            slot,
            wallet,
            readable: wallet.is_some_and(|wallet| readable.contains(&wallet)),
        }
    };
    Leg {
        record,
        transfer,
        debit: party(transfer.debit),
        credit: party(transfer.credit),
        asset,
    }
}

fn shown(leg: Leg<'_>, partner: Option<Leg<'_>>, from_wallet: Option<u128>) -> Value {
    let seen = Seen {
        from_wallet,
        ..Seen::default()
    };
    serde_json::to_value(Transaction::new(leg, partner, seen)).expect("JSON")
}

/// INV-L25: of the other side only the id shows.
#[test]
fn a_user_sees_no_figure_of_the_other_side() {
    let brl = asset("BRL");
    let record = record(7, transfer("t1", MARIA_SLOT, JOAO_SLOT, 250), [750, 99_900]);
    let own = shown(leg(&record, &brl, &[MARIA]), None, Some(MARIA));
    let maria = Id(MARIA).to_string();
    assert_eq!(own["direction"], "OUT");
    assert_eq!(own["newBalance"], "7.50");
    assert_eq!(own["toWalletId"], Id(JOAO).to_string());
    assert_eq!(
        own["balances"],
        json!([{"walletId": maria, "balance": "7.50", "available": "7.50"}])
    );
    let text = own.to_string();
    assert!(!text.contains("999.00"), "{text}");
    assert!(own.get("rate").is_none() && own.get("description").is_none());
}

#[test]
fn without_a_path_wallet_the_only_readable_side_is_the_viewpoint() {
    let brl = asset("BRL");
    let record = record(7, transfer("t1", MARIA_SLOT, JOAO_SLOT, 250), [750, 250]);
    let receiver = shown(leg(&record, &brl, &[JOAO]), None, None);
    assert_eq!(
        (&receiver["direction"], &receiver["newBalance"]),
        (&json!("IN"), &json!("2.50"))
    );
    assert_eq!(receiver["walletId"], Id(JOAO).to_string());
    for readable in [&[MARIA, JOAO][..], &[]] {
        let both_or_neither = shown(leg(&record, &brl, readable), None, None);
        assert!(
            both_or_neither.get("direction").is_none(),
            "{both_or_neither}"
        );
        assert!(
            both_or_neither.get("newBalance").is_none(),
            "{both_or_neither}"
        );
        assert_eq!(both_or_neither["walletId"], Id(MARIA).to_string());
    }
}

fn conversion() -> [Record; 2] {
    let leg = |id, debit, credit, amount, index| {
        let mut leg = transfer(id, debit, credit, amount);
        leg.chain = Some(("t1".into(), index));
        leg.origin.as_mut().expect("has one").rate = Some("0.1999".into());
        leg
    };
    [
        record(7, leg("t1", MARIA_SLOT, FX_BRL, 1_000, 0), [0, 1_000]),
        record(8, leg("t1:2", FX_USD, JOAO_SLOT, 199, 1), [0, 199]),
    ]
}

#[test]
fn a_conversion_is_one_transaction_from_either_leg() {
    let (brl, usd) = (asset("BRL"), asset("USD"));
    let [first, second] = conversion();
    assert_eq!(partner_seq(&first), Some(8));
    assert_eq!(partner_seq(&second), Some(7));
    let legs = [leg(&first, &brl, &[JOAO]), leg(&second, &usd, &[JOAO])];
    assert!(are_partners(legs[0].transfer, legs[1].transfer));
    let from_first = shown(legs[0], Some(legs[1]), Some(JOAO));
    let from_second = shown(legs[1], Some(legs[0]), Some(JOAO));
    assert_eq!(from_first, from_second);
    assert_eq!(from_first["id"], "t1");
    assert_eq!(from_first["amount"], "10.00");
    assert_eq!(from_first["currency"], "BRL");
    assert_eq!(from_first["destinationAmount"], "1.99");
    assert_eq!(from_first["destinationCurrency"], "USD");
    assert_eq!(from_first["rate"], "0.1999");
    assert_eq!(from_first["direction"], "IN");
    assert_eq!(from_first["newBalance"], "1.99");
}

#[test]
fn a_reversed_conversion_runs_the_other_way() {
    let (brl, usd) = (asset("BRL"), asset("USD"));
    let reverse = |original: &Record, index, id: &str| {
        let mut transfer = original.transfer().expect("a transfer").clone();
        std::mem::swap(&mut transfer.debit, &mut transfer.credit);
        transfer.reversal_of = Some(transfer.id.clone());
        transfer.id = id.into();
        transfer.chain = Some(("t1:2:rev".into(), index));
        record(9 + u64::from(index), transfer, [0, 0])
    };
    let [first, second] = conversion();
    let legs = [
        reverse(&second, 0, "t1:2:rev"),
        reverse(&first, 1, "t1:rev"),
    ];
    assert_eq!(partner_seq(&legs[1]), Some(9));
    let back = leg(&legs[1], &brl, &[]);
    let shown = shown(back, Some(leg(&legs[0], &usd, &[])), None);
    assert_eq!(shown["id"], "t1:rev");
    assert_eq!(shown["type"], "REVERSAL");
    assert_eq!(shown["reversalOf"], "t1");
    assert_eq!(shown["fromWalletId"], Id(JOAO).to_string());
    assert_eq!(
        (&shown["amount"], &shown["currency"]),
        (&json!("1.99"), &json!("USD"))
    );
    assert_eq!(shown["destinationAmount"], "10.00");
}

#[test]
fn types_follow_origin_and_mode() {
    let mut t = transfer("t1", MARIA_SLOT, JOAO_SLOT, 1);
    assert_eq!(type_of(&t), WalletType::Transfer);
    t.origin.as_mut().expect("has one").r#type = WalletType::Capture;
    t.mode = Mode::Post;
    t.pending_id = Some("hold".into());
    assert_eq!(type_of(&t), WalletType::Capture);
    assert_eq!(hold_of(&t), Some("hold"));
    t.origin = None;
    assert_eq!(type_of(&t), WalletType::Adjustment);
    t.reversal_of = Some("x".into());
    assert_eq!(type_of(&t), WalletType::Reversal);
    t.mode = Mode::Pending;
    assert!(!is_posting(&t));
}

#[test]
fn ids_lead_to_their_transaction() {
    for (id, transaction) in [
        ("t1", "t1"),
        ("t1:2", "t1"),
        ("t1:rev", "t1:rev"),
        ("t1:2:rev", "t1:rev"),
    ] {
        assert_eq!(transaction_id(id), transaction);
    }
}
