//! What a judged batch writes, as columns for array statements. Pure.
//!
//! Made in two steps: first the rows ([`Writes::of`]), then the records with their hashes
//! ([`Writes::seal`]), which takes as long again and can go on while the server writes the rows.

use hashbrown::HashMap;
use uuid::Uuid;

use super::{
    book::Working,
    cache::{Live, TAIL_MAX},
    rows,
};
use crate::{
    engine::Delta,
    model::{AccountId, Body, Floor, Metadata, Record, Slot},
    proof::{Frontier, Hash, hash},
    record::{
        codec::{self, Header, put_asset, put_floor, put_metadata},
        line::write_line,
        wallets::put_limits,
    },
    rules::{
        Start,
        book::{Note, Space},
    },
};

/// Most numbers of records in one page of `entries`.
const PAGE_MAX: usize = 512;
/// Records hashed before others on the thread have their turn.
const TURN: usize = 256;

/// Rows of `journal` or `notes`.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    pub first: Vec<i64>,
    pub count: Vec<i32>,
    pub entries: Vec<Vec<u8>>,
}

impl Chunks {
    fn of(payload: &[u8], starts: &[u32], end: usize, first_number: u64) -> Self {
        let mut rows = Self::default();
        for chunk in rows::chunks(starts, end) {
            rows.first.push((first_number + chunk.first as u64) as i64);
            rows.count.push(chunk.count as i32);
            rows.entries
                .push(payload[chunk.bytes.0..chunk.bytes.1].to_vec());
        }
        rows
    }
}

/// Rows of `balances`.
#[derive(Debug, Default)]
pub(super) struct Balances {
    pub slot: Vec<i32>,
    pub totals: [Vec<i64>; 6],
    pub tail: Vec<Vec<u8>>,
    pub high: Vec<Option<Vec<u8>>>,
    pub windows: Vec<Option<Vec<u8>>>,
    /// Some row changes more than the columns that a plain posting changes.
    pub beyond_postings: bool,
}

impl Balances {
    fn push(&mut self, slot: Slot, before: Option<&Live>, live: &Live, tail: &[u64]) {
        self.beyond_postings |= !before.is_some_and(|before| only_postings(before, live));
        let t = &live.hot.totals;
        self.slot.push(slot as i32);
        let values = [
            t.debits_posted as i64,
            t.credits_posted as i64,
            t.debits_pending as i64,
            t.credits_pending as i64,
            t.postings as i64,
            t.events as i64,
        ];
        for (column, value) in self.totals.iter_mut().zip(values) {
            column.push(value);
        }
        self.tail.push(rows::put_seqs(tail));
        self.high.push(rows::high(t));
        self.windows
            .push(live.windows.as_deref().and_then(rows::put_windows));
    }
}

/// Rows of `accounts`: new ones, and what changed of old ones.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    pub slot: Vec<i32>,
    pub wallet: Vec<Option<Uuid>>,
    pub name: Vec<Option<String>>,
    pub asset: Vec<i16>,
    pub kind: Vec<i16>,
    pub normal: Vec<i16>,
    pub status: Vec<i16>,
    pub version: Vec<i32>,
    pub created_seq: Vec<i64>,
    pub created_at: Vec<i64>,
    pub floor: Vec<Option<Vec<u8>>>,
    pub metadata: Vec<Option<Vec<u8>>>,
    pub owner: Vec<Option<Vec<u8>>>,
    pub tier: Vec<Option<Vec<u8>>>,
    pub limits: Vec<Option<Vec<u8>>>,
    pub label: Vec<Option<Vec<u8>>>,
    pub wallet_metadata: Vec<Option<Vec<u8>>>,
    pub updated_at: Vec<Option<i64>>,
}

fn metadata_bytes(metadata: &Metadata) -> Option<Vec<u8>> {
    if metadata.is_empty() {
        return None;
    }
    let mut out = Vec::new();
    put_metadata(metadata, &mut out);
    Some(out)
}

impl Accounts {
    fn push(&mut self, slot: Slot, live: &Live) {
        let (hot, cold) = (&live.hot, &live.cold);
        let row = &cold.row;
        self.slot.push(slot as i32);
        self.wallet.push(row.id.wallet().map(Uuid::from_u128));
        self.name.push(match &row.id {
            AccountId::Named(name) => Some(name.as_str().into()),
            AccountId::Wallet(_) => None,
        });
        self.asset.push(row.asset as i16);
        self.kind.push(row.kind as i16);
        self.normal.push(row.normal as i16);
        self.status.push(hot.status as i16);
        self.version.push(hot.version as i32);
        self.created_seq.push(row.created_seq as i64);
        self.created_at.push(row.created_at.0);
        self.floor.push((cold.floor != Floor::Zero).then(|| {
            let mut out = Vec::new();
            put_floor(cold.floor, &mut out);
            out
        }));
        self.metadata.push(metadata_bytes(&cold.metadata));
        let wallet = cold.wallet.as_ref();
        self.owner
            .push(wallet.map(|w| w.info.user_id.as_bytes().to_vec()));
        self.tier
            .push(wallet.map(|w| w.info.tier.as_bytes().to_vec()));
        self.limits
            .push(wallet.and_then(|w| w.info.limits.as_deref()).map(|limits| {
                let mut out = Vec::new();
                put_limits(*limits, &mut out);
                out
            }));
        let label = wallet.and_then(|w| w.label.as_deref());
        self.label
            .push(label.map(|label| label.as_bytes().to_vec()));
        self.wallet_metadata
            .push(wallet.and_then(|w| metadata_bytes(&w.metadata)));
        self.updated_at.push(wallet.map(|w| w.info.updated_at.0));
    }
}

/// Rows of `pendings`.
#[derive(Debug, Default)]
pub(super) struct Pendings {
    pub key: Vec<Uuid>,
    pub seq: Vec<i64>,
    pub expires_at: Vec<Option<i64>>,
    pub debit: Vec<i32>,
    pub credit: Vec<i32>,
    pub entry: Vec<Vec<u8>>,
}

/// The rows of which every posting makes some.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// Identities and what they stand for.
    pub id: Vec<Uuid>,
    pub known: Vec<i64>,
    /// Changed rows, in order of slot.
    pub balances: Balances,
    pub page_slot: Vec<i32>,
    pub page_first: Vec<i64>,
    pub page_seqs: Vec<Vec<u8>>,
}

/// Everything one commit writes, apart from the head's own columns.
#[derive(Debug, Default)]
pub(super) struct Writes {
    pub batch: i64,
    pub recorded_at: i64,
    pub journal: Chunks,
    pub notes: Chunks,
    pub node: Vec<i64>,
    pub node_hash: Vec<Vec<u8>>,
    pub rows: Rows,
    pub new_balances: Balances,
    pub new_accounts: Accounts,
    pub changed_accounts: Accounts,
    pub backdated_slot: Vec<i32>,
    pub backdated_at: Vec<i64>,
    pub backdated_seq: Vec<i64>,
    pub backdated_delta: Vec<Vec<u8>>,
    pub pendings: Pendings,
    pub resolved: Vec<Uuid>,
    pub asset_no: Vec<i16>,
    pub asset_code: Vec<String>,
    pub asset_body: Vec<Vec<u8>>,
    /// Tails after the commit, for the cache.
    pub tails: Vec<(Slot, Vec<u64>)>,
    /// The hash chain after the commit.
    pub chain: Option<Hash>,
}

impl Writes {
    /// The rows that a judged batch writes; its records are still to be sealed.
    pub(super) fn of(working: &Working, start: Start, records: &[Record]) -> Self {
        let mut writes = Self {
            batch: start.batch as i64,
            recorded_at: start.now.0,
            ..Self::default()
        };
        writes.identities(working);
        writes.accounts(working, records);
        writes.backdated(records);
        let (before, assets) = working.new_assets();
        for (no, asset) in (before..).zip(assets) {
            let mut body = Vec::new();
            put_asset(asset, &mut body);
            writes.asset_no.push(no as i16);
            writes.asset_code.push(asset.code.to_string());
            writes.asset_body.push(body);
        }
        writes
    }

    /// Adds the records and notes as bytes, with their hashes. `edge` and `chain` are those of
    /// the head before the batch. Lets others on the thread have their turn.
    pub(super) async fn seal(
        &mut self,
        working: &Working,
        start: Start,
        records: &[Record],
        notes: &[Note],
        chain: &Hash,
        edge: &mut Frontier,
    ) {
        let (mut payload, mut offsets) = (Vec::new(), Vec::new());
        let header = Header {
            batch: start.batch,
            first_seq: start.last_seq + 1,
            recorded_at: start.now,
            records: records.len() as u32,
            first_note: start.last_note + 1,
            notes: notes.len() as u32,
        };
        codec::encode(&header, records, notes, &mut payload, &mut offsets);
        let (of_records, of_notes) = offsets.split_at(records.len());
        let records_end = of_notes.first().map_or(payload.len(), |at| *at as usize);
        self.journal = Chunks::of(&payload, of_records, records_end, header.first_seq);
        self.notes = Chunks::of(&payload, of_notes, payload.len(), header.first_note);
        self.pendings(working, |seq| {
            let index = (seq - header.first_seq) as usize;
            let end = of_records
                .get(index + 1)
                .map_or(records_end, |next| *next as usize);
            payload[of_records[index] as usize..end].to_vec()
        });
        self.hash(working, &header, records, chain, edge).await;
    }

    async fn hash(
        &mut self,
        working: &Working,
        header: &Header,
        records: &[Record],
        chain: &Hash,
        edge: &mut Frontier,
    ) {
        if records.is_empty() {
            return;
        }
        let mut line = Vec::new();
        let mut leaves = Vec::with_capacity(records.len());
        for turn in records.chunks(TURN) {
            for record in turn {
                line.clear();
                write_line(record, working, &mut line);
                let leaf = hash::leaf(&line);
                leaves.push(leaf);
                if let Some(node) = edge.push(leaf) {
                    self.node.push(node.index as i64);
                    self.node_hash.push(node.hash.as_bytes().to_vec());
                }
            }
            tokio::task::yield_now().await;
        }
        let root = hash::batch_root(&leaves);
        self.chain = Some(hash::chain(
            chain,
            header.batch,
            header.first_seq,
            leaves.len() as u64,
            &root,
        ));
    }

    fn identities(&mut self, working: &Working) {
        let mut known: Vec<_> = working
            .changes
            .identities
            .iter()
            .map(|(key, known)| (*key, rows::known_number(*known)))
            .collect();
        known.sort_unstable();
        (self.rows.id, self.rows.known) = known.into_iter().unzip();
    }

    fn accounts(&mut self, working: &Working, records: &[Record]) {
        let mut seqs: HashMap<Slot, Vec<u64>> = HashMap::new();
        for record in records {
            if matches!(record.body, Body::Transfer(_) | Body::Expired { .. }) {
                for touch in record.touches.iter() {
                    seqs.entry(touch.slot).or_default().push(record.seq);
                }
            }
        }
        let mut changed: Vec<(Slot, &Live)> = working
            .changes
            .accounts
            .iter()
            .map(|(slot, live)| (*slot, live))
            .collect();
        changed.sort_unstable_by_key(|(slot, _)| *slot);
        for (slot, live) in changed {
            let before = working.account(slot);
            let new = seqs.remove(&slot).unwrap_or_default();
            let balance_changed = before.is_none_or(|before| {
                before.live.hot.totals != live.hot.totals || before.live.windows != live.windows
            });
            let has_entries = !new.is_empty();
            if working.is_new(slot) {
                self.new_accounts.push(slot, live);
                let tail = self.tail(slot, Vec::new(), new);
                self.new_balances.push(slot, None, live, &tail);
                self.tails.push((slot, tail));
                continue;
            }
            if balance_changed || has_entries {
                let old = before.map_or_else(Vec::new, |before| before.tail.clone());
                let tail = self.tail(slot, old, new);
                let before = before.map(|before| &before.live);
                self.rows.balances.push(slot, before, live, &tail);
                self.tails.push((slot, tail));
            }
            if before.is_none_or(|before| is_changed(&before.live, live)) {
                self.changed_accounts.push(slot, live);
            }
        }
        debug_assert!(seqs.is_empty(), "every account touched was changed");
    }

    /// The tail after more records; a full one becomes pages of history.
    fn tail(&mut self, slot: Slot, mut tail: Vec<u64>, new: Vec<u64>) -> Vec<u64> {
        tail.extend(new);
        if tail.len() <= TAIL_MAX {
            return tail;
        }
        for page in tail.chunks(PAGE_MAX) {
            self.rows.page_slot.push(slot as i32);
            self.rows.page_first.push(page[0] as i64);
            self.rows.page_seqs.push(rows::put_seqs(page));
        }
        Vec::new()
    }

    fn backdated(&mut self, records: &[Record]) {
        for record in records {
            let effective_at = match &record.body {
                Body::Transfer(t) => t.effective_at,
                Body::Expired { effective_at, .. } => *effective_at,
                _ => continue,
            };
            if effective_at == record.recorded_at {
                continue;
            }
            for touch in record.touches.iter() {
                let mut delta = Vec::new();
                Delta::of(record, touch.slot).put(&mut delta);
                self.backdated_slot.push(touch.slot as i32);
                self.backdated_at.push(effective_at.0);
                self.backdated_seq.push(record.seq as i64);
                self.backdated_delta.push(delta);
            }
        }
    }

    fn pendings(&mut self, working: &Working, entry: impl Fn(u64) -> Vec<u8>) {
        for (id, now) in &working.changes.pendings {
            let before = working.loaded.pendings.get(id).and_then(Option::as_ref);
            let key = || working.key(Space::Transfer, &[], id);
            match (before, now) {
                (None, Some(pending)) => {
                    let rows = &mut self.pendings;
                    rows.key.push(key());
                    rows.seq.push(pending.seq as i64);
                    rows.expires_at.push(pending.expires_at.map(|at| at.0));
                    rows.debit.push(pending.debit as i32);
                    rows.credit.push(pending.credit as i32);
                    rows.entry.push(entry(pending.seq));
                }
                (Some(_), None) => self.resolved.push(key()),
                (None, None) | (Some(_), Some(_)) => {}
            }
        }
    }
}

/// Nothing pending moved, and the columns that few accounts need are empty before and after.
fn only_postings(before: &Live, after: &Live) -> bool {
    let pending = |live: &Live| {
        let t = &live.hot.totals;
        (t.debits_pending, t.credits_pending)
    };
    let is_plain = |live: &Live| live.windows.is_none() && rows::high(&live.hot.totals).is_none();
    pending(before) == pending(after) && is_plain(before) && is_plain(after)
}

/// Something of the account's own row changed.
fn is_changed(before: &Live, after: &Live) -> bool {
    let facts = |live: &Live| (live.hot.status, live.hot.version, live.hot.has_floor);
    !std::sync::Arc::ptr_eq(&before.cold, &after.cold) || facts(before) != facts(after)
}
