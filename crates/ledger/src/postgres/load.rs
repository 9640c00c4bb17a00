//! Reads what a batch needs into its working state, under the head's lock.

use std::sync::Arc;

use florin_base::Timestamp;
use hashbrown::HashSet;
use sqlx::{PgConnection, Row as _, postgres::PgRow};
use uuid::Uuid;

use super::{
    book::Working,
    cache::{Account, Cold, Live, Wallet},
    collect::Keys,
    directory::Row,
    rows,
};
use crate::{
    engine::pending_of,
    model::{
        AccountId, AccountKind, Asset, Body, Floor, Metadata, Record, Side, Slot, Status,
        TransferId,
    },
    record::{
        bytes::{Malformed, Take},
        codec::{
            ENTRY_HEAD_BYTES, decode_note, decode_record, take_asset, take_floor, take_metadata,
        },
        wallets::take_limits,
    },
    rules::book::{Hot, Known, OpenPending, Space, WalletInfo},
};

/// Why something could not be loaded.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoadError {
    /// The database or the way to it.
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
    /// A row is not what the engine writes.
    #[error("a row is damaged: {0}")]
    Malformed(#[from] Malformed),
}

type Loading<T> = Result<T, LoadError>;

/// Columns of one account, for [`account_of`].
macro_rules! account_columns {
    () => {
        "SELECT a.slot, a.wallet, a.name, a.asset, a.kind, a.normal, a.status, a.version, a.created_seq, \
         a.created_at, a.floor, a.metadata, a.owner, a.tier, a.limits, a.label, a.wallet_metadata, a.updated_at, \
         b.dp, b.cp, b.dr, b.cr, b.postings, b.events, b.tail, b.high, b.windows \
         FROM accounts a JOIN balances b USING (slot) WHERE "
    };
}

const BY_SLOT: &str = concat!(account_columns!(), "a.slot = ANY($1)");
const BY_WALLET: &str = concat!(account_columns!(), "a.wallet = ANY($1)");
const BY_NAME: &str = concat!(account_columns!(), "a.name = ANY($1)");

const RECORDS: &str = "SELECT DISTINCT ON (j.first_seq) j.first_seq, j.batch, j.recorded_at, j.records, j.entries \
     FROM unnest($1::bigint[]) s(seq) \
     CROSS JOIN LATERAL (SELECT b.recorded_at FROM batches b WHERE b.first_seq <= s.seq \
       ORDER BY b.first_seq DESC LIMIT 1) b \
     CROSS JOIN LATERAL (SELECT * FROM journal j WHERE j.recorded_at = b.recorded_at AND j.first_seq <= s.seq \
       ORDER BY j.first_seq DESC LIMIT 1) j \
     ORDER BY j.first_seq";

const NOTES: &str = "SELECT DISTINCT ON (n.first_note) n.first_note, n.entries FROM unnest($1::bigint[]) s(number) \
     CROSS JOIN LATERAL (SELECT * FROM notes n WHERE n.first_note <= s.number \
       ORDER BY n.first_note DESC LIMIT 1) n \
     ORDER BY n.first_note";

/// Loads everything in `keys` and what follows from it: records and notes that identities stand
/// for, and the accounts of reservations and records.
pub(super) async fn load(
    connection: &mut PgConnection,
    working: &mut Working,
    mut keys: Keys,
) -> Loading<()> {
    identities(connection, working, &mut keys).await?;
    pendings(connection, working, &mut keys).await?;
    records(connection, working, &mut keys).await?;
    notes(connection, working, &keys.notes).await?;
    owners(connection, working, &keys).await?;
    accounts(connection, working, keys.slots, keys.accounts).await
}

/// Assets after the first `from`.
pub(super) async fn assets(connection: &mut PgConnection, from: usize) -> Loading<Vec<Arc<Asset>>> {
    let rows = sqlx::query("SELECT body FROM assets WHERE no >= $1 ORDER BY no")
        .bind(from as i16)
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| {
            let body: &[u8] = row.try_get(0)?;
            Ok(Arc::new(take_asset(&mut Take::new(body))?))
        })
        .collect()
}

async fn identities(
    connection: &mut PgConnection,
    working: &mut Working,
    keys: &mut Keys,
) -> Loading<()> {
    if keys.identities.is_empty() {
        return Ok(());
    }
    let asked: Vec<Uuid> = sorted(keys.identities.drain());
    let found: Vec<(Uuid, i64)> = sqlx::query_as("SELECT key, known FROM ids WHERE key = ANY($1)")
        .bind(&asked)
        .fetch_all(connection)
        .await?;
    let loaded = &mut working.loaded;
    loaded
        .identities
        .extend(asked.into_iter().map(|key| (key, None)));
    for (key, number) in found {
        let known = rows::known(number)?;
        match known {
            Known::Record(seq) => drop(keys.records.insert(seq)),
            Known::Note(number) => drop(keys.notes.insert(number)),
            Known::Refused(_) => {}
        }
        loaded.identities.insert(key, Some(known));
    }
    Ok(())
}

async fn pendings(
    connection: &mut PgConnection,
    working: &mut Working,
    keys: &mut Keys,
) -> Loading<()> {
    if keys.pendings.is_empty() {
        return Ok(());
    }
    let asked: Vec<Uuid> = sorted(
        keys.pendings
            .iter()
            .map(|id| working.key(Space::Transfer, &[], id)),
    );
    let found = sqlx::query(
        "SELECT seq, batch, recorded_at, entry FROM pendings WHERE key = ANY($1) ORDER BY key",
    )
    .bind(&asked)
    .fetch_all(connection)
    .await?;
    let absent = keys.pendings.drain().map(|id| (id, None));
    working.loaded.pendings.extend(absent);
    for row in &found {
        let (id, pending) = pending_of_row(row)?;
        keys.slots.extend([pending.debit, pending.credit]);
        working.loaded.pendings.insert(id, Some(pending));
    }
    Ok(())
}

/// Loads the reservations due at a time, at most `limit`, with their accounts.
pub(super) async fn due(
    connection: &mut PgConnection,
    working: &mut Working,
    now: Timestamp,
    limit: usize,
) -> Loading<()> {
    let found = sqlx::query(
        "SELECT seq, batch, recorded_at, entry FROM pendings WHERE expires_at <= $1 \
         ORDER BY expires_at, seq LIMIT $2",
    )
    .bind(now.0)
    .bind(limit as i64)
    .fetch_all(&mut *connection)
    .await?;
    let mut slots = HashSet::new();
    for row in &found {
        let (id, pending) = pending_of_row(row)?;
        slots.extend([pending.debit, pending.credit]);
        if let Some(at) = pending.expires_at {
            working.loaded.due.insert((at.0, pending.seq), id.clone());
        }
        working.loaded.pendings.insert(id, Some(pending));
    }
    accounts(connection, working, slots, HashSet::new()).await
}

fn pending_of_row(row: &PgRow) -> Loading<(TransferId, OpenPending)> {
    let (seq, batch): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    let entry: &[u8] = row.try_get(3)?;
    let body = entry
        .get(ENTRY_HEAD_BYTES..)
        .ok_or(Malformed("a reservation is cut short"))?;
    let header = rows::header(batch as u64, row.try_get(2)?);
    let record = decode_record(body, &header, seq as u64)?;
    let Body::Transfer(t) = &record.body else {
        return Err(Malformed("a reservation is no transfer").into());
    };
    Ok((t.id.clone(), pending_of(&record, t)))
}

async fn records(
    connection: &mut PgConnection,
    working: &mut Working,
    keys: &mut Keys,
) -> Loading<()> {
    if keys.records.is_empty() {
        return Ok(());
    }
    let asked_for: HashSet<u64> = keys.records.clone();
    let (reach, last) = (keys.reach, keys.last_seq);
    let further = asked_for
        .iter()
        .flat_map(|seq| seq + 1..=(seq + reach).min(last));
    keys.records.extend(further);
    let asked: Vec<i64> = sorted(keys.records.iter().map(|seq| *seq as i64));
    let found = sqlx::query(RECORDS)
        .bind(&asked)
        .fetch_all(connection)
        .await?;
    for row in &found {
        let (first, batch): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        let entries: &[u8] = row.try_get(4)?;
        let (first, batch, at) = (first as u64, batch as u64, row.try_get(2)?);
        let header = rows::header(batch, at);
        for (seq, body) in (first..).zip(rows::bodies(entries)) {
            if keys.records.remove(&seq) {
                let record = decode_record(body?, &header, seq)?;
                keys.slots.extend(record.touches.iter().map(|t| t.slot));
                slots_of(&record, &mut keys.slots);
                working.loaded.records.insert(seq, record);
            }
        }
    }
    // Records of an archived partition are not there; the calls that need them are refused.
    keys.records.retain(|seq| asked_for.contains(seq));
    working.loaded.archived.extend(keys.records.drain());
    Ok(())
}

/// Accounts that a record names without touching them.
fn slots_of(record: &Record, slots: &mut HashSet<Slot>) {
    match &record.body {
        Body::Transfer(t) => slots.extend([t.debit, t.credit]),
        Body::Expired { debit, credit, .. } => slots.extend([*debit, *credit]),
        Body::AccountUpdated { slot, .. } | Body::WalletUpdated { slot, .. } => {
            slots.insert(*slot);
        }
        Body::WalletCreated(wallet) => {
            slots.insert(wallet.slot);
        }
        Body::AssetCreated(_) | Body::AccountCreated(_) => {}
    }
}

async fn notes(
    connection: &mut PgConnection,
    working: &mut Working,
    numbers: &HashSet<u64>,
) -> Loading<()> {
    if numbers.is_empty() {
        return Ok(());
    }
    let asked: Vec<i64> = sorted(numbers.iter().map(|number| *number as i64));
    let found: Vec<(i64, Vec<u8>)> = sqlx::query_as(NOTES)
        .bind(&asked)
        .fetch_all(connection)
        .await?;
    for (first, entries) in found {
        for (number, body) in (first as u64..).zip(rows::bodies(&entries)) {
            if numbers.contains(&number) {
                working.loaded.notes.insert(number, decode_note(body?)?);
            }
        }
    }
    Ok(())
}

async fn owners(connection: &mut PgConnection, working: &mut Working, keys: &Keys) -> Loading<()> {
    if keys.owners.is_empty() {
        return Ok(());
    }
    let (users, assets): (Vec<&[u8]>, Vec<i16>) = keys
        .owners
        .iter()
        .map(|(user, asset)| (user.as_bytes(), *asset as i16))
        .unzip();
    let counts: Vec<i64> = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM accounts a WHERE a.owner = u.owner AND a.asset = u.asset) \
         FROM unnest($1::bytea[], $2::smallint[]) WITH ORDINALITY u(owner, asset, place) ORDER BY u.place",
    )
    .bind(users)
    .bind(assets)
    .fetch_all(connection)
    .await?;
    let counted = keys.owners.iter().cloned().zip(counts);
    let owners = &mut working.loaded.owners;
    owners.extend(counted.map(|(key, count)| (key, count as usize)));
    Ok(())
}

async fn accounts(
    connection: &mut PgConnection,
    working: &mut Working,
    slots: HashSet<Slot>,
    ids: HashSet<AccountId>,
) -> Loading<()> {
    let wanted = slots
        .into_iter()
        .filter(|slot| !working.cache.keep(*slot))
        .map(|slot| slot as i32);
    let slots: Vec<i32> = sorted(wanted);
    if !slots.is_empty() {
        let found = sqlx::query(BY_SLOT)
            .bind(&slots)
            .fetch_all(&mut *connection)
            .await?;
        take_accounts(working, &found, false)?;
    }
    let (mut wallets, mut names) = (Vec::new(), Vec::new());
    for id in &ids {
        match id {
            AccountId::Wallet(wallet) => wallets.push(Uuid::from_u128(*wallet)),
            AccountId::Named(name) => names.push(name.as_str()),
        }
    }
    if !wallets.is_empty() {
        wallets.sort_unstable();
        let found = sqlx::query(BY_WALLET)
            .bind(&wallets)
            .fetch_all(&mut *connection)
            .await?;
        take_accounts(working, &found, true)?;
    }
    if !names.is_empty() {
        names.sort_unstable();
        let found = sqlx::query(BY_NAME)
            .bind(&names)
            .fetch_all(&mut *connection)
            .await?;
        take_accounts(working, &found, true)?;
    }
    let found = &working.loaded.slots;
    let absent: Vec<_> = ids
        .into_iter()
        .filter(|id| !found.contains_key(id))
        .collect();
    working.loaded.absent.extend(absent);
    Ok(())
}

fn take_accounts(working: &mut Working, found: &[PgRow], by_id: bool) -> Loading<()> {
    let mut met = Vec::with_capacity(found.len());
    for row in found {
        let (slot, account) = account_of(row)?;
        let row = account.live.cold.row.clone();
        if by_id {
            working.loaded.slots.insert(row.id.clone(), slot);
        }
        met.push((slot, row));
        working.cache.insert(slot, account);
    }
    working.meet(met);
    Ok(())
}

fn number<T>(row: &PgRow, column: usize, from: impl FnOnce(u8) -> Option<T>) -> Loading<T> {
    let number: i16 = row.try_get(column)?;
    let value = u8::try_from(number).ok().and_then(from);
    Ok(value.ok_or(Malformed("unknown word"))?)
}

fn bytes(row: &PgRow, column: usize) -> Loading<Option<&[u8]>> {
    Ok(row.try_get(column)?)
}

fn text(bytes: &[u8]) -> Loading<&str> {
    Ok(std::str::from_utf8(bytes).map_err(|_| Malformed("text that is not UTF-8"))?)
}

fn metadata(bytes: Option<&[u8]>) -> Loading<Metadata> {
    Ok(match bytes {
        Some(bytes) => take_metadata(&mut Take::new(bytes))?,
        None => Metadata::default(),
    })
}

/// The account of a row with [`account_columns`].
fn account_of(row: &PgRow) -> Loading<(Slot, Account)> {
    let slot: i32 = row.try_get(0)?;
    let id = match row.try_get::<Option<Uuid>, _>(1)? {
        Some(wallet) => AccountId::Wallet(wallet.as_u128()),
        None => AccountId::Named(row.try_get::<&str, _>(2)?.into()),
    };
    let (asset, version, created_seq): (i16, i32, i64) =
        (row.try_get(3)?, row.try_get(7)?, row.try_get(8)?);
    let normal = number(row, 5, Side::from_number)?;
    let floor = match bytes(row, 10)? {
        Some(floor) => take_floor(&mut Take::new(floor))?,
        None => Floor::Zero,
    };
    let wallet = wallet_of(row)?;
    let facts = Row {
        asset: asset as u16,
        kind: number(row, 4, AccountKind::from_number)?,
        normal,
        created_seq: created_seq as u64,
        created_at: Timestamp(row.try_get(9)?),
        owner: wallet.as_ref().map(|wallet| wallet.info.user_id.clone()),
        id,
    };
    let low = [
        row.try_get(18)?,
        row.try_get(19)?,
        row.try_get(20)?,
        row.try_get(21)?,
    ];
    let hot = Hot {
        totals: rows::totals(low, bytes(row, 25)?, row.try_get(22)?, row.try_get(23)?)?,
        asset: facts.asset,
        normal,
        status: number(row, 6, Status::from_number)?,
        is_wallet: facts.id.wallet().is_some(),
        has_floor: floor != Floor::Zero,
        version: version as u32,
    };
    let windows = bytes(row, 26)?.map(rows::take_windows).transpose()?;
    let cold = Cold {
        row: Arc::new(facts),
        floor,
        metadata: metadata(bytes(row, 11)?)?,
        wallet,
    };
    let live = Live {
        hot,
        windows: windows.map(Box::new),
        cold: Arc::new(cold),
    };
    let tail = rows::take_seqs(row.try_get(24)?)?;
    Ok((slot as Slot, Account { live, tail }))
}

fn wallet_of(row: &PgRow) -> Loading<Option<Wallet>> {
    let Some(owner) = bytes(row, 12)? else {
        return Ok(None);
    };
    let tier = text(bytes(row, 13)?.unwrap_or_default())?;
    let limits = bytes(row, 14)?
        .map(|limits| take_limits(&mut Take::new(limits)))
        .transpose()?;
    let label = bytes(row, 15)?.map(text).transpose()?;
    let updated_at: Option<i64> = row.try_get(17)?;
    Ok(Some(Wallet {
        info: WalletInfo {
            user_id: text(owner)?.into(),
            tier: tier.into(),
            limits: limits.map(Box::new),
            updated_at: Timestamp(updated_at.unwrap_or_default()),
        },
        label: label.map(Into::into),
        metadata: metadata(bytes(row, 16)?)?,
    }))
}

fn sorted<T: Ord>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut values: Vec<T> = values.collect();
    values.sort_unstable();
    values
}
