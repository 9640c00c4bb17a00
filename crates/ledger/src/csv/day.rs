//! Whether the lines of one day can be put into an order that explains the printed balances.
//!
//! A line with amount `d` (signed) and printed balance `a` *fits after* a balance `p` when
//! `|p + d − a| ≤ tolerance`; its *in-point* is `a − d` and its *out-point* is `a`, the balance
//! that the next line starts from. An order of a day is a path from the day's opening balance
//! through all lines, and its inexactness is `Σ |out-point before − in-point|`. To find the
//! path of least inexactness that ends with a given line is the travelling-salesman problem of
//! Gilmore and Gomory (1964), which unlike the general one is solved exactly in O(n log n):
//! pair sorted out-points with sorted in-points, then join the cycles this gives by exchanging
//! neighbours in that sorted order, cheapest first, as in a minimum spanning tree.
//!
//! For each line that could be the last one:
//!
//! 1. **Refuted** when the sorted pairing, whose largest difference no other pairing beats, has
//!    a pair beyond the tolerance, or when the cycles can only be joined across a gap wider
//!    than the tolerance, which no fitting step can cross.
//! 2. **Solved** when the optimal path keeps every step within the tolerance: no path is less
//!    inexact, within the tolerance or not.
//! 3. **Open** otherwise; this takes several points within a few tolerances of each other.
//!    Then all (set of lines placed, last line) states are searched layer by layer, which is
//!    exact as well but may be exponential.
//!
//! Every unit of work is drawn from a [`Budget`]. When it runs out the answer is
//! [`OutOfBudget`], never a guess: the account is reported as undecided.

use std::collections::{BTreeMap, BTreeSet};

/// One line as the search sees it, in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Line {
    /// Balance from which this line leads to exactly `after`.
    pub before: i128,
    /// Printed balance after the line.
    pub after: i128,
}

/// Work left, in elementary steps; shared by all days of an account.
#[derive(Debug)]
pub(super) struct Budget(pub u64);

/// The search was stopped before it was certain.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OutOfBudget;

impl Budget {
    fn spend(&mut self, steps: usize) -> Result<(), OutOfBudget> {
        self.0 = self.0.checked_sub(steps as u64).ok_or(OutOfBudget)?;
        Ok(())
    }
}

/// A way through the day with the least inexactness among those with its last balance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path {
    /// Printed balance after the last line.
    pub end: i128,
    /// `Σ |previous balance + amount − printed balance|`.
    pub cost: u128,
    /// Indices of the lines, in order.
    pub order: Vec<usize>,
}

/// Steps charged for keeping one state of the exhaustive search.
const STATE_STEPS: usize = 64;

/// For each balance at which the day can end, the least inexact path; by ascending end. Empty
/// when no order explains the day. `lines` is not empty.
pub(super) fn paths(
    start: i128,
    lines: &[Line],
    tolerance: u128,
    budget: &mut Budget,
) -> Result<Vec<Path>, OutOfBudget> {
    budget.spend(lines.len())?;
    if let [line] = lines {
        let cost = start.abs_diff(line.before);
        let path = Path {
            end: line.after,
            cost,
            order: vec![0],
        };
        return Ok(if cost <= tolerance {
            vec![path]
        } else {
            vec![]
        });
    }
    let mut found: BTreeMap<i128, Path> = BTreeMap::new();
    // Ends whose path costs no more than the sorted pairing: nothing left to gain there.
    let mut settled = BTreeSet::new();
    for last in possible_last(start, lines, tolerance, budget)? {
        let end = lines[last].after;
        if settled.contains(&end) {
            continue;
        }
        match solve(start, lines, last, tolerance, budget)? {
            Solved::Refuted => {}
            Solved::Open => return exhaustive(start, lines, tolerance, budget),
            Solved::Path { path, pairing_cost } => {
                if path.cost == pairing_cost {
                    settled.insert(end);
                }
                if found.get(&end).is_none_or(|known| path.cost < known.cost) {
                    found.insert(end, path);
                }
            }
        }
    }
    Ok(found.into_values().collect())
}

fn sort_steps(n: usize) -> usize {
    n * (n.ilog2() as usize + 1)
}

/// Lines that the sorted pairing admits as the last of the day, one of each kind.
fn possible_last(
    start: i128,
    lines: &[Line],
    tolerance: u128,
    budget: &mut Budget,
) -> Result<Vec<usize>, OutOfBudget> {
    let n = lines.len();
    budget.spend(3 * sort_steps(n))?;
    let mut ins: Vec<i128> = lines.iter().map(|line| line.before).collect();
    ins.sort_unstable();
    let mut outs: Vec<i128> = lines.iter().map(|line| line.after).collect();
    outs.push(start);
    outs.sort_unstable();
    let fits = |out: usize, at: usize| outs[out].abs_diff(ins[at]) <= tolerance;
    // With out-point r taken away, those below it pair with the same rank, those above with
    // one less.
    let below = (0..n).take_while(|&at| fits(at, at)).count();
    let above = (0..n).rev().take_while(|&at| fits(at + 1, at)).count();
    let mut by_kind: Vec<usize> = (0..n).collect();
    by_kind.sort_by_key(|&index| (lines[index], index));
    by_kind.dedup_by_key(|&mut index| lines[index]);
    by_kind.retain(|&index| {
        let rank = outs.partition_point(|&out| out < lines[index].after);
        rank <= below && n - rank <= above
    });
    Ok(by_kind)
}

/// Out-points of a tour in which the day's opening follows `last`.
fn tour_outs(start: i128, lines: &[Line], last: usize) -> Vec<i128> {
    let mut outs: Vec<i128> = lines.iter().map(|line| line.after).collect();
    outs[last] = start;
    outs
}

enum Solved {
    Refuted,
    Open,
    /// `pairing_cost` is what no path with the same end can beat.
    Path {
        path: Path,
        pairing_cost: u128,
    },
}

/// Gilmore and Gomory's tour: the least inexact path from `start` that ends with line `last`.
fn solve(
    start: i128,
    lines: &[Line],
    last: usize,
    tolerance: u128,
    budget: &mut Budget,
) -> Result<Solved, OutOfBudget> {
    let n = lines.len();
    budget.spend(4 * sort_steps(n))?;
    let outs = tour_outs(start, lines, last);
    let mut by_out: Vec<usize> = (0..n).collect();
    by_out.sort_by_key(|&line| (outs[line], line));
    let mut by_in: Vec<usize> = (0..n).collect();
    by_in.sort_by_key(|&line| (lines[line].before, line));

    let out = |rank: usize| outs[by_out[rank]];
    let paired_in = |rank: usize| lines[by_in[rank]].before;
    let pairing_cost = (0..n).map(|rank| out(rank).abs_diff(paired_in(rank))).sum();
    // What exchanging the successors of neighbours in the sorted order adds (half of it).
    let gap = |rank: usize| {
        let low = out(rank).max(paired_in(rank));
        let high = out(rank + 1).min(paired_in(rank + 1));
        high.saturating_sub(low).max(0).unsigned_abs()
    };
    let mut exchanges: Vec<(u128, usize)> = (0..n - 1).map(|rank| (gap(rank), rank)).collect();
    exchanges.sort_unstable();

    let mut cycles = Cycles::new(n);
    for rank in 0..n {
        cycles.join(by_out[rank], by_in[rank]);
    }
    exchanges.retain(|&(_, rank)| cycles.join(by_out[rank], by_out[rank + 1]));
    if exchanges.last().is_some_and(|&(gap, _)| gap > tolerance) {
        return Ok(Solved::Refuted);
    }
    // The order matters for the cost to be the sum of the gaps: upward pairs from the top down,
    // then downward pairs from the bottom up.
    let mut ranks: Vec<usize> = exchanges.into_iter().map(|(_, rank)| rank).collect();
    ranks.sort_unstable();
    let (upward, downward): (Vec<usize>, Vec<usize>) = ranks
        .into_iter()
        .partition(|&rank| paired_in(rank) >= out(rank));
    let mut successor = by_in.clone();
    for rank in upward.into_iter().rev().chain(downward) {
        successor.swap(rank, rank + 1);
    }

    let mut next = vec![0; n];
    for (line, follower) in by_out.into_iter().zip(successor) {
        next[line] = follower;
    }
    let (mut order, mut cost, mut widest) = (Vec::with_capacity(n), 0, 0);
    let mut at = last;
    loop {
        let follower = next[at];
        let step = outs[at].abs_diff(lines[follower].before);
        cost += step;
        widest = step.max(widest);
        order.push(follower);
        at = follower;
        if at == last {
            break;
        }
    }
    debug_assert_eq!(order.len(), n, "joining all cycles gives one tour");
    if widest > tolerance {
        return Ok(Solved::Open);
    }
    let end = lines[last].after;
    let path = Path { end, cost, order };
    Ok(Solved::Path { path, pairing_cost })
}

/// Disjoint sets of lines that lie on one cycle.
struct Cycles(Vec<usize>);

impl Cycles {
    fn new(n: usize) -> Self {
        Self((0..n).collect())
    }

    fn root(&mut self, mut line: usize) -> usize {
        while self.0[line] != line {
            self.0[line] = self.0[self.0[line]];
            line = self.0[line];
        }
        line
    }

    /// Whether the two were apart.
    fn join(&mut self, left: usize, right: usize) -> bool {
        let (left, right) = (self.root(left), self.root(right));
        self.0[left] = right;
        left != right
    }
}

/// Which lines are placed (one bit each) and which was last.
type State = (Vec<u64>, usize);
/// States of one layer, with their least cost and the line before the last.
type Layer = BTreeMap<State, (u128, usize)>;

/// Tries every order, sharing work between orders that have placed the same lines and end with
/// the same one. Of equal lines only the first unplaced one is tried.
fn exhaustive(
    start: i128,
    lines: &[Line],
    tolerance: u128,
    budget: &mut Budget,
) -> Result<Vec<Path>, OutOfBudget> {
    let n = lines.len();
    // A line and the equal one that must come before it.
    let twin: Vec<Option<usize>> = (0..n)
        .map(|line| (0..line).rev().find(|&other| lines[other] == lines[line]))
        .collect();
    budget.spend(n * n)?;
    let placed = |set: &[u64], line: usize| set[line / 64] >> (line % 64) & 1 == 1;
    let none = vec![0u64; n.div_ceil(64)];
    let mut layers: Vec<Layer> = vec![Layer::from([((none, n), (0, n))])];
    for _ in 0..n {
        let mut layer = Layer::new();
        for ((set, last), (cost, _)) in layers.last().expect("the first layer is there") {
            budget.spend(n + STATE_STEPS)?;
            let from = lines.get(*last).map_or(start, |line| line.after);
            for (index, line) in lines.iter().enumerate() {
                let step = from.abs_diff(line.before);
                let waits = twin[index].is_some_and(|twin| !placed(set, twin));
                if step > tolerance || waits || placed(set, index) {
                    continue;
                }
                let mut set = set.clone();
                set[index / 64] |= 1 << (index % 64);
                let better = (cost + step, *last);
                layer
                    .entry((set, index))
                    .and_modify(|best| *best = better.min(*best))
                    .or_insert(better);
            }
        }
        layers.push(layer);
    }
    let mut found: BTreeMap<i128, Path> = BTreeMap::new();
    for ((set, last), (cost, _)) in &layers[n] {
        let end = lines[*last].after;
        if found.get(&end).is_none_or(|path| *cost < path.cost) {
            let order = trace(&layers, set.clone(), *last);
            let cost = *cost;
            found.insert(end, Path { end, cost, order });
        }
    }
    Ok(found.into_values().collect())
}

/// Walks back from a state of the last layer to the order that led there.
fn trace(layers: &[Layer], mut set: Vec<u64>, mut last: usize) -> Vec<usize> {
    let mut order = Vec::with_capacity(layers.len() - 1);
    for layer in layers[1..].iter().rev() {
        order.push(last);
        let (_, before) = layer[&(set.clone(), last)];
        set[last / 64] &= !(1 << (last % 64));
        last = before;
    }
    order.reverse();
    order
}

#[cfg(test)]
#[path = "day_tests.rs"]
mod tests;
