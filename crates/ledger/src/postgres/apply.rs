//! Sends the writes of a batch, in as few statements as it needs: one for the usual batch, one
//! more for each rarer kind of row. The rows of a large batch go before the rest, so that the
//! server writes them while the records are hashed here.

use sqlx::{PgConnection, Postgres, postgres::PgArguments, query::Query};
use uuid::Uuid;

use super::writes::{Accounts, Balances, Rows, Writes};

type Statement<'q> = Query<'q, Postgres, PgArguments>;

// What `commit_batch` does with these rows. Arrays are unnested in the list of columns and not in
// FROM, where the server would first write all rows to a store and then read them again: a sixth
// of the whole update's time with 65,000 rows.
const UPDATE_BALANCES: &str = "UPDATE balances b SET dp = u.dp, cp = u.cp, dr = u.dr, cr = u.cr, \
     postings = u.postings, events = u.events, tail = u.tail, high = u.high, windows = u.windows, room = NULL \
     FROM (SELECT unnest($1::integer[]) AS slot, unnest($2::bigint[]) AS dp, unnest($3::bigint[]) AS cp, \
     unnest($4::bigint[]) AS dr, unnest($5::bigint[]) AS cr, unnest($6::bigint[]) AS postings, \
     unnest($7::bigint[]) AS events, unnest($8::bytea[]) AS tail, unnest($9::bytea[]) AS high, \
     unnest($10::bytea[]) AS windows) u WHERE b.slot = u.slot";
// The same for rows of which nothing else changed: fewer columns are less work for the server.
const UPDATE_POSTED: &str = "UPDATE balances b SET dp = u.dp, cp = u.cp, postings = u.postings, \
     events = u.events, tail = u.tail, room = NULL \
     FROM (SELECT unnest($1::integer[]) AS slot, unnest($2::bigint[]) AS dp, unnest($3::bigint[]) AS cp, \
     unnest($4::bigint[]) AS postings, unnest($5::bigint[]) AS events, unnest($6::bytea[]) AS tail) u \
     WHERE b.slot = u.slot";
const INSERT_IDS: &str = "INSERT INTO ids SELECT unnest($1::uuid[]), unnest($2::bigint[])";
const REPLACE_IDS: &str = "INSERT INTO ids SELECT unnest($1::uuid[]), unnest($2::bigint[]) \
     ON CONFLICT (key) DO UPDATE SET known = EXCLUDED.known";
const INSERT_PAGES: &str =
    "INSERT INTO entries SELECT unnest($1::integer[]), unnest($2::bigint[]), unnest($3::bytea[])";

macro_rules! commit_batch {
    () => {
        "commit_batch($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16,$17,$18,$19,\
         $20,$21,$22,$23,$24,$25,$26,$27,$28,$29,$30,$31,$32,$33,$34,$35,$36)"
    };
}
const COMMIT_BATCH: &str = concat!("SELECT ", commit_batch!());
/// The same for a batch with calls of links.
const COMMIT_LINKED: &str = concat!("SELECT note_links($37,$38,$10), ", commit_batch!());

/// Bytes of `balances.room` in a new row.
const ROOM_BYTES: usize = 120;

/// The head's columns after the batch, and who commits it.
#[derive(Debug)]
pub(super) struct HeadAfter {
    pub writer: Uuid,
    pub attempt: i64,
    pub channel: String,
    pub before_seq: u64,
    pub seq: u64,
    pub batch: u64,
    pub note: u64,
    pub accounts: u64,
    pub assets: usize,
    pub recorded_at: i64,
    pub chain: Vec<u8>,
    pub frontier: Vec<u8>,
    /// Identities may be known already; else one that is fails the statement.
    pub replaces: bool,
    /// Links whose calls it decides, and the last call of each.
    pub links: Vec<Uuid>,
    pub link_numbers: Vec<i64>,
}

/// Writes the rows of a large batch by themselves, before its records are sealed.
///
/// # Errors
/// Also when an account is not there, or an identity is not new that was taken for new.
pub(super) async fn rows(
    connection: &mut PgConnection,
    rows: Rows,
    replaces: bool,
) -> Result<(), sqlx::Error> {
    if !rows.balances.slot.is_empty() {
        balances(connection, rows.balances).await?;
    }
    if !rows.id.is_empty() {
        let insert = if replaces { REPLACE_IDS } else { INSERT_IDS };
        sqlx::query(insert)
            .bind(rows.id)
            .bind(rows.known)
            .execute(&mut *connection)
            .await?;
    }
    if !rows.page_slot.is_empty() {
        sqlx::query(INSERT_PAGES)
            .bind(rows.page_slot)
            .bind(rows.page_first)
            .bind(rows.page_seqs)
            .execute(connection)
            .await?;
    }
    Ok(())
}

async fn balances(connection: &mut PgConnection, b: Balances) -> Result<(), sqlx::Error> {
    let wanted = b.slot.len() as u64;
    let update = if b.beyond_postings {
        whole(sqlx::query(UPDATE_BALANCES), b)
    } else {
        let [dp, cp, _, _, postings, events] = b.totals;
        sqlx::query(UPDATE_POSTED)
            .bind(b.slot)
            .bind(dp)
            .bind(cp)
            .bind(postings)
            .bind(events)
            .bind(b.tail)
    };
    let written = update.execute(connection).await?.rows_affected();
    if written != wanted {
        let what = format!("{written} of {wanted} balances exist");
        return Err(sqlx::Error::Protocol(what));
    }
    Ok(())
}

/// Binds all columns of `balances` but the room, in the table's order.
fn whole(statement: Statement<'_>, b: Balances) -> Statement<'_> {
    let [dp, cp, dr, cr, postings, events] = b.totals;
    statement
        .bind(b.slot)
        .bind(dp)
        .bind(cp)
        .bind(dr)
        .bind(cr)
        .bind(postings)
        .bind(events)
        .bind(b.tail)
        .bind(b.high)
        .bind(b.windows)
}

/// Writes everything that is left; the caller commits.
pub(super) async fn apply(
    connection: &mut PgConnection,
    head: HeadAfter,
    mut writes: Writes,
) -> Result<(), sqlx::Error> {
    rare(connection, &mut writes).await?;
    let Rows {
        id,
        known,
        balances,
        page_slot,
        page_first,
        page_seqs,
    } = writes.rows;
    let noted = !head.links.is_empty();
    let text = if noted { COMMIT_LINKED } else { COMMIT_BATCH };
    let statement = sqlx::query(text)
        .bind(head.writer)
        .bind(head.attempt)
        .bind(head.channel)
        .bind(head.before_seq as i64)
        .bind(head.seq as i64)
        .bind(head.batch as i64)
        .bind(head.note as i64)
        .bind(head.accounts as i64)
        .bind(head.assets as i32)
        .bind(head.recorded_at)
        .bind(head.chain)
        .bind(head.frontier)
        .bind(writes.journal.first)
        .bind(writes.journal.count)
        .bind(writes.journal.entries)
        .bind(writes.notes.first)
        .bind(writes.notes.count)
        .bind(writes.notes.entries)
        .bind(writes.node)
        .bind(writes.node_hash)
        .bind(id)
        .bind(known)
        .bind(head.replaces);
    let statement = whole(statement, balances)
        .bind(page_slot)
        .bind(page_first)
        .bind(page_seqs);
    let statement = if noted {
        statement.bind(head.links).bind(head.link_numbers)
    } else {
        statement
    };
    statement.execute(connection).await?;
    Ok(())
}

async fn rare(connection: &mut PgConnection, writes: &mut Writes) -> Result<(), sqlx::Error> {
    if !writes.asset_no.is_empty() {
        sqlx::query(
            "INSERT INTO assets SELECT * FROM unnest($1::smallint[], $2::text[], $3::bytea[])",
        )
        .bind(&writes.asset_no)
        .bind(&writes.asset_code)
        .bind(&writes.asset_body)
        .execute(&mut *connection)
        .await?;
    }
    if !writes.new_accounts.slot.is_empty() {
        insert_accounts(connection, std::mem::take(&mut writes.new_accounts)).await?;
        insert_balances(connection, std::mem::take(&mut writes.new_balances)).await?;
    }
    if !writes.changed_accounts.slot.is_empty() {
        update_accounts(connection, std::mem::take(&mut writes.changed_accounts)).await?;
    }
    if !writes.backdated_slot.is_empty() {
        sqlx::query(
            "INSERT INTO backdated SELECT * FROM unnest($1::integer[], $2::bigint[], $3::bigint[], $4::bytea[])",
        )
        .bind(&writes.backdated_slot)
        .bind(&writes.backdated_at)
        .bind(&writes.backdated_seq)
        .bind(&writes.backdated_delta)
        .execute(&mut *connection)
        .await?;
    }
    let pendings = &writes.pendings;
    if !pendings.key.is_empty() {
        sqlx::query(
            "INSERT INTO pendings SELECT u.key, u.seq, h.batch, h.recorded_at, u.expires_at, u.debit, u.credit, \
             u.entry FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::integer[], $5::integer[], \
             $6::bytea[]) AS u (key, seq, expires_at, debit, credit, entry), \
             (SELECT $7::bigint AS batch, $8::bigint AS recorded_at) h",
        )
        .bind(&pendings.key)
        .bind(&pendings.seq)
        .bind(&pendings.expires_at)
        .bind(&pendings.debit)
        .bind(&pendings.credit)
        .bind(&pendings.entry)
        .bind(writes.batch)
        .bind(writes.recorded_at)
        .execute(&mut *connection)
        .await?;
    }
    if !writes.resolved.is_empty() {
        sqlx::query("DELETE FROM pendings WHERE key = ANY($1)")
            .bind(&writes.resolved)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

async fn insert_accounts(connection: &mut PgConnection, a: Accounts) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO accounts SELECT * FROM unnest($1::integer[], $2::uuid[], $3::text[], $4::smallint[], \
         $5::smallint[], $6::smallint[], $7::smallint[], $8::integer[], $9::bigint[], $10::bigint[], $11::bytea[], \
         $12::bytea[], $13::bytea[], $14::bytea[], $15::bytea[], $16::bytea[], $17::bytea[], $18::bigint[])",
    )
    .bind(a.slot)
    .bind(a.wallet)
    .bind(a.name)
    .bind(a.asset)
    .bind(a.kind)
    .bind(a.normal)
    .bind(a.status)
    .bind(a.version)
    .bind(a.created_seq)
    .bind(a.created_at)
    .bind(a.floor)
    .bind(a.metadata)
    .bind(a.owner)
    .bind(a.tier)
    .bind(a.limits)
    .bind(a.label)
    .bind(a.wallet_metadata)
    .bind(a.updated_at)
    .execute(connection)
    .await?;
    Ok(())
}

async fn insert_balances(connection: &mut PgConnection, b: Balances) -> Result<(), sqlx::Error> {
    let insert = sqlx::query(
        "INSERT INTO balances SELECT u.*, $11 FROM unnest($1::integer[], $2::bigint[], $3::bigint[], $4::bigint[], \
         $5::bigint[], $6::bigint[], $7::bigint[], $8::bytea[], $9::bytea[], $10::bytea[]) u",
    );
    whole(insert, b)
        .bind([0u8; ROOM_BYTES].as_slice())
        .execute(connection)
        .await?;
    Ok(())
}

async fn update_accounts(connection: &mut PgConnection, a: Accounts) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE accounts a SET status = u.status, version = u.version, floor = u.floor, metadata = u.metadata, \
         owner = u.owner, tier = u.tier, limits = u.limits, label = u.label, \
         wallet_metadata = u.wallet_metadata, updated_at = u.updated_at \
         FROM unnest($1::integer[], $2::smallint[], $3::integer[], $4::bytea[], $5::bytea[], $6::bytea[], \
         $7::bytea[], $8::bytea[], $9::bytea[], $10::bytea[], $11::bigint[]) \
         AS u (slot, status, version, floor, metadata, owner, tier, limits, label, wallet_metadata, updated_at) \
         WHERE a.slot = u.slot",
    )
    .bind(a.slot)
    .bind(a.status)
    .bind(a.version)
    .bind(a.floor)
    .bind(a.metadata)
    .bind(a.owner)
    .bind(a.tier)
    .bind(a.limits)
    .bind(a.label)
    .bind(a.wallet_metadata)
    .bind(a.updated_at)
    .execute(connection)
    .await?;
    Ok(())
}
