//! A headless Chromium, spoken to over its debugging pipe: DevTools protocol as JSON texts that
//! end with a zero byte, on the file descriptors 3 and 4. Two named pipes and a shell take the
//! place of a WebSocket.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::tidy::root;

/// Longest wait for anything; the machine may be busy.
const LONGEST: Duration = Duration::from_secs(120);
/// Messages of the browser that wait to be read.
const MESSAGES: usize = 1_024;
/// Where Debian and others put it.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// The browser with one page.
pub struct Browser {
    child: Child,
    to: File,
    from: Receiver<Value>,
    next: u64,
    session: Option<String>,
    /// Exceptions, refusals of the content security policy and other errors of the page.
    pub errors: Vec<String>,
    /// Bytes that the pages loaded since they were last counted.
    loaded: u64,
    _home: TempDir,
}

fn installed() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let all = NAMES
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    all.into_iter().find(|file| file.is_file())
}

fn pipe(path: &Path) -> File {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a named pipe");
    // For reading and writing, so that opening waits for nobody.
    let opened = File::options().read(true).write(true).open(path);
    opened.expect("the pipe opens")
}

impl Browser {
    /// Starts it; `None`, with a word, where it is not installed.
    pub fn start(test: &str) -> Option<Self> {
        let Some(binary) = installed() else {
            println!("SKIPPED {test}: chromium is not installed");
            return None;
        };
        let home = tempfile::tempdir().expect("temporary folder");
        let (to, from) = (home.path().join("to"), home.path().join("from"));
        let (to_pipe, mut from_pipe) = (pipe(&to), pipe(&from));
        let child = Command::new("sh")
            .arg("-c")
            .arg(r#"in="$1" out="$2"; shift 2; exec "$0" "$@" 3<"$in" 4>"$out""#)
            .arg(binary)
            .args([&to, &from])
            .args([
                "--headless=new",
                "--remote-debugging-pipe",
                "--no-sandbox",
                "--no-first-run",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--disable-background-networking",
                "--disable-component-update",
                "--hide-scrollbars",
                "--lang=en-GB",
            ])
            .arg(format!(
                "--user-data-dir={}",
                home.path().join("profile").display()
            ))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the browser starts");
        let (send, receive) = sync_channel(MESSAGES);
        std::thread::spawn(move || {
            let (mut rest, mut piece) = (Vec::new(), [0; 65_536]);
            while let Ok(read @ 1..) = from_pipe.read(&mut piece) {
                rest.extend_from_slice(&piece[..read]);
                while let Some(end) = rest.iter().position(|byte| *byte == 0) {
                    let message: Vec<u8> = rest.drain(..=end).collect();
                    let parsed = serde_json::from_slice(&message[..end]).expect("JSON");
                    if send.send(parsed).is_err() {
                        return;
                    }
                }
            }
        });
        let mut browser = Self {
            child,
            to: to_pipe,
            from: receive,
            next: 0,
            session: None,
            errors: Vec::new(),
            loaded: 0,
            _home: home,
        };
        browser.open_page();
        Some(browser)
    }

    fn open_page(&mut self) {
        let made = self.ask("Target.createTarget", json!({"url": "about:blank"}));
        let target = made["targetId"].clone();
        let attached = self.ask(
            "Target.attachToTarget",
            json!({"targetId": target, "flatten": true}),
        );
        self.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network", "DOM"] {
            self.ask(&format!("{domain}.enable"), json!({}));
        }
        self.ask(
            "Emulation.setTimezoneOverride",
            json!({"timezoneId": "America/Sao_Paulo"}),
        );
        self.ask("Emulation.setLocaleOverride", json!({"locale": "en-GB"}));
        self.size(1280, 900);
    }

    /// One command, answered.
    #[track_caller]
    pub fn ask(&mut self, method: &str, params: Value) -> Value {
        self.next += 1;
        let id = self.next;
        let mut message = json!({"id": id, "method": method, "params": params});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.to.write_all(&bytes).expect("the browser listens");
        let answer = self.until(method, |message| message["id"] == id);
        assert!(
            answer["error"].is_null(),
            "{method}: {}",
            answer["error"]["message"]
        );
        answer["result"].clone()
    }

    /// The next message that is wanted; takes note of what went wrong until then.
    #[track_caller]
    fn until(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + LONGEST;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let message = self.from.recv_timeout(left);
            let message = message.unwrap_or_else(|_| panic!("the browser does not answer: {what}"));
            self.note(&message);
            if wanted(&message) {
                return message;
            }
        }
    }

    fn note(&mut self, message: &Value) {
        let params = &message["params"];
        match message["method"].as_str() {
            Some("Runtime.exceptionThrown") => {
                let details = &params["exceptionDetails"];
                self.errors.push(details.to_string());
            }
            // An answer that is an error is the test's business, not the page's.
            Some("Log.entryAdded")
                if params["entry"]["level"] == "error"
                    && params["entry"]["source"] != "network" =>
            {
                self.errors.push(params["entry"]["text"].to_string());
            }
            Some("Network.loadingFinished") => {
                self.loaded += params["encodedDataLength"].as_f64().unwrap_or(0.0) as u64;
            }
            _ => {}
        }
    }

    /// Window size in CSS pixels.
    pub fn size(&mut self, width: u32, height: u32) {
        let mobile = width < 600;
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}),
        );
    }

    /// Light or dark, as the system would have it.
    pub fn scheme(&mut self, scheme: &str) {
        let feature = json!({"name": "prefers-color-scheme", "value": scheme});
        self.ask("Emulation.setEmulatedMedia", json!({"features": [feature]}));
    }

    /// Loads an address and waits until everything has come.
    #[track_caller]
    pub fn open(&mut self, url: &str) {
        let answer = self.ask("Page.navigate", json!({"url": url}));
        assert!(answer["errorText"].is_null(), "{url}: {answer}");
        self.loads();
    }

    /// Waits for the end of loading of a page that is on its way.
    #[track_caller]
    pub fn loads(&mut self) {
        self.until("load", |message| message["method"] == "Page.loadEventFired");
    }

    /// The value of an expression; promises are waited for.
    #[track_caller]
    pub fn eval(&mut self, expression: &str) -> Value {
        let answer = self.ask(
            "Runtime.evaluate",
            json!({"expression": expression, "returnByValue": true, "awaitPromise": true, "userGesture": true}),
        );
        let wrong = &answer["exceptionDetails"];
        assert!(wrong.is_null(), "{expression}: {wrong}");
        answer["result"]["value"].clone()
    }

    /// Text of an expression.
    #[track_caller]
    pub fn text(&mut self, expression: &str) -> String {
        let value = self.eval(expression);
        value.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until an expression is true on this page, look by look as it is drawn.
    #[track_caller]
    pub fn wait(&mut self, condition: &str) {
        let looked = self.eval(&format!(
            "new Promise((done) => {{
                const end = Date.now() + {};
                const look = () => {{
                    if ({condition}) done(true);
                    else if (Date.now() > end) done(false);
                    else setTimeout(look, 20);
                }};
                look();
            }})",
            LONGEST.as_millis() / 2
        ));
        assert_eq!(looked, true, "{condition}: {}", self.shown());
    }

    /// What the page shows, for messages.
    pub fn shown(&mut self) -> String {
        self.text("document.body.innerText")
    }

    /// Presses something that stays on the page.
    #[track_caller]
    pub fn press(&mut self, selector: &str) {
        let selector = json!(selector);
        self.eval(&format!("document.querySelector({selector}).click()"));
    }

    /// Presses something that leads to another page.
    #[track_caller]
    pub fn follow(&mut self, selector: &str) {
        self.press(selector);
        self.loads();
    }

    /// Writes into a field as a person would.
    #[track_caller]
    pub fn write(&mut self, selector: &str, text: &str) {
        let selector = json!(selector);
        let focus = format!(
            "(() => {{ const f = document.querySelector({selector}); f.focus(); f.select(); }})()"
        );
        self.eval(&focus);
        self.ask("Input.insertText", json!({"text": text}));
    }

    /// Chooses a file.
    #[track_caller]
    pub fn choose(&mut self, selector: &str, file: &Path) {
        let document = self.ask("DOM.getDocument", json!({}));
        let found = self.ask(
            "DOM.querySelector",
            json!({"nodeId": document["root"]["nodeId"], "selector": selector}),
        );
        self.ask(
            "DOM.setFileInputFiles",
            json!({"nodeId": found["nodeId"], "files": [file]}),
        );
    }

    /// Bytes that were loaded since the last call.
    pub fn take_loaded(&mut self) -> u64 {
        // Everything that was sent before this answer has been counted.
        self.eval("0");
        std::mem::take(&mut self.loaded)
    }

    /// Keeps a picture of the whole page in `target/console-screenshots`.
    #[track_caller]
    pub fn picture(&mut self, name: &str) {
        let shot = self.ask(
            "Page.captureScreenshot",
            json!({"format": "png", "captureBeyondViewport": true}),
        );
        let bytes = BASE64.decode(shot["data"].as_str().expect("a picture"));
        let folder = root().join("target/console-screenshots");
        fs::create_dir_all(&folder).expect("a folder");
        let file = folder.join(format!("{name}.png"));
        fs::write(file, bytes.expect("base64")).expect("written");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The shell became the browser; its helpers end with it.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
