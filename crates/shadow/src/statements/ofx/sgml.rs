//! OFX 1: a header of `KEY:VALUE` lines, then tags of which only groups must be closed.

use std::io::BufRead as _;

use super::super::fault::{FaultCode, StatementFault};
use super::super::input::Input;
use super::super::model::Deviation;
use super::{GROUPS, Steps};

/// Longest tag or value, in bytes.
const PIECE_BYTES_MAX: usize = 64 << 10;
/// Deepest nesting of groups.
const DEPTH_MAX: usize = 64;

/// Reads the whole file; answers the deviations of its bytes.
pub(super) fn read(
    mut input: Input<'_>,
    steps: &mut dyn Steps,
) -> Result<Vec<Deviation>, StatementFault> {
    let mut piece = Vec::new();
    // The header ends where the first tag begins.
    until(&mut input, b'<', &mut piece)?;
    let mut groups: Vec<String> = Vec::new();
    let mut ended = false;
    loop {
        let line = input.line();
        if !until(&mut input, b'>', &mut piece)? {
            break;
        }
        let tag = text(&piece, line)?.trim().to_ascii_uppercase();
        if tag.starts_with('!') || tag.starts_with('?') {
            let detail = "Document types and entities are not read.";
            return Err(StatementFault::new(FaultCode::XmlDtdRefused, detail).at(line));
        }
        let more = until(&mut input, b'<', &mut piece)?;
        let value = text(&piece, line)?.trim();
        if let Some(group) = tag.strip_prefix('/') {
            close(&mut groups, group, steps, line)?;
            ended |= group == "OFX";
        } else if !value.is_empty() {
            steps.value(&tag, &unescape(value), line)?;
        } else if GROUPS.contains(&tag.as_str()) {
            if groups.len() == DEPTH_MAX {
                return Err(StatementFault::unreadable(
                    line,
                    "groups are nested deeper than 64",
                ));
            }
            steps.open(&tag, line)?;
            groups.push(tag);
        }
        if !more {
            break;
        }
    }
    if !ended || !groups.is_empty() {
        return Err(StatementFault::unreadable(
            input.line(),
            "the file ends inside a group",
        ));
    }
    Ok(input.deviations().to_vec())
}

/// Ends a group and those inside it that were left open; an element's own end says nothing.
fn close(
    groups: &mut Vec<String>,
    group: &str,
    steps: &mut dyn Steps,
    line: u64,
) -> Result<(), StatementFault> {
    let Some(at) = groups.iter().rposition(|open| open == group) else {
        return match GROUPS.contains(&group) {
            true => Err(StatementFault::unreadable(
                line,
                "a group ends that is not open",
            )),
            false => Ok(()),
        };
    };
    if at + 1 != groups.len() {
        return Err(StatementFault::unreadable(
            line,
            "a group ends before the one inside it",
        ));
    }
    groups.pop();
    steps.close(group, line)
}

/// Takes everything up to `mark`, and the mark. False when the input ended instead.
fn until(input: &mut Input<'_>, mark: u8, piece: &mut Vec<u8>) -> Result<bool, StatementFault> {
    piece.clear();
    loop {
        let line = input.line();
        let bytes = input.fill_buf().map_err(StatementFault::from)?;
        if bytes.is_empty() {
            return match mark == b'<' || piece.is_empty() {
                true => Ok(false),
                false => Err(StatementFault::unreadable(
                    line,
                    "the file ends inside a tag",
                )),
            };
        }
        let end = memchr::memchr(mark, bytes);
        let part = &bytes[..end.unwrap_or(bytes.len())];
        if piece.len() + part.len() > PIECE_BYTES_MAX {
            return Err(StatementFault::unreadable(
                line,
                "a tag or value is longer than 64 KiB",
            ));
        }
        piece.extend_from_slice(part);
        let taken = part.len() + usize::from(end.is_some());
        input.consume(taken);
        if end.is_some() {
            return Ok(true);
        }
    }
}

fn text(piece: &[u8], line: u64) -> Result<&str, StatementFault> {
    std::str::from_utf8(piece).map_err(|_| StatementFault::unreadable(line, "broken text"))
}

/// The three references of OFX 1 and the blank; an ampersand that begins none is itself.
fn unescape(text: &str) -> std::borrow::Cow<'_, str> {
    if !text.contains('&') {
        return text.into();
    }
    let plain = text
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&nbsp;", " ");
    plain.replace("&amp;", "&").into()
}
