//! Events a second through `reduce`: a new processor that catches up with a long stream, beside a bare loop of the same calls.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Config, Engine, Store};

use crate::process::Server;

#[allow(clippy::all, clippy::pedantic, reason = "generated")]
mod bindings {
    wasmtime::component::bindgen!({ path: "../../wit", world: "stream-processor" });
}

use bindings::StreamProcessor;
use bindings::pelton::processor::{appender, context, outbox, types};

pub const EVENTS: usize = 200_000;
pub const EVENT_BYTES: usize = 150;
/// Events a call of the bare loop; Pelton chooses its own.
pub const PAGE: usize = 256;

const ROUNDS: usize = 3;
const BATCH: usize = 2_000;

pub struct Replay {
    pub pelton: f64,
    pub bare: f64,
    /// The median of the rounds' ratios.
    pub ratio: f64,
    pub first_upload: Duration,
    pub activation: Duration,
    pub compile: Duration,
}

pub fn measure(dir: &Path) -> Replay {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/plugins/ping-pong.wasm");
    let component = std::fs::read(path).unwrap_or_else(|error| panic!("{path}: {error}; run `cargo xtask plugins` first"));
    let server = Api { server: Server::pelton(&dir.join("replay")), agent: ureq::Agent::new_with_defaults() };
    server.fill("/long");
    let (digest, first_upload) = server.first_upload(&component);
    let (bare, compile) = Bare::new(&component);
    let events = events();

    let mut rounds = Vec::new();
    let mut activations = Vec::new();
    for round in 0..ROUNDS {
        let (activation, time) = server.replay("/long", &format!("round-{round}"), &digest);
        activations.push(activation.as_secs_f64());
        rounds.push((EVENTS as f64 / time.as_secs_f64(), EVENTS as f64 / bare.replay(&events).as_secs_f64()));
    }
    Replay {
        pelton: crate::median(rounds.iter().map(|(pelton, _)| *pelton).collect()),
        bare: crate::median(rounds.iter().map(|(_, bare)| *bare).collect()),
        ratio: crate::median(rounds.iter().map(|(pelton, bare)| pelton / bare).collect()),
        first_upload,
        activation: Duration::from_secs_f64(crate::median(activations)),
        compile,
    }
}

/// The payload of the nth event, [`EVENT_BYTES`] with its type.
fn payload(nth: usize) -> String {
    let empty = r#"{"message":""}"#.len() + "tick".len();
    format!(r#"{{"message":"{nth:0>width$}"}}"#, width = EVENT_BYTES - empty)
}

struct Api {
    server: Server,
    agent: ureq::Agent,
}

impl Api {
    fn fill(&self, stream: &str) {
        for first in (0..EVENTS).step_by(BATCH) {
            let batch: Vec<String> = (first..first + BATCH).map(|nth| format!(r#"{{"type":"tick","payload":{}}}"#, payload(nth))).collect();
            self.post(stream, "application/json", format!("[{}]", batch.join(",")).as_bytes());
        }
    }

    /// Uploads to a stream of its own, so that compiled code is at hand from then on.
    fn first_upload(&self, component: &[u8]) -> (String, Duration) {
        let began = Instant::now();
        let answer = self.post("/elsewhere?slug=first&wait=60", "application/wasm", component);
        let time = began.elapsed();
        assert_eq!(answer["outcome"]["type"], "stream/processor/activated", "{answer:#}");
        (answer["event"]["payload"]["component"]["digest"].as_str().unwrap().to_owned(), time)
    }

    /// The time until the upload is answered, and until every event is handled.
    fn replay(&self, stream: &str, slug: &str, digest: &str) -> (Duration, Duration) {
        let configured = json!({ "slug": slug, "component": { "digest": digest }, "consumes": ["tick"] });
        let configured = json!({ "type": "stream/processor/configured", "payload": configured }).to_string();
        let began = Instant::now();
        let answer = self.post(&format!("{stream}?wait=60"), "application/json", configured.as_bytes());
        let activation = began.elapsed();
        let state = self.get(&format!("__state{stream}?handled={}&wait=60", EVENTS + 1));
        let time = began.elapsed();
        assert_eq!(answer["outcome"]["type"], "stream/processor/activated", "{answer:#}");
        assert_eq!(state["processors"][slug]["state"]["count"], EVENTS, "{state:#}");
        let removed = json!({ "type": "stream/processor/removed", "payload": { "slug": slug } }).to_string();
        self.post(stream, "application/json", removed.as_bytes());
        (activation, time)
    }

    fn post(&self, stream: &str, content_type: &str, body: &[u8]) -> Value {
        let url = format!("http://{}/api/streams{stream}", self.server.authority);
        read(self.agent.post(url).content_type(content_type).send(body).unwrap())
    }

    fn get(&self, target: &str) -> Value {
        read(self.agent.get(format!("http://{}/api/streams/{target}", self.server.authority)).call().unwrap())
    }
}

fn read(mut answer: ureq::http::Response<ureq::Body>) -> Value {
    serde_json::from_reader(answer.body_mut().as_reader()).unwrap()
}

/// The events as the host would hand them to the guest, made beforehand.
fn events() -> Vec<types::Event> {
    let event = |nth| types::Event {
        stream_path: "/long".to_owned(),
        offset: nth as u64 + 2,
        event_type: "tick".to_owned(),
        payload: payload(nth),
        metadata: None,
        idempotency_key: None,
        created_at: 1_700_000_000_000,
        source: None,
    };
    (0..EVENTS).map(event).collect()
}

/// wasmtime as it comes: no fuel, no epochs, no limits, one instance.
struct Bare {
    engine: Engine,
    component: Component,
    linker: Linker<Host>,
}

impl Bare {
    fn new(component: &[u8]) -> (Self, Duration) {
        let mut config = Config::new();
        config.concurrency_support(false);
        let engine = Engine::new(&config).unwrap();
        let began = Instant::now();
        let component = Component::new(&engine, component).unwrap();
        let compile = began.elapsed();
        let mut linker = Linker::new(&engine);
        StreamProcessor::add_to_linker::<_, HasSelf<_>>(&mut linker, |host| host).unwrap();
        (Self { engine, component, linker }, compile)
    }

    fn replay(&self, events: &[types::Event]) -> Duration {
        let mut store = Store::new(&self.engine, Host);
        let instance = StreamProcessor::instantiate(&mut store, &self.component, &self.linker).unwrap();
        let processor = instance.pelton_processor_processor();
        let mut state = r#"{"count":0,"last":null}"#.to_owned();
        let began = Instant::now();
        for page in events.chunks(PAGE) {
            state = processor.call_reduce(&mut store, &state, page).unwrap().unwrap();
        }
        let time = began.elapsed();
        assert!(state.contains(&format!(r#""count":{EVENTS}"#)), "{state}");
        time
    }
}

/// `reduce` needs nothing of the host but its configuration.
struct Host;

impl types::Host for Host {}

impl context::Host for Host {
    fn config(&mut self) -> String {
        "{}".to_owned()
    }

    fn slug(&mut self) -> String {
        "bare".to_owned()
    }

    fn log(&mut self, _: context::Level, _: String) {}
}

impl outbox::Host for Host {
    fn append(&mut self, _: Option<String>, _: types::NewEvent) -> Result<(), types::AppendError> {
        unreachable!("reduce appends nothing")
    }
}

impl appender::Host for Host {
    fn append(&mut self, _: Option<String>, _: types::NewEvent) -> Result<types::Event, types::AppendError> {
        unreachable!("reduce appends nothing")
    }
}
