//! Many rows in one statement: `VALUES` lists, cut into a few fixed sizes so that prepared
//! statements are met again.

use florin_platform::sql::{Arg, Db, Query, Row, SqlError, Tx};

/// How parameters are written. SQLite looks a numbered parameter up by its name, one after the
/// other, which makes a statement of thousands quadratic; a plain mark it just counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marks {
    /// `?`, for SQLite.
    Plain,
    /// `$1`, for PostgreSQL.
    Numbered,
}

impl Marks {
    fn push(self, text: &mut String, number: usize) {
        match self {
            Self::Plain => text.push('?'),
            Self::Numbered => {
                text.push('$');
                text.push_str(&number.to_string());
            }
        }
    }
}

/// How the parameters of a database are written.
pub fn marks_of(db: &Db) -> Marks {
    match db.is_shared() {
        true => Marks::Numbered,
        false => Marks::Plain,
    }
}

/// Rows of one statement; the sizes that are prepared.
const SIZES: [usize; 4] = [256, 32, 4, 1];

/// `prefix VALUES ($1, …), (…) suffix` over all rows, in as few statements as possible.
///
/// # Errors
/// As [`Tx::execute`].
pub async fn insert(
    tx: &mut Tx,
    marks: Marks,
    prefix: &str,
    suffix: &str,
    rows: Vec<Vec<Arg>>,
) -> Result<(), SqlError> {
    let mut rows = rows.into_iter();
    while let Some(first) = rows.as_slice().first() {
        let width = first.len();
        let count = size_for(rows.len());
        let mut statement =
            Query::assembled(format!("{prefix} {} {suffix}", values(marks, count, width)));
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
    marks: Marks,
    prefix: &str,
    suffix: &str,
    keys: Vec<Arg>,
) -> Result<Vec<Row>, SqlError> {
    let mut found = Vec::new();
    let mut keys = keys.into_iter();
    while keys.len() > 0 {
        let count = size_for(keys.len());
        let mut statement = Query::assembled(format!("{prefix} {} {suffix}", list(marks, count)));
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

fn list(marks: Marks, count: usize) -> String {
    let mut text = String::with_capacity(count * 3 + 2);
    for n in 1..=count {
        text.push_str(if n == 1 { "(" } else { ", " });
        marks.push(&mut text, n);
    }
    text.push(')');
    text
}

fn values(marks: Marks, count: usize, width: usize) -> String {
    let mut text = String::with_capacity(count * width * 3 + 16);
    text.push_str("VALUES ");
    for row in 0..count {
        text.push_str(if row == 0 { "(" } else { "), (" });
        for column in 1..=width {
            if column > 1 {
                text.push_str(", ");
            }
            marks.push(&mut text, row * width + column);
        }
    }
    text.push(')');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_have_few_sizes() {
        assert_eq!(values(Marks::Numbered, 2, 2), "VALUES ($1, $2), ($3, $4)");
        assert_eq!(values(Marks::Plain, 2, 1), "VALUES (?), (?)");
        assert_eq!(list(Marks::Numbered, 3), "($1, $2, $3)");
        let sizes = [1, 3, 4, 31, 32, 255, 256, 9_999].map(size_for);
        assert_eq!(sizes, [1, 1, 4, 4, 32, 32, 256, 256]);
    }
}
