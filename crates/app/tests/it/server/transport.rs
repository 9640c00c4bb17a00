//! Bytes: a connection with or without TLS, the head of an answer, and bodies of either form.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

/// Longest wait for a byte of an answer.
const PATIENCE: Duration = Duration::from_secs(60);

pub enum Wire {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

/// A connection that can be used again.
pub struct Conn {
    pub reader: BufReader<Wire>,
    pub used: Instant,
}

impl Conn {
    /// Connects; with TLS when a configuration is given.
    pub fn open(addr: SocketAddr, tls: Option<&Arc<ClientConfig>>) -> io::Result<Self> {
        let stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let wire = match tls {
            None => Wire::Plain(stream),
            Some(config) => {
                let name = ServerName::from(addr.ip());
                let tls =
                    ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
                Wire::Tls(Box::new(StreamOwned::new(tls, stream)))
            }
        };
        Ok(Self {
            reader: BufReader::new(wire),
            used: Instant::now(),
        })
    }

    /// Sends bytes.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let wire = self.reader.get_mut();
        wire.write_all(bytes)?;
        wire.flush()
    }

    /// Reads status and headers (names in lower case).
    pub fn head(&mut self) -> io::Result<(u16, Vec<(String, String)>)> {
        let line = self.line()?;
        let status = line.split(' ').nth(1).and_then(|text| text.parse().ok());
        let status = status.ok_or_else(|| broken(format!("no status in {line:?}")))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok((status, headers));
            }
            let (name, value) = line.split_once(':').ok_or_else(|| broken(line.clone()))?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.reader.read_line(&mut line)? == 0 {
            return Err(broken("the connection ended"));
        }
        line.truncate(line.trim_end().len());
        Ok(line)
    }

    /// Reads one chunk; empty at the end of the body.
    pub fn chunk(&mut self) -> io::Result<Vec<u8>> {
        let line = self.line()?;
        let size = usize::from_str_radix(line.split(';').next().unwrap_or(""), 16);
        let size = size.map_err(|_| broken(format!("no chunk size in {line:?}")))?;
        let mut bytes = vec![0; size];
        self.reader.read_exact(&mut bytes)?;
        self.line()?;
        Ok(bytes)
    }

    /// Reads a whole body.
    pub fn body(&mut self, status: u16, headers: &[(String, String)]) -> io::Result<Vec<u8>> {
        let find = |name: &str| headers.iter().find(|(known, _)| known == name);
        if matches!(status, 204 | 304) {
            return Ok(Vec::new());
        }
        if find("transfer-encoding").is_some() {
            let mut bytes = Vec::new();
            loop {
                let chunk = self.chunk()?;
                if chunk.is_empty() {
                    return Ok(bytes);
                }
                bytes.extend_from_slice(&chunk);
            }
        }
        let length = find("content-length").and_then(|(_, text)| text.parse().ok());
        let mut bytes = vec![0; length.unwrap_or(0)];
        self.reader.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

pub fn broken(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, what.into())
}
