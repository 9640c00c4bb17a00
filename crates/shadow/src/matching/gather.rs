//! Everything that a run looks at, and the bridge over it, as known at one record of the log.

use std::collections::BTreeMap;

use hashbrown::{HashMap, HashSet};

use super::R1_DAYS;
use super::bridge::{Terms, chain, opening_of};
use super::item::{Input, Item, Set};
use super::load::{self, Begin, Early, Known, TakenItem};
use crate::model::BookId;
use crate::statements::csv::zone_minutes;
use crate::statements::day::Day;
use crate::statements::stored::{Statement, StoredLine};
use crate::statements::tables;
use crate::store::read;
use crate::store::{Shadow, WriteError};

/// An item that stays open although a match speaks of it: the match waits for an approval, or
/// all of its other side lies behind the period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The item.
    pub item: TakenItem,
    /// The match waits for the approval of its variance.
    pub proposed: bool,
}

/// What a run looks at.
#[derive(Debug)]
pub struct Gathered {
    /// Newest record that counts.
    pub log_seq: i64,
    /// Where the reconciliation began, and whether that is to be written down now.
    pub begin: (Begin, bool),
    /// Entries dated shortly before the start: they are in the difference then, and may be what
    /// the first lines are about. Unmatched they are nobody's business.
    pub early: HashSet<Box<str>>,
    /// Statements in scope, in their order.
    pub statements: Vec<Statement>,
    /// Open lines in scope.
    pub lines: Vec<StoredLine>,
    /// Places in `lines` by id.
    pub line_places: HashMap<Box<str>, u32>,
    /// Open items.
    pub input: Input,
    /// Events that counted when it began and do not any more: their amounts are turned round.
    pub left: Vec<(Known, Item)>,
    /// Items that a match holds and that are open all the same.
    pub waiting: Vec<Waiting>,
    /// Lines that a person ignored.
    pub ignored_lines: i64,
    /// The bridge before this run's matches; those change no term but the open ones, by equal
    /// amounts.
    pub terms: Terms,
    /// Decimals of the currency.
    pub scale: u8,
}

/// Days of a run.
#[derive(Debug, Clone, Copy)]
pub struct Period {
    /// First day.
    pub from: Day,
    /// First day after it.
    pub to: Day,
    /// The run follows an import: it does not begin the reconciliation of a book.
    pub automatic: bool,
}

/// No statement of the book is known.
#[derive(Debug)]
pub struct NoStatement;

/// Reads what a run looks at.
///
/// # Errors
/// In the inner result [`NoStatement`]; else the store's.
pub async fn gather(
    shadow: &Shadow,
    book: &BookId,
    period: Period,
) -> Result<Result<Gathered, NoStatement>, WriteError> {
    let db = shadow.db();
    let log_seq = read::head(db).await?.log_seq;
    let scale = shadow.currencies().scale(&book.currency).unwrap_or(0);
    let all = tables::of_book(db, &book.account_id, &book.currency, log_seq).await?;
    if all.is_empty() {
        return Ok(Err(NoStatement));
    }
    let row = read::book(db, book).await?;
    let zone = row.as_ref().and_then(|row| row.zone.as_deref());
    let offset = zone.and_then(zone_minutes).unwrap_or(0);
    let number = row.as_ref().map_or(-1, |row| row.number);
    let instant = |day: Day| day.start().micros() / 1_000 - i64::from(offset) * 60_000;
    let known = read::Known { log_seq, at: None };
    let begin = match load::begin(db, book).await? {
        Some(begin) => (begin, false),
        None => {
            let first = all
                .iter()
                .find(|s| s.last_day >= period.from)
                .unwrap_or(&all[0]);
            let start_day = match period.automatic {
                // Wide enough for whatever the first lines may be about.
                true => Day(first.first_day.0.saturating_sub(R1_DAYS)),
                false => period.from.min(first.first_day),
            };
            let until = Some(instant(start_day) - 1);
            let balance = read::balance(db, book, until, Some(known)).await?;
            let begin = Begin {
                start_day,
                statement: first.number,
                log_seq,
                bank_opening: opening_of(first),
                shadow_balance: balance.minor,
            };
            (begin, !period.automatic)
        }
    };
    let start = begin.0.start_day;
    let from = all
        .iter()
        .position(|s| s.number == begin.0.statement)
        .unwrap_or(0);
    let (inside, outside) = split(all, from, period.to);
    let numbers: Vec<i64> = inside.iter().map(|s| s.number).collect();
    let lines = load::open_lines(db, &numbers).await?;
    let (ignored_sum, ignored_lines) = load::ignored(db, &numbers).await?;
    let window = Day(start.0.saturating_sub(R1_DAYS));
    let before = load::free_events(db, number, instant(window), instant(start), log_seq).await?;
    let early = load::early(db, number, instant(start), begin.0.log_seq, log_seq).await?;
    let events = load::free_events(db, number, instant(start), instant(period.to), log_seq).await?;
    let odd = load::odd_matches(db, book, start, period.to, &outside).await?;
    let until = Some(instant(period.to) - 1);
    let shadow_balance = read::balance(db, book, until, Some(known)).await?.minor;

    let mut input = Input {
        lines: lines.iter().map(load::line_item).collect(),
        ..Input::default()
    };
    for event in &events {
        match event.applied {
            true => input.entries.push(event.item(offset)),
            false => input.unapplied.push(event.item(offset)),
        }
    }
    let mut early_ids = HashSet::new();
    for event in before
        .iter()
        .filter(|e| e.applied && e.log_seq <= begin.0.log_seq)
    {
        if !early.joined.iter().any(|joined| joined.id == event.id) {
            early_ids.insert(Box::from(event.id.as_str()));
        }
    }
    let free = early
        .joined
        .iter()
        .filter(|event| !early.taken.contains(&event.id));
    input.entries.extend(free.map(|event| event.item(offset)));
    let open_entries: i128 = input.entries.iter().map(|item| item.amount).sum();
    let shortly_before = before
        .iter()
        .filter(|event| early_ids.contains(event.id.as_str()));
    input
        .entries
        .extend(shortly_before.map(|event| event.item(offset)));
    let scope = Scope::new(&numbers, start, period.to, &early);
    let odd = scope.judge(odd);
    let walked = chain(begin.0.bank_opening, &inside);
    let left: Vec<(Known, Item)> = early
        .left
        .iter()
        .map(|e| (e.clone(), e.item(offset)))
        .collect();
    let variances = load::variances(db, book).await?;
    let plain: i128 = variances
        .iter()
        .filter(|(number, _)| !odd.numbers.contains(number))
        .map(|(_, variance)| variance)
        .sum();
    let sum = |items: &[Item]| items.iter().map(|item| item.amount).sum::<i128>();
    let terms = Terms {
        bank_closing: walked.closing,
        shadow_balance,
        start_difference: begin.0.difference(),
        gaps: walked.gaps,
        open_lines: sum(&input.lines) + odd.open_lines,
        ignored_lines: ignored_sum,
        open_entries: open_entries + odd.open_entries
            - left.iter().map(|(_, item)| item.amount).sum::<i128>(),
        variance: plain + odd.variance,
    };
    let places = input.lines.iter().enumerate();
    let line_places = places
        .map(|(at, item)| (item.id.clone(), at as u32))
        .collect();
    Ok(Ok(Gathered {
        early: early_ids,
        line_places,
        log_seq,
        begin,
        statements: inside,
        lines,
        input,
        left,
        waiting: odd.waiting,
        ignored_lines,
        terms,
        scale,
    }))
}

/// Statements from the first that counts to the last that ends before `to`; and the numbers of
/// the others.
fn split(all: Vec<Statement>, from: usize, to: Day) -> (Vec<Statement>, Vec<i64>) {
    let mut inside = Vec::new();
    let mut outside = Vec::new();
    for (at, statement) in all.into_iter().enumerate() {
        match at >= from && statement.last_day < to {
            true => inside.push(statement),
            false => outside.push(statement.number),
        }
    }
    (inside, outside)
}

impl Gathered {
    /// Whether an entry of the input lies shortly before the start.
    pub fn is_early(&self, index: u32) -> bool {
        self.early.contains(&self.input.entries[index as usize].id)
    }

    /// Whether a match of this run has entries, and none of them counts by itself: its lines
    /// stay open in the bridge, since their entries are in the difference of the start.
    pub fn is_before_start(&self, set: &Set) -> bool {
        set.entries.iter().all(|index| self.is_early(*index))
    }
}

/// What lies inside the period.
struct Scope<'a> {
    statements: HashSet<i64>,
    start: Day,
    to: Day,
    joined: HashSet<&'a str>,
}

#[derive(Default)]
struct Judged {
    numbers: HashSet<i64>,
    open_lines: i128,
    open_entries: i128,
    variance: i128,
    waiting: Vec<Waiting>,
}

impl<'a> Scope<'a> {
    fn new(statements: &[i64], start: Day, to: Day, early: &'a Early) -> Self {
        Self {
            statements: statements.iter().copied().collect(),
            start,
            to,
            joined: early.joined.iter().map(|event| event.id.as_str()).collect(),
        }
    }

    fn holds(&self, item: &TakenItem) -> bool {
        match item.statement {
            Some(statement) => self.statements.contains(&statement),
            None => {
                let early = item.day < self.start;
                item.day < self.to && (!early || self.joined.contains(item.id.as_str()))
            }
        }
    }

    /// What matches add that lie only partly inside, or wait.
    fn judge(&self, items: Vec<TakenItem>) -> Judged {
        let mut judged = Judged::default();
        let mut matches: BTreeMap<i64, Vec<TakenItem>> = BTreeMap::new();
        for item in items {
            matches.entry(item.match_number).or_default().push(item);
        }
        for (number, items) in matches {
            judged.numbers.insert(number);
            let proposed = items[0].state == "proposed";
            let mut sums: HashMap<bool, (i128, usize)> = HashMap::new();
            let inside: Vec<TakenItem> =
                items.into_iter().filter(|item| self.holds(item)).collect();
            for item in &inside {
                let sum = sums.entry(item.side == "L").or_default();
                *sum = (sum.0 + item.amount, sum.1 + 1);
            }
            let lines = sums.get(&true).copied().unwrap_or_default();
            let entries = sums.get(&false).copied().unwrap_or_default();
            if !proposed && lines.1 > 0 && entries.1 > 0 {
                judged.variance += lines.0 - entries.0;
                continue;
            }
            judged.open_lines += lines.0;
            judged.open_entries += entries.0;
            judged
                .waiting
                .extend(inside.into_iter().map(|item| Waiting { item, proposed }));
        }
        judged
    }
}
