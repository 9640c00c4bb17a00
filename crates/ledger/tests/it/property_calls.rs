//! The steps of a run as calls of the engine.

use std::{borrow::Cow, collections::BTreeMap};

use florin_base::{Decimal, Timestamp};
use florin_ledger::{
    Call, Outcome, Policy,
    call::{
        CallKey, CreateAccount, CreateWallet, ItemResult, LimitMember, LimitsUpdate, PatchAccount,
        Rate, Reference, ResolveHold, ReverseCall, TransfersCall, UpdateWallet, WalletAmount,
        WalletMove,
    },
    model::{self as own, AccountChange, AccountId, AccountKind, Asset},
    rules::prepare::{RawItem, RawPairs, Text, prepare},
};

use super::{
    generate::Step,
    model::{Floor, Item, Mode, Status, Verdict},
    model_wallets::Limits,
    support::START,
};

/// What decisions of a run depend on; the model is told the same.
pub fn policy() -> Policy {
    let mut policy = Policy::default();
    let limits = |out: [u128; 3], inward: [u128; 3]| {
        let of = |[a, b, c]: [u128; 3]| own::DirectionLimits {
            per_transaction: Some(a),
            daily: Some(b),
            monthly: Some(c),
        };
        own::Limits {
            out: of(out),
            r#in: of(inward),
        }
    };
    let small = limits([30_000, 100_000, 250_000], [35_000, 200_000, 500_000]);
    policy
        .tiers
        .insert("small".into(), BTreeMap::from([("BRL".into(), small)]));
    policy.closed_before = Some(Timestamp(START - 3_600_000_000));
    policy
}

pub fn assets() -> Vec<Asset> {
    let mut assets = Asset::standard();
    let points = assets[6].clone();
    assets.extend((0..24).map(|n| Asset {
        code: format!("A{n:02}").into(),
        ..points.clone()
    }));
    assets
}

pub fn floor(floor: Floor) -> own::Floor {
    match floor {
        Floor::Zero => own::Floor::Zero,
        Floor::Minus(depth) => own::Floor::Minus(depth),
        Floor::None => own::Floor::None,
    }
}

pub fn status(status: Status) -> own::Status {
    match status {
        Status::Open => own::Status::Open,
        Status::Frozen => own::Status::Frozen,
        Status::Closed => own::Status::Closed,
    }
}

pub fn raw(item: &Item) -> RawItem<'_> {
    fn text(t: &Option<String>) -> Option<Text<'_>> {
        t.as_deref().map(|t| Text(Cow::Borrowed(t)))
    }
    let at = item.effective.map(|e| Timestamp(e).to_string());
    RawItem {
        id: Some(Text(Cow::Borrowed(&item.id))),
        mode: item.mode.map(|m| match m {
            Mode::Single => own::Mode::Single,
            Mode::Pending => own::Mode::Pending,
            Mode::Post => own::Mode::Post,
            Mode::Void => own::Mode::Void,
        }),
        debit_account_id: text(&item.debit),
        credit_account_id: text(&item.credit),
        amount_minor: text(&item.amount),
        asset: text(&item.asset),
        code: text(&item.code),
        pending_id: text(&item.pending),
        timeout_seconds: item.timeout,
        effective_at: at.map(|t| Text(Cow::Owned(t))),
        linked: item.linked,
        description: text(&item.description),
        metadata: (!item.metadata.is_empty()).then(|| {
            let pairs = item.metadata.iter();
            RawPairs(
                pairs
                    .map(|(k, v)| (k.as_str().into(), v.as_str().into()))
                    .collect(),
            )
        }),
    }
}

fn digests(items: &[Item]) -> Vec<u64> {
    let digest = |i: &Item| {
        let text = format!("{i:?}");
        text.bytes().fold(14_695_981_039_346_656_037u64, |h, b| {
            (h ^ u64::from(b)).wrapping_mul(1_099_511_628_211)
        })
    };
    items.iter().map(digest).collect()
}

fn reference(id: &str) -> Reference {
    Reference {
        id: id.into(),
        generated: false,
    }
}

fn amount(text: &str) -> WalletAmount {
    WalletAmount {
        decimal: Decimal::parse(text).expect("a decimal"),
        is_number: false,
    }
}

/// The call of a step.
pub fn call(step: &Step) -> Call {
    let actor = Some("tester".into());
    match step {
        Step::Transfers(items, key) => Call::Transfers(TransfersCall {
            actor,
            items: items
                .iter()
                .map(|i| prepare(raw(i), || "made".into()))
                .collect(),
            key: key.as_ref().map(|key| CallKey {
                scope: "tester".into(),
                key: key.as_str().into(),
                digests: digests(items),
            }),
        }),
        Step::Move(m) => Call::WalletMove(Box::new(WalletMove {
            actor,
            owner: None,
            op: own::WalletType::from_word(m.op).expect("an operation"),
            wallet: m.wallet,
            transfer_id: m.id.as_str().into(),
            amount: amount(&m.amount),
            currency: None,
            destination: m.destination,
            counter_account: None,
            rate: m.rate.as_deref().map(|text| Rate {
                text: text.into(),
                value: Decimal::parse(text).expect("a decimal"),
            }),
            expires_in_seconds: m.expires,
            reference: reference(&m.reference),
            description: m.description.as_deref().map(Into::into),
            metadata: Default::default(),
            effective_at: m.effective.map(Timestamp),
            module: "wallets".into(),
        })),
        Step::Resolve(hold, capture, id) => Call::ResolveHold(Box::new(ResolveHold {
            actor,
            owner: None,
            hold: hold.as_str().into(),
            capture: capture.is_some(),
            amount: capture.as_ref().and_then(|(a, _)| a.as_deref()).map(amount),
            transfer_id: id.as_str().into(),
            reference: reference(capture.as_ref().map_or("void", |(_, r)| r)),
            module: "wallets".into(),
        })),
        Step::Reverse(id, reason, effective) => Call::Reverse(ReverseCall {
            actor,
            id: id.as_str().into(),
            reason: reason.as_str().into(),
            effective_at: effective.map(Timestamp),
            metadata: Default::default(),
            as_wallet: false,
        }),
        Step::CreateAccount(id, asset, credit_normal, bound) => {
            Call::CreateAccount(CreateAccount {
                actor,
                id: AccountId::parse(id).expect("an id"),
                asset: (*asset).into(),
                kind: if *credit_normal {
                    AccountKind::Liability
                } else {
                    AccountKind::Asset
                },
                normal: None,
                floor: floor(*bound),
                metadata: Default::default(),
                key: None,
            })
        }
        Step::PatchAccount(id, new, bound) => Call::PatchAccount(PatchAccount {
            actor,
            id: AccountId::parse(id).expect("an id"),
            change: AccountChange {
                floor: bound.map(floor),
                status: new.map(status),
                metadata: None,
            },
            if_version: None,
        }),
        Step::CreateWallet(id, user, asset, tier) => Call::CreateWallet(CreateWallet {
            actor,
            id: *id,
            user_id: user.as_str().into(),
            currency: (*asset).into(),
            tier: (*tier).into(),
            label: None,
            metadata: Default::default(),
            reference: reference(&format!("{id:032x}")),
        }),
        Step::UpdateWallet(id, new, limits) => Call::UpdateWallet(Box::new(UpdateWallet {
            actor,
            owner: None,
            id: *id,
            status: new.map(status),
            limits: limits.map(limits_update),
            reason: None,
        })),
    }
}

fn limits_update(limits: Limits) -> LimitsUpdate {
    // Decimals of the amount do not matter to an asset without any, so whole units are used.
    LimitsUpdate {
        tier: None,
        members: limits.map(|limit| match limit {
            None => LimitMember::Unlimited,
            Some(units) => LimitMember::Amount(Decimal {
                negative: false,
                digits: units,
                decimals: 0,
            }),
        }),
    }
}

/// Results of items against the model's verdicts.
pub fn compare_items(outcome: &Outcome, items: &[Item], verdicts: &[Verdict]) {
    let Outcome::Items(results) = outcome else {
        panic!("no items: {outcome:?}");
    };
    let named = [
        "field_invalid",
        "field_required",
        "field_not_allowed",
        "pending_transfer_mismatch",
        "asset_mismatch",
        "insufficient_funds",
    ];
    let actual: Vec<Verdict> = results
        .iter()
        .map(|r: &ItemResult| Verdict {
            code: r.code.word(),
            seq: r.seq,
            field: match r.code.word() {
                "overflow" => r.field.map(|f| {
                    if f.starts_with("debits") {
                        "debits"
                    } else {
                        "credits"
                    }
                }),
                code => r.field.filter(|_| named.contains(&code)),
            },
            first: r.first_code.map(|c| c.word()),
        })
        .collect();
    let expected: Vec<Verdict> = verdicts
        .iter()
        .map(|v| Verdict {
            field: v
                .field
                .filter(|_| named.contains(&v.code) || v.code == "overflow"),
            ..*v
        })
        .collect();
    for (i, (a, e)) in actual.iter().zip(&expected).enumerate() {
        assert_eq!(a, e, "item {i} of {}: {:?}", items.len(), items[i]);
    }
    assert_eq!(actual.len(), expected.len());
}
