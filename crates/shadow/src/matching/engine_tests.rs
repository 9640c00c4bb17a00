//! The rules one by one, and their independence of order.

use super::super::item::{Match, Rule, Set};
use super::*;

fn item(id: &str, day: i32, amount: i128, reference: &str) -> Item {
    Item::new(id, day, amount, [reference])
}

fn matched(mut input: Input) -> (Input, Outcome) {
    let outcome = run(&mut input, [true; 4], &mut |_| {});
    (input, outcome)
}

fn input(lines: &[(&str, i32, i128, &str)], entries: &[(&str, i32, i128, &str)]) -> Input {
    let items = |list: &[(&str, i32, i128, &str)]| {
        list.iter()
            .map(|(id, day, amount, r)| item(id, *day, *amount, r))
            .collect()
    };
    Input {
        lines: items(lines),
        entries: items(entries),
        unapplied: Vec::new(),
    }
}

fn rules(outcome: &Outcome) -> Vec<(Rule, Vec<u32>, Vec<u32>)> {
    let flat = |m: &Match| (m.rule, m.set.lines.clone(), m.set.entries.clone());
    outcome.matches.iter().map(flat).collect()
}

fn reason_of_line(input: Input) -> Open {
    let (_, outcome) = matched(input);
    outcome.lines[0].1.clone()
}

#[test]
fn r1_needs_reference_amount_and_thirty_days() {
    let (_, outcome) = matched(input(&[("l", 0, 500, "Inv 7")], &[("e", 30, 500, "INV7")]));
    assert_eq!(rules(&outcome), [(Rule::R1, vec![0], vec![0])]);
    let late = input(&[("l", 0, 500, "A")], &[("e", 31, 500, "A")]);
    assert_eq!(reason_of_line(late), Open::Unmatched(Reason::OutsideWindow));
    let other = input(&[("l", 0, 500, "A")], &[("e", 0, 501, "A")]);
    assert_eq!(
        reason_of_line(other),
        Open::Unmatched(Reason::AmountDiffers)
    );
    let sign = input(&[("l", 0, 500, "A")], &[("e", 0, -500, "A")]);
    assert_eq!(reason_of_line(sign), Open::Unmatched(Reason::SignDiffers));
    let none = input(&[("l", 0, 500, "A")], &[]);
    assert_eq!(reason_of_line(none), Open::Unmatched(Reason::NoCandidate));
}

#[test]
fn r1_pairs_equal_ones_in_order_and_nothing_else() {
    let equal = input(
        &[("l1", 0, 5, "A"), ("l2", 0, 5, "A")],
        &[("e2", 1, 5, "A"), ("e1", 1, 5, "A")],
    );
    let (_, outcome) = matched(equal);
    assert_eq!(
        rules(&outcome),
        [(Rule::R1, vec![0], vec![0]), (Rule::R1, vec![1], vec![1])]
    );
    assert!(outcome.matches.iter().all(|found| found.interchangeable));
    let unequal = input(
        &[("l1", 0, 5, "A"), ("l2", 0, 5, "A")],
        &[("e1", 1, 5, "A"), ("e2", 2, 5, "A")],
    );
    let (_, outcome) = matched(unequal);
    assert!(outcome.matches.is_empty());
    let Open::Ambiguous(rivals) = &outcome.lines[0].1 else {
        panic!("{outcome:?}");
    };
    assert_eq!(rivals.count, 2);
    assert_eq!(rivals.candidates, [Set::pair(0, 0), Set::pair(0, 1)]);
}

#[test]
fn r2_takes_only_pairs_without_rivals() {
    let (_, outcome) = matched(input(&[("l", 0, 5, "X")], &[("e", 3, 5, "")]));
    assert_eq!(rules(&outcome), [(Rule::R2, vec![0], vec![0])]);
    let far = input(&[("l", 0, 5, "X")], &[("e", 4, 5, "")]);
    assert_eq!(reason_of_line(far), Open::Unmatched(Reason::OutsideWindow));
    let two = input(&[("l", 0, 5, "")], &[("e1", 0, 5, ""), ("e2", 1, 5, "")]);
    assert!(matches!(reason_of_line(two), Open::Ambiguous(_)));
    // Another entry carries the line's reference: the pair by amount may be wrong.
    let named = input(&[("l", 0, 5, "X")], &[("e1", 0, 5, ""), ("e2", 9, 7, "X")]);
    let (_, outcome) = matched(named);
    assert!(outcome.matches.is_empty());
}

#[test]
fn r3_takes_all_of_one_reference() {
    let (_, outcome) = matched(input(
        &[("l", 0, 60, "B")],
        &[("e1", 50, 10, "B"), ("e2", 60, 50, "B"), ("e3", 0, 7, "C")],
    ));
    assert_eq!(rules(&outcome), [(Rule::R3, vec![0], vec![1, 2])]);
    let (_, outcome) = matched(input(
        &[("l1", 0, -10, "B"), ("l2", 0, -50, "B")],
        &[("e", 0, -60, "B")],
    ));
    assert_eq!(rules(&outcome), [(Rule::R3, vec![0, 1], vec![0])]);
    // Not the sum of all of them.
    let part = input(
        &[("l", 0, 60, "B")],
        &[("e1", 50, 10, "B"), ("e2", 60, 50, "B"), ("e3", 70, 1, "B")],
    );
    assert_eq!(reason_of_line(part), Open::Unmatched(Reason::AmountDiffers));
}

#[test]
fn r4_takes_the_only_sum() {
    let (_, outcome) = matched(input(
        &[("l", 0, 97, "")],
        &[("e1", 0, 100, ""), ("e2", 1, -3, ""), ("e3", 9, 97, "")],
    ));
    assert_eq!(rules(&outcome), [(Rule::R4, vec![0], vec![0, 1])]);
    let two = input(
        &[("l", 0, 30, "")],
        &[
            ("e1", 0, 10, ""),
            ("e2", 0, 20, ""),
            ("e3", 0, 12, ""),
            ("e4", 0, 18, ""),
        ],
    );
    let Open::Ambiguous(rivals) = reason_of_line(two) else {
        panic!("two sums");
    };
    assert_eq!(rivals.count, 2);
    let many: Vec<(String, i32, i128)> = (0..41)
        .map(|n| (format!("e{n:02}"), 0, 1_000 + n))
        .collect();
    let many: Vec<(&str, i32, i128, &str)> =
        many.iter().map(|(id, d, a)| (&**id, *d, *a, "")).collect();
    let bound = input(&[("l", 0, 2_001, "")], &many);
    assert_eq!(reason_of_line(bound), Open::Unmatched(Reason::SearchBound));
}

#[test]
fn proposals_that_share_an_item_are_ambiguous() {
    let (_, outcome) = matched(input(
        &[("l1", 0, 30, ""), ("l2", 0, 25, "")],
        &[("e1", 0, 10, ""), ("e2", 0, 20, ""), ("e3", 0, 15, "")],
    ));
    // l1 = e1 + e2, l2 = e1 + e3: both want e1.
    assert!(outcome.matches.is_empty());
    assert_eq!(outcome.entries.len(), 3);
    assert!(
        outcome
            .lines
            .iter()
            .all(|(_, open)| matches!(open, Open::Ambiguous(_)))
    );
}

#[test]
fn barred_lines_stay_out() {
    let mut given = input(&[("l", 0, 5, "A")], &[("e", 0, 5, "A")]);
    given.lines[0].barred = true;
    assert_eq!(
        reason_of_line(given),
        Open::Unmatched(Reason::PossibleDuplicateLine)
    );
}

#[test]
fn events_that_do_not_count_explain_open_lines() {
    let mut given = input(&[("l", 0, -5, "A")], &[]);
    given.unapplied.push(item("e", 2, -5, "B"));
    assert_eq!(
        reason_of_line(given),
        Open::Unmatched(Reason::EntryNotApplied)
    );
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

fn random_input(random: &mut Random) -> Input {
    let list = |random: &mut Random, name: &str| {
        (0..random.below(14))
            .map(|n| {
                let reference = ["", "A", "B", "C"][random.below(4) as usize];
                let amount = i128::from(random.below(6)) * 10 - 10;
                let amount = if amount == 0 { 35 } else { amount };
                item(
                    &format!("{name}{n:02}"),
                    random.below(8) as i32,
                    amount,
                    reference,
                )
            })
            .collect::<Vec<_>>()
    };
    Input {
        lines: list(random, "l"),
        entries: list(random, "e"),
        unapplied: Vec::new(),
    }
}

fn shuffle<T>(items: &mut [T], random: &mut Random) {
    for at in (1..items.len()).rev() {
        items.swap(at, random.below(at as u64 + 1) as usize);
    }
}

/// INV-S21: shuffled input gives the same matches, candidates and reasons; no item is in two
/// matches; each match has no difference; every item stands in the outcome once.
#[test]
fn no_result_depends_on_the_order() {
    for seed in 0..3_000 {
        let mut random = Random(seed);
        let given = random_input(&mut random);
        let (sorted, expected) = matched(given.clone());
        let mut shuffled = given;
        shuffle(&mut shuffled.lines, &mut random);
        shuffle(&mut shuffled.entries, &mut random);
        let (again, found) = matched(shuffled);
        assert_eq!((&again, &found), (&sorted, &expected), "seed {seed}");
        let mut seen = [vec![0; sorted.lines.len()], vec![0; sorted.entries.len()]];
        for one in &found.matches {
            let sum = |items: &[Item], set: &[u32]| -> i128 {
                set.iter().map(|index| items[*index as usize].amount).sum()
            };
            assert_eq!(
                sum(&sorted.lines, &one.set.lines),
                sum(&sorted.entries, &one.set.entries),
                "seed {seed}"
            );
            one.set
                .lines
                .iter()
                .for_each(|index| seen[0][*index as usize] += 1);
            one.set
                .entries
                .iter()
                .for_each(|index| seen[1][*index as usize] += 1);
        }
        found
            .lines
            .iter()
            .for_each(|(index, _)| seen[0][*index as usize] += 1);
        found
            .entries
            .iter()
            .for_each(|(index, _)| seen[1][*index as usize] += 1);
        assert!(
            seen.iter().flatten().all(|count| *count == 1),
            "seed {seed}: {seen:?}"
        );
    }
}

#[test]
fn large_inputs_take_one_pass() {
    let count = 20_000;
    let list = |name: &str, shift: i32| -> Vec<Item> {
        (0..count)
            .map(|n| {
                let reference = if n % 2 == 0 {
                    format!("R{n}")
                } else {
                    String::new()
                };
                Item::new(
                    format!("{name}{n:06}"),
                    n / 100 + shift,
                    i128::from(n) + 1,
                    [&*reference],
                )
            })
            .collect()
    };
    let given = Input {
        lines: list("l", 0),
        entries: list("e", 1),
        unapplied: Vec::new(),
    };
    let (_, outcome) = matched(given);
    assert_eq!(outcome.matches.len(), count as usize);
}
