//! The requests of a measurement, and what each must have changed.

use std::collections::BTreeMap;

use clap::ValueEnum;

use super::client::Target;
use super::names::{ASSET, put_account, put_padded, put_wallet};
use super::pick::{Picker, Spread};
use super::wire;

/// What is asked of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Default)]
pub enum Shape {
    /// `POST /api/v1/wallets/{id}/transfer`, one transfer a call.
    #[default]
    Wallet,
    /// `POST /api/v1/ledger/transfers`, one transfer a call, or `--batch` of them.
    Ledger,
}

/// The same in full.
#[derive(Debug, Clone, Copy)]
pub struct Work {
    /// Route.
    pub shape: Shape,
    /// Transfers of one ledger call.
    pub batch: u32,
    /// Of a hundred requests so many read a balance instead.
    pub reads_per_cent: u32,
    /// Choice of accounts.
    pub spread: Spread,
    /// Number of accounts.
    pub accounts: u64,
}

/// A movement that a request asks for.
#[derive(Debug, Clone, Copy)]
pub struct Movement {
    from: u32,
    to: u32,
    minor: u32,
}

/// A request made: its bytes and its effect.
#[derive(Debug, Default, Clone)]
pub struct Request {
    /// As sent.
    pub bytes: Vec<u8>,
    /// What it moves; empty for a read.
    pub moves: Vec<Movement>,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// All of it was done.
    Done,
    /// Refused for good, with the code.
    Refused(String),
    /// Perhaps done: to be sent again.
    Unknown(String),
}

/// Makes requests.
#[derive(Debug)]
pub struct Maker {
    work: Work,
    picker: Picker,
    tag: String,
    made: u64,
    /// Everything of a head after the path and before the body's length.
    head: Vec<u8>,
    body: Vec<u8>,
}

impl Maker {
    /// `tag` (no longer than 20 characters) makes the ids of this run its own.
    pub fn new(work: Work, target: &Target, tag: &str, seed: u64) -> Self {
        let head = wire::request("", "", &target.host, &target.key, "application/json");
        Self {
            work,
            picker: Picker::new(work.spread, work.accounts, seed),
            tag: tag.to_owned(),
            made: 0,
            head: head[2..].to_vec(),
            body: Vec::new(),
        }
    }

    /// Generator for the times of arrival.
    pub fn random_unit(&mut self) -> f64 {
        self.picker.random().unit()
    }

    /// Makes the next request in place.
    pub fn make(&mut self, request: &mut Request) {
        request.bytes.clear();
        request.moves.clear();
        let reads = u64::from(self.work.reads_per_cent);
        if reads > 0 && self.picker.random().below(100) < reads {
            return self.read(&mut request.bytes);
        }
        self.body.clear();
        let path = &mut request.bytes;
        path.extend_from_slice(b"POST ");
        match self.work.shape {
            Shape::Wallet => {
                let movement = self.movement();
                path.extend_from_slice(b"/api/v1/wallets/");
                put_wallet(u64::from(movement.from), path);
                path.extend_from_slice(b"/transfer");
                self.wallet_body(movement);
                request.moves.push(movement);
            }
            Shape::Ledger => {
                path.extend_from_slice(b"/api/v1/ledger/transfers");
                self.ledger_body(&mut request.moves);
            }
        }
        let bytes = &mut request.bytes;
        bytes.extend_from_slice(b" ");
        bytes.extend_from_slice(&self.head);
        bytes.extend_from_slice(format!("content-length: {}\r\n\r\n", self.body.len()).as_bytes());
        bytes.extend_from_slice(&self.body);
    }

    fn movement(&mut self) -> Movement {
        let (from, to) = self.picker.pair();
        Movement {
            from: from as u32,
            to: to as u32,
            minor: 1 + self.picker.random().below(99) as u32,
        }
    }

    fn read(&mut self, bytes: &mut Vec<u8>) {
        let account = self.picker.one();
        bytes.extend_from_slice(b"GET ");
        match self.work.shape {
            Shape::Wallet => {
                bytes.extend_from_slice(b"/api/v1/wallets/");
                put_wallet(account, bytes);
            }
            Shape::Ledger => {
                bytes.extend_from_slice(b"/api/v1/ledger/accounts/");
                put_account(account, bytes);
            }
        }
        bytes.extend_from_slice(b"/balance ");
        bytes.extend_from_slice(&self.head);
        bytes.extend_from_slice(b"\r\n");
    }

    fn wallet_body(&mut self, movement: Movement) {
        let body = &mut self.body;
        body.extend_from_slice(b"{\"amount\":\"0.");
        put_padded(u64::from(movement.minor), 2, body);
        body.extend_from_slice(b"\",\"toWalletId\":\"");
        put_wallet(u64::from(movement.to), body);
        body.extend_from_slice(b"\",\"referenceId\":\"");
        self.put_id();
        self.body.extend_from_slice(b"\"}");
    }

    fn ledger_body(&mut self, moves: &mut Vec<Movement>) {
        let many = self.work.batch > 1;
        if many {
            self.body.extend_from_slice(b"{\"transfers\":[");
        }
        for index in 0..self.work.batch {
            if index > 0 {
                self.body.push(b',');
            }
            let movement = self.movement();
            moves.push(movement);
            self.body.extend_from_slice(b"{\"id\":\"");
            self.put_id();
            put_item(movement, &mut self.body);
        }
        if many {
            self.body.extend_from_slice(b"]}");
        }
    }

    fn put_id(&mut self) {
        self.body.extend_from_slice(self.tag.as_bytes());
        put_padded(self.made, 10, &mut self.body);
        self.made += 1;
    }
}

fn put_item(movement: Movement, body: &mut Vec<u8>) {
    body.extend_from_slice(b"\",\"debitAccountId\":\"");
    put_account(u64::from(movement.from), body);
    body.extend_from_slice(b"\",\"creditAccountId\":\"");
    put_account(u64::from(movement.to), body);
    body.extend_from_slice(b"\",\"amountMinor\":\"");
    body.extend_from_slice(movement.minor.to_string().as_bytes());
    body.extend_from_slice(b"\",\"asset\":\"");
    body.extend_from_slice(ASSET.as_bytes());
    body.extend_from_slice(b"\",\"code\":\"payment\"}");
}

/// Reads an answer.
pub fn outcome(request: &Request, status: u16, body: &[u8]) -> Outcome {
    let code = || wire::code_of(body).unwrap_or("unknown").to_owned();
    match status {
        200 | 201 if request.moves.len() > 1 => {
            let created = wire::count(body, b"\"code\":\"created\"");
            // After an uncertain outcome the call is sent again.
            let before = match created == request.moves.len() {
                true => 0,
                false => wire::count(body, b"\"code\":\"exists\""),
            };
            match created + before == request.moves.len() {
                true => Outcome::Done,
                false => Outcome::Refused("items_refused".to_owned()),
            }
        }
        200..300 => Outcome::Done,
        500.. => Outcome::Unknown(format!("{status} {}", code())),
        _ => Outcome::Refused(format!("{status} {}", code())),
    }
}

/// What the balances must have become.
#[derive(Debug)]
pub struct Expected {
    /// Change of each account in minor units: credits less debits.
    pub changes: Vec<i64>,
    /// Σ of all amounts.
    pub moved_minor: u128,
    /// Count of transfers.
    pub transfers: u64,
    /// Answers that were not as wished, by status and code.
    pub faults: BTreeMap<String, u64>,
    /// Sent again after the measurement.
    pub unknown: Vec<Request>,
}

impl Expected {
    /// Nothing happened yet.
    pub fn new(accounts: u64) -> Self {
        Self {
            changes: vec![0; accounts as usize],
            moved_minor: 0,
            transfers: 0,
            faults: BTreeMap::new(),
            unknown: Vec::new(),
        }
    }

    /// Takes an outcome into account; answers whether all was done.
    pub fn take(&mut self, request: &Request, outcome: Outcome) -> bool {
        match outcome {
            Outcome::Done => {
                for movement in &request.moves {
                    self.changes[movement.from as usize] -= i64::from(movement.minor);
                    self.changes[movement.to as usize] += i64::from(movement.minor);
                    self.moved_minor += u128::from(movement.minor);
                }
                self.transfers += request.moves.len() as u64;
                true
            }
            Outcome::Refused(code) => {
                *self.faults.entry(code).or_default() += 1;
                false
            }
            Outcome::Unknown(code) => {
                *self.faults.entry(code).or_default() += 1;
                if !request.moves.is_empty() {
                    self.unknown.push(request.clone());
                }
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn maker(shape: Shape, batch: u32) -> Maker {
        let target = Target::new("http://h:1", "k", "a").expect("a URL");
        let work = Work {
            shape,
            batch,
            reads_per_cent: 0,
            spread: Spread::Uniform,
            accounts: 10,
        };
        Maker::new(work, &target, "t-", 1)
    }

    #[test]
    fn bodies_are_json_of_the_length_that_is_announced() {
        for (shape, batch) in [(Shape::Wallet, 1), (Shape::Ledger, 1), (Shape::Ledger, 3)] {
            let mut request = Request::default();
            maker(shape, batch).make(&mut request);
            let text = String::from_utf8(request.bytes).expect("ASCII");
            let (head, body) = text.split_once("\r\n\r\n").expect("a head");
            assert!(
                head.starts_with("POST /api/v1/")
                    && head.contains(" HTTP/1.1\r\nhost: h:1\r\nx-api-key: k\r\n"),
                "{head}"
            );
            assert!(
                head.ends_with(&format!("content-length: {}", body.len())),
                "{head}"
            );
            let json: serde_json::Value = serde_json::from_str(body).expect("JSON");
            let items = json["transfers"].as_array().map_or(1, Vec::len);
            assert_eq!(
                (items, request.moves.len()),
                (batch as usize, batch as usize)
            );
        }
    }

    #[test]
    fn only_what_was_done_is_expected() {
        let mut request = Request::default();
        maker(Shape::Ledger, 2).make(&mut request);
        let mut expected = Expected::new(10);
        let done = br#"{"results":[{"code":"created"},{"code":"exists"}]}"#;
        assert!(expected.take(&request, outcome(&request, 200, done)));
        let half = br#"{"results":[{"code":"created"},{"code":"overflow"}]}"#;
        assert!(!expected.take(&request, outcome(&request, 200, half)));
        let lost = outcome(&request, 503, br#"{"code":"commit_unknown"}"#);
        assert_eq!(lost, Outcome::Unknown("503 commit_unknown".into()));
        assert!(!expected.take(&request, lost));
        assert_eq!((expected.transfers, expected.unknown.len()), (2, 1));
        assert_eq!(expected.changes.iter().sum::<i64>(), 0);
    }
}
