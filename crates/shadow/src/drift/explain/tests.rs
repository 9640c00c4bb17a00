//! Each class by hand; measured precision is in `tests/it/drift_faults.rs`.

use super::*;

const NOW: i64 = 1_736_000_500_000;
const HOUR: i64 = 3_600_000;

#[derive(Default)]
struct Book {
    facts: BookFacts,
}

impl Book {
    fn entry(mut self, id: &str, at: i64, amount: i128, reference: Option<&str>) -> Self {
        let before = self.facts.entries.last().map_or(0, |last| last.running);
        self.facts.entries.push(EntryFact {
            id: id.into(),
            at,
            amount,
            running: before + amount,
            reference: reference.map(Into::into),
            settled: false,
        });
        self
    }

    fn event(mut self, id: &str, amount: i128, reference: Option<&str>, state: Unapplied) -> Self {
        self.facts.unapplied.push(UnappliedFact {
            id: id.into(),
            at: NOW - 50 * HOUR,
            amount,
            reference: reference.map(Into::into),
            state,
        });
        self
    }

    fn line(mut self, id: &str, amount: i128, references: &[&str]) -> Self {
        self.facts.lines.push(LineFact {
            id: id.into(),
            at: NOW - 48 * HOUR,
            amount,
            references: references.iter().map(|text| (*text).to_owned()).collect(),
            open: true,
            proven: true,
        });
        self
    }

    fn shadow(&self) -> i128 {
        self.facts.entries.last().map_or(0, |last| last.running)
    }

    fn explain(&self, difference: i128) -> Explanation {
        self.beside(difference, &[])
    }

    fn beside(&self, difference: i128, neighbours: &[Neighbour<'_>]) -> Explanation {
        let case = Case {
            anchor: NOW,
            until: NOW,
            shadow: self.shadow(),
            difference,
            look_back_ms: 35 * DAY_MS,
            max_subset: 4,
            book: &self.facts,
            neighbours,
            neighbours_truncated: false,
        };
        let found = explain(&case);
        for solution in found
            .solution
            .iter()
            .chain(&found.others)
            .chain(&found.pattern_rivals)
        {
            let sum: i128 = solution.terms.iter().sum();
            assert_eq!(sum, difference, "INV-S15");
            let remedy = solution.remedy.amount();
            assert!(remedy.is_none_or(|amount| amount == difference), "INV-S15");
        }
        found
    }
}

fn old(hours: i64) -> i64 {
    NOW - hours * HOUR
}

fn named(found: &Explanation) -> (Class, Option<Basis>, u32) {
    (found.class, found.basis, found.rivals)
}

const RECORD: Option<Basis> = Some(Basis::Record);
const PATTERN: Option<Basis> = Some(Basis::Pattern);

#[test]
fn timing_counts_the_nearest_instant_once() {
    let book = Book::default()
        .entry("a", old(30), 100, None)
        .entry("b", old(20), 50, None)
        .entry("c", old(10), -50, None)
        .entry("d", old(2), 50, None);
    let found = book.explain(-50);
    assert_eq!(named(&found), (Class::Timing, RECORD, 0));
    let solution = found.unique().expect("one");
    assert_eq!(solution.events, ["d"], "the balance just before `d`");
    assert_eq!(solution.remedy, Remedy::Wait);
    assert_eq!(
        Book::default()
            .entry("a", old(60), 100, None)
            .entry("b", old(30), 7, None)
            .explain(-7)
            .class,
        Class::Unexplained,
        "more than 24 h away"
    );
}

#[test]
fn timing_sees_what_comes_later_and_open_held_events() {
    let mut book = Book::default().entry("a", old(30), 100, None);
    let early = book.shadow();
    book = book.entry("b", NOW + HOUR, 25, None);
    let case = Case {
        anchor: NOW,
        until: NOW,
        shadow: early,
        difference: 25,
        look_back_ms: 35 * DAY_MS,
        max_subset: 4,
        book: &book.facts,
        neighbours: &[],
        neighbours_truncated: false,
    };
    let found = explain(&case);
    assert_eq!(named(&found), (Class::Timing, RECORD, 0));
    assert_eq!(found.solution.expect("one").events, ["b"]);

    let held = Book::default()
        .entry("a", old(60), 100, None)
        .event("h", -30, Some("R"), Unapplied::Held)
        .line("l", -30, &["r"]);
    let found = held.explain(-30);
    assert_eq!(named(&found), (Class::Timing, RECORD, 0), "one fact");
}

#[test]
fn an_entry_that_may_be_early_or_doubled_is_for_people() {
    let book = Book::default()
        .entry("a", old(30), 100, None)
        .entry("b", old(2), 40, None)
        .entry("b2", old(2) + 60_000, 40, None);
    let found = book.explain(-40);
    assert_eq!(named(&found), (Class::Timing, RECORD, 1));
    assert_eq!(found.unique(), None);
    assert_eq!(found.others.len(), 1);
    assert_eq!(found.others[0].class, Class::Duplicate);
    assert_eq!(found.others[0].events, ["b", "b2"]);
    assert!(found.pattern_rivals.is_empty());
}

#[test]
fn missing_joins_records_that_share_a_reference() {
    let book = Book::default()
        .entry("a", old(60), 100, None)
        .event("r", -30, Some("INV 9"), Unapplied::Rejected)
        .line("l", -30, &["x", "inv9"]);
    let found = book.explain(-30);
    assert_eq!(named(&found), (Class::Missing, RECORD, 0));
    let solution = found.unique().expect("one");
    assert_eq!(solution.events, ["r"]);
    assert_eq!(solution.lines, ["l"]);
    assert!(matches!(&solution.remedy, Remedy::Redrive { event_id, .. } if event_id == "r"));

    let two = book.line("other", -30, &["y"]);
    let found = two.explain(-30);
    assert_eq!(named(&found), (Class::Missing, RECORD, 1));
    assert!(found.unique().is_none());
    let joined = two.line("both", -30, &["INV9", "Y"]);
    assert_eq!(joined.explain(-30).rivals, 0, "the third joins the two");
}

#[test]
fn missing_line_is_dated_as_the_line() {
    let found = Book::default()
        .entry("a", old(60), 100, None)
        .line("l", 50, &[])
        .explain(50);
    let wanted = Remedy::Entry {
        amount: 50,
        at: NOW - 48 * HOUR,
        cause: None,
        line: Some("l".into()),
    };
    assert_eq!(
        found.unique().map(|solution| &solution.remedy),
        Some(&wanted)
    );
}

#[test]
fn duplicates_count_entries_and_need_like_references() {
    let minute = 60_000;
    let base = Book::default().entry("z", old(70), 500, None);
    let same =
        base.entry("a", old(50), 40, Some("R1"))
            .entry("b", old(50) + 10 * minute, 40, Some("r1"));
    let found = same.explain(-40);
    assert_eq!(named(&found), (Class::Duplicate, RECORD, 0));
    assert_eq!(found.solution.as_ref().expect("one").events, ["a", "b"]);

    let three = same.entry("c", old(50) + 11 * minute, 40, Some("R1"));
    assert_eq!(three.explain(-40).rivals, 1, "b and c, not three pairs");

    let plain = Book::default()
        .entry("a", old(50), 40, Some("R1"))
        .entry("b", old(50), 40, None);
    assert_eq!(
        named(&plain.explain(-40)),
        (Class::Duplicate, PATTERN, 0),
        "no second record says so"
    );
    let apart =
        Book::default()
            .entry("a", old(50), 40, Some("R1"))
            .entry("b", old(50), 40, Some("R2"));
    assert_eq!(apart.explain(-40).class, Class::Unexplained);
    let late = Book::default().entry("a", old(50), 40, None).entry(
        "b",
        old(50) + 10 * minute + 1,
        40,
        None,
    );
    assert_eq!(late.explain(-40).class, Class::Unexplained);
    let mut repaired = plain;
    repaired.facts.entries[1].settled = true;
    assert_eq!(repaired.explain(-40).class, Class::Unexplained);
}

#[test]
fn wrong_sign_is_twice_the_amount() {
    let book = Book::default()
        .entry("z", old(70), 500, None)
        .entry("a", old(50), -40, Some("R"));
    let found = book.explain(80);
    assert_eq!(named(&found), (Class::WrongSign, PATTERN, 0));
    let found = book.line("l", 40, &["R"]).explain(80);
    assert_eq!(named(&found), (Class::WrongSign, RECORD, 0));
    assert_eq!(found.unique().expect("one").remedy.amount(), Some(80));
}

#[test]
fn wrong_amounts_need_a_line_and_swapped_digits_do_not() {
    let book =
        Book::default()
            .entry("z", old(70), 50_000, None)
            .entry("a", old(50), 1_234, Some("R"));
    assert_eq!(book.explain(100).class, Class::Unexplained);
    let lined = book.line("l", 1_334, &["R"]);
    assert_eq!(named(&lined.explain(100)), (Class::WrongAmount, RECORD, 0));

    let typed = Book::default().entry("a", old(50), 1_234, Some("R"));
    let found = typed.explain(90);
    assert_eq!(named(&found), (Class::TransposedDigits, PATTERN, 0));
    let found = typed.line("l", 1_324, &["R"]).explain(90);
    assert_eq!(named(&found), (Class::TransposedDigits, RECORD, 0));
    let minus = Book::default().entry("a", old(50), -1_234, None);
    assert_eq!(minus.explain(-90).class, Class::TransposedDigits);
}

#[test]
fn a_wrong_account_takes_its_line_with_it() {
    let mine = Book::default()
        .entry("m", old(70), 500, None)
        .line("l", 70, &["R"]);
    let theirs =
        Book::default()
            .entry("t", old(69), 900, None)
            .entry("stray", old(50), 70, Some("R"));
    let neighbour = |book: &'static str, facts| Neighbour {
        account: book,
        facts,
    };
    let found = mine.beside(70, &[neighbour("B", &theirs.facts)]);
    assert_eq!(
        named(&found),
        (Class::WrongAccount, RECORD, 0),
        "the line is not also a missing credit"
    );
    let seen = theirs.beside(-70, &[neighbour("A", &mine.facts)]);
    assert_eq!(named(&seen), (Class::WrongAccount, RECORD, 0));
    for (found, in_other) in [(found, true), (seen, false)] {
        let solution = found.solution.expect("one");
        assert_eq!(solution.events, ["stray"]);
        assert_eq!(solution.lines, ["l"]);
        let Remedy::Pair { cause_in_other, .. } = solution.remedy else {
            panic!("a pair");
        };
        assert_eq!(cause_in_other, in_other);
    }
    let unsure = Book::default()
        .entry("m", old(70), 500, None)
        .line("l", 70, &["OTHER"]);
    let found = unsure.beside(70, &[neighbour("B", &theirs.facts)]);
    assert_eq!(named(&found), (Class::Missing, RECORD, 0));
    assert_eq!(found.pattern_rivals.len(), 1, "its reference differs");
}

#[test]
fn records_win_over_patterns_and_name_them() {
    let book = Book::default()
        .entry("a", old(60), -25, None)
        .line("l", 50, &[]);
    let found = book.explain(50);
    assert_eq!(named(&found), (Class::Missing, RECORD, 0));
    assert_eq!(found.pattern_rivals.len(), 1);
    assert_eq!(found.pattern_rivals[0].class, Class::WrongSign);
}

#[test]
fn subsets_are_for_people_and_only_a_last_resort() {
    let book = Book::default()
        .entry("a", old(60), 1_000, None)
        .event("e", -30, Some("R"), Unapplied::Review)
        .line("same", -30, &["R"])
        .line("l", -20, &[]);
    let found = book.explain(-50);
    assert_eq!(named(&found), (Class::Subset, PATTERN, 0));
    let solution = found.solution.as_ref().expect("one");
    assert_eq!(solution.remedy, Remedy::People);
    assert_eq!(solution.terms, [-30, -20]);
    assert_eq!(
        book.explain(-80).class,
        Class::Unexplained,
        "-30 counts once"
    );
    assert!(!book.explain(-80).bounded);
}

#[test]
fn bounds_are_told() {
    let mut book = Book::default().entry("a", old(60), 1_000, None);
    for n in 0..201 {
        book = book.line(&format!("l{n}"), 1_000 * (n + 1), &[]);
    }
    let found = book.explain(7);
    assert_eq!(found.class, Class::Unexplained);
    assert!(found.bounded);
    let mut book = Book::default().entry("a", old(60), 1_000, None);
    book.facts.truncated = true;
    assert!(book.explain(7).bounded);
    let old_line = Book::default()
        .entry("a", old(60), 1, None)
        .line("l", 9, &[]);
    let mut facts = old_line.facts.clone();
    facts.lines[0].at = NOW - 36 * DAY_MS;
    assert_eq!(Book { facts }.explain(9).class, Class::Unexplained);
}
