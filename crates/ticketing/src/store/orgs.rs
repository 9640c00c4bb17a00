//! Rows of organisations and their members.

use florin_platform::http::problem::Problem;
use florin_platform::sql::{Db, Query, Row, Tx, query};

use crate::api::scope::Role;
use crate::model::org::{FeePayer, Org, OrgStatus, PayoutMethod, TaxRemitter};

const COLUMNS: &str = "id, slug, name, legal_name, country, currency, contact_email, tax_id,
    fee_payer, tax_remitter, payout_kind, payout_target, payout_delay_days, status, verified,
    version, created_at, updated_at";

fn word<T>(parse: fn(&str) -> Option<T>, row: &Row, column: &str) -> Result<T, Problem> {
    let text: String = row.get(column)?;
    parse(&text).ok_or_else(|| Problem::internal(format_args!("`{text}` in column {column}")))
}

fn read(row: &Row) -> Result<Org, Problem> {
    let kind: Option<String> = row.get("payout_kind")?;
    let target: Option<String> = row.get("payout_target")?;
    Ok(Org {
        id: row.get("id")?,
        slug: row.get("slug")?,
        name: row.get("name")?,
        legal_name: row.get("legal_name")?,
        country: row.get("country")?,
        currency: row.get("currency")?,
        contact_email: row.get("contact_email")?,
        tax_id: row.get("tax_id")?,
        fee_payer: word(FeePayer::from_word, row, "fee_payer")?,
        tax_remitter: word(TaxRemitter::from_word, row, "tax_remitter")?,
        payout_method: kind
            .zip(target)
            .and_then(|(kind, target)| PayoutMethod::from_columns(&kind, target)),
        payout_delay_days: row.get("payout_delay_days")?,
        status: word(OrgStatus::from_word, row, "status")?,
        verified: row.get("verified")?,
        version: row.get("version")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

fn by_id(id: &str) -> Query {
    Query::assembled(format!("SELECT {COLUMNS} FROM tk_orgs WHERE id = $1")).bind(id)
}

/// One organisation.
///
/// # Errors
/// The store's.
pub async fn load(db: &Db, id: &str) -> Result<Option<Org>, Problem> {
    let row = db.fetch_optional(by_id(id)).await?;
    row.as_ref().map(read).transpose()
}

/// One organisation, inside a transaction.
///
/// # Errors
/// The store's.
pub async fn load_in(tx: &mut Tx, id: &str) -> Result<Option<Org>, Problem> {
    let row = tx.fetch_optional(by_id(id)).await?;
    row.as_ref().map(read).transpose()
}

/// Organisations of which somebody is a member, or all, ascending by id.
///
/// # Errors
/// The store's.
pub async fn list(
    db: &Db,
    member: Option<(&str, &str)>,
    after: &str,
    limit: i64,
) -> Result<Vec<Org>, Problem> {
    let statement = match member {
        None => Query::assembled(format!(
            "SELECT {COLUMNS} FROM tk_orgs WHERE id > $1 ORDER BY id LIMIT $2"
        ))
        .bind(after)
        .bind(limit),
        Some((subject, mail)) => Query::assembled(format!(
            "SELECT {COLUMNS} FROM tk_orgs WHERE id > $1 AND id IN (
                SELECT org_id FROM tk_members
                WHERE subject = $3 OR (subject = $4 AND by_mail = $5))
             ORDER BY id LIMIT $2"
        ))
        .bind(after)
        .bind(limit)
        .bind(subject)
        .bind(mail)
        .bind(true),
    };
    db.fetch_all(statement).await?.iter().map(read).collect()
}

/// A slug is taken.
///
/// # Errors
/// The store's.
pub async fn slug_taken(tx: &mut Tx, slug: &str) -> Result<bool, Problem> {
    let statement = query("SELECT 1 AS one FROM tk_orgs WHERE slug = $1").bind(slug);
    Ok(tx.fetch_optional(statement).await?.is_some())
}

/// Puts a new row in.
///
/// # Errors
/// The store's.
pub async fn insert(tx: &mut Tx, org: &Org) -> Result<(), Problem> {
    let text = format!(
        "INSERT INTO tk_orgs ({COLUMNS}) VALUES
            ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)"
    );
    let statement = bound(Query::assembled(text).bind(&org.id).bind(&org.slug), org)
        .bind(org.version)
        .bind(org.created_at)
        .bind(org.updated_at);
    tx.execute(statement).await?;
    Ok(())
}

/// Stores a changed row.
///
/// # Errors
/// The store's.
pub async fn update(tx: &mut Tx, org: &Org) -> Result<(), Problem> {
    let text = "UPDATE tk_orgs SET name = $3, legal_name = $4, country = $5, currency = $6,
        contact_email = $7, tax_id = $8, fee_payer = $9, tax_remitter = $10, payout_kind = $11,
        payout_target = $12, payout_delay_days = $13, status = $14, verified = $15, version = $16,
        updated_at = $17 WHERE id = $1 AND slug = $2";
    let statement = bound(query(text).bind(&org.id).bind(&org.slug), org)
        .bind(org.version)
        .bind(org.updated_at);
    tx.execute(statement).await?;
    Ok(())
}

/// Columns from `name` to `verified`.
fn bound(statement: Query, org: &Org) -> Query {
    let method = org.payout_method.as_ref();
    statement
        .bind(&org.name)
        .bind(&org.legal_name)
        .bind(&org.country)
        .bind(&org.currency)
        .bind(&org.contact_email)
        .bind(org.tax_id.clone())
        .bind(org.fee_payer.word())
        .bind(org.tax_remitter.word())
        .bind(method.map(PayoutMethod::kind))
        .bind(method.map(PayoutMethod::target))
        .bind(org.payout_delay_days)
        .bind(org.status.word())
        .bind(org.verified)
}

/// A member of an organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Id of the membership.
    pub id: String,
    /// Subject of the member's credentials.
    pub subject: String,
    /// The subject was given as an e-mail address.
    pub by_mail: bool,
    /// What he may do.
    pub role: Role,
    /// Only for these events.
    pub event_ids: Option<Vec<String>>,
    /// Microseconds.
    pub created_at: i64,
}

const MEMBER: &str = "id, subject, by_mail, role, event_ids, created_at";

fn read_member(row: &Row) -> Result<Member, Problem> {
    let events: Option<String> = row.get("event_ids")?;
    Ok(Member {
        id: row.get("id")?,
        subject: row.get("subject")?,
        by_mail: row.get("by_mail")?,
        role: word(Role::from_word, row, "role")?,
        event_ids: events
            .map(|text| serde_json::from_str(&text).map_err(Problem::internal))
            .transpose()?,
        created_at: row.get("created_at")?,
    })
}

/// Members in order of their ids.
///
/// # Errors
/// The store's.
pub async fn members(
    db: &Db,
    org_id: &str,
    after: &str,
    limit: i64,
) -> Result<Vec<Member>, Problem> {
    let text = format!(
        "SELECT {MEMBER} FROM tk_members WHERE org_id = $1 AND id > $2 ORDER BY id LIMIT $3"
    );
    let statement = Query::assembled(text).bind(org_id).bind(after).bind(limit);
    let rows = db.fetch_all(statement).await?;
    rows.iter().map(read_member).collect()
}

/// One member.
///
/// # Errors
/// The store's.
pub async fn member_in(tx: &mut Tx, org_id: &str, id: &str) -> Result<Option<Member>, Problem> {
    let text = format!("SELECT {MEMBER} FROM tk_members WHERE org_id = $1 AND id = $2");
    let statement = Query::assembled(text).bind(org_id).bind(id);
    let row = tx.fetch_optional(statement).await?;
    row.as_ref().map(read_member).transpose()
}

/// How many members, or organizers.
///
/// # Errors
/// The store's.
pub async fn count(tx: &mut Tx, org_id: &str, role: Option<Role>) -> Result<i64, Problem> {
    let text = "SELECT COUNT(*) AS n FROM tk_members WHERE org_id = $1 AND ($2 = '' OR role = $2)";
    let statement = query(text).bind(org_id).bind(role.map_or("", Role::word));
    let row = tx.fetch_optional(statement).await?;
    Ok(row.map_or(Ok(0), |row| row.get("n"))?)
}

/// Adds a member; false when the same subject has this role already.
///
/// # Errors
/// The store's.
pub async fn add_member(tx: &mut Tx, org_id: &str, member: &Member) -> Result<bool, Problem> {
    let text = "INSERT INTO tk_members (id, org_id, subject, by_mail, role, event_ids, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";
    let events = member.event_ids.as_ref();
    let statement = query(text)
        .bind(&member.id)
        .bind(org_id)
        .bind(&member.subject)
        .bind(member.by_mail)
        .bind(member.role.word())
        .bind(events.map(|ids| serde_json::json!(ids).to_string()))
        .bind(member.created_at);
    Ok(tx.execute(statement).await? == 1)
}

/// Removes a member.
///
/// # Errors
/// The store's.
pub async fn remove_member(tx: &mut Tx, org_id: &str, id: &str) -> Result<(), Problem> {
    let text = "DELETE FROM tk_members WHERE org_id = $1 AND id = $2";
    tx.execute(query(text).bind(org_id).bind(id)).await?;
    Ok(())
}
