//! Conversion arithmetic (contract A10): exact products in wide integers, rounded down once.

use florin_base::{Decimal, money::pow10};

use crate::call::Rate;

/// Equal as numbers, however many zeros were written.
pub(super) fn same_value(a: Decimal, b: Decimal) -> bool {
    let decimals = a.decimals.max(b.decimals);
    let scaled = |d: Decimal| pow10(decimals - d.decimals).and_then(|f| d.digits.checked_mul(f));
    match (scaled(a), scaled(b)) {
        (Some(x), Some(y)) => x == y,
        _ => a == b,
    }
}

/// Limbs of 64 bits, least first: room for amount (128) × rate (127) × 10^30 (100).
type Wide = [u64; 6];

fn wide_mul(wide: Wide, factor: u64) -> Option<Wide> {
    let mut out = [0; 6];
    let mut carry = 0u128;
    for (o, limb) in out.iter_mut().zip(wide) {
        let product = u128::from(limb) * u128::from(factor) + carry;
        *o = product as u64;
        carry = product >> 64;
    }
    (carry == 0).then_some(out)
}

fn wide_div(mut wide: Wide, divisor: u64) -> Wide {
    let mut rest = 0u128;
    for limb in wide.iter_mut().rev() {
        let dividend = rest << 64 | u128::from(*limb);
        *limb = (dividend / u128::from(divisor)) as u64;
        rest = dividend % u128::from(divisor);
    }
    wide
}

/// `amount` × rate × 10^(target scale − source scale), exact, then rounded down (contract A10);
/// `None` beyond 2^128 − 1.
pub(super) fn convert(
    amount: u128,
    rate: &Rate,
    source_scale: u8,
    target_scale: u8,
) -> Option<u128> {
    let (low, high) = (rate.value.digits as u64, (rate.value.digits >> 64) as u64);
    let base: Wide = [amount as u64, (amount >> 64) as u64, 0, 0, 0, 0];
    let low = wide_mul(base, low)?;
    let high = wide_mul([0, base[0], base[1], 0, 0, 0], high)?;
    let mut wide = [0; 6];
    let mut carry = 0u128;
    for i in 0..6 {
        let sum = u128::from(low[i]) + u128::from(high[i]) + carry;
        wide[i] = sum as u64;
        carry = sum >> 64;
    }
    let mut exponent =
        i32::from(target_scale) - i32::from(source_scale) - i32::from(rate.value.decimals);
    while exponent > 0 {
        wide = wide_mul(wide, 10)?;
        exponent -= 1;
    }
    while exponent < 0 {
        // floor(floor(x / a) / b) = floor(x / ab), so dividing in steps stays exact.
        let step = exponent.unsigned_abs().min(19);
        wide = wide_div(wide, 10u64.pow(step));
        exponent += step as i32;
    }
    let fits = wide[2..].iter().all(|limb| *limb == 0);
    fits.then_some(u128::from(wide[1]) << 64 | u128::from(wide[0]))
}
#[cfg(test)]
mod tests {
    use super::*;

    fn rate(text: &str) -> Rate {
        Rate {
            text: text.into(),
            value: Decimal::parse(text).expect("a rate"),
        }
    }

    #[test]
    fn case_29_rounds_down() {
        assert_eq!(convert(1_000, &rate("0.1999"), 2, 2), Some(199));
        assert_eq!(convert(100, &rate("0.0065"), 0, 2), Some(65));
    }

    #[test]
    fn case_28_may_come_to_nothing() {
        assert_eq!(convert(1, &rate("0.1"), 2, 2), Some(0));
    }

    #[test]
    fn inv_l17_never_exceeds_the_exact_product() {
        let one_eth_in_wei = 1_000_000_000_000_000_000;
        assert_eq!(
            convert(one_eth_in_wei, &rate("3456.789"), 18, 2),
            Some(345_678)
        );
        assert_eq!(
            convert(1, &rate("99999999999999999999.999999999999999999"), 0, 18),
            Some(99_999_999_999_999_999_999_999_999_999_999_999_999)
        );
        assert_eq!(convert(u128::MAX, &rate("2"), 0, 0), None);
        assert_eq!(convert(u128::MAX, &rate("1.000"), 0, 0), Some(u128::MAX));
    }
}
