//! Stock: the counters of types and pools, moved in the transaction that moves the holds.
//!
//! **Invariants.** held + sold ≤ quantity is a constraint of both tables, so that no defect here
//! can oversell (INV-T1). A type's counters keep every unit's way: held_ever = held + converted +
//! released (INV-T3).

use std::collections::BTreeMap;

use florin_platform::sql::{SqlError, Tx, query};

/// How the counters of one type or pool move, in units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Delta {
    held: i64,
    sold: i64,
    held_ever: i64,
    converted: i64,
    released: i64,
}

/// How counters move in one transaction, summed up.
#[derive(Debug, Clone, Default)]
pub struct Moves {
    types: BTreeMap<String, Delta>,
    pools: BTreeMap<String, Delta>,
}

impl Moves {
    fn each(&mut self, type_id: &str, pools: &[String], change: impl Fn(&mut Delta)) {
        change(self.types.entry(type_id.to_owned()).or_default());
        for pool in pools {
            change(self.pools.entry(pool.clone()).or_default());
        }
    }

    /// Units are held.
    pub fn hold(&mut self, type_id: &str, pools: &[String], units: i64) {
        self.each(type_id, pools, |d| {
            d.held += units;
            d.held_ever += units;
        });
    }

    /// Held units are sold.
    pub fn convert(&mut self, type_id: &str, pools: &[String], units: i64) {
        self.each(type_id, pools, |d| {
            d.held -= units;
            d.sold += units;
            d.converted += units;
        });
    }

    /// Held units are back for sale.
    pub fn release(&mut self, type_id: &str, pools: &[String], units: i64) {
        self.each(type_id, pools, |d| {
            d.held -= units;
            d.released += units;
        });
    }

    /// Units are sold without a hold before (complimentary tickets).
    pub fn sell(&mut self, type_id: &str, pools: &[String], units: i64) {
        self.each(type_id, pools, |d| d.sold += units);
    }

    /// Sold units are back for sale.
    pub fn give_back(&mut self, type_id: &str, pools: &[String], units: i64) {
        self.each(type_id, pools, |d| d.sold -= units);
    }

    /// Nothing moves.
    pub fn is_empty(&self) -> bool {
        self.types.is_empty() && self.pools.is_empty()
    }

    /// Some sold counter moves: the event may be sold out now, or no longer.
    pub fn touches_sold(&self) -> bool {
        self.types.values().any(|delta| delta.sold != 0)
    }

    /// Writes them.
    ///
    /// # Errors
    /// As [`Tx::execute`]; a constraint refuses what would oversell.
    pub async fn apply(&self, tx: &mut Tx) -> Result<(), SqlError> {
        for (id, delta) in &self.types {
            let text = "UPDATE tk_types SET held = held + $1, sold = sold + $2,
                held_ever = held_ever + $3, converted = converted + $4, released = released + $5
                WHERE id = $6";
            let statement = query(text)
                .bind(delta.held)
                .bind(delta.sold)
                .bind(delta.held_ever)
                .bind(delta.converted)
                .bind(delta.released)
                .bind(id);
            tx.execute(statement).await?;
        }
        for (id, delta) in &self.pools {
            let text = "UPDATE tk_pools SET held = held + $1, sold = sold + $2 WHERE id = $3";
            let statement = query(text).bind(delta.held).bind(delta.sold).bind(id);
            tx.execute(statement).await?;
        }
        Ok(())
    }
}

/// The pools that a type is in now.
///
/// # Errors
/// As [`Tx::fetch_all`].
pub async fn pools_of(tx: &mut Tx, type_id: &str) -> Result<Vec<String>, SqlError> {
    let text = "SELECT pool_id FROM tk_type_pools WHERE type_id = $1 ORDER BY pool_id";
    let rows = tx.fetch_all(query(text).bind(type_id)).await?;
    rows.iter().map(|row| row.get("pool_id")).collect()
}

/// Gives units that tickets held back for sale, in the type and the pools it is in now.
///
/// # Errors
/// As [`Tx::execute`].
pub async fn give_back(tx: &mut Tx, type_id: &str, units: i64) -> Result<(), SqlError> {
    if units == 0 {
        return Ok(());
    }
    let pools = pools_of(tx, type_id).await?;
    let mut moves = Moves::default();
    moves.give_back(type_id, &pools, units);
    moves.apply(tx).await
}

/// A type joins and leaves pools: the pools' counters and the type's holds follow. The rows of
/// `tk_type_pools` are the caller's.
///
/// # Errors
/// As [`Tx::execute`]; a constraint refuses a pool without room.
pub async fn move_pools(
    tx: &mut Tx,
    type_id: &str,
    before: &[String],
    after: &[String],
) -> Result<(), SqlError> {
    let text = "SELECT held, sold FROM tk_types WHERE id = $1";
    let Some(row) = tx.fetch_optional(query(text).bind(type_id)).await? else {
        return Ok(());
    };
    let (held, sold): (i64, i64) = (row.get("held")?, row.get("sold")?);
    let left = before.iter().filter(|id| !after.contains(id));
    let joined = after.iter().filter(|id| !before.contains(id));
    for (id, sign) in left.map(|id| (id, -1)).chain(joined.map(|id| (id, 1))) {
        let text = "UPDATE tk_pools SET held = held + $1, sold = sold + $2 WHERE id = $3";
        let statement = query(text).bind(sign * held).bind(sign * sold).bind(id);
        tx.execute(statement).await?;
    }
    let text = "UPDATE tk_holds SET pools = $1 WHERE type_id = $2 AND state = $3";
    let statement = query(text).bind(join(after)).bind(type_id).bind("held");
    tx.execute(statement).await?;
    Ok(())
}

/// Pool ids as a hold row keeps them.
pub fn join(pools: &[String]) -> String {
    pools.join(",")
}

/// Pool ids from a hold row.
pub fn parted(text: &str) -> Vec<String> {
    text.split(',')
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}
