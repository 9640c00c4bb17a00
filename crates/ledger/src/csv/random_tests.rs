//! Random banks, printed and read back, and random bytes.

use proptest::prelude::*;

use super::super::balance::Verdict;
use super::parse;
use super::tests::{HEADER, ids, small};

/// Days of an account: signed amounts in cents, and by how much each printed balance is off.
type Days = Vec<Vec<(i64, i64)>>;

fn days(rounding: i64) -> impl Strategy<Value = Days> {
    let amount = prop_oneof![1..200_000i64, -200_000..=-1i64];
    let line = (amount, -rounding..=rounding);
    prop::collection::vec(prop::collection::vec(line, 1..6), 1..8)
}

/// Prints the account with each day's lines rotated; `corrupt` adds to one printed balance
/// without carrying it on.
fn print(days: &Days, rotate: usize, corrupt: Option<(usize, usize, i64)>) -> String {
    let mut text = HEADER.to_owned();
    let mut balance = 0;
    for (day, lines) in days.iter().enumerate() {
        let mut printed = Vec::new();
        for (index, (amount, rounding)) in lines.iter().enumerate() {
            balance += amount + rounding;
            let wrong = corrupt.filter(|&(d, i, _)| (d, i) == (day, index));
            let shown = amount + wrong.map_or(0, |(_, _, by)| by);
            let cents = |value: i64| {
                let sign = if value < 0 { "-" } else { "" };
                format!("{sign}{}.{:02}", value.abs() / 100, value.abs() % 100)
            };
            let (amount, balance) = (cents(shown), cents(balance));
            let date = format!("2024-02-{:02}", day + 1);
            printed.push(format!("{day}-{index},a,{date},{amount},{balance}\n"));
        }
        let by = rotate % printed.len();
        printed.rotate_left(by);
        printed.into_iter().for_each(|line| text.push_str(&line));
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn shuffled_exact_accounts_are_consistent(days in days(0), rotate in 0usize..6) {
        let import = parse(print(&days, rotate, None).as_bytes(), &small()).unwrap();
        let account = &import.balances.as_ref().unwrap().accounts[0];
        prop_assert_eq!(account.verdict, Verdict::Consistent);
        prop_assert_eq!(account.inexact_lines, 0);
        let mut found = ids(&import);
        found.sort_unstable();
        found.dedup();
        prop_assert_eq!(found.len(), days.iter().map(Vec::len).sum::<usize>());
    }

    /// Roundings up to the tolerance are found, and the difference at the end is theirs.
    #[test]
    fn shuffled_rounded_accounts_are_consistent(days in days(10), rotate in 0usize..6) {
        let import = parse(print(&days, rotate, None).as_bytes(), &small()).unwrap();
        let account = &import.balances.unwrap().accounts[0];
        prop_assert!(matches!(
            account.verdict,
            Verdict::Consistent | Verdict::ConsistentWithinRounding
        ));
        let printed: i64 = days.iter().flatten().map(|(_, rounding)| rounding).sum();
        let last = days.iter().flatten().map(|(_, r)| r.unsigned_abs()).sum::<u64>();
        prop_assert!(account.inexactness_minor <= u128::from(last));
        // Lines of the last day may also end elsewhere, but the report must close on itself.
        let sum: i64 = days.iter().flatten().map(|(amount, _)| amount).sum();
        let difference = account.difference_minor.unwrap();
        prop_assert_eq!(i128::from(sum) + difference, account.explained_balance_minor);
        if days.last().unwrap().len() == 1 {
            prop_assert_eq!(difference, i128::from(printed));
        }
    }

    /// One wrong amount, off by more than a whole day of roundings could hide.
    #[test]
    fn a_wrong_amount_is_found_on_its_day(
        days in days(0),
        rotate in 0usize..6,
        place in (0usize..100, 0usize..100),
        by in prop_oneof![101i64..5_000, -5_000i64..=-101],
    ) {
        let day = place.0 % days.len();
        let index = place.1 % days[day].len();
        prop_assume!(days[day][index].0 + by != 0);
        let text = print(&days, rotate, Some((day, index, by)));
        let account = &parse(text.as_bytes(), &small()).unwrap().balances.unwrap().accounts[0];
        prop_assert_eq!(account.verdict, Verdict::Inconsistent);
        let expected = format!("2024-02-{:02}", day + 1);
        prop_assert_eq!(account.day.as_ref(), Some(&expected));
    }

    /// Never panics; what it takes, it takes the same way again.
    #[test]
    fn any_bytes_are_read_or_refused(
        bytes in prop::collection::vec(prop_oneof![
            4 => prop::sample::select(b",\"\n\r-.0123456789ae".to_vec()),
            1 => any::<u8>(),
        ], 0..300),
        with_header in any::<bool>(),
    ) {
        let mut text = if with_header { HEADER.as_bytes().to_vec() } else { vec![] };
        text.extend_from_slice(&bytes);
        let first = parse(&text, &small());
        let again = parse(&text, &small());
        prop_assert_eq!(first.ok(), again.ok());
    }
}
