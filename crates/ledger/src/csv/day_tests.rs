//! The search against every permutation, on days made to be hard: few distinct points, close
//! to each other, with cycles and equal lines.

use proptest::prelude::*;

use super::*;

/// Least cost for each end, over all orders.
fn brute(start: i128, lines: &[Line], tolerance: u128) -> BTreeMap<i128, u128> {
    fn go(
        at: i128,
        cost: u128,
        left: &mut Vec<Line>,
        tolerance: u128,
        best: &mut BTreeMap<i128, u128>,
    ) {
        if left.is_empty() {
            let entry = best.entry(at).or_insert(cost);
            *entry = cost.min(*entry);
        }
        for index in 0..left.len() {
            let line = left.remove(index);
            let step = at.abs_diff(line.before);
            if step <= tolerance {
                go(line.after, cost + step, left, tolerance, best);
            }
            left.insert(index, line);
        }
    }
    let mut best = BTreeMap::new();
    go(start, 0, &mut lines.to_vec(), tolerance, &mut best);
    best
}

fn costs(paths: &[Path]) -> BTreeMap<i128, u128> {
    paths.iter().map(|path| (path.end, path.cost)).collect()
}

fn assert_paths_hold(start: i128, lines: &[Line], tolerance: u128, paths: &[Path]) {
    for path in paths {
        let mut seen = path.order.clone();
        seen.sort_unstable();
        assert_eq!(seen, (0..lines.len()).collect::<Vec<_>>());
        let (mut at, mut cost) = (start, 0);
        for &index in &path.order {
            let step = at.abs_diff(lines[index].before);
            assert!(step <= tolerance);
            cost += step;
            at = lines[index].after;
        }
        assert_eq!((at, cost), (path.end, path.cost));
    }
}

fn line(before: i128, after: i128) -> Line {
    Line { before, after }
}

fn lines(points: i128, most: usize) -> impl Strategy<Value = Vec<Line>> {
    let line = (0..points, 0..points).prop_map(|(before, after)| line(before, after));
    prop::collection::vec(line, 1..=most)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// Points dense against the tolerance: all three outcomes and the exhaustive search occur.
    #[test]
    fn every_day_agrees_with_all_permutations(
        start in 0i128..24,
        lines in lines(24, 6),
        tolerance in 0u128..9,
    ) {
        let paths = paths(start, &lines, tolerance, &mut Budget(1 << 30)).unwrap();
        prop_assert_eq!(costs(&paths), brute(start, &lines, tolerance));
        assert_paths_hold(start, &lines, tolerance, &paths);
    }

    /// Explainable by construction, then shuffled.
    #[test]
    fn walks_are_explained(
        start in 0i128..30,
        steps in prop::collection::vec((0i128..30, -3i128..=3), 1..=7),
        rotate in 0usize..7,
    ) {
        let mut at = start;
        let mut day = Vec::new();
        for (to, error) in steps {
            day.push(line(at + error, to));
            at = to;
        }
        let by = rotate % day.len();
        day.rotate_left(by);
        let paths = paths(start, &day, 3, &mut Budget(1 << 30)).unwrap();
        prop_assert!(paths.iter().any(|path| path.end == at));
        prop_assert_eq!(costs(&paths), brute(start, &day, 3));
        assert_paths_hold(start, &day, 3, &paths);
    }

    /// The two exact searches agree where both answer.
    #[test]
    fn the_exhaustive_search_agrees(start in 0i128..16, lines in lines(16, 6), tolerance in 0u128..6) {
        let all = exhaustive(start, &lines, tolerance, &mut Budget(1 << 30)).unwrap();
        prop_assert_eq!(costs(&all), brute(start, &lines, tolerance));
        assert_paths_hold(start, &lines, tolerance, &all);
    }
}

/// A day of thousands of lines that return to the same balances again and again.
#[test]
fn large_days_are_solved_in_the_budget() {
    let mut day = Vec::new();
    let mut at = 0;
    for index in 0..5_000i128 {
        let to = (index * 7_919) % 97 * 1_000 + 500;
        day.push(line(at, to));
        at = to;
    }
    day.reverse();
    let mut budget = Budget(5_000_000);
    let paths = paths(0, &day, 10, &mut budget).unwrap();
    assert_eq!(costs(&paths), BTreeMap::from([(at, 0)]));
    assert_paths_hold(0, &day, 10, &paths);
}

#[test]
fn a_search_without_budget_says_so() {
    let day: Vec<Line> = (0..40).map(|i| line(i * 7 % 40, i * 11 % 40)).collect();
    assert_eq!(paths(0, &day, 3, &mut Budget(10_000)), Err(OutOfBudget));
}
