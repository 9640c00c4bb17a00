//! How many lines a second the readers of statements take, from memory, in process:
//! `cargo run --release -p florin-shadow --example statements [lines] [times] [format]`.

use std::collections::BTreeMap;
use std::time::Instant;

use florin_shadow::statements::csv::{Given, Profile};
use florin_shadow::statements::fault::StatementFault;
use florin_shadow::statements::input::Limits;
use florin_shadow::statements::model::{Format, Head, Line, Options, Sink, Tail};
use florin_shadow::statements::read::{Request, read};

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

/// Minor units of line `n`.
fn minor(n: u64) -> u64 {
    100 + (n * 7) % 1_000_003
}

fn total(lines: u64) -> u64 {
    (0..lines).map(minor).sum()
}

/// With all that a bank usually says about a payment, or with the least that makes a line.
fn camt(lines: u64, rich: bool) -> String {
    let balance = |code: &str, minor: u64| {
        format!(
            "<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy=\"BRL\">{}.{:02}</Amt>\
             <CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>2025-01-01</Dt></Dt></Bal>",
            minor / 100,
            minor % 100
        )
    };
    let mut text = "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:camt.053.001.08\">\
        <BkToCstmrStmt><Stmt><Id>S-1</Id><Acct><Id><Othr><Id>A1</Id></Othr></Id><Ccy>BRL</Ccy></Acct>"
        .to_owned();
    text.push_str(&balance("OPBD", 0));
    text.push_str(&balance("CLBD", total(lines)));
    for n in 0..lines {
        let minor = minor(n);
        let amount = format!("{}.{:02}", minor / 100, minor % 100);
        let details = match rich {
            true => format!(
                "<BkTxCd><Domn><Cd>PMNT</Cd><Fmly><Cd>RCDT</Cd><SubFmlyCd>ESCT</SubFmlyCd></Fmly></Domn></BkTxCd>\n\
                 <NtryDtls>\n<TxDtls>\n<Refs><EndToEndId>E2E-{n}</EndToEndId><TxId>T{n}</TxId></Refs>\n\
                 <Amt Ccy=\"BRL\">{amount}</Amt>\n<RltdPties><Dbtr><Pty><Nm>Ana &amp; Silva {n}</Nm></Pty></Dbtr>\n\
                 <DbtrAcct><Id><IBAN>DE89370400440532013000</IBAN></Id></DbtrAcct></RltdPties>\n\
                 <RmtInf><Ustrd>Invoice {n} of January</Ustrd></RmtInf>\n</TxDtls>\n</NtryDtls>"
            ),
            false => String::new(),
        };
        text.push_str(&format!(
            "<Ntry><Amt Ccy=\"BRL\">{amount}</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>\
             <BookgDt><Dt>2025-01-02</Dt></BookgDt><AcctSvcrRef>R{n}</AcctSvcrRef>{details}</Ntry>\n",
        ));
    }
    text + "</Stmt></BkToCstmrStmt></Document>"
}

fn mt940(lines: u64, rich: bool) -> String {
    let mut text = ":20:X\r\n:25:A1\r\n:28C:1/1\r\n:60F:C250101BRL0,00\r\n".to_owned();
    for n in 0..lines {
        let minor = minor(n);
        let about = match rich {
            true => format!(
                "166?00SEPA CREDIT?20EREF+E2E-{n}?21SVWZ+Invoice {n} of\r\n January?31DE89370400440532013000?32ANA\r\n?33 SILVA"
            ),
            false => format!("PAYMENT {n}"),
        };
        text.push_str(&format!(
            ":61:2501020102C{},{:02}NTRFR{n}//B{n}\r\n:86:{about}\r\n",
            minor / 100,
            minor % 100
        ));
    }
    let total = total(lines);
    text + &format!(":62F:C250102BRL{},{:02}\r\n-\r\n", total / 100, total % 100)
}

fn csv(lines: u64) -> String {
    let mut text = "date,amount,balance,reference,text\n".to_owned();
    let mut balance = 0;
    for n in 0..lines {
        let minor = minor(n);
        balance += minor;
        text.push_str(&format!(
            "2025-01-02,{}.{:02},{}.{:02},R{n},\"Payment {n}, January\"\n",
            minor / 100,
            minor % 100,
            balance / 100,
            balance % 100
        ));
    }
    text
}

fn bai2(lines: u64) -> String {
    let total = total(lines);
    let mut text =
        "01,BANK,CUST,250102,0600,1,80,,2/\n02,CUST,BANK,1,250102,2400,BRL,2/\n".to_owned();
    text.push_str(&format!("03,A1,BRL,010,0,,,015,{total},,/\n"));
    for n in 0..lines {
        text.push_str(&format!("16,195,{},Z,B{n},R{n},Payment {n}\n", minor(n)));
    }
    let (account, group, file) = (lines + 2, lines + 4, lines + 6);
    text + &format!(
        "49,{},{account}/\n98,{},1,{group}/\n99,{},1,{file}/\n",
        2 * total,
        2 * total,
        2 * total
    )
}

fn ofx(lines: u64) -> String {
    let mut text =
        "<?xml version=\"1.0\"?><?OFX OFXHEADER=\"200\" VERSION=\"211\"?><OFX><BANKMSGSRSV1>\
        <STMTTRNRS><STMTRS><CURDEF>BRL</CURDEF><BANKACCTFROM><BANKID>1</BANKID><ACCTID>A1</ACCTID>\
        <ACCTTYPE>CHECKING</ACCTTYPE></BANKACCTFROM><BANKTRANLIST><DTSTART>20250101</DTSTART>\
        <DTEND>20250131</DTEND>\n"
            .to_owned();
    for n in 0..lines {
        let minor = minor(n);
        text.push_str(&format!(
            "<STMTTRN><TRNTYPE>CREDIT</TRNTYPE><DTPOSTED>20250102</DTPOSTED><TRNAMT>{}.{:02}</TRNAMT>\
             <FITID>F{n}</FITID><NAME>Ana {n}</NAME><MEMO>Invoice {n}</MEMO></STMTTRN>\n",
            minor / 100,
            minor % 100
        ));
    }
    let total = total(lines);
    text + &format!(
        "</BANKTRANLIST><LEDGERBAL><BALAMT>{}.{:02}</BALAMT><DTASOF>20250131</DTASOF></LEDGERBAL>\
         </STMTRS></STMTTRNRS></BANKMSGSRSV1></OFX>",
        total / 100,
        total % 100
    )
}

const PROFILE: &str = r#"{"header":true,"datePattern":"YYYY-MM-DD","columns":{"date":"date",
    "amount":"amount","balance":"balance","bankRef":"reference","text":"text"}}"#;

fn main() {
    let mut args = std::env::args().skip(1);
    let lines: u64 = args.next().and_then(|n| n.parse().ok()).unwrap_or(300_000);
    let times: usize = args.next().and_then(|n| n.parse().ok()).unwrap_or(5);
    let only = args.next();
    let profile: Profile = serde_json::from_str(PROFILE).expect("a profile");
    profile.check().expect("a good profile");
    let scale_of = |code: &str| (code == "BRL").then_some(2);
    type Maker = Box<dyn Fn(u64) -> String>;
    let makers: [(&str, Format, Maker); 7] = [
        (
            "camt.053, least",
            Format::Camt053,
            Box::new(|n| camt(n, false)),
        ),
        (
            "camt.053, details",
            Format::Camt053,
            Box::new(|n| camt(n, true)),
        ),
        ("MT940, least", Format::Mt940, Box::new(|n| mt940(n, false))),
        (
            "MT940, details",
            Format::Mt940,
            Box::new(|n| mt940(n, true)),
        ),
        ("CSV with balances", Format::Csv, Box::new(csv)),
        ("BAI2", Format::Bai2, Box::new(bai2)),
        ("OFX 2", Format::Ofx, Box::new(ofx)),
    ];
    println!(
        "| format | bytes a line | lines/s, median of {times} | slowest |\n|---|---:|---:|---:|"
    );
    let mut rates: BTreeMap<&str, Vec<u128>> = BTreeMap::new();
    for (name, format, make) in &makers {
        if only.as_deref().is_some_and(|only| !name.contains(only)) {
            continue;
        }
        let file = make(lines);
        for _ in 0..times {
            let mut counter = Counter::default();
            let request = Request {
                format: Some(*format),
                csv: Some(Given {
                    profile: &profile,
                    account: "A1",
                    default_currency: "BRL",
                    opening: None,
                    closing: None,
                }),
                csv_account_missing: false,
                limits: Limits::default(),
                options: Options {
                    lenient: false,
                    scale_of: &scale_of,
                },
            };
            let began = Instant::now();
            let done = read(file.as_bytes(), &request, &mut counter, &mut |_| {});
            let took = began.elapsed().as_micros().max(1);
            done.unwrap_or_else(|fault| panic!("{name}: {fault:?}"));
            assert_eq!(
                (counter.lines, counter.sum),
                (lines, i128::from(total(lines))),
                "{name}"
            );
            rates
                .entry(name)
                .or_default()
                .push(u128::from(lines) * 1_000_000 / took);
        }
        let rates = rates.get_mut(name).expect("just filled");
        rates.sort_unstable();
        println!(
            "| {name} | {} | {} | {} |",
            file.len() as u64 / lines,
            rates[times / 2],
            rates[0]
        );
    }
}
