//! One statement with its parameters, and the rows that come back, without a database in the type.

use std::borrow::Cow;

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Column as _, Row as _, TypeInfo as _};

use super::SqlError;

/// A parameter. The variants are typed also when they are empty, because PostgreSQL asks for the
/// type of a NULL.
#[derive(Clone, Debug, PartialEq)]
pub enum Arg {
    /// `BIGINT`
    Int(Option<i64>),
    /// `TEXT`
    Text(Option<String>),
    /// `BLOB` / `BYTEA`
    Bytes(Option<Vec<u8>>),
    /// `BOOLEAN` (0 and 1 in SQLite)
    Bool(Option<bool>),
    /// An array, for PostgreSQL alone.
    List(List),
}

/// Values of one type that go to PostgreSQL as one array: a statement over many rows or keys is
/// then the same text, and the same plan, however many there are.
#[derive(Clone, Debug, PartialEq)]
pub enum List {
    /// `BIGINT[]`
    Ints(Vec<Option<i64>>),
    /// `TEXT[]`
    Texts(Vec<Option<String>>),
    /// `BYTEA[]`
    Bytes(Vec<Option<Vec<u8>>>),
    /// `BOOLEAN[]`
    Bools(Vec<Option<bool>>),
}

impl List {
    /// An empty list of the type of `like`.
    fn like(like: &Arg) -> Option<Self> {
        match like {
            Arg::Int(_) => Some(Self::Ints(Vec::new())),
            Arg::Text(_) => Some(Self::Texts(Vec::new())),
            Arg::Bytes(_) => Some(Self::Bytes(Vec::new())),
            Arg::Bool(_) => Some(Self::Bools(Vec::new())),
            Arg::List(_) => None,
        }
    }

    /// Gathers values of one type.
    ///
    /// # Errors
    /// [`SqlError::Statement`] if there are none, or they differ in type: a defect.
    pub fn of(values: impl IntoIterator<Item = Arg>) -> Result<Self, SqlError> {
        let mut values = values.into_iter().peekable();
        let mut list = values.peek().and_then(Self::like).ok_or_else(mixed)?;
        for value in values {
            match (&mut list, value) {
                (Self::Ints(all), Arg::Int(value)) => all.push(value),
                (Self::Texts(all), Arg::Text(value)) => all.push(value),
                (Self::Bytes(all), Arg::Bytes(value)) => all.push(value),
                (Self::Bools(all), Arg::Bool(value)) => all.push(value),
                _ => return Err(mixed()),
            }
        }
        Ok(list)
    }

    /// The name of the array's type.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Ints(_) => "bigint[]",
            Self::Texts(_) => "text[]",
            Self::Bytes(_) => "bytea[]",
            Self::Bools(_) => "boolean[]",
        }
    }
}

fn mixed() -> SqlError {
    let reason = "a list is of values of one type";
    SqlError::Statement(sqlx::Error::Encode(reason.into()))
}

impl From<List> for Arg {
    fn from(list: List) -> Self {
        Self::List(list)
    }
}

macro_rules! arg_from {
    ($($from:ty => $variant:ident, $convert:expr;)*) => {$(
        impl From<$from> for Arg {
            fn from(value: $from) -> Self {
                #[allow(clippy::redundant_closure_call)]
                Self::$variant(Some($convert(value)))
            }
        }
        impl From<Option<$from>> for Arg {
            fn from(value: Option<$from>) -> Self {
                Self::$variant(value.map($convert))
            }
        }
    )*};
}

arg_from! {
    i64 => Int, |v| v;
    i32 => Int, i64::from;
    u32 => Int, i64::from;
    bool => Bool, |v| v;
    String => Text, |v| v;
    &str => Text, str::to_owned;
    &String => Text, String::clone;
    Vec<u8> => Bytes, |v| v;
    &[u8] => Bytes, <[u8]>::to_vec;
    [u8; 32] => Bytes, |v: [u8; 32]| v.to_vec();
    &[u8; 32] => Bytes, |v: &[u8; 32]| v.to_vec();
}

/// A statement and its parameters, in the order `$1`, `$2`, ….
#[derive(Clone, Debug)]
pub struct Query {
    pub(super) sql: Cow<'static, str>,
    pub(super) args: Vec<Arg>,
}

/// A statement whose text is known at compile time.
pub fn query(sql: &'static str) -> Query {
    Query {
        sql: Cow::Borrowed(sql),
        args: Vec::new(),
    }
}

impl Query {
    /// A statement put together at run time, for lists with optional filters. Only fixed pieces
    /// of SQL may go into `sql`; everything that comes from a caller is bound.
    pub fn assembled(sql: String) -> Self {
        Self {
            sql: Cow::Owned(sql),
            args: Vec::new(),
        }
    }

    /// Adds the next parameter.
    #[must_use]
    pub fn bind(mut self, value: impl Into<Arg>) -> Self {
        self.args.push(value.into());
        self
    }
}

/// One row of an answer.
#[derive(Debug)]
pub enum Row {
    /// From SQLite.
    Sqlite(SqliteRow),
    /// From PostgreSQL.
    Postgres(PgRow),
}

impl Row {
    /// The value of a column by its name.
    ///
    /// # Errors
    /// [`SqlError::Column`] if there is no such column, it has another type, or it is NULL and `T`
    /// is no `Option`.
    pub fn get<T: Column>(&self, column: &str) -> Result<T, SqlError> {
        match self {
            Self::Sqlite(row) => T::from_sqlite(row, column),
            Self::Postgres(row) => T::from_postgres(row, column),
        }
        .map_err(|error| SqlError::Column {
            column: column.to_owned(),
            reason: error.to_string(),
        })
    }
}

/// A type that a column can be read as: `i64`, `bool`, `String`, `Vec<u8>` and `Option`s of them.
pub trait Column: Sized + private::Sealed {
    #[doc(hidden)]
    fn from_sqlite(row: &SqliteRow, column: &str) -> Result<Self, sqlx::Error>;
    #[doc(hidden)]
    fn from_postgres(row: &PgRow, column: &str) -> Result<Self, sqlx::Error>;
}

/// Reads a column of PostgreSQL: the narrow integer types count as integers too, since a literal
/// in a statement has them. `NUMERIC` does not: a `SUM` must be cast.
fn integer(row: &PgRow, column: &str) -> Result<Option<i64>, sqlx::Error> {
    match row.try_column(column)?.type_info().name() {
        "INT4" => Ok(row.try_get::<Option<i32>, _>(column)?.map(i64::from)),
        "INT2" => Ok(row.try_get::<Option<i16>, _>(column)?.map(i64::from)),
        _ => row.try_get(column),
    }
}

fn plain<'r, T>(row: &'r PgRow, column: &str) -> Result<Option<T>, sqlx::Error>
where
    T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    row.try_get(column)
}

mod private {
    pub trait Sealed {}
}

macro_rules! column {
    ($($type:ty => $postgres:expr;)*) => {$(
        impl private::Sealed for $type {}
        impl Column for $type {
            fn from_sqlite(row: &SqliteRow, column: &str) -> Result<Self, sqlx::Error> {
                // The driver reads NULL as zero or empty unless it is asked for an `Option`.
                row.try_get::<Option<$type>, _>(column)?
                    .ok_or_else(|| sqlx::Error::Decode("is NULL".into()))
            }
            fn from_postgres(row: &PgRow, column: &str) -> Result<Self, sqlx::Error> {
                let value: Option<$type> = $postgres(row, column)?;
                value.ok_or_else(|| sqlx::Error::Decode("is NULL".into()))
            }
        }
        impl private::Sealed for Option<$type> {}
        impl Column for Option<$type> {
            fn from_sqlite(row: &SqliteRow, column: &str) -> Result<Self, sqlx::Error> {
                row.try_get(column)
            }
            fn from_postgres(row: &PgRow, column: &str) -> Result<Self, sqlx::Error> {
                $postgres(row, column)
            }
        }
    )*};
}

column! {
    i64 => integer;
    bool => plain;
    String => plain;
    Vec<u8> => plain;
}
