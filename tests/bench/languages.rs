//! What a language costs: its conformance processor through the same sandbox as the engine's, as a table in Markdown.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pelton_model::{Digest, Event, EventType, Json, JsonObject, NewEvent, Offset, Quotas, Slug, StreamPath, TenantName, Timestamp};
use pelton_wasm::{AppendError, Appender, Component, Identity, Reducer, Sandbox, SandboxOptions, Shut};

pub const ARGUMENT: &str = "languages";

/// Fresh instances, of which the median first call is taken.
const FIRST_CALLS: usize = 9;
const WARM_CALLS: usize = 1_000;
/// Events of a catch-up, and how often it is done.
const EVENTS: usize = 20_000;
const ROUNDS: usize = 3;
/// Instances that are held at once to see what memory they take.
const INSTANCES: usize = 48;

/// `components` are `NAME=PATH`, or `NAME=PATH=PROGRAM` where the component is the JavaScript runtime and runs that file.
pub fn run(components: &[String]) {
    println!(
        "| language | component | compile | first call | `reduce`, warm | `after-append` and an append | events a second on catch-up | fuel a `reduce` | memory an instance |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for component in components {
        let parts: Vec<&str> = component.split('=').collect();
        let config = parts.get(2).map_or_else(JsonObject::empty, |program| {
            JsonObject::of(&serde_json::json!({ "script": std::fs::read_to_string(program).unwrap() }))
        });
        println!("{}", row(parts[0], Path::new(parts[1]), config));
    }
}

fn row(language: &str, path: &Path, config: JsonObject) -> String {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    // No cache, and all cores.
    let sandbox = Sandbox::new(&SandboxOptions::default()).unwrap();
    let began = Instant::now();
    let component = sandbox.load(&bytes, &Quotas::default()).unwrap();
    let compile = began.elapsed();
    let initial = component.describe(None, config.clone(), &Quotas::default()).unwrap().initial_state;
    let processor = Processor { component, digest: Digest::of(&bytes), config, initial };
    let (warm, fuel) = processor.warm_reduce();
    format!(
        "| {language} | {} | {} | {} | {} | {} | {} | {} | {} |",
        kilobytes(bytes.len()),
        shown(compile),
        shown(processor.first_call()),
        shown(warm),
        shown(processor.warm_after_append()),
        thousands(processor.catch_up() as u64),
        thousands(fuel),
        kibibytes(processor.memory()),
    )
}

struct Processor {
    component: Component,
    digest: Digest,
    config: JsonObject,
    initial: Json,
}

impl Processor {
    /// From compiled code to the first state.
    fn first_call(&self) -> Duration {
        let event = [event("do/add", 2)];
        median((0..FIRST_CALLS).map(|_| timed(|| self.reducer().reduce(self.initial.clone(), &event).unwrap())))
    }

    fn warm_reduce(&self) -> (Duration, u64) {
        let (mut reducer, event) = (self.reducer(), [event("do/add", 2)]);
        let mut reduced = reducer.reduce(self.initial.clone(), &event).unwrap();
        let time = median((0..WARM_CALLS).map(|_| timed(|| reduced = reducer.reduce(reduced.state.clone(), &event).unwrap())));
        (time, reduced.fuel)
    }

    fn warm_after_append(&self) -> Duration {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let _inside = runtime.enter();
        let event = event("do/text", 2);
        let state = self.reducer().reduce(self.initial.clone(), std::slice::from_ref(&event)).unwrap().state;
        let mut effector = self.component.effector(self.identity(), self.config.clone(), Vec::new(), Quotas::default());
        let mut act = || {
            let effects = effector.after_append(&event, &state, Arc::new(Nowhere), Arc::new(Shut)).unwrap();
            assert_eq!(effects.outbox.len(), 1);
        };
        act();
        median((0..WARM_CALLS).map(|_| timed(&mut act)))
    }

    /// Events a second, in the pages of the engine.
    fn catch_up(&self) -> f64 {
        let events: Vec<Event> = (0..EVENTS).map(|nth| event("do/add", nth as u64 + 2)).collect();
        let round = |_| {
            let mut reducer = self.reducer();
            timed(|| {
                let reduced = reducer.reduce(self.initial.clone(), &events).unwrap();
                assert!(reduced.state.as_str().contains(&EVENTS.to_string()), "{:?}", reduced.state);
            })
        };
        EVENTS as f64 / median((0..ROUNDS).map(round)).as_secs_f64()
    }

    /// Bytes that each further instance, warm after some calls, has to itself.
    fn memory(&self) -> usize {
        let event = [event("do/add", 2)];
        let instance = || {
            let mut reducer = self.reducer();
            let mut state = self.initial.clone();
            for _ in 0..10 {
                state = reducer.reduce(state, &event).unwrap().state;
            }
            reducer
        };
        let _first = instance();
        let before = private_bytes();
        let held: Vec<Reducer> = (0..INSTANCES).map(|_| instance()).collect();
        let after = private_bytes();
        drop(held);
        after.saturating_sub(before) / INSTANCES
    }

    fn reducer(&self) -> Reducer {
        self.component.reducer(self.identity(), self.config.clone(), Quotas::default())
    }

    fn identity(&self) -> Identity {
        Identity {
            tenant: TenantName::from_checked("bench"),
            stream: StreamPath::from_checked("/bench"),
            slug: Slug::from_checked("bench"),
            digest: self.digest,
        }
    }
}

/// 150 bytes of type and payload, that `do/add` and `do/text` both understand.
fn event(event_type: &str, offset: u64) -> Event {
    let payload = format!(r#"{{"amount":"7","value":"{:.<width$}"}}"#, "a note that nobody reads ", width = 116);
    Event {
        stream_path: StreamPath::from_checked("/bench"),
        offset: Offset::new(offset).unwrap(),
        event_type: EventType::new(event_type).unwrap(),
        payload: JsonObject::parse(&payload).unwrap(),
        metadata: None,
        idempotency_key: None,
        created_at: Timestamp::from_millis(1_700_000_000_000),
        source: None,
    }
}

/// No processor here appends at once.
struct Nowhere;

impl Appender for Nowhere {
    fn append(&self, _: StreamPath, _: NewEvent) -> std::pin::Pin<Box<dyn Future<Output = Result<Event, AppendError>> + Send + '_>> {
        Box::pin(std::future::ready(Err(AppendError::Unavailable("nowhere".to_owned()))))
    }
}

/// Memory of this process that nothing else shares.
fn private_bytes() -> usize {
    let rollup = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let kib = rollup.lines().find_map(|line| line.strip_prefix("Private_Dirty:")).expect("Linux says it");
    kib.trim().trim_end_matches(" kB").trim().parse::<usize>().unwrap() << 10
}

fn timed<T>(what: impl FnOnce() -> T) -> Duration {
    let began = Instant::now();
    what();
    began.elapsed()
}

fn median(times: impl Iterator<Item = Duration>) -> Duration {
    Duration::from_secs_f64(crate::median(times.map(|time| time.as_secs_f64()).collect()))
}

/// Three digits or so, for more is not measured.
fn shown(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    let (value, unit) = match seconds {
        1.0.. => (seconds, "s"),
        1e-3..1.0 => (seconds * 1e3, "ms"),
        _ => (seconds * 1e6, "µs"),
    };
    if value < 10.0 { format!("{value:.1} {unit}") } else { format!("{value:.0} {unit}") }
}

fn kilobytes(bytes: usize) -> String {
    if bytes < 1_000_000 { format!("{} kB", bytes.div_ceil(1000)) } else { format!("{:.1} MB", bytes as f64 / 1e6) }
}

fn kibibytes(bytes: usize) -> String {
    format!("{} KiB", thousands((bytes >> 10) as u64))
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap()).collect();
    groups.join(",")
}
