//! Order numbers: places of the sequence, taken from the table in blocks.
//!
//! A block belongs to this process once its transaction is committed; what is left of it when the
//! process ends is never used. Places need no order and may have gaps.

use florin_platform::http::problem::Problem;
use florin_platform::sql::{Db, query};
use parking_lot::Mutex;

use crate::model::order_number::OrderNumbers;
use crate::room::Secrets;

/// Places of a block.
const BLOCK: u64 = 4_096;

/// Hands out order numbers.
pub struct Numbers {
    /// In a lane of its own: a block is taken while an event's transaction may be open elsewhere.
    db: Db,
    numbers: OrderNumbers,
    block: Mutex<std::ops::Range<u64>>,
}

impl Numbers {
    /// Over the tables of the room.
    pub fn new(db: &Db, secrets: &Secrets) -> Self {
        Self {
            db: db.lane("ticketing_numbers"),
            numbers: OrderNumbers::new(&secrets.derive("orders/number")),
            block: Mutex::new(0..0),
        }
    }

    /// So many fresh numbers. Not inside a transaction.
    ///
    /// # Errors
    /// The store's.
    pub async fn take(&self, count: usize) -> Result<Vec<String>, Problem> {
        let mut found = Vec::with_capacity(count);
        loop {
            self.drain(count, &mut found);
            if found.len() == count {
                return Ok(found);
            }
            let fresh = self.fetch().await?;
            let mut block = self.block.lock();
            // Another task may have fetched too; the smaller rest is given up.
            if block.is_empty() {
                *block = fresh;
            }
        }
    }

    fn drain(&self, count: usize, found: &mut Vec<String>) {
        let missing = (count - found.len()) as u64;
        let places = {
            let mut block = self.block.lock();
            let end = block.end.min(block.start.saturating_add(missing));
            let places = block.start..end;
            block.start = end;
            places
        };
        found.extend(places.map(|place| self.numbers.number(place)));
    }

    async fn fetch(&self) -> Result<std::ops::Range<u64>, Problem> {
        let text = "INSERT INTO tk_sequences (name, next) VALUES ('orders', $1)
            ON CONFLICT (name) DO UPDATE SET next = tk_sequences.next + $2 RETURNING next";
        let block = i64::try_from(BLOCK).unwrap_or(i64::MAX);
        let mut tx = self.db.begin().await?;
        let row = tx
            .fetch_optional(query(text).bind(block).bind(block))
            .await?
            .ok_or_else(|| Problem::internal("no place in the sequence of orders"))?;
        let end = u64::try_from(row.get::<i64>("next")?).unwrap_or(0);
        tx.commit().await?;
        Ok(end.saturating_sub(BLOCK)..end)
    }
}
