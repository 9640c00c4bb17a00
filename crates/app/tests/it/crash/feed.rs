//! The change feed, read to its end after every crash: INV-L6, L7, L9, and that no transfer
//! stands in it twice.

use std::collections::HashSet;

use serde_json::Value;

use crate::server::{Server, Who};

/// Lines of the record before that are read again each time.
const OVERLAP: usize = 50;

/// What was read so far.
pub struct Feed {
    seq: u64,
    recorded_at: String,
    /// The last lines, to be compared with what is read next time.
    last: Vec<String>,
    /// Ids of all transfers but voids.
    pub transfers: HashSet<String>,
    pub voids: u64,
    chain: Option<Chain>,
}

/// A chain whose records are being read.
struct Chain {
    id: String,
    length: u64,
    seq: u64,
    batch: u64,
}

/// Length of every chain that the clients send.
const CHAIN_LENGTH: u64 = 3;

impl Feed {
    /// Begins behind this record.
    pub fn at(server: &Server, seq: u64) -> Self {
        let last = lines(server, seq - 1);
        let record: Value = serde_json::from_str(&last[0]).expect("a line");
        Self {
            seq,
            recorded_at: record["recordedAt"]
                .as_str()
                .expect("recordedAt")
                .to_owned(),
            last,
            transfers: HashSet::new(),
            voids: 0,
            chain: None,
        }
    }

    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Reads everything new; `tip` is what a reader saw before the crash, from the first new
    /// record on.
    pub fn read_on(&mut self, server: &Server, tip: &[String], what: &str) {
        let known = self.last.len();
        let all = lines(server, self.seq - known as u64);
        assert_eq!(
            &all[..known],
            &self.last[..],
            "INV-L6: bytes once read stay: {what}"
        );
        let new = &all[known..];
        assert!(
            new.len() >= tip.len(),
            "{} lines were seen, {} are left: {what}",
            tip.len(),
            new.len()
        );
        assert_eq!(
            &new[..tip.len()],
            tip,
            "INV-L6: what a reader at the tip saw stays: {what}"
        );
        for line in new {
            let record: Value = serde_json::from_str(line).expect("a line");
            self.take(&record, what);
        }
        self.end_chain(what);
        self.last = all[all.len().saturating_sub(OVERLAP)..].to_vec();
    }

    fn take(&mut self, record: &Value, what: &str) {
        let seq = record["seq"].as_u64().expect("seq");
        assert_eq!(seq, self.seq + 1, "INV-L7: no gaps: {what}");
        self.seq = seq;
        let at = record["recordedAt"].as_str().expect("recordedAt");
        assert!(
            at >= self.recorded_at.as_str(),
            "INV-L7: {at} after {}: {what}",
            self.recorded_at
        );
        self.recorded_at = at.to_owned();
        if record["type"] != "transfer" {
            return;
        }
        let data = &record["data"];
        let id = data["id"].as_str().expect("id");
        if data["mode"] == "void" {
            self.voids += 1;
        } else {
            assert!(
                self.transfers.insert(id.to_owned()),
                "INV-L11: {id} stands twice: {what}"
            );
        }
        self.follow_chain(record, what);
    }

    /// INV-L9: a chain is whole, with neighbouring `seq`s in one batch.
    fn follow_chain(&mut self, record: &Value, what: &str) {
        let id = record["data"]["chainId"].as_str();
        if self
            .chain
            .as_ref()
            .is_some_and(|chain| Some(&*chain.id) != id)
        {
            self.end_chain(what);
        }
        let Some(id) = id else { return };
        let (seq, batch) = (
            record["seq"].as_u64().expect("seq"),
            record["batch"].as_u64().expect("batch"),
        );
        let index = record["data"]["chainIndex"].as_u64().expect("chainIndex");
        let chain = self.chain.get_or_insert_with(|| Chain {
            id: id.to_owned(),
            length: 0,
            seq: seq - 1,
            batch,
        });
        assert_eq!(
            (index, seq, batch),
            (chain.length, chain.seq + 1, chain.batch),
            "INV-L9: {what}"
        );
        chain.length += 1;
        chain.seq = seq;
    }

    fn end_chain(&mut self, what: &str) {
        if let Some(chain) = self.chain.take() {
            assert_eq!(
                chain.length, CHAIN_LENGTH,
                "INV-L9: chain {}: {what}",
                chain.id
            );
        }
    }
}

fn lines(server: &Server, after: u64) -> Vec<String> {
    let path = format!("/api/v1/ledger/changes?after={after}&limit=100000");
    let reply = server.call(Who::Service, "GET", &path).send().ok(200);
    reply.text.lines().map(str::to_owned).collect()
}
