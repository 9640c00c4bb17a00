//! R4: one item is the sum of two to five items of the other side, at most 3 days away.

use super::item::{Item, Rule, Set, Side};
use super::state::{Proposal, State};
use super::{
    CANDIDATES_SHOWN, R2_DAYS, R4_CANDIDATES_MAX, R4_ITEMS_MAX, R4_RUN_STEPS_MAX, R4_STEPS_MAX,
};

/// What a search found.
#[derive(Debug, Default)]
struct Search {
    /// Sets of places in the candidates; more than one suffices to know that it is ambiguous,
    /// the others are counted.
    found: Vec<Vec<usize>>,
    count: u64,
    steps: u64,
    bounded: bool,
}

/// Runs the stage.
pub(super) fn by_sum(state: &mut State<'_>, lines: &[u32], entries: &[u32]) {
    let mut proposals: Vec<Proposal> = Vec::new();
    let mut steps_left = R4_RUN_STEPS_MAX;
    for (side, ones, others) in [(Side::Line, lines, entries), (Side::Entry, entries, lines)] {
        let ones = state.free(side, ones);
        let others = state.free(side.other(), others);
        let items = state.items(side.other());
        let mut low = 0;
        for one in ones {
            let item = &state.items(side)[one as usize];
            let day = |place: usize| items[others[place] as usize].day;
            while low < others.len() && day(low) < item.day.saturating_sub(R2_DAYS) {
                low += 1;
            }
            let near = others[low..].iter();
            let near = near.take_while(|index| {
                items[**index as usize].day <= item.day.saturating_add(R2_DAYS)
            });
            let near: Vec<u32> = near.copied().take(R4_CANDIDATES_MAX + 1).collect();
            if near.len() < 2 {
                continue;
            }
            if near.len() > R4_CANDIDATES_MAX || steps_left == 0 {
                state.bound(side, one);
                continue;
            }
            let search = search(item.amount, &near, items, R4_STEPS_MAX.min(steps_left));
            steps_left -= search.steps;
            let sets = search.found.iter().map(|places| {
                let mut many: Vec<u32> = places.iter().map(|place| near[*place]).collect();
                many.sort_unstable();
                Set::one_to_many(side, one, many)
            });
            let mut sets: Vec<Set> = sets.collect();
            match search.count {
                0 if search.bounded => state.bound(side, one),
                0 => {}
                1 if search.bounded => {
                    // A second solution may lie behind the bound.
                    state.bound(side, one);
                }
                1 => proposals.extend(sets.pop().map(Proposal::from)),
                count => state.rivals(side, one, sets, count),
            }
        }
    }
    state.take(Rule::R4, proposals);
}

/// All subsets of 2 to 5 candidates that sum to `target`, in the order of the candidates.
fn search(target: i128, near: &[u32], items: &[Item], steps_max: u64) -> Search {
    let amounts: Vec<i128> = near
        .iter()
        .map(|index| items[*index as usize].amount)
        .collect();
    let mut reach = Vec::with_capacity(amounts.len() + 1);
    // From each place on: the most and the least that five items can still add.
    for from in 0..=amounts.len() {
        let mut rest = amounts[from..].to_vec();
        rest.sort_unstable();
        let most: i128 = rest
            .iter()
            .rev()
            .take(R4_ITEMS_MAX)
            .filter(|a| **a > 0)
            .sum();
        let least: i128 = rest.iter().take(R4_ITEMS_MAX).filter(|a| **a < 0).sum();
        reach.push((least, most));
    }
    let mut search = Search::default();
    let mut chosen = Vec::with_capacity(R4_ITEMS_MAX);
    descend(
        target,
        0,
        &amounts,
        &reach,
        &mut chosen,
        &mut search,
        steps_max,
    );
    search
}

fn descend(
    left: i128,
    from: usize,
    amounts: &[i128],
    reach: &[(i128, i128)],
    chosen: &mut Vec<usize>,
    search: &mut Search,
    steps_max: u64,
) {
    for place in from..amounts.len() {
        let (least, most) = reach[place];
        if left < least || left > most {
            // Nothing from here on gets there; zero is within reach only as the empty sum.
            return;
        }
        if search.steps == steps_max {
            search.bounded = true;
            return;
        }
        search.steps += 1;
        let rest = left - amounts[place];
        chosen.push(place);
        if rest == 0 && chosen.len() >= 2 {
            search.count += 1;
            if search.found.len() < CANDIDATES_SHOWN {
                search.found.push(chosen.clone());
            }
        }
        if chosen.len() < R4_ITEMS_MAX {
            descend(rest, place + 1, amounts, reach, chosen, search, steps_max);
        }
        chosen.pop();
        if search.bounded {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(target: i128, amounts: &[i128], steps: u64) -> Search {
        let item = |amount: &i128| Item::new("x", 0, *amount, []);
        let items: Vec<Item> = amounts.iter().map(item).collect();
        let near: Vec<u32> = (0..items.len() as u32).collect();
        search(target, &near, &items, steps)
    }

    #[test]
    fn subsets_of_two_to_five_are_found() {
        assert_eq!(find(30, &[10, 20, 5], 1_000).found, [vec![0, 1]]);
        assert_eq!(
            find(15, &[1, 2, 3, 4, 5], 1_000).found,
            [vec![0, 1, 2, 3, 4]]
        );
        assert_eq!(
            find(21, &[1, 2, 3, 4, 5, 6], 1_000).count,
            0,
            "six are too many"
        );
        assert_eq!(find(10, &[10, 7], 1_000).count, 0, "one is not a sum");
        assert_eq!(find(90, &[100, -10, 40, 50], 1_000).count, 2);
        assert_eq!(find(0, &[5, -5, 7], 1_000).found, [vec![0, 1]]);
        assert_eq!(find(10, &[10, 5, -5], 1_000).found, [vec![0, 1, 2]]);
    }

    #[test]
    fn the_bound_ends_the_search() {
        let many: Vec<i128> = (0..40).map(|n| 1_000 + n * 7).collect();
        let search = find(5_013, &many, 50);
        assert!(search.bounded && search.steps == 50);
    }
}
