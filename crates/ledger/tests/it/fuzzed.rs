//! The entries of the fuzz targets on seeded random input: good input with bytes changed, cut,
//! doubled and crossed. `FLORIN_SEED` and `FLORIN_CASES` widen it.

use florin_ledger::{Policy, model::WalletType};

use super::support::{Bank, Random, setting};

#[path = "../../../../fuzz/src/entries.rs"]
mod entries;

/// Words that readers know, thrown in at random.
const WORDS: [&str; 24] = [
    "\"",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\\u0000",
    "\\ud800",
    "null",
    "true",
    "-1",
    "1e9",
    "0",
    "340282366920938463463374607431768211456",
    "9223372036854775808",
    "\"linked\":true",
    "\"mode\":\"post\"",
    "\n",
    "\r\n",
    ";",
    "\"\"",
    "é",
    "2026-02-30T25:61:61.9999999Z",
];

fn mutate(input: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    for _ in 0..1 + random.below(6) {
        let at = random.below(input.len() + 1);
        match random.below(9) {
            0 if at < input.len() => input[at] ^= 1 << random.below(8),
            1 if at < input.len() => input[at] = random.word() as u8,
            2 => input.truncate(at),
            3 => drop(input.splice(at..at, WORDS[random.below(WORDS.len())].bytes())),
            4 if at < input.len() => {
                let end = (at + 1 + random.below(16)).min(input.len());
                drop(input.drain(at..end));
            }
            5 if at < input.len() => {
                let end = (at + random.below(40)).min(input.len());
                let copy = input[at..end].to_vec();
                let to = random.below(input.len());
                drop(input.splice(to..to, copy));
            }
            6 if !other.is_empty() => {
                let from = random.below(other.len());
                let end = (from + random.below(60)).min(other.len());
                drop(input.splice(at..at, other[from..end].iter().copied()));
            }
            7 if at + 8 <= input.len() => {
                let edges = [0, 1, u64::MAX, u64::MAX >> 1, 1 << 32, u64::from(u32::MAX)];
                let edge = edges[random.below(edges.len())];
                let width = 1 << random.below(4);
                input[at..at + width].copy_from_slice(&edge.to_le_bytes()[..width]);
            }
            _ => input.push(random.word() as u8),
        }
    }
}

fn run(name: &str, seeds: &[Vec<u8>], cases: u64, entry: fn(&[u8])) {
    let seed = setting("FLORIN_SEED", 1);
    eprintln!("{name}: FLORIN_SEED={seed}");
    let mut random = Random(seed);
    seeds.iter().for_each(|input| entry(input));
    for _ in 0..setting("FLORIN_CASES", cases) {
        let mut input = random.pick(seeds).clone();
        let other = random.pick(seeds).clone();
        mutate(&mut input, &other, &mut random);
        entry(&input);
    }
}

/// The bytes of a real journal.
fn segments() -> Vec<Vec<u8>> {
    let dir = tempfile::tempdir().expect("a directory");
    let bank = Bank::open_with(dir.path(), Policy::default(), |o| {
        o.segment_bytes = 32 << 10
    });
    let ana = bank.wallet("ana", "BRL");
    for n in 0..60 {
        let op = [
            WalletType::Deposit,
            WalletType::Withdrawal,
            WalletType::Hold,
        ][n % 3];
        bank.run(bank.movement(op, ana, "1.00", &format!("m{n}")));
        bank.run(bank.movement(WalletType::Withdrawal, ana, "100.00", &format!("w{n}")));
    }
    drop(bank);
    let files = std::fs::read_dir(dir.path().join("journal")).expect("the journal");
    let read = files.map(|f| std::fs::read(f.expect("an entry").path()).expect("readable"));
    let mut segments: Vec<_> = read.filter(|bytes| bytes.len() == 32 << 10).collect();
    segments.sort();
    segments
}

#[test]
fn the_journal_reader_takes_any_bytes() {
    run("journal", &segments(), 4_000, entries::journal);
}

#[test]
fn the_commit_reader_takes_any_bytes() {
    let mut payloads = Vec::new();
    for segment in segments() {
        let parsed = florin_ledger::journal::parse_frames(&segment).expect("a segment");
        for frame in &parsed.frames {
            payloads.push(segment[frame.payload.clone()].to_vec());
        }
    }
    assert!(payloads.len() > 100, "{}", payloads.len());
    // The largest first number there is.
    let mut largest = payloads[0].clone();
    largest[9..17].fill(0xFF);
    payloads.push(largest);
    run("record", &payloads, 100_000, entries::record);
}

#[test]
fn transfer_bodies_take_any_bytes() {
    let single = r#"{"id":"a","debitAccountId":"florin:external:BRL","creditAccountId":"c","amountMinor":"12","asset":"BRL","code":"t","effectiveAt":"2026-01-15T12:00:00Z","description":"é\n","metadata":{"k":"v"},"linked":true}"#;
    let pending = r#"{"id":"p","mode":"pending","debitAccountId":"a","creditAccountId":"b","amountMinor":"340282366920938463463374607431768211455","asset":"BTC","code":"t","timeoutSeconds":31622400}"#;
    let post = r#"{"id":"q","mode":"post","pendingId":"p:exp","amountMinor":"5"}"#;
    let all = format!("[{single},{pending},{post}]");
    let seeds = [single, pending, post, &all].map(|text| text.as_bytes().to_vec());
    run("body", &seeds, 60_000, entries::body);
}

#[test]
fn csv_files_take_any_bytes() {
    let file = "id,acct,day,amount,bal\n1,a,2020-01-01,10.00,10.00\n2,a,2020-01-01,-2.50,7.50\n\"3\",\"b \"\"x\"\"\",2020-01-02,0.01,0.01\r\n";
    let profile = "asset = \"EUR\"\nscale = 2\ntransfer_id = \"{id}\"\naccount = \"{acct}\"\n[date]\ncolumn = \"day\"\n[amount]\ncolumn = \"amount\"\n";
    let both = [profile.as_bytes(), b"\0", file.as_bytes()].concat();
    run(
        "csv",
        &[file.as_bytes().to_vec(), both],
        30_000,
        entries::csv,
    );
}

#[test]
fn import_lines_take_any_bytes() {
    let lines = [
        r#"{"type":"asset","code":"XAU","scale":3,"kind":"other"}"#,
        r#"{"type":"account","id":"a","asset":"BRL","kind":"liability","mayOverdraw":true,"floorMinor":"-5"}"#,
        r#"{"type":"transfer","id":"t","debitAccountId":"a","creditAccountId":"b","amountMinor":"1","asset":"BRL","code":"t","effectiveAt":"2020-01-01T00:00:00Z"}"#,
        r#"{"batch":1,"data":{"code":"BRL","kind":"fiat","scale":2},"recordedAt":"2026-01-01T00:00:00.000000Z","seq":1,"type":"asset.created","v":1}"#,
        r#"{"batch":2,"data":{"effectiveAt":"2026-01-01T00:00:00.000000Z","id":"p:exp","pendingId":"p"},"recordedAt":"2026-01-01T00:00:00.000000Z","seq":9,"type":"transfer.expired","v":1}"#,
    ];
    let seeds = lines.map(|text| text.as_bytes().to_vec());
    run("line", &seeds, 40_000, entries::line);
}
