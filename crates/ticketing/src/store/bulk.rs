//! Many rows in one statement.
//!
//! PostgreSQL takes each column, or all keys, as one array: one round trip and one plan however
//! many they are. SQLite has no arrays, and a statement costs it no round trip: there the rows are
//! cut into a few fixed sizes, so that prepared statements are met again.

use florin_platform::sql::{Arg, List, Query, Row, SqlError, Tx};

/// Rows of one statement of SQLite; the sizes that are prepared. Most parameters: 256 times the
/// widest row, which stays below its 32 766.
const SIZES: [usize; 4] = [256, 32, 4, 1];

/// Rows, or keys, of one statement of PostgreSQL.
const ARRAY_MAX: usize = 2_048;

/// How many rows are written. SQLite looks a numbered parameter up by its name, one after the
/// other, which makes a statement of thousands quadratic; a plain mark it just counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marks {
    arrays: bool,
}

impl Marks {
    /// For a database that several processes share (PostgreSQL), or for SQLite.
    pub const fn of(is_shared: bool) -> Self {
        Self { arrays: is_shared }
    }

    /// A statement written with `$1`, `$2`, … in that order, each once, as this database wants it.
    pub fn text(self, numbered: &str) -> String {
        if self.arrays {
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
}

/// So many plain marks.
fn plain(count: usize) -> String {
    format!("({})", vec!["?"; count].join(", "))
}

fn size_for(rows: usize) -> usize {
    SIZES.into_iter().find(|size| *size <= rows).unwrap_or(1)
}

/// `prefix` and all rows as a query, `suffix`; answers how many rows changed. The rows stand where
/// `VALUES …` may stand.
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
        let statement = match marks.arrays {
            true => {
                let mut columns = vec![Vec::with_capacity(rows.len().min(ARRAY_MAX)); width];
                for row in rows.by_ref().take(ARRAY_MAX) {
                    for (column, value) in columns.iter_mut().zip(row) {
                        column.push(value);
                    }
                }
                unnested(prefix, suffix, columns)?
            }
            false => {
                let count = size_for(rows.len());
                let values = vec![plain(width); count].join(", ");
                let text = format!("{prefix} VALUES {values} {suffix}");
                let row = rows.by_ref().take(count).flatten();
                row.fold(Query::assembled(text), Query::bind)
            }
        };
        changed += tx.execute(statement).await?;
    }
    Ok(changed)
}

fn unnested(prefix: &str, suffix: &str, columns: Vec<Vec<Arg>>) -> Result<Query, SqlError> {
    let columns: Vec<List> = columns
        .into_iter()
        .map(List::of)
        .collect::<Result<_, _>>()?;
    let types = columns.iter().zip(1..);
    let types: Vec<String> = types
        .map(|(column, n)| format!("${n}::{}", column.type_name()))
        .collect();
    let text = format!(
        "{prefix} SELECT * FROM unnest({}) {suffix}",
        types.join(", ")
    );
    Ok(columns
        .into_iter()
        .fold(Query::assembled(text), Query::bind))
}

/// New values of many rows, each found by the first column.
#[derive(Debug, Clone, Copy)]
pub struct Update {
    /// The table.
    pub table: &'static str,
    /// Columns of the values, the key first; `new` has them.
    pub columns: &'static [&'static str],
    /// `column = new.column, …`
    pub set: &'static str,
}

/// Writes new values of rows.
///
/// # Errors
/// As [`Tx::execute`].
pub async fn update(
    tx: &mut Tx,
    marks: Marks,
    update: &Update,
    rows: Vec<Vec<Arg>>,
) -> Result<u64, SqlError> {
    let Update {
        table,
        columns,
        set,
    } = update;
    let key = columns.first().copied().unwrap_or_default();
    let prefix = format!("WITH new ({}) AS (", columns.join(", "));
    let suffix = format!(") UPDATE {table} SET {set} FROM new WHERE {table}.{key} = new.{key}");
    insert(tx, marks, &prefix, &suffix, rows).await
}

/// The next statement of [`select`] and [`execute`].
fn keyed(
    marks: Marks,
    prefix: &str,
    suffix: &str,
    first: &[Arg],
    keys: &mut std::vec::IntoIter<Arg>,
) -> Result<Query, SqlError> {
    let first_args = first.iter().cloned();
    match (marks.arrays, prefix.trim_end().strip_suffix(" IN")) {
        (true, Some(head)) => {
            let keys = List::of(keys.by_ref().take(ARRAY_MAX))?;
            let (n, kind) = (first.len() + 1, keys.type_name());
            let text = format!("{head} = ANY(${n}::{kind}) {suffix}");
            let statement = first_args.fold(Query::assembled(text), Query::bind);
            Ok(statement.bind(keys))
        }
        _ => {
            let count = size_for(keys.len());
            let text = format!("{} {} {suffix}", marks.text(prefix), plain(count));
            let args = first_args.chain(keys.by_ref().take(count));
            Ok(args.fold(Query::assembled(text), Query::bind))
        }
    }
}

/// `prefix (…) suffix` over all keys, the rows of all statements joined. The prefix ends with
/// `IN`; `first` are bound to its parameters `$1`, `$2`, …, which stand there in this order.
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
        let statement = keyed(marks, prefix, suffix, first, &mut keys)?;
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
        let statement = keyed(marks, prefix, suffix, first, &mut keys)?;
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
        let marked = "SELECT a FROM t WHERE b = ? AND c > ? AND d IN";
        assert_eq!(Marks::of(false).text(text), marked);
        assert_eq!(plain(2), "(?, ?)");
    }

    #[test]
    fn keys_are_one_array_or_marks() {
        let first = [Arg::from(7_i64)];
        let keys = || vec![Arg::from("x"), Arg::from("y")].into_iter();
        let prefix = "SELECT a FROM t WHERE b = $1 AND c IN";
        let arrays = keyed(Marks::of(true), prefix, "ORDER BY a", &first, &mut keys());
        let list = List::Texts(vec![Some("x".to_owned()), Some("y".to_owned())]);
        let text = "SELECT a FROM t WHERE b = $1 AND c = ANY($2::text[]) ORDER BY a";
        let wanted = Query::assembled(text.to_owned()).bind(7_i64);
        let shown = |query: Query| format!("{query:?}");
        assert_eq!(shown(arrays.expect("one type")), shown(wanted.bind(list)));
        let marked = keyed(Marks::of(false), prefix, "", &first, &mut keys());
        let text = "SELECT a FROM t WHERE b = ? AND c IN (?) ";
        let wanted = Query::assembled(text.to_owned()).bind(7_i64);
        assert_eq!(shown(marked.expect("marks")), shown(wanted.bind("x")));
    }

    #[test]
    fn columns_are_arrays_of_one_type() {
        let columns = vec![
            vec![Arg::from("x"), Arg::from("y")],
            vec![Arg::from(1_i64), Arg::from(None::<i64>)],
        ];
        let statement = unnested("INSERT INTO t (a, b)", "", columns).expect("typed");
        let text = "INSERT INTO t (a, b) SELECT * FROM unnest($1::text[], $2::bigint[])";
        assert!(format!("{statement:?}").contains(text), "{statement:?}");
        let mixed = vec![vec![Arg::from("x"), Arg::from(1_i64)]];
        assert!(unnested("INSERT INTO t (a)", "", mixed).is_err());
    }
}
