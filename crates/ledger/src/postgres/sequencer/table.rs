//! What the sequencer and the links keep in the ledger's database.

use std::time::Duration;

use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

use super::super::schema::within;

/// How long a statement of a link may take; one that ends a link may wait for a commit.
const LIMIT: Duration = Duration::from_millis(900);
const END_LIMIT: Duration = Duration::from_secs(3);

/// Where the sequencer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub term: i64,
    pub address: String,
    pub certificate: Vec<u8>,
    pub token: Vec<u8>,
}

/// Takes the ledger's lock for the session of a connection; `false` when another one has it.
pub(super) async fn try_lock(
    connection: &mut PgConnection,
    ledger: Uuid,
) -> Result<bool, sqlx::Error> {
    let (high, low) = ledger.as_u64_pair();
    let taken = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
        .bind((high ^ low) as i64)
        .fetch_one(connection);
    within(LIMIT, taken).await
}

/// The session lives, and with it the lock.
pub(super) async fn lives(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let asked = sqlx::raw_sql("SELECT 1").execute(connection);
    within(LIMIT, asked).await.map(drop)
}

/// Address of this process as the server sees it; `None` over a local socket.
pub(super) async fn own_address(
    connection: &mut PgConnection,
) -> Result<Option<String>, sqlx::Error> {
    let asked = sqlx::query_scalar("SELECT host(inet_client_addr())").fetch_one(connection);
    within(LIMIT, asked).await
}

/// Says where this process is; answers the new term.
pub(super) async fn publish(
    connection: &mut PgConnection,
    place: &Place,
    at: i64,
) -> Result<i64, sqlx::Error> {
    let written = sqlx::query_scalar(
        "UPDATE sequencer SET term = term + 1, address = $1, certificate = $2, token = $3, since = $4 RETURNING term",
    )
    .bind(&place.address)
    .bind(&place.certificate)
    .bind(&place.token)
    .bind(at)
    .fetch_one(connection);
    within(LIMIT, written).await
}

/// Where the sequencer of the last term is, or was.
pub(super) async fn place(connection: &mut PgConnection) -> Result<Option<Place>, sqlx::Error> {
    let read = sqlx::query(
        "SELECT term, address, certificate, token FROM sequencer WHERE address IS NOT NULL",
    )
    .fetch_optional(connection);
    let Some(row) = within(LIMIT, read).await? else {
        return Ok(None);
    };
    Ok(Some(Place {
        term: row.try_get(0)?,
        address: row.try_get(1)?,
        certificate: row.try_get(2)?,
        token: row.try_get(3)?,
    }))
}

/// Enlists a link before its first call.
pub(super) async fn begin_link(
    connection: &mut PgConnection,
    link: Uuid,
    at: i64,
) -> Result<(), sqlx::Error> {
    let written = sqlx::query("INSERT INTO writers (writer, attempt, at) VALUES ($1, 0, $2)")
        .bind(link)
        .bind(at)
        .execute(connection);
    within(LIMIT, written).await.map(drop)
}

/// Ends a link for good and tells its last call that was decided: later ones never will be. It
/// waits for a commit that holds one of them.
pub(super) async fn end_link(
    connection: &mut PgConnection,
    link: Uuid,
) -> Result<Option<i64>, sqlx::Error> {
    let deleted = sqlx::query_scalar("DELETE FROM writers WHERE writer = $1 RETURNING attempt")
        .bind(link)
        .fetch_optional(connection);
    within(END_LIMIT, deleted).await
}

/// Which of some links are not ended.
pub(super) async fn open_links(
    connection: &mut PgConnection,
    links: Vec<Uuid>,
) -> Result<Vec<Uuid>, sqlx::Error> {
    let read = sqlx::query_scalar("SELECT writer FROM writers WHERE writer = ANY($1)")
        .bind(links)
        .fetch_all(connection);
    within(LIMIT, read).await
}
