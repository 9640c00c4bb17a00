//! The checks of a reservation, in their order (contract B1).

use super::*;
use crate::model::amounts::{FeePayer, FeeRule};
use crate::orders::sheet::{EventFacts, PoolFacts, TypeFacts};

fn kind(id: &str, quantity: Option<i64>, pools: &[usize]) -> TypeFacts {
    TypeFacts {
        id: id.into(),
        type_no: 1,
        name: id.into(),
        hidden: false,
        price: 1_000,
        quantity,
        sold: 0,
        held: 0,
        sale_starts_at: None,
        sale_ends_at: None,
        min_per_order: 1,
        max_per_order: 10,
        max_per_buyer: None,
        transferable: true,
        refundable_until: None,
        tax_rate_bp: 0,
        price_includes_tax: true,
        attendee_fields: "none".into(),
        questions: "[]".into(),
        pools: pools.to_vec(),
    }
}

fn sheet() -> Sheet {
    Sheet {
        event: EventFacts {
            id: "e".into(),
            org_id: "o".into(),
            org_status: "active".into(),
            status: "published".into(),
            title: "Concert".into(),
            visibility: "public".into(),
            access_key: None,
            currency: "EUR".into(),
            hold_seconds: 900,
            sales_paused: false,
            max_per_buyer: None,
            starts_at: Some(1_000),
            published_at: Some(100),
            fee_payer: FeePayer::Buyer,
            refund_until: None,
        },
        types: vec![kind("a", Some(5), &[0]), kind("b", None, &[0])],
        pools: vec![PoolFacts {
            id: "hall".into(),
            name: "Hall".into(),
            capacity: 6,
            sold: 0,
            held: 0,
        }],
        rule: FeeRule::standard(2),
        scale: 2,
    }
}

fn wishes(all: &[(&str, i64)]) -> Vec<Wish> {
    let wish = |(id, quantity): &(&str, i64)| Wish {
        type_id: (*id).into(),
        quantity: *quantity,
    };
    all.iter().map(wish).collect()
}

fn judged(sheet: &Sheet, all: &[(&str, i64)], buyer: &BuyerFacts) -> Result<Priced, Problem> {
    let wishes = wishes(all);
    let cart = Cart {
        wishes: &wishes,
        promo: None,
        expected_total: None,
    };
    reserve(sheet, &cart, buyer, 500)
}

fn code(judged: Result<Priced, Problem>) -> String {
    judged.map_or_else(|problem| problem.code().to_owned(), |_| "good".to_owned())
}

#[test]
fn rows_2_and_4_the_scarcest_of_type_and_pools_decides() {
    let nobody = BuyerFacts::default();
    let mut sheet = sheet();
    assert_eq!(code(judged(&sheet, &[("a", 5)], &nobody)), "good");
    assert_eq!(code(judged(&sheet, &[("a", 6)], &nobody)), "not_enough");
    // The pool takes the units of both lines.
    assert_eq!(
        code(judged(&sheet, &[("a", 3), ("b", 4)], &nobody)),
        "not_enough"
    );
    assert_eq!(code(judged(&sheet, &[("a", 3), ("b", 3)], &nobody)), "good");
    sheet.hold(1, 6);
    assert_eq!(sheet.available(0), 0);
    let out = judged(&sheet, &[("a", 1)], &nobody).expect_err("the pool is empty");
    assert_eq!(out.code(), "sold_out");
    sheet.types[1].held = 0;
    sheet.pools[0].held = 0;
    sheet.sell(0, 5);
    assert_eq!((sheet.available(0), sheet.available(1)), (0, 1));
}

#[test]
fn the_first_failure_answers() {
    let nobody = BuyerFacts::default();
    let mut wrong = sheet();
    wrong.event.sales_paused = true;
    wrong.types[0].sale_starts_at = Some(900);
    wrong.event.status = "postponed".into();
    wrong.event.org_status = "suspended".into();
    assert_eq!(
        code(judged(&wrong, &[("x", 1)], &nobody)),
        "ticket_type_not_found"
    );
    assert_eq!(code(judged(&wrong, &[("a", 11)], &nobody)), "org_suspended");
    wrong.event.org_status = "active".into();
    assert_eq!(code(judged(&wrong, &[("a", 11)], &nobody)), "event_state");
    wrong.event.status = "published".into();
    assert_eq!(code(judged(&wrong, &[("a", 11)], &nobody)), "sales_paused");
    wrong.event.sales_paused = false;
    assert_eq!(code(judged(&wrong, &[("a", 11)], &nobody)), "sale_not_open");
    wrong.types[0].sale_starts_at = None;
    wrong.types[0].sale_ends_at = Some(500);
    assert_eq!(code(judged(&wrong, &[("a", 11)], &nobody)), "sale_closed");
    wrong.types[0].sale_ends_at = Some(501);
    assert_eq!(
        code(judged(&wrong, &[("a", 11)], &nobody)),
        "limit_per_order"
    );
    let busy = BuyerFacts {
        open_orders: OPEN_MAX,
        ..BuyerFacts::default()
    };
    assert_eq!(
        code(judged(&wrong, &[("a", 6)], &busy)),
        "too_many_open_orders"
    );
    assert_eq!(code(judged(&wrong, &[("a", 6)], &nobody)), "not_enough");
}

#[test]
fn limits_count_what_the_buyer_has_already() {
    let mut limited = sheet();
    limited.types[0].max_per_buyer = Some(4);
    let has = BuyerFacts {
        units: vec![("a".into(), 3)],
        ..BuyerFacts::default()
    };
    assert_eq!(code(judged(&limited, &[("a", 1)], &has)), "good");
    assert_eq!(code(judged(&limited, &[("a", 2)], &has)), "limit_per_buyer");
    assert_eq!(code(judged(&limited, &[("b", 2)], &has)), "good");
    limited.event.max_per_buyer = Some(4);
    assert_eq!(code(judged(&limited, &[("b", 2)], &has)), "limit_per_buyer");
}

#[test]
fn row_10_another_total_than_the_expected_one_brings_the_new_quote() {
    let sheet = sheet();
    let wishes = wishes(&[("a", 1)]);
    let mut cart = Cart {
        wishes: &wishes,
        promo: None,
        expected_total: Some("10.59"),
    };
    let nobody = BuyerFacts::default();
    assert!(reserve(&sheet, &cart, &nobody, 500).is_ok());
    cart.expected_total = Some("10.58");
    let changed = reserve(&sheet, &cart, &nobody, 500).expect_err("changed");
    assert_eq!(changed.code(), "price_changed");
    cart.expected_total = Some("10.580");
    let precise = reserve(&sheet, &cart, &nobody, 500).expect_err("too precise");
    assert_eq!(precise.code(), "amount_precision");
}

#[test]
fn row_26_a_code_without_uses_is_refused_and_one_of_another_type_is_invalid() {
    let sheet = sheet();
    let wishes = wishes(&[("a", 1)]);
    let mut promo = Promo {
        id: "p".into(),
        kind: "percent".into(),
        bp: Some(10_000),
        amount: None,
        type_ids: None,
        valid_from: None,
        valid_until: None,
        max_uses: Some(1),
        max_uses_per_buyer: Some(1),
        min_order_amount: None,
        uses: 0,
    };
    let judge = |promo: Option<&Promo>, buyer: &BuyerFacts| {
        let cart = Cart {
            wishes: &wishes,
            promo: Some(promo),
            expected_total: None,
        };
        code(reserve(&sheet, &cart, buyer, 500))
    };
    let nobody = BuyerFacts::default();
    assert_eq!(judge(Some(&promo), &nobody), "good");
    assert_eq!(judge(None, &nobody), "promo_invalid");
    let again = BuyerFacts {
        promo_uses: 1,
        ..BuyerFacts::default()
    };
    assert_eq!(judge(Some(&promo), &again), "promo_used_up");
    promo.uses = 1;
    assert_eq!(judge(Some(&promo), &nobody), "promo_used_up");
    promo.uses = 0;
    promo.valid_until = Some(500);
    assert_eq!(judge(Some(&promo), &nobody), "promo_invalid");
    promo.valid_until = None;
    promo.type_ids = Some(vec!["b".into()]);
    assert_eq!(judge(Some(&promo), &nobody), "promo_invalid");
    promo.type_ids = None;
    promo.min_order_amount = Some(1_001);
    assert_eq!(judge(Some(&promo), &nobody), "promo_invalid");
}
