//! Books with one injected, labelled fault each: what the bank did, what the shadow recorded of
//! it, and which records are left to explain the difference. Seeded, so that a run can be
//! repeated.

use florin_shadow::drift::explain::{
    BookFacts, Case, Class, DAY_MS, EntryFact, Explanation, LineFact, Neighbour, Unapplied,
    UnappliedFact, explain,
};

/// The instant of every comparison, epoch ms.
const NOW: i64 = 1_736_000_500_000;

/// What was done to one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Never recorded; the statement has it.
    DroppedWithLine,
    /// Parked as a dead letter; no statement yet.
    DroppedToDeadLetter,
    /// Never recorded, and nothing else knows it.
    DroppedWithoutTrace,
    /// Recorded twice under another id.
    Duplicated,
    /// Recorded with another amount.
    WrongAmount,
    /// Recorded with two neighbouring digits swapped.
    TransposedDigits,
    /// Recorded as a debit instead of a credit, or the other way.
    WrongSign,
    /// Recorded in another book of the check.
    WrongAccount,
    /// The bank compared before the last events.
    Early,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 9] = [
        Self::DroppedWithLine,
        Self::DroppedToDeadLetter,
        Self::DroppedWithoutTrace,
        Self::Duplicated,
        Self::WrongAmount,
        Self::TransposedDigits,
        Self::WrongSign,
        Self::WrongAccount,
        Self::Early,
    ];

    /// The class that names it; `None` where no record is left to tell.
    pub const fn class(self) -> Option<Class> {
        match self {
            Self::DroppedWithLine | Self::DroppedToDeadLetter => Some(Class::Missing),
            Self::DroppedWithoutTrace => None,
            Self::Duplicated => Some(Class::Duplicate),
            Self::WrongAmount => Some(Class::WrongAmount),
            Self::TransposedDigits => Some(Class::TransposedDigits),
            Self::WrongSign => Some(Class::WrongSign),
            Self::WrongAccount => Some(Class::WrongAccount),
            Self::Early => Some(Class::Timing),
        }
    }
}

/// SplitMix64: small, seeded, good enough to make up payments.
pub struct Chance(pub u64);

impl Chance {
    /// The next 64 bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// True in `percent` of 100 cases.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// A payment as the bank booked it.
#[derive(Debug, Clone)]
struct Payment {
    id: String,
    at: i64,
    amount: i128,
    reference: Option<String>,
}

/// A book under test, with the answer that is right.
pub struct Labelled {
    /// What was done.
    pub fault: Fault,
    /// Event or line ids of which a right explanation cites at least one.
    pub culprits: Vec<String>,
    book: BookFacts,
    other: BookFacts,
    shadow: i128,
    difference: i128,
}

impl Labelled {
    /// What the search says.
    pub fn explain(&self) -> Explanation {
        let neighbours = [Neighbour {
            account: "other",
            facts: &self.other,
        }];
        let wrong_account = self.fault == Fault::WrongAccount;
        explain(&Case {
            anchor: NOW,
            until: NOW,
            shadow: self.shadow,
            difference: self.difference,
            look_back_ms: 35 * DAY_MS,
            max_subset: 4,
            book: &self.book,
            neighbours: if wrong_account { &neighbours } else { &[] },
            neighbours_truncated: false,
        })
    }

    /// The difference, minor units.
    pub fn difference(&self) -> i128 {
        self.difference
    }
}

/// Payments of 30 days: many small, some round, most with a reference of their own.
fn payments(chance: &mut Chance, count: u64, prefix: &str) -> Vec<Payment> {
    let span = 30 * DAY_MS.unsigned_abs();
    let mut all: Vec<Payment> = (0..count)
        .map(|n| {
            let size = if chance.percent(15) {
                [1_000, 2_000, 5_000, 10_000][chance.below(4) as usize]
            } else {
                let digits = 3 + chance.below(5) as u32;
                1 + chance.below(10_u64.pow(digits))
            };
            let size = i128::from(size);
            let reference = chance.percent(70).then(|| format!("R-{prefix}-{n}"));
            Payment {
                id: format!("{prefix}-{n}"),
                at: NOW - chance.below(span) as i64,
                amount: if chance.percent(60) { size } else { -size },
                reference,
            }
        })
        .collect();
    all.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
    all
}

/// The entries of payments, with running balances.
fn entries(payments: &[Payment]) -> Vec<EntryFact> {
    let mut running = 1_000_000_000;
    let mut sorted: Vec<&Payment> = payments.iter().collect();
    sorted.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
    let of = |payment: &&Payment| {
        running += payment.amount;
        EntryFact {
            id: payment.id.clone(),
            at: payment.at,
            amount: payment.amount,
            running,
            reference: payment.reference.clone(),
            settled: false,
        }
    };
    sorted.iter().map(of).collect()
}

/// The statement's line of a payment.
fn line(payment: &Payment) -> LineFact {
    LineFact {
        id: format!("L-{}", payment.id),
        at: payment.at - payment.at.rem_euclid(DAY_MS),
        amount: payment.amount,
        references: payment.reference.iter().cloned().collect(),
        open: true,
        proven: true,
    }
}

fn swap_digits(amount: i128) -> Option<i128> {
    let mut digits = amount.unsigned_abs().to_string().into_bytes();
    let place = (1..digits.len()).find(|&i| digits[i - 1] != digits[i] && digits[i] != b'0')?;
    digits.swap(place - 1, place);
    let text = String::from_utf8(digits).expect("digits");
    Some(text.parse::<i128>().expect("a number") * amount.signum())
}

/// A book of `count` payments with one fault.
pub fn labelled(chance: &mut Chance, fault: Fault, count: u64) -> Labelled {
    let truth = payments(chance, count, "p");
    let mut recorded = truth.clone();
    let mut book = BookFacts::default();
    let mut other_payments = payments(chance, count / 4, "o");
    let place = chance.below(count) as usize;
    let mut culprit = truth[place].clone();
    let mut culprits = vec![culprit.id.clone()];
    match fault {
        Fault::DroppedWithLine => {
            recorded.remove(place);
            book.lines.push(line(&culprit));
            culprits = vec![line(&culprit).id];
        }
        Fault::DroppedToDeadLetter => {
            recorded.remove(place);
            book.unapplied.push(UnappliedFact {
                id: culprit.id.clone(),
                at: culprit.at,
                amount: culprit.amount,
                reference: culprit.reference.clone(),
                state: Unapplied::DeadLetter,
            });
        }
        Fault::DroppedWithoutTrace => {
            recorded.remove(place);
        }
        Fault::Duplicated => {
            culprit.id = format!("{}-again", culprit.id);
            culprit.at = (culprit.at + chance.below(500_000) as i64).min(NOW);
            culprits = vec![culprit.id.clone()];
            recorded.push(culprit.clone());
        }
        Fault::WrongAmount => {
            let wrong = 1 + i128::from(chance.below(100_000));
            recorded[place].amount += wrong * culprit.amount.signum();
            book.lines.push(line(&culprit));
        }
        Fault::TransposedDigits => match swap_digits(culprit.amount) {
            Some(wrong) => {
                recorded[place].amount = wrong;
                if chance.percent(80) {
                    book.lines.push(line(&culprit));
                }
            }
            None => return labelled(chance, fault, count),
        },
        Fault::WrongSign => {
            recorded[place].amount = -culprit.amount;
            if chance.percent(80) {
                book.lines.push(line(&culprit));
            }
        }
        Fault::WrongAccount => {
            other_payments.push(recorded.remove(place));
            if chance.percent(80) {
                book.lines.push(line(&culprit));
            }
        }
        Fault::Early => culprits.clear(),
    }
    let sum = |payments: &[Payment]| payments.iter().map(|payment| payment.amount).sum::<i128>();
    let mut reported = 1_000_000_000 + sum(&truth);
    if fault == Fault::Early {
        let late = 1 + chance.below(3) as usize;
        let missed = &truth[truth.len().saturating_sub(late)..];
        culprits.extend(missed.iter().map(|payment| payment.id.clone()));
        reported -= sum(missed);
    }
    // Lines that matching has left open for reasons of its own: noise beside the evidence.
    for stray in payments(chance, 3, "noise") {
        book.lines.push(line(&stray));
    }
    book.entries = entries(&recorded);
    let shadow = book.entries.last().map_or(0, |entry| entry.running);
    let found = Labelled {
        fault,
        culprits,
        other: BookFacts {
            entries: entries(&other_payments),
            ..BookFacts::default()
        },
        book,
        shadow,
        difference: reported - shadow,
    };
    // Payments that cancel each other leave nothing to explain.
    match found.difference {
        0 => labelled(chance, fault, count),
        _ => found,
    }
}

/// How often the search was right about one kind of fault.
#[derive(Debug, Clone, Copy, Default)]
pub struct Score {
    /// Books.
    pub books: u32,
    /// Exactly one explanation by record, and it is right.
    pub record_right: u32,
    /// Exactly one explanation by record, and it is wrong.
    pub record_wrong: u32,
    /// Exactly one explanation by arithmetic, and it is right.
    pub pattern_right: u32,
    /// Exactly one explanation by arithmetic, and it is wrong.
    pub pattern_wrong: u32,
    /// Rivals, with the right one among those shown.
    pub among_rivals: u32,
    /// Rivals without the right one.
    pub rivals_without: u32,
    /// Class 7 or 8.
    pub left_to_people: u32,
}

impl Score {
    /// Counts one book.
    pub fn count(&mut self, case: &Labelled, found: &Explanation) {
        self.books += 1;
        let right = |solution: &florin_shadow::drift::explain::Solution| {
            let cited = solution.events.iter().chain(&solution.lines);
            Some(solution.class) == case.fault.class()
                && cited.into_iter().any(|id| case.culprits.contains(id))
        };
        let record = found.basis == Some(florin_shadow::drift::explain::Basis::Record);
        let slot = match found.unique() {
            _ if !found.class.repairable() && found.class != Class::Timing => {
                &mut self.left_to_people
            }
            Some(solution) => match (record, right(solution)) {
                (true, true) => &mut self.record_right,
                (true, false) => &mut self.record_wrong,
                (false, true) => &mut self.pattern_right,
                (false, false) => &mut self.pattern_wrong,
            },
            None => match found.solution.iter().chain(&found.others).any(right) {
                true => &mut self.among_rivals,
                false => &mut self.rivals_without,
            },
        };
        *slot += 1;
    }
}
