//! Small ledgers made by hand or at random, with a bookkeeping of their own.

use std::{collections::BTreeMap, path::Path};

use florin_base::Timestamp;
use uuid::Uuid;

use crate::{
    journal::{Journal, JournalError, JournalOptions},
    model::{
        AccountId, AccountKind, Asset, AssetKind, AssetNo, Body, Floor, Metadata, Mode, NewAccount,
        NewWallet, Record, Side, Slot, Status, Totals, Touch, Touches, Transfer, WalletChange,
    },
    proof::{Checkpoint, CheckpointBody, Hash, Signer, hash},
    record::{
        codec::{Header, encode},
        line::{Names, write_line},
    },
    rules::book::Note,
};

pub(super) const LEDGER: Uuid = Uuid::from_u128(0x0190_f000_0000_7000_8000_0000_0000_0001);

/// 2026-01-01T00:00:00Z.
const START: i64 = 1_767_225_600_000_000;

pub(super) struct Book {
    pub records: Vec<Record>,
    pub batch: u64,
    pub now: Timestamp,
    assets: Vec<Box<str>>,
    accounts: Vec<(AccountId, AssetNo, Side, Totals)>,
    pub pendings: BTreeMap<Box<str>, Transfer>,
}

impl Names for Book {
    fn account(&self, slot: Slot, out: &mut Vec<u8>) {
        self.accounts[slot as usize].0.write_to(out);
    }
    fn asset(&self, no: AssetNo, out: &mut Vec<u8>) {
        out.extend_from_slice(self.assets[usize::from(no)].as_bytes());
    }
    fn asset_of(&self, slot: Slot) -> AssetNo {
        self.accounts[slot as usize].1
    }
}

pub(super) fn signer() -> Signer {
    Signer::from_seed(&CheckpointBody::origin(LEDGER), &[9; 32]).expect("a name")
}

impl Book {
    /// Batch 1: BRL with `ext` (no floor), `a` and `b` (liabilities, floor 0), slots 0 to 2.
    pub fn new() -> Self {
        let mut book = Self {
            records: Vec::new(),
            batch: 0,
            now: Timestamp(START),
            assets: Vec::new(),
            accounts: Vec::new(),
            pendings: BTreeMap::new(),
        };
        book.commit();
        book.add_asset("BRL");
        book.open("ext", AccountKind::Asset, Floor::None);
        book.open("a", AccountKind::Liability, Floor::Zero);
        book.open("b", AccountKind::Liability, Floor::Zero);
        book
    }

    /// Starts the next batch, a second later.
    pub fn commit(&mut self) {
        self.batch += 1;
        self.now.0 += 1_000_000;
    }

    /// A batch in which something else happens, so that time passes.
    pub fn commit_gap(&mut self) {
        let id = format!("gap{}", self.records.len());
        let t = self.single(&id, 0, 1, 1);
        self.post(t);
        self.commit();
    }

    pub fn push(&mut self, body: Body, touched: &[(Slot, bool)]) {
        let touch = |at: usize| {
            touched.get(at).map(|(slot, is_event)| Touch {
                slot: *slot,
                after: self.accounts[*slot as usize].3,
                is_event: *is_event,
            })
        };
        self.records.push(Record {
            seq: self.records.len() as u64 + 1,
            batch: self.batch,
            recorded_at: self.now,
            actor: Some("tester".into()),
            body,
            touches: Touches {
                first: touch(0),
                second: touch(1),
            },
        });
    }

    pub fn add_asset(&mut self, code: &str) {
        self.assets.push(code.into());
        let asset = Asset {
            code: code.into(),
            scale: 2,
            kind: AssetKind::Fiat,
            name: None,
            metadata: Metadata::default(),
        };
        self.push(Body::AssetCreated(asset), &[]);
    }

    pub fn open(&mut self, id: &str, kind: AccountKind, floor: Floor) -> Slot {
        let slot = self.accounts.len() as Slot;
        let id = AccountId::parse(id).expect("an id");
        let normal = kind.usual_side();
        self.accounts
            .push((id.clone(), 0, normal, Totals::default()));
        let account = NewAccount {
            id,
            asset: 0,
            kind,
            normal,
            floor,
            metadata: Metadata::default(),
        };
        self.push(Body::AccountCreated(account), &[(slot, false)]);
        slot
    }

    pub fn wallet(&mut self, id: u128) -> Slot {
        let name = format!("florin:wallet:{}", Uuid::from_u128(id));
        let slot = self.open(&name, AccountKind::Liability, Floor::Zero);
        self.accounts[slot as usize].3.events += 1;
        let wallet = NewWallet {
            id,
            slot,
            user_id: "ana".into(),
            tier: "standard".into(),
            label: Some("main \"x\"\n".into()),
            metadata: Metadata::default(),
            reference_id: Some("kept in the journal only".into()),
        };
        self.push(Body::WalletCreated(Box::new(wallet)), &[(slot, true)]);
        slot
    }

    pub fn wallet_status(&mut self, slot: Slot, version: u32, status: Status) {
        self.accounts[slot as usize].3.events += 1;
        let id = self.accounts[slot as usize].0.wallet().expect("a wallet");
        let change = WalletChange {
            status: Some(status),
            limits: Some(None),
            reason: Some("ordered".into()),
            ..WalletChange::default()
        };
        let body = Body::WalletUpdated {
            id,
            slot,
            version,
            change: Box::new(change),
        };
        self.push(body, &[(slot, true)]);
    }

    pub fn single(&self, id: &str, debit: Slot, credit: Slot, amount: u128) -> Transfer {
        Transfer {
            id: id.into(),
            mode: Mode::Single,
            debit,
            credit,
            amount,
            asset: 0,
            code: "test".into(),
            effective_at: self.now,
            pending_id: None,
            timeout_seconds: None,
            expires_at: None,
            chain: None,
            reversal_of: None,
            description: Some("é \u{1} \\ ok".into()),
            metadata: Metadata::default(),
            source_recorded_at: None,
            origin: None,
            floor_skipped: false,
            reserved: None,
            limit_window: None,
        }
    }

    pub fn pending(&self, id: &str, legs: (Slot, Slot), amount: u128, timeout: u32) -> Transfer {
        let expires_at = Timestamp(self.now.0 + i64::from(timeout) * 1_000_000);
        Transfer {
            mode: Mode::Pending,
            timeout_seconds: Some(timeout),
            expires_at: Some(expires_at),
            ..self.single(id, legs.0, legs.1, amount)
        }
    }

    /// A post of `amount`, or a void if there is none.
    pub fn resolution(&self, id: &str, pending_id: &str, amount: Option<u128>) -> Transfer {
        let open = &self.pendings[pending_id];
        let amount = amount.unwrap_or(open.amount);
        let posts = amount != open.amount || id.starts_with("post");
        Transfer {
            mode: if posts { Mode::Post } else { Mode::Void },
            pending_id: Some(pending_id.into()),
            reserved: posts.then_some(open.amount),
            ..self.single(id, open.debit, open.credit, amount)
        }
    }

    pub fn reversal(&self, of: &Transfer) -> Transfer {
        Transfer {
            reversal_of: Some(of.id.clone()),
            ..self.single(&format!("{}:rev", of.id), of.credit, of.debit, of.amount)
        }
    }

    /// Records a transfer with what it does to the totals, without any check.
    pub fn post(&mut self, t: Transfer) {
        let released = match t.mode {
            Mode::Post | Mode::Void => {
                let id = t.pending_id.as_deref().expect("resolves one");
                self.pendings.remove(id).map_or(0, |open| open.amount)
            }
            _ => 0,
        };
        let reserved = if t.mode == Mode::Pending { t.amount } else { 0 };
        let posted = match t.mode {
            Mode::Single | Mode::Post => t.amount,
            _ => 0,
        };
        self.change(t.debit, t.credit, posted, reserved, released);
        if t.mode == Mode::Pending {
            self.pendings.insert(t.id.clone(), t.clone());
        }
        let touched = self.touched(t.debit, t.credit);
        self.push(Body::Transfer(Box::new(t)), &touched);
    }

    pub fn expire(&mut self, pending_id: &str) {
        let open = self.pendings.remove(pending_id).expect("open");
        self.change(open.debit, open.credit, 0, 0, open.amount);
        let touched = self.touched(open.debit, open.credit);
        let body = Body::Expired {
            pending_id: open.id.clone(),
            debit: open.debit,
            credit: open.credit,
            amount: open.amount,
            effective_at: open.expires_at.expect("with a time-out"),
        };
        self.push(body, &touched);
    }

    fn touched(&mut self, debit: Slot, credit: Slot) -> [(Slot, bool); 2] {
        [debit, credit].map(|slot| {
            let (id, _, _, totals) = &mut self.accounts[slot as usize];
            let is_event = id.wallet().is_some();
            totals.events += u64::from(is_event);
            (slot, is_event)
        })
    }

    fn change(&mut self, debit: Slot, credit: Slot, posted: u128, reserved: u128, released: u128) {
        let d = &mut self.accounts[debit as usize].3;
        d.debits_posted = d.debits_posted.wrapping_add(posted);
        d.debits_pending = d
            .debits_pending
            .wrapping_add(reserved)
            .wrapping_sub(released);
        d.postings += u64::from(posted > 0);
        let c = &mut self.accounts[credit as usize].3;
        c.credits_posted = c.credits_posted.wrapping_add(posted);
        c.credits_pending = c
            .credits_pending
            .wrapping_add(reserved)
            .wrapping_sub(released);
        c.postings += u64::from(posted > 0);
    }

    /// What a liability may still pay out.
    pub fn available(&self, slot: Slot) -> u128 {
        let t = &self.accounts[slot as usize].3;
        t.credits_posted - t.debits_posted - t.debits_pending
    }

    pub fn lines(&self) -> Vec<Vec<u8>> {
        let line = |record| {
            let mut line = Vec::new();
            write_line(record, self, &mut line);
            line
        };
        self.records.iter().map(line).collect()
    }

    /// The checkpoint after a batch, computed the slow way.
    pub fn checkpoint(&self, batch: u64, number: u64) -> Checkpoint {
        let lines = self.lines();
        let leaves: Vec<(u64, Hash)> = self
            .records
            .iter()
            .zip(&lines)
            .map(|(record, line)| (record.batch, hash::leaf(line)))
            .collect();
        let mut chain = hash::chain0(LEDGER);
        let mut first = 1;
        for b in 1..=batch {
            let own: Vec<Hash> = leaves
                .iter()
                .filter(|(of, _)| *of == b)
                .map(|l| l.1)
                .collect();
            let count = own.len() as u64;
            chain = hash::chain(&chain, b, first, count, &hash::batch_root(&own));
            first += count;
        }
        let up_to: Vec<Hash> = leaves
            .iter()
            .filter(|(of, _)| *of <= batch)
            .map(|l| l.1)
            .collect();
        let body = CheckpointBody {
            ledger_id: LEDGER,
            tree_size: up_to.len() as u64,
            root_hash: hash::batch_root(&up_to),
            batch,
            chain_hash: chain,
        };
        Checkpoint::sign(number, &body, &[&signer()])
    }

    /// Writes the records as the journal of a ledger, a frame with a refusal after each batch.
    pub fn write_journal(&self, dir: &Path, refused: impl Fn(u64) -> Option<Note>) {
        let mut options = JournalOptions::new(*LEDGER.as_bytes());
        options.segment_bytes = 1 << 20;
        options.max_payload_bytes = 1 << 19;
        options.prepare_ahead = false;
        let opened = Journal::open(&dir.join("journal"), options, &mut |_| {
            Ok::<(), JournalError>(())
        });
        let (mut journal, _) = opened.expect("a new journal");
        let (mut frame, mut notes, mut seq) = (1, 1, 1);
        let mut payload = Vec::new();
        for batch in 1..=self.batch {
            let records: Vec<Record> = self
                .records
                .iter()
                .filter(|r| r.batch == batch)
                .cloned()
                .collect();
            let Some(first) = records.first() else {
                continue;
            };
            let mut header = Header {
                batch,
                first_seq: first.seq,
                recorded_at: first.recorded_at,
                records: records.len() as u32,
                first_note: notes,
                notes: 0,
            };
            encode(&header, &records, &[], &mut payload, &mut Vec::new());
            journal.append(frame, &payload).expect("appended");
            (frame, seq) = (frame + 1, seq + records.len() as u64);
            if let Some(note) = refused(batch) {
                (header.records, header.notes, header.first_seq) = (0, 1, seq);
                encode(&header, &[], &[note], &mut payload, &mut Vec::new());
                journal.append(frame, &payload).expect("appended");
                (frame, notes) = (frame + 1, notes + 1);
            }
        }
        journal.sync().expect("synced");
    }
}
