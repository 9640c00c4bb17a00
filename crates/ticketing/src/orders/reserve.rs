//! Reserving: a batch of carts of one event, judged one after another and written together.

mod write;

use std::collections::{BTreeMap, HashMap};

use florin_platform::http::problem::Problem;
use florin_platform::sql::{Arg, Row, query};
use serde_json::Value;

pub(super) use self::write::{INSERT_ITEM, INSERT_ORDER, item_row, order_args};
use super::desk::Cx;
use super::judge::{self, BuyerFacts, Cart, Priced, Promo, Wish};
use super::row::{Attendee, Contact};
use super::sheet::{self, Sheet};
use crate::api::problem::event_not_found;
use crate::model::buyer::BuyerKey;
use crate::store::bulk;
use crate::store::idempotency::{Kept, Once};

/// A cart that somebody wants to reserve, its shape checked.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The event.
    pub event_id: String,
    /// Identity of the request.
    pub once: Once,
    /// The buyer.
    pub buyer: BuyerKey,
    /// Subject, if he is signed in.
    pub owner_sub: Option<String>,
    /// How to reach him.
    pub contact: Contact,
    /// What he wants, each type once.
    pub wishes: Vec<Wish>,
    /// Promo code in upper case.
    pub promo_code: Option<String>,
    /// Opens a private event.
    pub access_key: Option<String>,
    /// The total that he saw.
    pub expected_total: Option<String>,
    /// Who will come, if he said so.
    pub attendees: Option<Vec<Attendee>>,
    /// Visitor of the funnel.
    pub visitor_id: Option<String>,
    /// JSON, where he came from.
    pub source: Option<String>,
    /// Token for a guest, which is shown to him once.
    pub access_token: Option<String>,
}

/// What a reserve answers.
#[derive(Debug, Clone)]
pub enum Reserved {
    /// The order, as the answer's body.
    New {
        /// Its id.
        order_id: String,
        /// The body.
        body: Value,
    },
    /// The first answer of the same request.
    Again(Kept),
}

/// Facts of the buyers of a batch, moved on as orders are taken.
struct Known {
    buyers: HashMap<[u8; 32], BuyerFacts>,
    promos: BTreeMap<String, Promo>,
    promo_uses: HashMap<(String, [u8; 32]), i64>,
}

/// An order that was taken, waiting to be written.
struct Taken {
    place: usize,
    lookup: [u8; 32],
    priced: Priced,
    promo_id: Option<String>,
}

/// Judges the carts of one event in order and writes those that are good. The counters move with
/// [`Cx::moves`]. `numbers` holds at least one order number for each cart.
///
/// # Errors
/// The store's; refusals stand in the places of their carts.
pub async fn batch(
    cx: &mut Cx,
    event_id: &str,
    asks: &[&Ask],
    numbers: &mut Vec<String>,
) -> Result<Vec<Result<Reserved, Problem>>, Problem> {
    let marks = cx.room.store.marks();
    let Some(mut sheet) = sheet::load(&mut cx.tx, &cx.room.settings, event_id).await? else {
        return Ok(asks.iter().map(|_| Err(event_not_found())).collect());
    };
    let once: Vec<&Once> = asks.iter().map(|ask| &ask.once).collect();
    let mut replays = Once::replay_all(&mut cx.tx, marks, &once).await?;
    let mut known = known(cx, &sheet, asks).await?;
    let mut outcomes: Vec<Option<Result<Reserved, Problem>>> = asks.iter().map(|_| None).collect();
    let mut firsts: HashMap<(&str, &str), usize> = HashMap::new();
    let mut followers: Vec<(usize, usize)> = Vec::new();
    let mut taken: Vec<Taken> = Vec::new();
    for (place, ask) in asks.iter().enumerate() {
        match std::mem::replace(&mut replays[place], Ok(None)) {
            Err(conflict) => {
                outcomes[place] = Some(Err(conflict));
                continue;
            }
            Ok(Some(kept)) => {
                outcomes[place] = Some(Ok(Reserved::Again(kept)));
                continue;
            }
            Ok(None) => {}
        }
        if let Some(first) = firsts.get(&ask.once.identity()) {
            match ask.once.same(&asks[*first].once) {
                Ok(()) => followers.push((place, *first)),
                Err(conflict) => outcomes[place] = Some(Err(conflict)),
            }
            continue;
        }
        let lookup = cx.room.vault.lookup(&ask.buyer);
        match judged(&sheet, &known, ask, lookup, cx.now) {
            Err(problem) => outcomes[place] = Some(Err(problem)),
            Ok((priced, promo_id)) => {
                firsts.insert(ask.once.identity(), place);
                move_on(
                    &mut sheet,
                    &mut known,
                    ask,
                    lookup,
                    &priced,
                    promo_id.as_deref(),
                );
                taken.push(Taken {
                    place,
                    lookup,
                    priced,
                    promo_id,
                });
            }
        }
    }
    for (place, kept, reserved) in write::write(cx, &sheet, asks, &taken, numbers).await? {
        for (follower, _) in followers.iter().filter(|(_, first)| *first == place) {
            outcomes[*follower] = Some(Ok(Reserved::Again(kept.clone())));
        }
        outcomes[place] = Some(Ok(reserved));
    }
    let missing = || Err(Problem::internal("a cart that was not judged"));
    Ok(outcomes
        .into_iter()
        .map(|outcome| outcome.unwrap_or_else(missing))
        .collect())
}

fn judged(
    sheet: &Sheet,
    known: &Known,
    ask: &Ask,
    lookup: [u8; 32],
    now: i64,
) -> Result<(Priced, Option<String>), Problem> {
    visible(sheet, ask.access_key.as_deref())?;
    let promo = ask.promo_code.as_ref().map(|code| known.promos.get(code));
    let mut buyer = known.buyers.get(&lookup).cloned().unwrap_or_default();
    if let Some(promo) = promo.flatten() {
        let uses = known.promo_uses.get(&(promo.id.clone(), lookup));
        buyer.promo_uses = uses.copied().unwrap_or(0);
    }
    let cart = Cart {
        wishes: &ask.wishes,
        promo,
        expected_total: ask.expected_total.as_deref(),
    };
    let priced = judge::reserve(sheet, &cart, &buyer, now)?;
    Ok((priced, promo.flatten().map(|promo| promo.id.clone())))
}

/// 404 of a private event without its key.
///
/// # Errors
/// 404 `event_not_found`.
pub fn visible(sheet: &Sheet, access_key: Option<&str>) -> Result<(), Problem> {
    let hidden = sheet.event.visibility == "private"
        && (access_key.is_none() || access_key != sheet.event.access_key.as_deref());
    match hidden {
        true => Err(event_not_found()),
        false => Ok(()),
    }
}

fn move_on(
    sheet: &mut Sheet,
    known: &mut Known,
    ask: &Ask,
    lookup: [u8; 32],
    priced: &Priced,
    promo_id: Option<&str>,
) {
    let buyer = known.buyers.entry(lookup).or_default();
    buyer.open_orders += 1;
    for (index, wish) in priced.types.iter().zip(&ask.wishes) {
        sheet.hold(*index, wish.quantity);
        buyer.units.push((wish.type_id.clone(), wish.quantity));
    }
    if let Some(id) = promo_id {
        if let Some(promo) = known.promos.values_mut().find(|promo| promo.id == id) {
            promo.uses += 1;
        }
        *known.promo_uses.entry((id.to_owned(), lookup)).or_default() += 1;
    }
}

async fn known(cx: &mut Cx, sheet: &Sheet, asks: &[&Ask]) -> Result<Known, Problem> {
    let marks = cx.room.store.marks();
    let event_id = &sheet.event.id;
    let mut lookups: Vec<[u8; 32]> = asks
        .iter()
        .map(|ask| cx.room.vault.lookup(&ask.buyer))
        .collect();
    lookups.sort_unstable();
    lookups.dedup();
    let keys = || lookups.iter().map(Arg::from).collect::<Vec<Arg>>();
    let mut buyers: HashMap<[u8; 32], BuyerFacts> = HashMap::new();
    // What a buyer has is found by the buyer. Event, status and time are written as no index could
    // serve them: by any of these all orders of a hot event would be read.
    let prefix = "SELECT buyer, COUNT(*) AS n FROM tk_orders WHERE event_id || '' = $1
        AND status || '' IN ('reserved', 'pending') AND expires_at + 0 > $2 AND buyer IN";
    let first = [Arg::from(event_id), Arg::from(cx.now)];
    let rows = bulk::select(&mut cx.tx, marks, prefix, "GROUP BY buyer", &first, keys()).await?;
    for row in &rows {
        buyers.entry(lookup_of(row)?).or_default().open_orders = row.get("n")?;
    }
    let counted = sheet.event.max_per_buyer.is_some()
        || sheet.types.iter().any(|kind| kind.max_per_buyer.is_some());
    if counted {
        let held = "SELECT o.buyer, h.type_id AS kind, CAST(SUM(h.quantity) AS BIGINT) AS n
            FROM tk_orders o JOIN tk_holds h ON h.order_id = o.id
            WHERE o.event_id || '' = $1 AND o.expires_at + 0 > $2 AND h.state || '' = 'held'
            AND o.buyer IN";
        let suffix = "GROUP BY o.buyer, h.type_id";
        let mut rows = bulk::select(&mut cx.tx, marks, held, suffix, &first, keys()).await?;
        let sold = "SELECT o.buyer, t.type_id AS kind, COUNT(*) AS n
            FROM tk_orders o JOIN tk_tickets t ON t.order_id = o.id
            WHERE o.event_id || '' = $1 AND o.channel = 'online'
            AND t.status IN ('valid', 'used', 'suspended', 'listed') AND o.buyer IN";
        let suffix = "GROUP BY o.buyer, t.type_id";
        rows.extend(bulk::select(&mut cx.tx, marks, sold, suffix, &first[..1], keys()).await?);
        for row in &rows {
            let buyer = buyers.entry(lookup_of(row)?).or_default();
            buyer.units.push((row.get("kind")?, row.get("n")?));
        }
    }
    let promos = promos(cx, event_id, asks).await?;
    let mut promo_uses = HashMap::new();
    for promo in promos.values().filter(|p| p.max_uses_per_buyer.is_some()) {
        let prefix = "SELECT buyer, COUNT(*) AS n FROM tk_promo_uses
            WHERE promo_id = $1 AND state IN ('taken', 'kept') AND buyer IN";
        let first = [Arg::from(&promo.id)];
        let rows =
            bulk::select(&mut cx.tx, marks, prefix, "GROUP BY buyer", &first, keys()).await?;
        for row in &rows {
            promo_uses.insert((promo.id.clone(), lookup_of(row)?), row.get("n")?);
        }
    }
    Ok(Known {
        buyers,
        promos,
        promo_uses,
    })
}

fn lookup_of(row: &Row) -> Result<[u8; 32], Problem> {
    let bytes: Vec<u8> = row.get("buyer")?;
    bytes
        .try_into()
        .map_err(|_| Problem::internal("digest of a buyer"))
}

async fn promos(
    cx: &mut Cx,
    event_id: &str,
    asks: &[&Ask],
) -> Result<BTreeMap<String, Promo>, Problem> {
    let mut codes: Vec<&String> = asks
        .iter()
        .filter_map(|ask| ask.promo_code.as_ref())
        .collect();
    codes.sort();
    codes.dedup();
    let mut found = BTreeMap::new();
    for code in codes {
        if let Some(promo) = promo(&mut cx.tx, event_id, code).await? {
            found.insert(code.clone(), promo);
        }
    }
    Ok(found)
}

/// A promo code of an event; `code` in upper case.
///
/// # Errors
/// The store's.
pub async fn promo(
    tx: &mut florin_platform::sql::Tx,
    event_id: &str,
    code: &str,
) -> Result<Option<Promo>, Problem> {
    let text = "SELECT id, kind, bp, amount, type_ids, valid_from, valid_until, max_uses,
        max_uses_per_buyer, min_order_amount, uses FROM tk_promos
        WHERE event_id = $1 AND code = $2";
    let Some(row) = tx
        .fetch_optional(query(text).bind(event_id).bind(code))
        .await?
    else {
        return Ok(None);
    };
    let types: Option<String> = row.get("type_ids")?;
    let types = types.map(|text| serde_json::from_str(&text)).transpose();
    Ok(Some(Promo {
        id: row.get("id")?,
        kind: row.get("kind")?,
        bp: row.get("bp")?,
        amount: row.get("amount")?,
        type_ids: types.map_err(Problem::internal)?,
        valid_from: row.get("valid_from")?,
        valid_until: row.get("valid_until")?,
        max_uses: row.get("max_uses")?,
        max_uses_per_buyer: row.get("max_uses_per_buyer")?,
        min_order_amount: row.get("min_order_amount")?,
        uses: row.get("uses")?,
    }))
}
