//! Many rows in one statement: `VALUES` lists, cut into a few fixed sizes so that prepared
//! statements are met again.

use florin_platform::sql::{Arg, Query, Row, SqlError, Tx};

/// Rows of one statement; the sizes that are prepared.
const SIZES: [usize; 4] = [256, 32, 4, 1];

/// `prefix VALUES ($1, …), (…) suffix` over all rows, in as few statements as possible.
///
/// # Errors
/// As [`Tx::execute`].
pub async fn insert(
    tx: &mut Tx,
    prefix: &str,
    suffix: &str,
    rows: Vec<Vec<Arg>>,
) -> Result<(), SqlError> {
    let mut rows = rows.into_iter();
    while let Some(first) = rows.as_slice().first() {
        let width = first.len();
        let count = size_for(rows.len());
        let mut statement = Query::assembled(format!("{prefix} {} {suffix}", values(count, width)));
        for row in rows.by_ref().take(count) {
            for arg in row {
                statement = statement.bind(arg);
            }
        }
        tx.execute(statement).await?;
    }
    Ok(())
}

/// `prefix ($1, $2, …) suffix` over all keys, the rows of all statements joined.
///
/// # Errors
/// As [`Tx::fetch_all`].
pub async fn select(
    tx: &mut Tx,
    prefix: &str,
    suffix: &str,
    keys: Vec<Arg>,
) -> Result<Vec<Row>, SqlError> {
    let mut found = Vec::new();
    let mut keys = keys.into_iter();
    while keys.len() > 0 {
        let count = size_for(keys.len());
        let mut statement = Query::assembled(format!("{prefix} {} {suffix}", list(count)));
        for key in keys.by_ref().take(count) {
            statement = statement.bind(key);
        }
        found.extend(tx.fetch_all(statement).await?);
    }
    Ok(found)
}

fn size_for(rows: usize) -> usize {
    let fits = |size: &usize| *size <= rows;
    SIZES.into_iter().find(fits).unwrap_or(1)
}

fn list(count: usize) -> String {
    let names: Vec<String> = (1..=count).map(|n| format!("${n}")).collect();
    format!("({})", names.join(", "))
}

fn values(count: usize, width: usize) -> String {
    let row = |at: usize| {
        let names: Vec<String> = (1..=width)
            .map(|n| format!("${}", at * width + n))
            .collect();
        format!("({})", names.join(", "))
    };
    let rows: Vec<String> = (0..count).map(row).collect();
    format!("VALUES {}", rows.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_have_few_sizes() {
        assert_eq!(values(2, 2), "VALUES ($1, $2), ($3, $4)");
        assert_eq!(list(3), "($1, $2, $3)");
        let sizes = [1, 3, 4, 31, 32, 255, 256, 9_999].map(size_for);
        assert_eq!(sizes, [1, 1, 4, 4, 32, 32, 256, 256]);
    }
}
