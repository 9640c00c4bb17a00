//! As much HTTP/1.1 as a load generator needs: requests are bytes made before, of responses only
//! the status, the length and the code of a problem are read.

use anyhow::{Context as _, bail};

/// The largest response head.
const HEAD_MAX: usize = 16 << 10;

/// A response head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Status.
    pub status: u16,
    /// Bytes of the head with its empty line.
    pub bytes: usize,
    /// What follows it.
    pub body: Body,
    /// The server closes the connection after it.
    pub closes: bool,
}

/// How the end of a body is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// By `Content-Length`.
    Length(usize),
    /// In chunks.
    Chunked,
}

/// Reads a response head; `None` while it is incomplete.
pub fn head(bytes: &[u8]) -> anyhow::Result<Option<Head>> {
    let Some(end) = find(bytes, b"\r\n\r\n") else {
        if bytes.len() > HEAD_MAX {
            bail!("a response head of more than {HEAD_MAX} bytes");
        }
        return Ok(None);
    };
    let status = bytes
        .get(9..12)
        .and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok())
        .filter(|_| bytes.starts_with(b"HTTP/1.1 "))
        .context("the answer is no HTTP/1.1")?;
    let mut head = Head {
        status,
        bytes: end + 4,
        body: Body::Length(0),
        closes: false,
    };
    for line in bytes[..end].split(|byte| *byte == b'\n').skip(1) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if let Some(value) = value_of(line, b"content-length:") {
            let text = std::str::from_utf8(value)?;
            head.body = Body::Length(text.parse().context("a Content-Length that is no number")?);
        } else if value_of(line, b"transfer-encoding:").is_some() {
            head.body = Body::Chunked;
        } else if let Some(value) = value_of(line, b"connection:") {
            head.closes = value.eq_ignore_ascii_case(b"close");
        }
    }
    Ok(Some(head))
}

fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (found, value) = line.split_at_checked(name.len())?;
    found.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
}

/// Where `needle` first stands.
pub fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, needle)
}

/// How often `needle` stands in `bytes`.
pub fn count(bytes: &[u8], needle: &[u8]) -> usize {
    memchr::memmem::find_iter(bytes, needle).count()
}

/// The `code` of a problem body.
pub fn code_of(body: &[u8]) -> Option<&str> {
    let start = find(body, b"\"code\":\"")? + 8;
    let length = body[start..].iter().position(|byte| *byte == b'"')?;
    std::str::from_utf8(&body[start..start + length]).ok()
}

/// Begins a request: everything up to the body's length.
pub fn request(method: &str, path: &str, host: &str, key: &str, kind: &str) -> Vec<u8> {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: {host}\r\nx-api-key: {key}\r\n{}",
        if kind.is_empty() {
            String::new()
        } else {
            format!("content-type: {kind}\r\n")
        }
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_when_they_are_whole() {
        let text = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 5\r\nconnection: close\r\n\r\nhello";
        let read = head(text).expect("well formed").expect("whole");
        assert_eq!(read.status, 503);
        assert_eq!((read.body, read.closes), (Body::Length(5), true));
        assert_eq!(&text[read.bytes..], b"hello");
        assert_eq!(head(&text[..40]).expect("fine so far"), None);
        assert!(head(b"SSH-2.0-x\r\n\r\n").is_err());
    }

    #[test]
    fn codes_are_found_and_counted() {
        let body = br#"{"results":[{"code":"created"},{"code":"created"},{"code":"exists"}]}"#;
        assert_eq!(code_of(body), Some("created"));
        assert_eq!(count(body, b"\"created\""), 2);
        assert_eq!(code_of(b"{}"), None);
    }
}
