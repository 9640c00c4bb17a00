//! Precision and recall of explanations on injected, labelled faults (contract F1, INV-S15).

use florin_shadow::drift::explain::MAX_SHOWN;

use crate::drift_faults_world::{Chance, Fault, Score, labelled};

const SEED: u64 = 0x5eed_0001;
const BOOKS_PER_FAULT: u32 = 400;

/// INV-S15 and F1: unique `record` explanations are right in at least 99 %, and every cited sum
/// is exactly the difference.
#[test]
fn unique_record_explanations_are_right() {
    println!("seed {SEED:#x}");
    let mut chance = Chance(SEED);
    let mut all = Score::default();
    for fault in Fault::ALL {
        let mut score = Score::default();
        for _ in 0..BOOKS_PER_FAULT {
            let count = 20 + chance.below(300);
            let case = labelled(&mut chance, fault, count);
            let found = case.explain();
            for solution in found.solution.iter().chain(&found.others) {
                let sum: i128 = solution.terms.iter().sum();
                assert_eq!(sum, case.difference(), "INV-S15 {fault:?}");
                let remedy = solution.remedy.amount();
                assert!(remedy.is_none_or(|amount| amount == case.difference()));
            }
            assert!(found.others.len() <= MAX_SHOWN);
            score.count(&case, &found);
        }
        println!("{fault:?}: {score:?}");
        if matches!(fault, Fault::DroppedWithLine | Fault::WrongAmount) {
            assert!(
                score.record_right * 10 > score.books * 6,
                "recall of {fault:?}"
            );
        }
        all.record_right += score.record_right;
        all.record_wrong += score.record_wrong;
    }
    let unique = all.record_right + all.record_wrong;
    assert!(unique > BOOKS_PER_FAULT, "too few to judge: {all:?}");
    assert!(
        all.record_right * 100 >= unique * 99,
        "{} of {unique} unique record explanations are right",
        all.record_right
    );
}

/// The same records give the same explanation, whatever was asked before.
#[test]
fn the_search_is_a_function_of_its_records() {
    for seed in 0..50 {
        let fault = Fault::ALL[seed as usize % Fault::ALL.len()];
        let one = labelled(&mut Chance(seed), fault, 60).explain();
        let two = labelled(&mut Chance(seed), fault, 60).explain();
        assert_eq!(one, two, "seed {seed}");
    }
}
