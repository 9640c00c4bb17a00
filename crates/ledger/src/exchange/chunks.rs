//! Cuts the lines of an import into calls of at most 8190 lines (contract A10) that fit a commit.

use crate::{
    call::ImportLine,
    model::{ITEMS_MAX, TransferId},
};

/// Most bytes that the lines of one call may take in a commit; well below a journal frame.
const BYTES_MAX: usize = 12 << 20;

/// Gathers lines into calls. The legs of an exported chain stay in one call, because a call is
/// committed in one batch and a chain may not be torn (INV-L9).
#[derive(Debug, Default)]
pub struct Chunks {
    lines: Vec<ImportLine>,
    /// What the lines take in a commit at most, in bytes.
    bytes: usize,
    /// Where the chain that the last line belongs to starts.
    chain_start: Option<usize>,
}

fn chain_of(line: &ImportLine) -> Option<&TransferId> {
    match line {
        ImportLine::Transfer(t) => t.chain.as_ref().map(|(id, _)| id),
        _ => None,
    }
}

impl Chunks {
    /// No lines yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a line; returns the lines of a call when it is full.
    pub fn push(&mut self, line: ImportLine) -> Option<Vec<ImportLine>> {
        let goes_on =
            chain_of(&line).is_some() && chain_of(&line) == self.lines.last().and_then(chain_of);
        let weight = line.weight();
        let over = self.bytes + weight > BYTES_MAX && !self.lines.is_empty();
        let full = (over || self.lines.len() >= ITEMS_MAX).then(|| {
            // A chain has at most 8190 items, so there is something before it unless it fills
            // the call alone; then the file is no export and is cut anyway.
            let cut = match self.chain_start.filter(|start| goes_on && *start > 0) {
                Some(start) => start,
                None => self.lines.len(),
            };
            let rest = self.lines.split_off(cut);
            self.chain_start = (!rest.is_empty()).then_some(0);
            self.bytes = rest.iter().map(ImportLine::weight).sum();
            std::mem::replace(&mut self.lines, rest)
        });
        if chain_of(&line).is_none() {
            self.chain_start = None;
        } else if !goes_on || self.chain_start.is_none() {
            self.chain_start = Some(self.lines.len());
        }
        self.bytes += weight;
        self.lines.push(line);
        full
    }

    /// Lines waiting for a call to fill.
    pub fn waiting(&self) -> usize {
        self.lines.len()
    }

    /// The lines of the last call; may be none.
    pub fn finish(self) -> Vec<ImportLine> {
        self.lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::parse_line;

    fn line(id: usize, chain: Option<(usize, usize)>) -> ImportLine {
        let chain = chain.map_or(String::new(), |(chain, index)| {
            format!(r#""chainId":"t{chain}","chainIndex":{index},"#)
        });
        let text = format!(
            r#"{{"batch":1,"data":{{"amountMinor":"1","asset":"BRL",{chain}"code":"x","creditAccountId":"c","debitAccountId":"d","effectiveAt":"2026-01-01T00:00:00.000000Z","id":"t{id}","mode":"single"}},"recordedAt":"2026-01-01T00:00:00.000000Z","seq":1,"type":"transfer","v":1}}"#
        );
        parse_line(text.as_bytes(), None).expect("a feed line")
    }

    #[test]
    fn inv_l9_a_chain_is_not_split_between_calls() {
        let mut chunks = Chunks::new();
        let mut calls = Vec::new();
        for id in 0..ITEMS_MAX - 2 {
            assert!(chunks.push(line(id, None)).is_none());
        }
        let first = ITEMS_MAX - 2;
        for index in 0..4 {
            calls.extend(chunks.push(line(first + index, Some((first, index)))));
        }
        for id in 0..ITEMS_MAX {
            calls.extend(chunks.push(line(20_000 + id, None)));
        }
        let last = chunks.finish();
        let sizes: Vec<usize> = calls.iter().map(Vec::len).collect();
        assert_eq!((sizes, last.len()), (vec![ITEMS_MAX - 2, ITEMS_MAX], 4));
        assert!(calls[1][..4].iter().all(|line| chain_of(line).is_some()));
    }

    #[test]
    fn long_lines_make_shorter_calls() {
        let pairs: String = (0..16)
            .map(|n| format!(r#""k{n}":"{}","#, "x".repeat(512)))
            .collect();
        let pairs = pairs.trim_end_matches(',');
        let mut chunks = Chunks::new();
        let mut calls = Vec::new();
        for id in 0..4_000 {
            let text = format!(
                r#"{{"type":"transfer","id":"t{id}","debitAccountId":"d","creditAccountId":"c","amountMinor":"1","asset":"BRL","code":"x","effectiveAt":"2026-01-01T00:00:00Z","metadata":{{{pairs}}}}}"#
            );
            calls.extend(chunks.push(parse_line(text.as_bytes(), None).expect("a line")));
        }
        let weight = |call: &Vec<ImportLine>| call.iter().map(ImportLine::weight).sum::<usize>();
        assert!(calls.len() >= 2 && calls.iter().all(|call| weight(call) <= BYTES_MAX));
        let lines: usize = calls.iter().map(Vec::len).sum();
        assert_eq!(lines + chunks.waiting(), 4_000);
    }

    #[test]
    fn neighbouring_chains_are_told_apart() {
        let mut chunks = Chunks::new();
        for chain in 0..ITEMS_MAX / 2 {
            for index in 0..2 {
                assert!(
                    chunks
                        .push(line(2 * chain + index, Some((2 * chain, index))))
                        .is_none()
                );
            }
        }
        let full = chunks.push(line(9_000, Some((9_000, 0)))).expect("full");
        assert_eq!((full.len(), chunks.waiting()), (ITEMS_MAX, 1));
    }
}
