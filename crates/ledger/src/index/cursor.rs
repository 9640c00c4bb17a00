//! Ordered scans within one group, merged over memtables and runs.
//!
//! A source is read in portions, and a run is not read at all before its turn can come: until
//! then the bounds of its keys stand for its first record. Newer sources win over older ones.

use std::cmp::Ordering;
use std::sync::Arc;

use super::block::Decoder;
use super::bloom::{Probe, be64};
use super::error::Result;
use super::memtable::{Bounds, Memtable};
use super::run::Run;
use super::view::{Record, RecordRef};

/// Records copied from a memtable at a time.
const PORTION: usize = 64;

/// Records in the order of a scan.
#[derive(Default)]
pub(super) struct Chunk {
    bytes: Vec<u8>,
    /// Start of key, value, sum, and the end of the sum.
    slots: Vec<[u32; 4]>,
}

impl Chunk {
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn push(&mut self, key: &[u8], value: &[u8], sum: &[u8]) {
        let mut slot = [self.bytes.len() as u32; 4];
        for (number, part) in [key, value, sum].into_iter().enumerate() {
            self.bytes.extend_from_slice(part);
            slot[number + 1] = self.bytes.len() as u32;
        }
        self.slots.push(slot);
    }

    pub(super) fn first(&self) -> Option<Record> {
        let owned = |record: RecordRef<'_>| Record {
            key: record.key.to_vec(),
            value: record.value.to_vec(),
            sum: record.sum.to_vec(),
        };
        (self.len() > 0).then(|| owned(self.record(0)))
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.slots.clear();
    }

    pub(super) fn key(&self, number: usize) -> &[u8] {
        let slot = self.slots[number];
        &self.bytes[slot[0] as usize..slot[1] as usize]
    }

    fn record(&self, number: usize) -> RecordRef<'_> {
        let [key, value, sum, end] = self.slots[number].map(|at| at as usize);
        RecordRef {
            key: &self.bytes[key..value],
            value: &self.bytes[value..sum],
            sum: &self.bytes[sum..end],
        }
    }
}

enum Origin {
    Memory(Arc<Memtable>),
    /// The run and the block to read next; none when the last one was read.
    Run(Arc<Run>, Option<usize>),
}

struct Source {
    origin: Origin,
    chunk: Chunk,
    at: usize,
    /// Stands for the first record until the source is read.
    bound: Option<Vec<u8>>,
}

/// What a scan asks for.
struct Request {
    from: Vec<u8>,
    to: Vec<u8>,
    backward: bool,
}

impl Source {
    fn of_memory(memtable: Arc<Memtable>, request: &Request) -> Self {
        let start = if request.backward {
            &request.to
        } else {
            &request.from
        };
        let origin = Origin::Memory(memtable);
        Self {
            origin,
            chunk: Chunk::default(),
            at: 0,
            bound: Some(start.clone()),
        }
    }

    /// `None` if the run certainly has no record for the request.
    fn of_run(run: Arc<Run>, request: &Request, group_len: usize) -> Option<Self> {
        let (group, from) = request.from.split_at(group_len);
        let to = &request.to[group_len..];
        let (low, high) = (run.low_suffix(), run.high_suffix());
        if low > to || high < from || !run.may_hold(Probe::of_group(be64(group))) {
            return None;
        }
        let start = if request.backward {
            to.min(high)
        } else {
            from.max(low)
        };
        let bound = [group, start].concat();
        let block = match request.backward {
            true => run.locate(&bound)?,
            false => run.locate(&bound).unwrap_or(0),
        };
        let origin = Origin::Run(run, Some(block));
        Some(Self {
            origin,
            chunk: Chunk::default(),
            at: 0,
            bound: Some(bound),
        })
    }

    fn peek(&self) -> Option<&[u8]> {
        match &self.bound {
            Some(bound) => Some(bound),
            None => (self.at < self.chunk.len()).then(|| self.chunk.key(self.at)),
        }
    }

    fn advance(&mut self, request: &Request) -> Result<()> {
        self.at += 1;
        if self.at >= self.chunk.len() {
            self.refill(request)
        } else {
            Ok(())
        }
    }

    fn refill(&mut self, request: &Request) -> Result<()> {
        let last = self
            .chunk
            .len()
            .checked_sub(1)
            .map(|last| self.chunk.key(last).to_vec());
        self.bound = None;
        self.at = 0;
        self.chunk.clear();
        match &mut self.origin {
            Origin::Memory(memtable) => {
                let mut bounds = Bounds {
                    from: &request.from,
                    to: &request.to,
                    skip_start: last.is_some(),
                    backward: request.backward,
                };
                match &last {
                    Some(last) if request.backward => bounds.to = last,
                    Some(last) => bounds.from = last,
                    None => {}
                }
                memtable.scan(bounds, PORTION, &mut self.chunk);
                Ok(())
            }
            Origin::Run(run, next) => {
                let mut buffer = Vec::new();
                while let Some(block) = *next
                    && self.chunk.len() == 0
                {
                    *next = read_into(run, block, request, &mut buffer, &mut self.chunk)?;
                }
                Ok(())
            }
        }
    }
}

/// Copies what a block has for the request; returns the block to read after it.
fn read_into(
    run: &Run,
    block: usize,
    request: &Request,
    buffer: &mut Vec<u8>,
    out: &mut Chunk,
) -> Result<Option<usize>> {
    let payload = run.read_block(block, buffer)?;
    let mut decoder = Decoder::default();
    let mut beyond = false;
    while run.step(&mut decoder, payload)? {
        let key = decoder.key(run.format);
        if key > request.to.as_slice() {
            beyond = true;
            break;
        }
        if key >= request.from.as_slice() {
            out.push(key, decoder.value(payload), decoder.sum(payload));
        }
    }
    if request.backward {
        out.slots.reverse();
        let more = run.first_key(block) > request.from.as_slice();
        Ok(if more { block.checked_sub(1) } else { None })
    } else {
        Ok((!beyond && block + 1 < run.blocks()).then_some(block + 1))
    }
}

/// An ordered scan; see [`super::TableView::range`].
pub struct Scan {
    request: Request,
    /// Newest first.
    sources: Vec<Source>,
    current: Option<usize>,
}

impl Scan {
    /// `memtables` and `runs` newest first; the bounds lie in one group.
    pub(super) fn new(
        memtables: impl Iterator<Item = Arc<Memtable>>,
        runs: impl Iterator<Item = Arc<Run>>,
        (from, to): (&[u8], &[u8]),
        backward: bool,
        group_len: usize,
    ) -> Self {
        let request = Request {
            from: from.to_vec(),
            to: to.to_vec(),
            backward,
        };
        let mut sources = Vec::new();
        if from <= to {
            sources.extend(memtables.map(|memtable| Source::of_memory(memtable, &request)));
            sources.extend(runs.filter_map(|run| Source::of_run(run, &request, group_len)));
        }
        Self {
            request,
            sources,
            current: None,
        }
    }

    /// The next record, or none at the end of the range.
    pub fn next_record(&mut self) -> Result<Option<RecordRef<'_>>> {
        self.pass_current()?;
        self.sources.retain(|source| source.peek().is_some());
        loop {
            let Some(first) = self.first() else {
                return Ok(None);
            };
            if self.sources[first].bound.is_some() {
                self.sources[first].refill(&self.request)?;
                continue;
            }
            self.current = Some(first);
            let source = &self.sources[first];
            return Ok(Some(source.chunk.record(source.at)));
        }
    }

    /// The source whose next key is first; of equals an unread one, else the newest.
    fn first(&self) -> Option<usize> {
        let mut best: Option<(usize, &[u8], bool)> = None;
        for (number, source) in self.sources.iter().enumerate() {
            let Some(key) = source.peek() else { continue };
            let unread = source.bound.is_some();
            let better = best.is_none_or(|(_, best_key, best_unread)| {
                let order = key.cmp(best_key);
                match if self.request.backward {
                    order.reverse()
                } else {
                    order
                } {
                    Ordering::Less => true,
                    Ordering::Equal => unread && !best_unread,
                    Ordering::Greater => false,
                }
            });
            if better {
                best = Some((number, key, unread));
            }
        }
        best.map(|(number, ..)| number)
    }

    /// Moves every source that stands on the delivered key past it.
    fn pass_current(&mut self) -> Result<()> {
        let Some(current) = self.current.take() else {
            return Ok(());
        };
        let (before, rest) = self.sources.split_at_mut(current);
        let Some((delivered, after)) = rest.split_first_mut() else {
            return Ok(());
        };
        let key = delivered.chunk.key(delivered.at);
        for other in before.iter_mut().chain(after) {
            if other.bound.is_none() && other.peek() == Some(key) {
                other.advance(&self.request)?;
            }
        }
        delivered.advance(&self.request)
    }
}
