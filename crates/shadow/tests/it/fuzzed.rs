//! The entries of the fuzz targets on seeded random input: the fixtures with bytes changed, cut,
//! doubled and crossed. `FLORIN_SEED` and `FLORIN_CASES` widen it.

use crate::statements::fixture;

#[path = "../../../../fuzz/src/statements.rs"]
mod entries;

/// Words that readers know, thrown in at random.
const WORDS: [&str; 30] = [
    "<",
    ">",
    "</",
    "/>",
    "&amp;",
    "&#x0;",
    "&x;",
    "<![CDATA[",
    "]]>",
    "<!--",
    "<!DOCTYPE a>",
    ":61:",
    ":86:",
    ":62F:C250131EUR0,",
    "\r\n-}",
    "{4:",
    "{1:F01}",
    ":20:",
    "88,",
    "49,0,1/",
    "16,165,1,",
    "/",
    ",",
    "<STMTTRN>",
    "</STMTRS>",
    "<LEDGERBAL>",
    "340282366920938463463374607431768211456",
    "-",
    "\u{e9}",
    "20250231",
];

struct Random(u64);

impl Random {
    fn word(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 31
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.word() % bound.max(1) as u64) as usize
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

fn mutate(input: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    for _ in 0..1 + random.below(5) {
        let at = random.below(input.len() + 1);
        match random.below(8) {
            0 if at < input.len() => input[at] ^= 1 << random.below(8),
            1 if at < input.len() => input[at] = random.word() as u8,
            2 => input.truncate(at),
            3 => drop(input.splice(at..at, WORDS[random.below(WORDS.len())].bytes())),
            4 if at < input.len() => {
                let end = (at + 1 + random.below(40)).min(input.len());
                drop(input.drain(at..end));
            }
            5 if at < input.len() => {
                let end = (at + random.below(200)).min(input.len());
                let copy = input[at..end].to_vec();
                let to = random.below(input.len());
                drop(input.splice(to..to, copy));
            }
            6 if !other.is_empty() => {
                let from = random.below(other.len());
                let end = (from + random.below(120)).min(other.len());
                drop(input.splice(at..at, other[from..end].iter().copied()));
            }
            _ => input.push(random.word() as u8),
        }
    }
}

fn run(name: &str, files: &[&str], cases: u64, entry: fn(&[u8])) {
    let seed = setting("FLORIN_SEED", 1);
    eprintln!("{name}: FLORIN_SEED={seed}");
    let seeds: Vec<Vec<u8>> = files.iter().map(|file| fixture(file)).collect();
    seeds.iter().for_each(|input| entry(input));
    let mut random = Random(seed);
    for _ in 0..setting("FLORIN_CASES", cases) {
        let mut input = seeds[random.below(seeds.len())].clone();
        let other = seeds[random.below(seeds.len())].clone();
        mutate(&mut input, &other, &mut random);
        entry(&input);
    }
}

#[test]
fn camt_takes_any_bytes() {
    let files = [
        "camt053_v08.xml",
        "camt053_v02_pages.xml",
        "camt053_bomb.xml",
    ];
    run("camt", &files, 3_000, entries::camt);
}

#[test]
fn mt940_takes_any_bytes() {
    run(
        "mt940",
        &["mt940_envelope.sta", "mt940_pages.sta"],
        8_000,
        entries::mt940,
    );
}

#[test]
fn csv_takes_any_bytes() {
    run("csv", &["bank_de.csv"], 8_000, entries::statement_csv);
}

#[test]
fn bai2_takes_any_bytes() {
    run("bai2", &["statement.bai"], 8_000, entries::bai2);
}

#[test]
fn ofx_takes_any_bytes() {
    run(
        "ofx",
        &["statement_v1.ofx", "statement_v2.ofx"],
        6_000,
        entries::ofx,
    );
}

#[test]
fn detection_takes_any_bytes() {
    let files = [
        "camt053_v02_pages.xml",
        "mt940_pages.sta",
        "statement.bai",
        "statement_v1.ofx",
        "bank_de.csv",
    ];
    run("any", &files, 4_000, entries::any);
}
