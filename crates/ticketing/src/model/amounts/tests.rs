//! Amounts of orders: the worked example, and properties (contract C1).

use proptest::prelude::*;

use super::*;

fn line(price: Minor, quantity: u32) -> Line {
    Line {
        price,
        quantity,
        tax_rate_bp: 0,
        price_includes_tax: true,
        discounted: true,
    }
}

fn paid(part: &Part) -> Paid {
    Paid {
        net: part.net,
        tax: part.tax,
        platform_fee: part.platform_fee,
        processing_fee: part.processing_fee,
    }
}

/// The worked example of contract C1.
#[test]
fn two_tickets_with_promo_tax_and_fees() {
    let cart = [Line {
        tax_rate_bp: 700,
        ..line(5_000, 2)
    }];
    let order = price(
        &cart,
        Discount::Percent(1_000),
        &FeeRule::standard(2),
        FeePayer::Buyer,
    )
    .expect("small");
    for part in &order.parts {
        assert_eq!(
            (part.discount, part.total(), part.tax, part.net),
            (500, 4_500, 294, 4_206)
        );
    }
    assert_eq!(order.tickets, 9_000);
    assert_eq!(order.platform_fee, 291);
    assert_eq!(order.total, 9_291);
    let fees: Vec<_> = order.parts.iter().map(|p| p.platform_fee).collect();
    assert_eq!(fees, [146, 145]);
    let whole: Vec<_> = order
        .parts
        .iter()
        .map(|p| paid(p).by_buyer(FeePayer::Buyer))
        .collect();
    assert_eq!(whole, [4_646, 4_645]);
}

#[test]
fn row_31_goodwill_then_the_rest() {
    let ticket = Paid {
        net: 4_206,
        tax: 294,
        platform_fee: 146,
        processing_fee: 0,
    };
    let goodwill = refund(&ticket, FeePayer::Buyer, 3_000).expect("enough left");
    assert_eq!(goodwill.by_buyer(FeePayer::Buyer), 3_000);
    // 3000 · 4206 / 4646 = 2715.88…, · 294 = 189.84…, · 146 = 94.27…
    assert_eq!(
        (goodwill.net, goodwill.tax, goodwill.platform_fee),
        (2_716, 190, 94)
    );
    let rest = ticket.minus(&goodwill);
    assert_eq!(rest.by_buyer(FeePayer::Buyer), 1_646);
    assert_eq!(refund(&rest, FeePayer::Buyer, 1_646), Some(rest));
    assert_eq!(refund(&rest, FeePayer::Buyer, 1_647), None);
}

#[test]
fn row_40_yen_have_no_decimals() {
    let order = price(
        &[line(1_000, 1)],
        Discount::None,
        &FeeRule::standard(0),
        FeePayer::Buyer,
    )
    .expect("small");
    assert_eq!((order.platform_fee, order.total), (59, 1_059));
    assert_eq!(FeeRule::standard(3).platform.fixed, 300);
}

#[test]
fn row_41_fees_of_the_organiser_never_pass_his_net() {
    let cart = [Line {
        tax_rate_bp: 2_000,
        ..line(20, 1)
    }];
    let order = price(
        &cart,
        Discount::None,
        &FeeRule::standard(2),
        FeePayer::Organizer,
    )
    .expect("small");
    assert_eq!((order.tax, order.net()), (3, 17));
    assert_eq!((order.platform_fee, order.processing_fee), (17, 0));
    assert_eq!(order.total, 20);
}

#[test]
fn rows_25_and_42_free_tickets_cost_no_fee() {
    let rule = FeeRule::standard(2);
    let free = price(&[line(0, 3)], Discount::None, &rule, FeePayer::Buyer).expect("small");
    assert_eq!((free.total, free.platform_fee), (0, 0));
    let all = Discount::Percent(10_000);
    let promo = price(&[line(5_000, 2)], all, &rule, FeePayer::Buyer).expect("small");
    assert_eq!(
        (promo.total, promo.discount, promo.platform_fee),
        (0, 10_000, 0)
    );
}

#[test]
fn discounts_cover_only_their_types_and_never_pass_the_price() {
    let other = Line {
        discounted: false,
        ..line(1_000, 1)
    };
    let rule = FeeRule::default();
    let cart = [line(300, 2), other];
    let each = price(&cart, Discount::PerTicket(400), &rule, FeePayer::Buyer).expect("small");
    assert_eq!(each.discount, 600);
    let order = price(&cart, Discount::PerOrder(101), &rule, FeePayer::Buyer).expect("small");
    let shares: Vec<_> = order.parts.iter().map(|p| p.discount).collect();
    assert_eq!(shares, [51, 50, 0]);
    let much = price(&cart, Discount::PerOrder(9_000), &rule, FeePayer::Buyer).expect("small");
    assert_eq!((much.discount, much.total), (600, 1_000));
}

#[test]
fn tax_on_top_raises_the_total() {
    let cart = [Line {
        tax_rate_bp: 1_900,
        price_includes_tax: false,
        ..line(999, 1)
    }];
    let order = price(&cart, Discount::None, &FeeRule::default(), FeePayer::Buyer).expect("ok");
    assert_eq!((order.net(), order.tax, order.total), (999, 190, 1_189));
}

#[test]
fn fees_of_the_organiser_come_back_with_the_last_cent() {
    let ticket = Paid {
        net: 900,
        tax: 100,
        platform_fee: 59,
        processing_fee: 7,
    };
    let first = refund(&ticket, FeePayer::Organizer, 999).expect("enough");
    assert_eq!((first.platform_fee, first.processing_fee), (0, 0));
    let rest = ticket.minus(&first);
    let last = refund(&rest, FeePayer::Organizer, 1).expect("enough");
    assert_eq!((last.platform_fee, last.processing_fee), (59, 7));
}

fn carts() -> impl Strategy<Value = Vec<Line>> {
    let line = (
        0..2_000_000i64,
        1..12u32,
        0..5_001u32,
        any::<bool>(),
        any::<bool>(),
    );
    let line = line.prop_map(
        |(price, quantity, tax_rate_bp, price_includes_tax, discounted)| Line {
            price,
            quantity,
            tax_rate_bp,
            price_includes_tax,
            discounted,
        },
    );
    prop::collection::vec(line, 1..6)
}

fn discounts() -> impl Strategy<Value = Discount> {
    prop_oneof![
        Just(Discount::None),
        (1..10_001u32).prop_map(Discount::Percent),
        (1..500_000i64).prop_map(Discount::PerTicket),
        (1..5_000_000i64).prop_map(Discount::PerOrder),
    ]
}

proptest! {
    /// INV-T8.
    #[test]
    fn parts_sum_to_the_order(cart in carts(), discount in discounts(), organizer: bool) {
        let rule = FeeRule {
            processing: Fee { percent_bp: 150, fixed: 25 },
            ..FeeRule::standard(2)
        };
        let payer = if organizer { FeePayer::Organizer } else { FeePayer::Buyer };
        let order = price(&cart, discount, &rule, payer).expect("small");
        let sum = |of: fn(&Part) -> Minor| order.parts.iter().map(of).sum::<Minor>();
        prop_assert_eq!(sum(|p| p.discount), order.discount);
        prop_assert_eq!(sum(|p| p.tax), order.tax);
        prop_assert_eq!(sum(Part::total), order.tickets);
        prop_assert_eq!(sum(|p| p.platform_fee), order.platform_fee);
        prop_assert_eq!(sum(|p| p.processing_fee), order.processing_fee);
        let fees = order.platform_fee + order.processing_fee;
        match payer {
            FeePayer::Buyer => prop_assert_eq!(order.total, order.tickets + fees),
            FeePayer::Organizer => {
                prop_assert_eq!(order.total, order.tickets);
                prop_assert!(fees <= order.net());
            }
        }
        for part in &order.parts {
            prop_assert!(part.net >= 0 && part.tax >= 0 && part.discount <= part.list);
            prop_assert!(part.platform_fee >= 0 && part.processing_fee >= 0);
        }
    }

    /// INV-T9: refunds of any sizes, one after another, never pass what was paid.
    #[test]
    fn refunds_never_pass_what_was_paid(
        n in 0..90_000i64, t in 0..9_000i64, f in 0..3_000i64, g in 0..3_000i64,
        asks in prop::collection::vec(1..40_000i64, 1..8), organizer: bool,
    ) {
        let payer = if organizer { FeePayer::Organizer } else { FeePayer::Buyer };
        let ticket = Paid { net: n, tax: t, platform_fee: f, processing_fee: g };
        let mut left = ticket;
        for ask in asks {
            let before = left.by_buyer(payer);
            match refund(&left, payer, ask) {
                None => prop_assert!(ask > before),
                Some(parts) => {
                    prop_assert_eq!(parts.by_buyer(payer), ask);
                    left = left.minus(&parts);
                    for rest in [left.net, left.tax, left.platform_fee, left.processing_fee] {
                        prop_assert!(rest >= 0);
                    }
                }
            }
        }
        let rest = refund(&left, payer, left.by_buyer(payer)).expect("all of it");
        prop_assert_eq!(left.minus(&rest), Paid::default());
    }
}
