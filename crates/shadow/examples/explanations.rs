//! Precision and recall of explanations on injected, labelled faults, as a table:
//! `cargo run --release -p florin-shadow --example explanations [books per fault] [seed]`.

#[path = "../tests/it/drift_faults_world.rs"]
#[allow(dead_code, reason = "the tests use all of it")]
mod drift_faults_world;

use drift_faults_world::{Chance, Fault, Score, labelled};

/// Tenths of a percent as text, in whole numbers.
fn percent(part: u32, whole: u32) -> String {
    let tenths = (part * 1_000 + whole / 2).checked_div(whole);
    match tenths {
        Some(tenths) => format!("{}.{} %", tenths / 10, tenths % 10),
        None => "–".to_owned(),
    }
}

fn main() {
    let mut args = std::env::args().skip(1);
    let books: u32 = args.next().and_then(|n| n.parse().ok()).unwrap_or(2_000);
    let seed: u64 = args.next().and_then(|n| n.parse().ok()).unwrap_or(1);
    println!("{books} books per fault, 20 to 319 payments each, seed {seed}\n");
    println!(
        "| fault | unique by record: right | wrong | unique by arithmetic: right | wrong \
         | right one among rivals | rivals without it | left to people | precision by record | recall by record |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
    let mut chance = Chance(seed);
    let (mut right, mut unique) = (0, 0);
    for fault in Fault::ALL {
        let mut score = Score::default();
        for _ in 0..books {
            let count = 20 + chance.below(300);
            let case = labelled(&mut chance, fault, count);
            score.count(&case, &case.explain());
        }
        right += score.record_right;
        unique += score.record_right + score.record_wrong;
        println!(
            "| {fault:?} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            score.record_right,
            score.record_wrong,
            score.pattern_right,
            score.pattern_wrong,
            score.among_rivals,
            score.rivals_without,
            score.left_to_people,
            percent(score.record_right, score.record_right + score.record_wrong),
            percent(score.record_right, score.books),
        );
    }
    println!(
        "\nUnique explanations by record that are right: {right} of {unique} ({}).",
        percent(right, unique)
    );
}
