//! A real server, a client for it, and ways to wait for what it does.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use serde_json::value::RawValue;
use serde_json::{Value, json};

/// How long a test waits for something that must happen. Only a failing test waits that long.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// `pelton serve` on a free port with a data folder of its own. Its client's methods can be called on it directly.
pub struct Server {
    client: Client,
    child: Child,
    /// The lines of its standard output; disconnected once it has exited.
    stdout: Mutex<Receiver<String>>,
    args: Vec<String>,
    dir: tempfile::TempDir,
}

impl Server {
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    pub fn start_with(args: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let args = args.iter().map(ToString::to_string).collect::<Vec<_>>();
        let (child, stdout, base) = spawn(dir.path(), &args);
        Self { client: Client::new(base), child, stdout: Mutex::new(stdout), args, dir }
    }

    /// Ends it as a power cut would: nothing is flushed, nobody is told.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again on the same data, after [`Server::kill`] or [`Server::terminate`].
    pub fn start_again(&mut self) {
        let (child, stdout, base) = spawn(self.dir.path(), &self.args);
        (self.child, self.stdout) = (child, Mutex::new(stdout));
        self.client = Client { base, ..self.client.clone() };
    }

    /// As [`Server::start_again`], with other options.
    pub fn start_again_with(&mut self, args: &[&str]) {
        self.args = args.iter().map(ToString::to_string).collect();
        self.start_again();
    }

    /// As [`Server::start_again`], on the address that it had.
    pub fn start_again_at(&mut self, address: &str) {
        let listen = self.args.iter().position(|arg| arg == "--listen").expect("started with --listen");
        self.args[listen + 1] = address.to_owned();
        self.start_again();
    }

    pub fn kill_and_start_again(&mut self) {
        self.kill();
        self.start_again();
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to stop.
    pub fn send_sigterm(&self) {
        signal("TERM", self.pid());
    }

    pub fn wait_for_exit(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        let stdout = self.stdout.get_mut().unwrap();
        loop {
            match stdout.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(_line) => {}
                Err(RecvTimeoutError::Disconnected) => return self.child.wait().unwrap(),
                Err(RecvTimeoutError::Timeout) => panic!("the server did not exit"),
            }
        }
    }

    pub fn terminate(&mut self) -> ExitStatus {
        self.send_sigterm();
        self.wait_for_exit()
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }
}

impl Deref for Server {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have exited already, which is fine.
        self.child.kill().ok();
        self.child.wait().ok();
        if std::thread::panicking() {
            eprintln!("--- standard error of the server ---\n{}---", stderr_of(self.dir.path()));
        }
    }
}

/// Ends a server from inside a test that has only lent it out. [`Server::kill`] must follow.
pub fn kill_9(pid: u32) {
    signal("KILL", pid);
}

fn signal(name: &str, pid: u32) {
    assert!(Command::new("sh").args(["-c", &format!("kill -{name} {pid}")]).status().unwrap().success());
}

fn spawn(dir: &Path, args: &[String]) -> (Child, Receiver<String>, String) {
    let log = File::options().create(true).append(true).open(dir.join("stderr")).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_pelton"))
        .arg("serve")
        .args(["--listen", "127.0.0.1:0"].iter().filter(|_| !args.iter().any(|arg| arg == "--listen")))
        .arg("--data")
        .arg(dir.join("data"))
        .args(args)
        // What one test has compiled no other compiles again.
        .env("PELTON_COMPILE_CACHE", compiled())
        // Tests reach servers of their own only.
        .env("SSL_CERT_FILE", repository().join("tests/tls/authority.pem"))
        .env("RUST_BACKTRACE", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .unwrap();
    let (lines, stdout) = mpsc::channel();
    let output = BufReader::new(child.stdout.take().unwrap());
    std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| lines.send(line)));
    let Ok(first) = stdout.recv_timeout(PATIENCE) else {
        child.kill().ok();
        panic!("the server did not start:\n{}", stderr_of(dir));
    };
    let base = first.strip_prefix("listening on ").unwrap_or_else(|| panic!("first line on standard output: {first:?}"));
    (child, stdout, base.to_owned())
}

fn stderr_of(dir: &Path) -> String {
    std::fs::read_to_string(dir.join("stderr")).unwrap_or_default()
}

/// Speaks HTTP to a server, as one tenant.
#[derive(Clone)]
pub struct Client {
    agent: ureq::Agent,
    pub base: String,
    tenant: Option<String>,
}

impl Client {
    fn new(base: String) -> Self {
        let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_per_read(Some(2 * PATIENCE)).build();
        Self { agent: config.into(), base, tenant: None }
    }

    pub fn tenant(&self, name: &str) -> Self {
        Self { tenant: Some(name.to_owned()), ..self.clone() }
    }

    /// `host:port`.
    pub fn authority(&self) -> &str {
        self.base.strip_prefix("http://").unwrap()
    }

    pub fn try_send(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Reply, ureq::Error> {
        let response = self.open(method, target, headers, body)?;
        let (parts, mut body) = response.into_parts();
        let body = body.with_config().limit(u64::MAX).read_to_vec()?;
        Ok(Reply { status: parts.status.as_u16(), headers: parts.headers, body })
    }

    fn open(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<ureq::http::Response<ureq::Body>, ureq::Error> {
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{target}", self.base));
        if let Some(tenant) = &self.tenant {
            request = request.header("x-pelton-tenant", tenant);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if matches!(method, "POST" | "PUT" | "PATCH") { self.agent.run(request.body(body)?) } else { self.agent.run(request.body(())?) }
    }

    #[track_caller]
    pub fn send(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        self.try_send(method, target, headers, body).unwrap_or_else(|error| panic!("{method} {target}: {error}"))
    }

    #[track_caller]
    pub fn get(&self, target: &str) -> Reply {
        self.send("GET", target, &[("accept", "application/json")], b"")
    }

    /// Posts `body` to a stream as `application/json`.
    #[track_caller]
    pub fn post(&self, stream: &str, body: impl AsRef<[u8]>) -> Reply {
        self.send("POST", &format!("/api/streams{stream}"), &[("content-type", "application/json")], body.as_ref())
    }

    /// Appends one event, which must succeed, and returns it as recorded.
    #[track_caller]
    pub fn append(&self, stream: &str, event: &Value) -> Value {
        self.post(stream, event.to_string()).ok()["event"].take()
    }

    /// Lets a stream take whatever a processor appends, for tests of what happens then.
    #[track_caller]
    pub fn without_breaker(&self, stream: &str) {
        let payload = json!({ "burstCapacity": u32::MAX, "refillRatePerMinute": u32::MAX });
        self.append(stream, &json!({ "type": "stream/circuit-breaker/configured", "payload": payload }));
    }

    /// Appends a batch, which must succeed.
    #[track_caller]
    pub fn append_all(&self, stream: &str, events: impl IntoIterator<Item = Value>) -> Vec<Value> {
        let events = events.into_iter().collect::<Value>();
        serde_json::from_value(self.post(stream, events.to_string()).ok()["events"].take()).unwrap()
    }

    /// The events of a stream as they are written in its JSON pages, all pages of it.
    #[track_caller]
    pub fn log_text(&self, stream: &str) -> Vec<Box<RawValue>> {
        #[derive(serde::Deserialize)]
        struct Page {
            events: Vec<Box<RawValue>>,
            next: Option<String>,
        }
        let mut events = Vec::new();
        let mut next = Some(format!("/api/streams{stream}"));
        while let Some(target) = next {
            let page: Page = self.get(&target).read();
            events.extend(page.events);
            next = page.next;
        }
        events
    }

    #[track_caller]
    pub fn log(&self, stream: &str) -> Vec<Value> {
        self.log_text(stream).iter().map(|text| serde_json::from_str(text.get()).unwrap()).collect()
    }

    #[track_caller]
    pub fn log_of_type(&self, stream: &str, event_type: &str) -> Vec<Value> {
        self.log(stream).into_iter().filter(|event| event["type"] == event_type).collect()
    }

    #[track_caller]
    pub fn state(&self, stream: &str) -> Value {
        self.get(&format!("/api/streams/__state{stream}")).ok()
    }

    /// The state once every active processor has acknowledged `offset`.
    #[track_caller]
    pub fn handled(&self, stream: &str, offset: u64) -> Value {
        let state = self.get(&format!("/api/streams/__state{stream}?handled={offset}&wait=60")).ok();
        for (slug, processor) in state["processors"].as_object().unwrap() {
            if processor["status"] == "active" {
                assert!(processor["cursors"]["acknowledged"].as_u64() > Some(offset), "{slug} has not handled {offset}: {state:#}");
            }
        }
        state
    }

    /// The state once every active processor has acknowledged everything, answers to answers included.
    #[track_caller]
    pub fn settled(&self, stream: &str) -> Value {
        let mut count = self.state(stream)["eventCount"].as_u64().unwrap();
        loop {
            let state = self.handled(stream, count);
            let now = state["eventCount"].as_u64().unwrap();
            if now == count {
                return state;
            }
            count = now;
        }
    }

    /// Reads a stream as Server-Sent Events. `query` is empty or begins with `?`.
    #[track_caller]
    pub fn tail(&self, stream: &str, query: &str, headers: &[(&str, &str)]) -> Tail {
        let target = format!("/api/streams{stream}{query}");
        let response = self.open("GET", &target, headers, b"").unwrap_or_else(|error| panic!("GET {target}: {error}"));
        assert_eq!(response.status(), 200, "GET {target}");
        assert!(header_of(response.headers(), "content-type").starts_with("text/event-stream"));
        let mut tail =
            Tail { target, reader: BufReader::new(Box::new(response.into_body().into_reader())), seen: Vec::new(), destroyed: None };
        let first = tail.line().unwrap();
        assert!(first.starts_with(':'), "a stream begins with a comment, found {first:?}");
        tail
    }

    /// The first event of a stream that satisfies `wanted`, whether it is there or yet to come.
    #[track_caller]
    pub fn wait_for(&self, stream: &str, wanted: impl FnMut(&Value) -> bool) -> Value {
        self.tail(stream, "", &[]).wait_for(wanted)
    }

    /// Uploads a component as `application/wasm`. `fields` are those of `stream/processor/configured` without slug and component.
    #[track_caller]
    pub fn upload(&self, stream: &str, slug: &str, component: &[u8], fields: Value) -> Reply {
        let mut fields = fields;
        fields["slug"] = json!(slug);
        let headers = [("content-type", "application/wasm"), ("x-pelton-processor", &*fields.to_string())];
        self.send("POST", &format!("/api/streams{stream}?wait=60"), &headers, component)
    }

    /// Uploads a plugin, which must be activated; returns its `stream/processor/activated`.
    #[track_caller]
    pub fn deploy(&self, stream: &str, slug: &str, name: &str, fields: Value) -> Value {
        let mut reply = self.upload(stream, slug, &plugin(name), fields).ok();
        assert_eq!(reply["outcome"]["type"], "stream/processor/activated", "{reply:#}");
        reply["outcome"].take()
    }
}

/// What a server answered.
pub struct Reply {
    pub status: u16,
    headers: ureq::http::HeaderMap,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn header(&self, name: &str) -> &str {
        header_of(&self.headers, name)
    }

    #[track_caller]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.body.escape_ascii()))
    }

    /// The body of a 200.
    #[track_caller]
    pub fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.body.escape_ascii());
        assert!(self.header("content-type").starts_with("application/json"), "{}", self.header("content-type"));
        self.json()
    }

    /// The body of a 200, read into a type.
    #[track_caller]
    pub fn read<T: serde::de::DeserializeOwned>(&self) -> T {
        self.ok();
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The body of an error, which must have this status and code.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{}", self.body.escape_ascii());
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["code"], code, "{problem:#}");
        assert_eq!(problem["status"], status, "{problem:#}");
        assert_eq!(problem["type"], format!("urn:pelton:problem:{code}"), "{problem:#}");
        for field in ["title", "detail"] {
            assert!(problem[field].as_str().is_some_and(|text| !text.is_empty()), "{field} is missing: {problem:#}");
        }
        problem
    }
}

fn header_of<'a>(headers: &'a ureq::http::HeaderMap, name: &str) -> &'a str {
    headers.get(name).map_or("", |value| value.to_str().unwrap())
}

/// A stream being read as Server-Sent Events.
pub struct Tail {
    target: String,
    reader: BufReader<Box<dyn Read + Send>>,
    /// What came so far, to tell when something did not come.
    seen: Vec<String>,
    /// What the server said when the stream was destroyed.
    pub destroyed: Option<Value>,
}

impl Tail {
    /// `None` where the server has ended the response.
    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.reader.read_line(&mut line) {
            Ok(0) => None,
            Ok(_) => Some(line.trim_end_matches(['\r', '\n']).to_owned()),
            Err(error) => panic!("GET {}: {error}, after {}", self.target, self.seen.join(", ")),
        }
    }

    /// The next event with its id; `None` where the server has ended the response.
    pub fn next(&mut self) -> Option<(u64, Value)> {
        let deadline = Instant::now() + PATIENCE;
        let (mut id, mut data, mut is_end) = (None, None, false);
        loop {
            assert!(Instant::now() < deadline, "GET {}: nothing came after {}", self.target, self.seen.join(", "));
            let line = self.line()?;
            match line.split_once(':') {
                Some(("", _comment)) => {}
                Some(("id", text)) => id = Some(text.trim().parse().unwrap()),
                Some(("event", " destroyed")) => is_end = true,
                Some(("event", kind)) => assert_eq!(kind.trim(), "message"),
                Some(("data", text)) => data = Some(text.trim().to_owned()),
                Some(_) => panic!("unknown field in {line:?}"),
                None => {
                    assert_eq!(line, "");
                    if is_end {
                        self.destroyed = data.take().map(|data| serde_json::from_str(&data).unwrap());
                        is_end = false;
                    } else if let (Some(id), Some(data)) = (id, data.take()) {
                        let event: Value = serde_json::from_str(&data).unwrap();
                        assert_eq!(event.get("position").unwrap_or(&event["offset"]), id);
                        self.seen.push(format!("{id} {}", event["type"]));
                        return Some((id, event));
                    }
                }
            }
        }
    }

    /// Waits for the server to say that it is still there.
    pub fn wait_for_comment(&mut self) {
        while !self.line().unwrap().starts_with(':') {}
    }

    /// The next `count` events.
    pub fn take(&mut self, count: usize) -> Vec<Value> {
        let target = self.target.clone();
        std::iter::from_fn(|| Some(self.next().unwrap_or_else(|| panic!("GET {target} ended early")).1)).take(count).collect()
    }

    /// Everything up to the end of the response.
    pub fn rest(&mut self) -> Vec<Value> {
        std::iter::from_fn(|| self.next()).map(|(_, event)| event).collect()
    }

    /// Skips to the first event that satisfies `wanted`.
    #[track_caller]
    pub fn wait_for(&mut self, mut wanted: impl FnMut(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let Some((_, event)) = self.next() else { panic!("GET {} ended, after {}", self.target, self.seen.join(", ")) };
            if wanted(&event) {
                return event;
            }
            assert!(Instant::now() < deadline, "GET {}: not found in {}", self.target, self.seen.join(", "));
        }
    }
}

/// The bytes of a plugin that `cargo xtask plugins` builds.
#[track_caller]
pub fn plugin(name: &str) -> Vec<u8> {
    let path = repository().join(format!("target/plugins/{name}.wasm"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; run `cargo xtask plugins` first", path.display()))
}

/// `pelton` with the toolchain that `cargo xtask plugins` has found for guests. What cargo builds is shared by all tests.
pub fn pelton(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pelton"));
    command.args(args).current_dir(folder).env_remove("NO_COLOR").stdin(Stdio::null());
    command.envs(guest_environment());
    command
}

/// What a command that ends with this code has said on standard error.
#[track_caller]
pub fn said(code: i32, command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{said}{}", String::from_utf8_lossy(&output.stdout));
    said
}

#[track_caller]
pub fn mentions(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "without {part:?}: {text}");
    }
}

/// A program of this name that does this.
pub fn fake_program(folder: &Path, name: &str, script: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let file = folder.join(name);
    std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    file
}

fn compiled() -> PathBuf {
    repository().join("target/test-compiled")
}

/// The environment in which cargo compiles guests, and in which what one test has compiled no other compiles again.
pub fn guest_environment() -> Vec<(String, String)> {
    let path = repository().join("target/guest-toolchain/environment");
    let lines =
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}; run `cargo xtask plugins` first", path.display()));
    let variables = lines.lines().filter_map(|line| line.split_once('='));
    let target = repository().join("target/guest").display().to_string();
    let mut variables: Vec<_> = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    variables.push(("CARGO_TARGET_DIR".to_owned(), target));
    // `cargo xtask plugins` has fetched what projects need.
    variables.push(("CARGO_NET_OFFLINE".to_owned(), "true".to_owned()));
    variables.push(("PELTON_COMPILE_CACHE".to_owned(), compiled().display().to_string()));
    variables
}

/// A new project in Rust, with the versions of what it needs that the repository's own plugins have.
pub fn rust_project(folder: &Path, name: &str) -> PathBuf {
    let output = pelton(folder, &["plugin", "new", name, "--lang", "rust"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let project = folder.join(name);
    std::fs::copy(repository().join("plugins/Cargo.lock"), project.join("Cargo.lock")).unwrap();
    project
}

/// A new project called `hello`.
pub fn new_project(folder: &Path, language: &str) -> PathBuf {
    said(0, &mut pelton(folder, &["plugin", "new", "hello", "--lang", language]));
    folder.join("hello")
}

/// Puts other words into a file.
#[track_caller]
pub fn replace(file: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "{}: {from:?} is not there", file.display());
    std::fs::write(file, text.replace(from, to)).unwrap();
}

pub fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

pub fn event(event_type: &str) -> Value {
    json!({ "type": event_type })
}

pub fn offsets(events: &[Value]) -> Vec<u64> {
    events.iter().map(|event| event["offset"].as_u64().unwrap()).collect()
}

pub fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

/// Fails unless the events have the offsets 1, 2, 3 and so on.
#[track_caller]
pub fn assert_contiguous(events: &[Value]) {
    let expected: Vec<u64> = (1..=events.len() as u64).collect();
    assert_eq!(offsets(events), expected);
}
