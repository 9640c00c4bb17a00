//! Many rows in one statement, cut into a few fixed sizes so that prepared statements are met
//! again.

use florin_platform::sql::{Arg, Query, Row, SqlError, Tx};

/// Rows of one statement; the sizes that are prepared. Most parameters: 256 times the widest row,
/// which stays below the 32 766 of SQLite and the 65 535 of PostgreSQL.
const SIZES: [usize; 4] = [256, 32, 4, 1];

/// How parameters are written. SQLite looks a numbered parameter up by its name, one after the
/// other, which makes a statement of thousands quadratic; a plain mark it just counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marks {
    numbered: bool,
}

impl Marks {
    /// For a database that several processes share (PostgreSQL), or for SQLite.
    pub const fn of(is_shared: bool) -> Self {
        Self {
            numbered: is_shared,
        }
    }

    /// A statement written with `$1`, `$2`, … in that order, each once, as this database wants it.
    pub fn text(self, numbered: &str) -> String {
        if self.numbered {
            return numbered.to_owned();
        }
        let mut plain = String::with_capacity(numbered.len());
        let mut rest = numbered.chars().peekable();
        while let Some(character) = rest.next() {
            if character != '$' {
                plain.push(character);
                continue;
            }
            plain.push('?');
            while rest.peek().is_some_and(char::is_ascii_digit) {
                rest.next();
            }
        }
        plain
    }

    fn list(self, from: usize, count: usize) -> String {
        let mark = |n: usize| match self.numbered {
            true => format!("${n}"),
            false => "?".to_owned(),
        };
        let marks: Vec<String> = (from..from + count).map(mark).collect();
        format!("({})", marks.join(", "))
    }
}

fn size_for(rows: usize) -> usize {
    SIZES.into_iter().find(|size| *size <= rows).unwrap_or(1)
}

/// `prefix VALUES (…), (…) suffix` over all rows; answers how many rows changed.
///
/// # Errors
/// As [`Tx::execute`].
pub async fn insert(
    tx: &mut Tx,
    marks: Marks,
    prefix: &str,
    suffix: &str,
    rows: Vec<Vec<Arg>>,
) -> Result<u64, SqlError> {
    let mut changed = 0;
    let mut rows = rows.into_iter();
    while let Some(first) = rows.as_slice().first() {
        let width = first.len();
        let count = size_for(rows.len());
        let values: Vec<String> = (0..count)
            .map(|row| marks.list(1 + row * width, width))
            .collect();
        let text = format!("{prefix} VALUES {} {suffix}", values.join(", "));
        let statement = rows
            .by_ref()
            .take(count)
            .flatten()
            .fold(Query::assembled(text), Query::bind);
        changed += tx.execute(statement).await?;
    }
    Ok(changed)
}

/// `prefix (…) suffix` over all keys, the rows of all statements joined. `first` are bound to the
/// parameters `$1`, `$2`, … of the prefix, which stand there in this order.
///
/// # Errors
/// As [`Tx::fetch_all`].
pub async fn select(
    tx: &mut Tx,
    marks: Marks,
    prefix: &str,
    suffix: &str,
    first: &[Arg],
    keys: Vec<Arg>,
) -> Result<Vec<Row>, SqlError> {
    let mut found = Vec::new();
    let mut keys = keys.into_iter();
    while keys.len() > 0 {
        let count = size_for(keys.len());
        let list = marks.list(1 + first.len(), count);
        let text = format!("{} {list} {suffix}", marks.text(prefix));
        let statement = first
            .iter()
            .cloned()
            .chain(keys.by_ref().take(count))
            .fold(Query::assembled(text), Query::bind);
        found.extend(tx.fetch_all(statement).await?);
    }
    Ok(found)
}

/// Runs a statement once for each chunk of keys, as [`select`].
///
/// # Errors
/// As [`Tx::execute`].
pub async fn execute(
    tx: &mut Tx,
    marks: Marks,
    prefix: &str,
    suffix: &str,
    first: &[Arg],
    keys: Vec<Arg>,
) -> Result<u64, SqlError> {
    let mut changed = 0;
    let mut keys = keys.into_iter();
    while keys.len() > 0 {
        let count = size_for(keys.len());
        let list = marks.list(1 + first.len(), count);
        let text = format!("{} {list} {suffix}", marks.text(prefix));
        let statement = first
            .iter()
            .cloned()
            .chain(keys.by_ref().take(count))
            .fold(Query::assembled(text), Query::bind);
        changed += tx.execute(statement).await?;
    }
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_text_for_both_databases() {
        let text = "SELECT a FROM t WHERE b = $1 AND c > $12 AND d IN";
        assert_eq!(Marks::of(true).text(text), text);
        let plain = "SELECT a FROM t WHERE b = ? AND c > ? AND d IN";
        assert_eq!(Marks::of(false).text(text), plain);
        assert_eq!(Marks::of(true).list(3, 2), "($3, $4)");
        assert_eq!(Marks::of(false).list(3, 2), "(?, ?)");
    }
}
