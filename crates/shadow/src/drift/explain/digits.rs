//! Two neighbouring digits swapped: the commonest slip of a typing hand.

/// Most decimal digits of a `u128`.
const DIGITS: usize = 39;

/// Whether swapping two neighbouring, different digits of `a` gives `b`; neither has leading
/// zeros, so both have equally many digits.
pub fn transposed(a: u128, b: u128) -> bool {
    // A swap of neighbours moves a number by a multiple of nine.
    if a == b || !a.abs_diff(b).is_multiple_of(9) {
        return false;
    }
    let (mut left, mut right) = ([0_u8; DIGITS], [0_u8; DIGITS]);
    let (n, m) = (digits(a, &mut left), digits(b, &mut right));
    if n != m {
        return false;
    }
    let (left, right) = (&left[..n], &right[..m]);
    let Some(first) = (0..n).find(|&i| left[i] != right[i]) else {
        return false;
    };
    first + 1 < n
        && left[first] == right[first + 1]
        && left[first + 1] == right[first]
        && left[first + 2..] == right[first + 2..]
}

/// Writes the digits, the last one first; answers their number.
fn digits(mut value: u128, out: &mut [u8; DIGITS]) -> usize {
    let mut n = 0;
    while value > 0 {
        out[n] = (value % 10) as u8;
        value /= 10;
        n += 1;
    }
    n
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_only_and_no_leading_zero() {
        assert!(transposed(1_234, 1_324));
        assert!(transposed(1_324, 1_234));
        assert!(!transposed(1_234, 1_432), "not neighbours");
        assert!(!transposed(1_122, 1_122), "equal");
        assert!(!transposed(1_023, 123), "a leading zero");
        assert!(!transposed(1_234, 2_143), "two swaps");
        assert!(transposed(10_203, 12_003));
        assert!(transposed(12, 21));
    }

    /// Against the slow way: swap in the text and compare.
    #[test]
    fn all_pairs_below_a_thousand() {
        for a in 1_u128..1_000 {
            for b in 1_u128..1_000 {
                let text = a.to_string().into_bytes();
                let swapped = (1..text.len()).any(|i| {
                    let mut other = text.clone();
                    other.swap(i - 1, i);
                    other != text && other[0] != b'0' && other == b.to_string().into_bytes()
                });
                assert_eq!(transposed(a, b), swapped, "{a} {b}");
            }
        }
    }
}
