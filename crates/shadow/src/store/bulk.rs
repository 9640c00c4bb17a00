//! Many rows in one statement. For SQLite `VALUES` lists, cut into a few fixed sizes so that
//! prepared statements are met again; for PostgreSQL an array for each column, which is one text
//! whatever the number of rows.

use florin_platform::sql::{Arg, Db, List, Query, Row, SqlError, Tx};

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

/// Rows or keys of one statement with arrays: bounds the message.
const LIST_MAX: usize = 5_000;

/// `prefix rows suffix` over all rows, in as few statements as possible; in `suffix` the columns
/// are `column1`, `column2`, …. A column has one type in all rows.
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
    if marks == Marks::Numbered {
        return insert_lists(tx, prefix, suffix, rows).await;
    }
    let mut rows = rows.into_iter();
    let mut next = inserting(marks, prefix, suffix, &mut rows);
    while let Some(statement) = next {
        // While the database works on one, the next is put together.
        let after = async { inserting(marks, prefix, suffix, &mut rows) };
        let (done, after) = futures_util::future::join(tx.execute(statement), after).await;
        done?;
        next = after;
    }
    Ok(())
}

async fn insert_lists(
    tx: &mut Tx,
    prefix: &str,
    suffix: &str,
    rows: Vec<Vec<Arg>>,
) -> Result<(), SqlError> {
    let width = rows.first().map_or(0, Vec::len);
    let mut rows = rows.into_iter();
    while rows.len() > 0 {
        let count = rows.len().min(LIST_MAX);
        let mut columns: Vec<Vec<Arg>> = Vec::new();
        columns.resize_with(width, || Vec::with_capacity(count));
        for row in rows.by_ref().take(count) {
            for (column, arg) in columns.iter_mut().zip(row) {
                column.push(arg);
            }
        }
        let lists: Result<Vec<List>, SqlError> = columns.into_iter().map(List::of).collect();
        let lists = lists?;
        let mut statement = Query::assembled(format!("{prefix} {} {suffix}", unnested(&lists)));
        for list in lists {
            statement = statement.bind(list);
        }
        tx.execute(statement).await?;
    }
    Ok(())
}

fn unnested(lists: &[List]) -> String {
    let (mut arrays, mut names) = (String::new(), String::new());
    for (at, list) in lists.iter().enumerate() {
        let comma = if at > 0 { ", " } else { "" };
        arrays.push_str(&format!("{comma}${}::{}", at + 1, list.type_name()));
        names.push_str(&format!("{comma}column{}", at + 1));
    }
    format!("SELECT * FROM UNNEST({arrays}) AS u({names})")
}

/// The next statement; `None` when no row is left.
fn inserting(
    marks: Marks,
    prefix: &str,
    suffix: &str,
    rows: &mut std::vec::IntoIter<Vec<Arg>>,
) -> Option<Query> {
    let width = rows.as_slice().first()?.len();
    let count = size_for(rows.len());
    let mut statement =
        Query::assembled(format!("{prefix} {} {suffix}", values(marks, count, width)));
    for row in rows.take(count) {
        for arg in row {
            statement = statement.bind(arg);
        }
    }
    Some(statement)
}

/// `prefix (keys) suffix` over all keys, the rows of all statements joined; `prefix` ends with
/// `IN`.
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
    if marks == Marks::Numbered {
        let text = prefix.strip_suffix("IN").unwrap_or(prefix);
        while keys.len() > 0 {
            let list = List::of(keys.by_ref().take(LIST_MAX))?;
            let statement = Query::assembled(format!("{text} = ANY($1) {suffix}"));
            found.extend(tx.fetch_all(statement.bind(list)).await?);
        }
        return Ok(found);
    }
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
        let lists = [List::Ints(vec![Some(1)]), List::Texts(vec![None])];
        assert_eq!(
            unnested(&lists),
            "SELECT * FROM UNNEST($1::bigint[], $2::text[]) AS u(column1, column2)"
        );
        let sizes = [1, 3, 4, 31, 32, 255, 256, 9_999].map(size_for);
        assert_eq!(sizes, [1, 1, 4, 4, 32, 32, 256, 256]);
    }
}
