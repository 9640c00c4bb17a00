//! Logs on stderr: one JSON object a line, or readable text on a terminal.
//!
//! Every line of a request carries its `traceId`. Secrets are replaced by field name and inside
//! text. Lines go through a bounded queue to a writer thread; when stderr cannot keep up, lines
//! are dropped and counted, the service never waits for its own log.

use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use florin_base::clock::{Clock, SystemClock};
use florin_base::time::Timestamp;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use super::redact::{REDACTED, is_secret, scrub};
use crate::http::trace;

/// Lines waiting for the writer thread.
const QUEUE: usize = 16_384;

/// Form of the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// Settings of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// Directives such as `info` or `warn,florin::access=debug`.
    pub filter: String,
    /// Form of the lines.
    pub format: LogFormat,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            filter: "info".to_string(),
            format: LogFormat::Auto,
        }
    }
}

/// The log cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter cannot be read.
    #[error("log filter `{filter}`: {reason}")]
    Filter {
        /// The filter.
        filter: String,
        /// Why.
        reason: String,
    },
    /// A subscriber is installed already.
    #[error("the log was set up before")]
    Installed,
    /// No writer thread.
    #[error("log writer: {0}")]
    Thread(#[from] io::Error),
}

/// Installs the log of the process. Keep the guard until the end: dropping it writes what
/// still waits.
pub fn install(config: &LogConfig) -> Result<LogGuard, LogError> {
    let filter = EnvFilter::try_new(&config.filter).map_err(|error| LogError::Filter {
        filter: config.filter.clone(),
        reason: error.to_string(),
    })?;
    let json = match config.format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !io::stderr().is_terminal(),
    };
    let (queue, guard) = start_writer(io::stderr())?;
    let layer = tracing_subscriber::fmt::layer()
        .event_format(Lines { json })
        .with_writer(queue);
    tracing_subscriber::registry()
        .with(filter)
        .with(layer)
        .try_init()
        .map_err(|_| LogError::Installed)?;
    Ok(guard)
}

/// Sends panics to the log, with place and trace id, instead of bare text to stderr.
pub fn install_panic_hook() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let text = panic.payload_as_str().unwrap_or("no message");
        tracing::error!(place = place.unwrap_or_default(), "panic: {text}");
    }));
}

enum Item {
    Line(Vec<u8>),
    End,
}

/// Where events write their lines.
#[derive(Clone)]
struct Queue {
    sender: SyncSender<Item>,
    dropped: Arc<AtomicU64>,
}

impl<'a> MakeWriter<'a> for Queue {
    type Writer = LineSender<'a>;
    fn make_writer(&'a self) -> LineSender<'a> {
        LineSender(self)
    }
}

/// Sends each write as one line; the formatter writes a whole event at once.
struct LineSender<'a>(&'a Queue);

impl Write for LineSender<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.0.sender.try_send(Item::Line(line.to_vec())).is_err() {
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Ends the writer thread when dropped, after the lines that wait.
pub struct LogGuard {
    sender: SyncSender<Item>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        if self.sender.send(Item::End).is_ok()
            && let Some(thread) = self.thread.take()
        {
            // A panic of the writer thread has nowhere left to be reported.
            let _ = thread.join();
        }
    }
}

fn start_writer(out: impl Write + Send + 'static) -> Result<(Queue, LogGuard), LogError> {
    let (sender, receiver) = sync_channel(QUEUE);
    let dropped = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&dropped);
    let thread = std::thread::Builder::new()
        .name("log-writer".to_string())
        .spawn(move || write_lines(&receiver, out, &counter))?;
    let guard = LogGuard {
        sender: sender.clone(),
        thread: Some(thread),
    };
    Ok((Queue { sender, dropped }, guard))
}

fn write_lines(receiver: &Receiver<Item>, mut out: impl Write, dropped: &AtomicU64) {
    while let Ok(Item::Line(line)) = receiver.recv() {
        // Nothing can be done about a stderr that fails; the service goes on.
        let _ = out.write_all(&line);
        let missing = dropped.swap(0, Ordering::Relaxed);
        if missing > 0 {
            metrics::counter!("log_lines_dropped_total").increment(missing);
            let note = "{\"level\":\"WARN\",\"message\":\"log lines were dropped\",\"lines\":";
            let _ = writeln!(out, "{note}{missing}}}");
        }
    }
    let _ = out.flush();
}

/// Formats events; spans are not shown, the trace id joins the lines of a request.
struct Lines {
    json: bool,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'l> LookupSpan<'l>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let now = Timestamp(SystemClock.wall_micros()).to_ascii();
        let now = std::str::from_utf8(&now).unwrap_or_default();
        let meta = event.metadata();
        match self.json {
            true => write_json(&mut out, now, meta, &fields),
            false => write_text(&mut out, now, meta, &fields),
        }
    }
}

fn write_json(
    out: &mut Writer<'_>,
    now: &str,
    meta: &tracing::Metadata<'_>,
    fields: &Fields,
) -> fmt::Result {
    write!(out, "{{\"ts\":\"{now}\",\"level\":\"{}\"", meta.level())?;
    write!(out, ",\"target\":{}", Quoted(meta.target()))?;
    if let Some(result) = trace::with_current_id(|id| write!(out, ",\"traceId\":\"{id}\"")) {
        result?;
    }
    write!(out, ",\"message\":{}", Quoted(&fields.message))?;
    for (name, value) in &fields.others {
        write!(out, ",{}:", Quoted(name))?;
        match value {
            Value::Text(text) => write!(out, "{}", Quoted(text))?,
            Value::Plain(text) => out.write_str(text)?,
        }
    }
    out.write_str("}\n")
}

fn write_text(
    out: &mut Writer<'_>,
    now: &str,
    meta: &tracing::Metadata<'_>,
    fields: &Fields,
) -> fmt::Result {
    // Hours to milliseconds are enough beside a terminal's own clock.
    write!(out, "{} {:5} ", &now[11..23], meta.level())?;
    write!(out, "{}", Escaped(&fields.message))?;
    for (name, value) in &fields.others {
        match value {
            Value::Text(text) => write!(out, " {name}={}", Quoted(text))?,
            Value::Plain(text) => write!(out, " {name}={text}")?,
        }
    }
    if let Some(result) = trace::with_current_id(|id| write!(out, " trace={id}")) {
        result?;
    }
    out.write_str("\n")
}

/// A JSON string literal.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self.0).map_err(|_| fmt::Error)?)
    }
}

/// Text without control characters, so that no value can forge a line.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c.is_control() {
                true => write!(f, "{}", c.escape_default())?,
                false => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

enum Value {
    Text(String),
    Plain(String),
}

#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, Value)>,
}

impl Fields {
    fn text(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message = scrub(value).into_owned();
            return;
        }
        let shown = match is_secret(field.name()) {
            true => REDACTED.to_string(),
            false => scrub(value).into_owned(),
        };
        self.others.push((field.name(), Value::Text(shown)));
    }

    fn plain(&mut self, field: &Field, value: String) {
        match is_secret(field.name()) {
            true => self.text(field, REDACTED),
            false => self.others.push((field.name(), Value::Plain(value))),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.plain(field, value.to_string());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.plain(field, value.to_string());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.plain(field, value.to_string());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        match value.is_finite() {
            true => self.plain(field, value.to_string()),
            false => self.text(field, &value.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(json: bool, work: impl FnOnce()) -> String {
        let memory = Memory::default();
        let (queue, guard) = start_writer(memory.clone()).expect("thread");
        let layer = tracing_subscriber::fmt::layer()
            .event_format(Lines { json })
            .with_writer(queue);
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, work);
        drop(guard);
        let bytes = memory.0.lock().clone();
        String::from_utf8(bytes).expect("UTF-8")
    }

    #[test]
    fn lines_are_json_without_secrets() {
        let text = logged(true, || {
            tracing::info!(
                user = "ann",
                password = "hunter2hunter2",
                count = 3,
                token = 7,
                "sent Bearer abcdefghijklmnop\nnext"
            );
        });
        assert_eq!(text.lines().count(), 1);
        let line: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["message"], "sent Bearer [redacted]\nnext");
        assert_eq!(line["user"], "ann");
        assert_eq!(line["count"], 3);
        assert_eq!(
            (&line["password"], &line["token"]),
            (&REDACTED.into(), &REDACTED.into())
        );
        assert!(line["ts"].as_str().expect("time").ends_with('Z'));
    }

    #[tokio::test]
    async fn the_trace_id_stands_in_every_line() {
        let context = trace::TraceContext::fresh();
        let text = trace::scope(context, async { logged(true, || tracing::warn!("inside")) }).await;
        let line: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(line["traceId"], context.id.as_str());
    }

    #[test]
    fn text_lines_cannot_be_forged() {
        let text = logged(false, || tracing::info!(note = "a\nb", "one\ntwo"));
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains("one\\ntwo note=\"a\\nb\""), "{text}");
    }
}
