//! Statements: the readers in process, the import over HTTP, and matching.

use std::time::{Duration, Instant};

use anyhow::bail;
use florin_shadow::statements::csv::{Given, Profile};
use florin_shadow::statements::fault::StatementFault;
use florin_shadow::statements::input::Limits;
use florin_shadow::statements::model::{Head, Line, Options, Sink, Tail};
use florin_shadow::statements::read::{Request, read};

use super::intake::BASE;
use super::place::Place;
use super::{Row, Shadow, intake, mib, number, rate};

const IMPORT: &str = "/api/v1/shadow/statements?autoMatch=false&accountId=";
/// Milliseconds of a day.
const DAY: u64 = 86_400_000;
/// Days that lines spread over.
const DAYS: u64 = 28;
/// Readings of a file, of which the median counts.
const READINGS: usize = 5;

/// Counts lines and adds their amounts up.
#[derive(Default)]
struct Counter {
    lines: u64,
    sum: i128,
}

impl Sink for Counter {
    fn open(&mut self, _head: Head) -> Result<(), StatementFault> {
        Ok(())
    }
    fn line(&mut self, line: Line) -> Result<(), StatementFault> {
        self.lines += 1;
        self.sum += line.amount;
        Ok(())
    }
    fn fault(&mut self, fault: StatementFault) -> Result<(), StatementFault> {
        Err(fault)
    }
    fn close(&mut self, _tail: Tail) -> Result<(), StatementFault> {
        Ok(())
    }
}

/// Minor units of line `n`; no two neighbours are equal.
fn minor(n: u64) -> u64 {
    100 + (n * 7) % 1_000_003
}

fn total(lines: u64) -> u64 {
    (0..lines).map(minor).sum()
}

fn day(n: u64, lines: u64) -> u64 {
    1 + n * DAYS / lines
}

/// A camt.053.001.08 with this many booked lines, from zero.
fn camt(lines: u64) -> Vec<u8> {
    let balance = |code: &str, minor: u64, day: u64| {
        format!(
            "<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy=\"BRL\">{}.{:02}</Amt>\
             <CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>2025-01-{day:02}</Dt></Dt></Bal>",
            minor / 100,
            minor % 100
        )
    };
    let mut text = String::with_capacity(usize::try_from(lines * 200).unwrap_or(0));
    text.push_str(
        "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:camt.053.001.08\"><BkToCstmrStmt><Stmt>\
         <Id>BENCH-1</Id><Acct><Id><Othr><Id>BENCH</Id></Othr></Id><Ccy>BRL</Ccy></Acct>",
    );
    text.push_str(&balance("OPBD", 0, 1));
    text.push_str(&balance("CLBD", total(lines), DAYS));
    for n in 0..lines {
        let (minor, day) = (minor(n), day(n, lines));
        text.push_str(&format!(
            "<Ntry><Amt Ccy=\"BRL\">{}.{:02}</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>\
             <BookgDt><Dt>2025-01-{day:02}</Dt></BookgDt><AcctSvcrRef>R{n}</AcctSvcrRef></Ntry>\n",
            minor / 100,
            minor % 100
        ));
    }
    text.push_str("</Stmt></BkToCstmrStmt></Document>");
    text.into_bytes()
}

/// An MT940 with this many lines, from zero.
fn mt940(lines: u64) -> Vec<u8> {
    let mut text = String::with_capacity(usize::try_from(lines * 64).unwrap_or(0));
    text.push_str(":20:BENCH\r\n:25:BENCH940\r\n:28C:1/1\r\n:60F:C250101BRL0,00\r\n");
    for n in 0..lines {
        let (minor, day) = (minor(n), day(n, lines));
        text.push_str(&format!(
            ":61:2501{day:02}01{day:02}C{},{:02}NTRFR{n}//B{n}\r\n:86:PAYMENT {n}\r\n",
            minor / 100,
            minor % 100
        ));
    }
    let total = total(lines);
    text.push_str(&format!(
        ":62F:C2501{DAYS}BRL{},{:02}\r\n-\r\n",
        total / 100,
        total % 100
    ));
    text.into_bytes()
}

/// A CSV with a running balance and this many rows, from zero.
fn csv(lines: u64) -> Vec<u8> {
    let mut text = String::with_capacity(usize::try_from(lines * 72).unwrap_or(0));
    text.push_str("date,amount,balance,reference,text\n");
    let mut balance = 0;
    for n in 0..lines {
        let (minor, day) = (minor(n), day(n, lines));
        balance += minor;
        text.push_str(&format!(
            "2025-01-{day:02},{}.{:02},{}.{:02},R{n},\"Payment {n}, January\"\n",
            minor / 100,
            minor % 100,
            balance / 100,
            balance % 100
        ));
    }
    text.into_bytes()
}

/// The columns of [`csv`].
fn profile() -> anyhow::Result<Profile> {
    Ok(serde_json::from_value(serde_json::json!({
        "columns": {"date": "date", "amount": "amount", "balance": "balance",
            "bankRef": "reference", "text": "text"}
    }))?)
}

/// The median of so many readings of a file.
fn parse(file: &[u8], lines: u64) -> anyhow::Result<Duration> {
    let mut times = Vec::with_capacity(READINGS);
    for _ in 0..READINGS {
        times.push(parse_once(file, lines)?);
    }
    times.sort_unstable();
    Ok(times[READINGS / 2])
}

fn parse_once(file: &[u8], lines: u64) -> anyhow::Result<Duration> {
    let scale = |code: &str| (code == "BRL").then_some(2);
    let profile = profile()?;
    let request = Request {
        format: None,
        csv: Some(Given {
            profile: &profile,
            account: "BENCH",
            default_currency: "BRL",
            opening: None,
            closing: None,
        }),
        csv_account_missing: false,
        limits: Limits::default(),
        options: Options {
            lenient: false,
            scale_of: &scale,
        },
    };
    let mut counter = Counter::default();
    let begun = Instant::now();
    read(file, &request, &mut counter, &mut |_| {})
        .map_err(|fault| anyhow::anyhow!("the file is not read: {fault:?}"))?;
    let took = begun.elapsed();
    let expected = (lines, i128::from(total(lines)));
    match (counter.lines, counter.sum) == expected {
        true => Ok(took),
        false => bail!(
            "read {} lines of {lines}, sum {}",
            counter.lines,
            counter.sum
        ),
    }
}

/// Makes a statement of so many lines.
type Maker = fn(u64) -> Vec<u8>;

/// Readers, import, matching.
pub fn measure(shadow: &Shadow, rows: &mut Vec<Row>) -> anyhow::Result<()> {
    let place = Place::start(&shadow.dir, "statements", &[])?;
    let lines = shadow.lines;
    let reading = |name: &str, file: &[u8]| -> anyhow::Result<Row> {
        let took = parse(file, lines)?;
        Ok(Row::new(
            format!(
                "reading {name}, {} lines ({})",
                number(lines),
                mib(file.len() as u64)
            ),
            format!("{} lines/s", rate(lines, took)),
            "≥ 200,000 lines/s",
        ))
    };
    rows.push(reading("CSV", &csv(lines))?);
    let formats: [(&str, Maker); 2] = [("camt.053", camt), ("MT940", mt940)];
    for (name, make) in formats {
        let file = make(lines);
        rows.push(reading(name, &file)?);
        let before = place.mark_memory()?;
        let mut operator = place.operator()?;
        let path = format!("{IMPORT}{}", name.replace('.', "-"));
        let (answer, took) = operator.must(&path, "application/octet-stream", &file, 201)?;
        let growth = place.peak_memory()?.saturating_sub(before);
        let stored = &answer["statements"][0];
        if stored["lines"].as_u64() != Some(lines) || stored["proven"] != true {
            bail!("{lines} lines were sent, stored: {stored}");
        }
        rows.push(Row::new(
            format!("importing {name}, {} lines, over HTTP", number(lines)),
            format!("{:.1} s, memory + {}", took.as_secs_f64(), mib(growth)),
            "≤ 30 s, memory + ≤ 128 MiB",
        ));
    }
    matching(shadow.matches, &place, rows)?;
    place.stop()
}

/// As many entries as lines: every second one has the line's reference, the others its amount.
fn matching(count: u64, place: &Place, rows: &mut Vec<Row>) -> anyhow::Result<()> {
    let write = |n: u64, body: &mut Vec<u8>| {
        let at = BASE + (day(n, count) - 1) * DAY + n % DAY;
        let reference = match n % 2 {
            0 => format!(",\"reference\":\"R{n}\""),
            _ => String::new(),
        };
        let minor = minor(n);
        let event = format!(
            "{{\"eventId\":\"m-{n}\",\"accountId\":\"MATCH\",\"type\":\"credit\",\
             \"amount\":{}.{:02},\"timestamp\":{at}{reference}}}",
            minor / 100,
            minor % 100
        );
        body.extend_from_slice(event.as_bytes());
    };
    intake::fill(place, count, 10_000, &write)?;
    let mut operator = place.operator()?;
    let file = camt(count);
    let file = String::from_utf8(file)?.replacen("BENCH-1", "BENCH-M", 1);
    let file = file.replacen("<Othr><Id>BENCH<", "<Othr><Id>BENCHM<", 1);
    let path = format!("{IMPORT}MATCH");
    operator.must(&path, "application/octet-stream", file.as_bytes(), 201)?;
    let body = br#"{"accountId":"MATCH","from":"2025-01-01","to":"2025-02-01"}"#;
    let path = "/api/v1/shadow/reconciliations?wait=60";
    let (run, took) = operator.must(path, "application/json", body, 201)?;
    if run["state"] != "done" || run["bridge"]["holds"] != true {
        bail!("the reconciliation did not end well: {run}");
    }
    let matches = run["matches"].as_u64().unwrap_or(0);
    if matches != count {
        bail!("{count} matches were to be found: {run}");
    }
    rows.push(Row::new(
        format!("matching {} lines with as many entries", number(count)),
        format!("{:.1} s, {} matches", took.as_secs_f64(), number(matches)),
        "≤ 60 s",
    ));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_read_and_add_up() {
        for file in [camt(500), mt940(500), csv(500)] {
            parse(&file, 500).expect("good files");
            assert!(parse(&file, 499).is_err(), "the count is compared");
        }
    }
}
