//! Pages over an account's entries: how far one page may read, how its items are written, and
//! what its cursor holds.

use florin_ledger::{
    ReadView,
    engine::{Entry, EntryPage, ReadError},
    model::Slot,
};
use florin_platform::http::page::Position;
use serde::Serialize;

/// Entries read in one step.
pub const STEP: usize = 256;
/// Most entries looked at for one page; a page whose filters match little may be shorter than
/// its limit and still have a next one.
pub const SCAN_MAX: usize = 20_000;

/// Where an entry stands: (`effectiveAt` in microseconds, `seq`).
pub type After = (i64, u64);

/// The position after an entry.
pub fn position(snapshot: u64, after: After) -> Position {
    let mut bytes = after.0.to_le_bytes().to_vec();
    bytes.extend_from_slice(&after.1.to_le_bytes());
    Position {
        snapshot,
        after: bytes,
    }
}

/// The entry that a position stands after.
pub fn after(position: Option<&Position>) -> Option<After> {
    let (effective, rest) = position?.after.split_first_chunk::<8>()?;
    let seq = rest.first_chunk::<8>()?;
    Some((i64::from_le_bytes(*effective), u64::from_le_bytes(*seq)))
}

/// The `seq` as of which a walk is shown: that of its first page.
pub fn snapshot(view: &ReadView, position: Option<&Position>) -> u64 {
    position.map_or(view.seq(), |position| position.snapshot)
}

/// Walks an account's entries until `limit` of them were kept.
///
/// `visit` says whether an entry matches, and keeps it if its second argument says so. The
/// answer is the entry after which the next page starts, if there is more.
pub fn walk(
    view: &ReadView,
    slot: Slot,
    mut page: EntryPage,
    limit: usize,
    mut visit: impl FnMut(&Entry, bool) -> Result<bool, ReadError>,
) -> Result<Option<After>, ReadError> {
    let (mut kept, mut scanned, mut last_kept) = (0, 0, None);
    page.limit = STEP;
    loop {
        let entries = view.entries(slot, &page)?;
        let is_last = entries.len() < STEP;
        for entry in &entries {
            let at = (entry.effective_at.micros(), entry.seq);
            let keep = kept < limit;
            if visit(entry, keep)? {
                // One match beyond the limit tells that there is a next page.
                if !keep {
                    return Ok(last_kept);
                }
                kept += 1;
                last_kept = Some(at);
            }
            page.after = Some(at);
        }
        scanned += entries.len();
        if is_last {
            return Ok(None);
        }
        if scanned >= SCAN_MAX {
            return Ok(page.after);
        }
    }
}

/// The items of a page, written as they are found: they borrow from records that are gone
/// before the page is whole.
#[derive(Debug)]
pub struct Items {
    json: Vec<u8>,
    count: usize,
}

impl Items {
    /// None yet.
    pub fn new() -> Self {
        Self {
            json: b"{\"items\":[".to_vec(),
            count: 0,
        }
    }

    /// Adds an item.
    pub fn push(&mut self, item: &impl Serialize) {
        if self.count > 0 {
            self.json.push(b',');
        }
        self.count += 1;
        serde_json::to_writer(&mut self.json, item).expect("views are JSON, memory takes writes");
    }

    /// The whole page.
    pub fn finish(mut self, next_cursor: Option<&str>) -> Vec<u8> {
        self.json.extend_from_slice(b"],\"nextCursor\":");
        serde_json::to_writer(&mut self.json, &next_cursor).expect("a string is JSON");
        self.json.push(b'}');
        self.json
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_round_trip() {
        let mut position = position(9, (-5, 7));
        assert_eq!(position.snapshot, 9);
        assert_eq!(after(Some(&position)), Some((-5, 7)));
        position.after.truncate(9);
        assert_eq!(after(Some(&position)), None);
    }

    #[test]
    fn pages_are_json() {
        let mut items = Items::new();
        items.push(&1);
        items.push(&"a");
        assert_eq!(
            items.finish(Some("c")),
            br#"{"items":[1,"a"],"nextCursor":"c"}"#
        );
        assert_eq!(
            Items::new().finish(None),
            br#"{"items":[],"nextCursor":null}"#
        );
    }
}
