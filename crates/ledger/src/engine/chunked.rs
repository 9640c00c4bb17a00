//! A vector that grows without copying: rows in chunks of a fixed size.

/// Rows of a chunk; also the rows of one section of a snapshot.
pub(super) const CHUNK_ROWS: usize = 4_096;

/// Rows addressed by their ordinal.
#[derive(Debug)]
pub(super) struct Chunked<T> {
    chunks: Vec<Vec<T>>,
    len: usize,
}

impl<T> Default for Chunked<T> {
    fn default() -> Self {
        Self {
            chunks: Vec::new(),
            len: 0,
        }
    }
}

impl<T> Chunked<T> {
    /// Count of rows.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Adds a row; returns its ordinal.
    pub(super) fn push(&mut self, row: T) -> usize {
        if self.len.is_multiple_of(CHUNK_ROWS) {
            self.chunks.push(Vec::with_capacity(CHUNK_ROWS));
        }
        let last = self
            .chunks
            .last_mut()
            .expect("a chunk was just added if there was no room");
        last.push(row);
        self.len += 1;
        self.len - 1
    }

    /// Takes the last row away.
    pub(super) fn pop(&mut self) -> Option<T> {
        let row = self.chunks.last_mut()?.pop();
        if self.chunks.last().is_some_and(Vec::is_empty) {
            self.chunks.pop();
        }
        self.len -= usize::from(row.is_some());
        row
    }

    /// A row, if there is one.
    pub(super) fn get(&self, index: usize) -> Option<&T> {
        self.chunks.get(index / CHUNK_ROWS)?.get(index % CHUNK_ROWS)
    }

    /// A row to change.
    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        self.chunks
            .get_mut(index / CHUNK_ROWS)?
            .get_mut(index % CHUNK_ROWS)
    }

    /// All rows in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flatten()
    }
}
