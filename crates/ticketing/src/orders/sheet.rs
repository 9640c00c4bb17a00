//! What an event sells, as one transaction sees it: read once, judged against many times.

use florin_platform::http::problem::Problem;
use florin_platform::sql::{Row, Tx, query};

use crate::model::amounts::{Fee, FeePayer, FeeRule, Minor};
use crate::settings::Settings;

/// An event with its organisation, types and pools.
#[derive(Debug, Clone)]
pub struct Sheet {
    /// The event.
    pub event: EventFacts,
    /// Its types.
    pub types: Vec<TypeFacts>,
    /// Its pools.
    pub pools: Vec<PoolFacts>,
    /// The fee rule that applies.
    pub rule: FeeRule,
    /// Decimals of the currency.
    pub scale: u8,
}

/// What the sale needs of an event and its organisation. Times in microseconds.
#[derive(Debug, Clone)]
pub struct EventFacts {
    /// Its id.
    pub id: String,
    /// Its organisation.
    pub org_id: String,
    /// `active`, `suspended` or `closed`.
    pub org_status: String,
    /// Its status.
    pub status: String,
    /// Its title.
    pub title: String,
    /// `public`, `unlisted` or `private`.
    pub visibility: String,
    /// Opens a private event.
    pub access_key: Option<String>,
    /// Its currency.
    pub currency: String,
    /// Life of a hold.
    pub hold_seconds: i64,
    /// The organiser paused the sale.
    pub sales_paused: bool,
    /// Most tickets of one buyer.
    pub max_per_buyer: Option<i64>,
    /// When it starts.
    pub starts_at: Option<i64>,
    /// When it was published.
    pub published_at: Option<i64>,
    /// Who bears the fees.
    pub fee_payer: FeePayer,
    /// End of the right to a full refund after it was rescheduled.
    pub refund_until: Option<i64>,
}

/// What the sale needs of a ticket type.
#[derive(Debug, Clone)]
pub struct TypeFacts {
    /// Its id.
    pub id: String,
    /// Its number in tokens.
    pub type_no: i64,
    /// Its name.
    pub name: String,
    /// Sold only with an access code.
    pub hidden: bool,
    /// List price.
    pub price: Minor,
    /// Units; `None`: pools limit it.
    pub quantity: Option<i64>,
    /// Units sold.
    pub sold: i64,
    /// Units held.
    pub held: i64,
    /// The sale begins.
    pub sale_starts_at: Option<i64>,
    /// The sale ends.
    pub sale_ends_at: Option<i64>,
    /// Least units of one order.
    pub min_per_order: i64,
    /// Most units of one order.
    pub max_per_order: i64,
    /// Most units of one buyer.
    pub max_per_buyer: Option<i64>,
    /// Tickets may be transferred.
    pub transferable: bool,
    /// Until when buyers may refund alone.
    pub refundable_until: Option<i64>,
    /// Tax rate in basis points.
    pub tax_rate_bp: u32,
    /// The price contains the tax.
    pub price_includes_tax: bool,
    /// `none`, `name` or `name_email`.
    pub attendee_fields: String,
    /// JSON list of questions.
    pub questions: String,
    /// Pools it is in, as indices into [`Sheet::pools`].
    pub pools: Vec<usize>,
}

/// A pool.
#[derive(Debug, Clone)]
pub struct PoolFacts {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Units.
    pub capacity: i64,
    /// Units sold.
    pub sold: i64,
    /// Units held.
    pub held: i64,
}

impl Sheet {
    /// Index of a type.
    pub fn type_index(&self, id: &str) -> Option<usize> {
        self.types.iter().position(|kind| kind.id == id)
    }

    /// Ids of a type's pools.
    pub fn pool_ids(&self, index: usize) -> Vec<String> {
        let pools = &self.types[index].pools;
        pools.iter().map(|at| self.pools[*at].id.clone()).collect()
    }

    /// Moves the counters of the sheet as a hold of these units moves those of the tables.
    pub fn hold(&mut self, index: usize, units: i64) {
        self.types[index].held += units;
        for at in self.types[index].pools.clone() {
            self.pools[at].held += units;
        }
    }

    /// As [`Self::hold`], for units that are sold at once.
    pub fn sell(&mut self, index: usize, units: i64) {
        self.types[index].sold += units;
        for at in self.types[index].pools.clone() {
            self.pools[at].sold += units;
        }
    }

    /// What can be had of a type now.
    pub fn available(&self, index: usize) -> i64 {
        let kind = &self.types[index];
        let own = kind.quantity.map(|q| q - kind.sold - kind.held);
        let pools = kind.pools.iter().map(|at| {
            let pool = &self.pools[*at];
            pool.capacity - pool.sold - pool.held
        });
        own.into_iter()
            .chain(pools)
            .min()
            .unwrap_or(i64::MAX)
            .max(0)
    }
}

/// Reads the sheet of an event; `None` when there is no such event.
///
/// # Errors
/// The store's.
pub async fn load(
    tx: &mut Tx,
    settings: &Settings,
    event_id: &str,
) -> Result<Option<Sheet>, Problem> {
    let text = "SELECT e.id, e.org_id, o.status AS org_status, e.status, e.title, e.visibility,
        e.access_key, e.currency, e.hold_seconds, e.sales_paused, e.max_per_buyer, e.starts_at,
        e.published_at, e.fee_payer, e.refund_until
        FROM tk_events e JOIN tk_orgs o ON o.id = e.org_id WHERE e.id = $1";
    let Some(row) = tx.fetch_optional(query(text).bind(event_id)).await? else {
        return Ok(None);
    };
    let event = event(&row)?;
    let text = "SELECT id, name, capacity, sold, held FROM tk_pools WHERE event_id = $1";
    let rows = tx.fetch_all(query(text).bind(event_id)).await?;
    let pools: Vec<PoolFacts> = rows.iter().map(pool).collect::<Result<_, _>>()?;
    let text = "SELECT id, type_no, name, hidden, price, quantity, sold, held, sale_starts_at,
        sale_ends_at, min_per_order, max_per_order, max_per_buyer, transferable, refundable_until,
        tax_rate_bp, price_includes_tax, attendee_fields, questions
        FROM tk_types WHERE event_id = $1";
    let rows = tx.fetch_all(query(text).bind(event_id)).await?;
    let mut types: Vec<TypeFacts> = rows.iter().map(kind).collect::<Result<_, _>>()?;
    if !pools.is_empty() {
        let text = "SELECT p.type_id, p.pool_id FROM tk_type_pools p
            JOIN tk_types t ON t.id = p.type_id WHERE t.event_id = $1";
        for row in tx.fetch_all(query(text).bind(event_id)).await? {
            let (type_id, pool_id): (String, String) = (row.get("type_id")?, row.get("pool_id")?);
            let found = types.iter_mut().find(|kind| kind.id == type_id);
            let at = pools.iter().position(|pool| pool.id == pool_id);
            if let (Some(kind), Some(at)) = (found, at) {
                kind.pools.push(at);
            }
        }
    }
    let scale = settings
        .scale(&event.currency)
        .ok_or_else(|| Problem::internal("an event's currency is not registered"))?;
    let rule = fee_rule(tx, &event.org_id, &event.id, &event.currency, scale).await?;
    Ok(Some(Sheet {
        event,
        types,
        pools,
        rule,
        scale,
    }))
}

fn event(row: &Row) -> Result<EventFacts, Problem> {
    Ok(EventFacts {
        id: row.get("id")?,
        org_id: row.get("org_id")?,
        org_status: row.get("org_status")?,
        status: row.get("status")?,
        title: row.get("title")?,
        visibility: row.get("visibility")?,
        access_key: row.get("access_key")?,
        currency: row.get("currency")?,
        hold_seconds: row.get("hold_seconds")?,
        sales_paused: row.get("sales_paused")?,
        max_per_buyer: row.get("max_per_buyer")?,
        starts_at: row.get("starts_at")?,
        published_at: row.get("published_at")?,
        fee_payer: FeePayer::from_word(&row.get::<String>("fee_payer")?),
        refund_until: row.get("refund_until")?,
    })
}

fn pool(row: &Row) -> Result<PoolFacts, Problem> {
    Ok(PoolFacts {
        id: row.get("id")?,
        name: row.get("name")?,
        capacity: row.get("capacity")?,
        sold: row.get("sold")?,
        held: row.get("held")?,
    })
}

fn kind(row: &Row) -> Result<TypeFacts, Problem> {
    Ok(TypeFacts {
        id: row.get("id")?,
        type_no: row.get("type_no")?,
        name: row.get("name")?,
        hidden: row.get("hidden")?,
        price: row.get("price")?,
        quantity: row.get("quantity")?,
        sold: row.get("sold")?,
        held: row.get("held")?,
        sale_starts_at: row.get("sale_starts_at")?,
        sale_ends_at: row.get("sale_ends_at")?,
        min_per_order: row.get("min_per_order")?,
        max_per_order: row.get("max_per_order")?,
        max_per_buyer: row.get("max_per_buyer")?,
        transferable: row.get("transferable")?,
        refundable_until: row.get("refundable_until")?,
        tax_rate_bp: u32::try_from(row.get::<i64>("tax_rate_bp")?).unwrap_or(0),
        price_includes_tax: row.get("price_includes_tax")?,
        attendee_fields: row.get("attendee_fields")?,
        questions: row.get("questions")?,
        pools: Vec::new(),
    })
}

/// The narrowest fee rule: of the event, else of the organisation, else of the platform, else the
/// standard one.
async fn fee_rule(
    tx: &mut Tx,
    org_id: &str,
    event_id: &str,
    currency: &str,
    scale: u8,
) -> Result<FeeRule, Problem> {
    let text = "SELECT scope, platform_bp, platform_fixed, processing_bp, processing_fixed
        FROM tk_fee_rules WHERE currency = $1 AND scope_id IN ('', $2, $3)";
    let statement = query(text).bind(currency).bind(org_id).bind(event_id);
    let mut best: Option<(u8, FeeRule)> = None;
    for row in tx.fetch_all(statement).await? {
        let rank = match &*row.get::<String>("scope")? {
            "event" => 2,
            "org" => 1,
            _ => 0,
        };
        let bp = |name: &str| -> Result<u32, Problem> {
            Ok(u32::try_from(row.get::<i64>(name)?).unwrap_or(0))
        };
        let rule = FeeRule {
            platform: Fee {
                percent_bp: bp("platform_bp")?,
                fixed: row.get("platform_fixed")?,
            },
            processing: Fee {
                percent_bp: bp("processing_bp")?,
                fixed: row.get("processing_fixed")?,
            },
        };
        if best.is_none_or(|(known, _)| known < rank) {
            best = Some((rank, rule));
        }
    }
    Ok(best.map_or_else(|| FeeRule::standard(scale), |(_, rule)| rule))
}
