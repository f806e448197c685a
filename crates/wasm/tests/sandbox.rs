//! What the sandbox promises, on real components.

#![allow(clippy::unwrap_used, reason = "in a test an unwrap is an assertion")]

mod guest;

use std::pin::Pin;
use std::sync::{Arc, LazyLock, Mutex};

use pelton_model::{Digest, Event, EventType, Json, JsonObject, NewEvent, Offset, Quotas, Slug, Source, StreamPath, TenantName, Timestamp};
use pelton_wasm::{
    AppendError, Appender, CallError, Component, Effector, Effects, Gate, HttpError, HttpRequest, HttpResponse, Identity, LoadError,
    Reducer, Sandbox, SandboxOptions, Shut,
};
use proptest::prelude::*;

static SANDBOX: LazyLock<Sandbox> = LazyLock::new(|| Sandbox::new(&SandboxOptions::default()).unwrap());
static GUEST: LazyLock<Component> = LazyLock::new(|| SANDBOX.load(&guest::guest(), &Quotas::default()).unwrap());

/// Small enough that what must be stopped is stopped soon.
fn quotas() -> Quotas {
    Quotas { memory_bytes_max: 16 << 20, reduce_fuel_max: 10_000_000, after_append_fuel_max: 100_000_000, ..Quotas::default() }
}

fn identity() -> Identity {
    Identity {
        tenant: TenantName::new("default").unwrap(),
        stream: StreamPath::new("/room").unwrap(),
        slug: Slug::new("guest").unwrap(),
        digest: GUEST.digest(),
    }
}

fn reducer(quotas: Quotas) -> Reducer {
    GUEST.reducer(identity(), JsonObject::empty(), quotas)
}

/// Events whose types begin with these letters, at the offsets from 1.
fn events(letters: &str) -> Vec<Event> {
    let event = |(offset, letter): (u64, char)| Event {
        stream_path: StreamPath::new("/room").unwrap(),
        offset: Offset::new(offset).unwrap(),
        event_type: EventType::new(&letter.to_string()).unwrap(),
        payload: JsonObject::empty(),
        metadata: None,
        idempotency_key: None,
        created_at: Timestamp::from_millis(0),
        source: None,
    };
    (1..).zip(letters.chars()).map(event).collect()
}

fn number(value: u64) -> Json {
    Json::parse(&value.to_string()).unwrap()
}

/// The state that the events' letters lead to, computed here.
fn folded(state: u64, letters: &str) -> Json {
    number((1..).zip(letters.chars()).fold(state, |state, (offset, _)| (state * 31 + offset + 2) % 1_000_000_007))
}

/// The error code of a single event.
fn reduce_code(letter: &str, quotas: Quotas) -> String {
    let failed = reducer(quotas).reduce(number(0), &events(letter)).unwrap_err();
    assert_eq!(failed.index, 0);
    failed.error.reason().code
}

/// Records what it is asked to, or refuses it.
struct Recorder {
    recorded: Mutex<Vec<(StreamPath, NewEvent)>>,
    refuse: Option<AppendError>,
}

impl Appender for Recorder {
    fn append(&self, stream: StreamPath, event: NewEvent) -> Pin<Box<dyn Future<Output = Result<Event, AppendError>> + Send + '_>> {
        Box::pin(async move {
            // It waits once, as a writer would.
            tokio::task::yield_now().await;
            if let Some(refusal) = &self.refuse {
                return Err(refusal.clone());
            }
            self.recorded.lock().unwrap().push((stream.clone(), event.clone()));
            Ok(Event {
                stream_path: stream,
                offset: Offset::new(7).unwrap(),
                event_type: event.event_type,
                payload: event.payload,
                metadata: event.metadata,
                idempotency_key: event.idempotency_key,
                created_at: Timestamp::from_millis(1),
                source: event.source,
            })
        })
    }
}

fn recorder(refuse: Option<AppendError>) -> Arc<Recorder> {
    Arc::new(Recorder { recorded: Mutex::new(Vec::new()), refuse })
}

fn effector(quotas: Quotas) -> Effector {
    GUEST.effector(identity(), JsonObject::empty(), Vec::new(), quotas)
}

/// Calls `after-append` the way the engine does: on a blocking thread of a runtime.
fn act_on(mut effector: Effector, events: Vec<Event>, appender: Arc<Recorder>) -> Vec<Result<Effects, CallError>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let act = move || events.iter().map(|event| effector.after_append(event, &number(5), appender.clone(), Arc::new(Shut))).collect();
    runtime.block_on(async { tokio::task::spawn_blocking(act).await.unwrap() })
}

fn act(letter: &str, quotas: Quotas) -> Result<Effects, CallError> {
    act_on(effector(quotas), events(letter), recorder(None)).remove(0)
}

fn act_code(letter: &str, quotas: Quotas) -> String {
    act(letter, quotas).unwrap_err().reason().code
}

fn load_error(bytes: &[u8], quotas: &Quotas) -> LoadError {
    SANDBOX.load(bytes, quotas).err().expect("it must not load")
}

fn load_code(bytes: &[u8]) -> String {
    load_error(bytes, &Quotas::default()).reason().code
}

#[test]
fn a_component_says_what_it_is() {
    let manifest = GUEST.describe(None, JsonObject::empty(), &quotas()).unwrap();
    assert_eq!((manifest.name.as_str(), manifest.initial_state.as_str()), ("guest", "0"));
    assert_eq!(GUEST.digest(), Digest::of(&guest::guest()));
}

#[test]
fn events_fold_into_state_in_order() {
    let letters = "a".repeat(1_000);
    let reduced = reducer(quotas()).reduce(number(0), &events(&letters)).unwrap();
    assert_eq!(reduced.state, folded(0, &letters));
    assert!(reduced.fuel > 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn how_events_are_split_into_calls_does_not_show(
        letters in "[argq]{0,40}", cut in any::<prop::sample::Index>(), calls_max in 1_u64..4
    ) {
        let all = events(&letters);
        let whole = reducer(quotas()).reduce(number(3), &all).unwrap().state;
        let at = cut.index(all.len() + 1);
        let mut split = reducer(Quotas { instance_calls_max: calls_max, ..quotas() });
        let first = split.reduce(number(3), &all[..at]).unwrap().state;
        prop_assert_eq!(&split.reduce(first, &all[at..]).unwrap().state, &whole);
        let mut single = reducer(quotas());
        let one_by_one = all.iter().fold(number(3), |state, event| single.reduce(state, std::slice::from_ref(event)).unwrap().state);
        prop_assert_eq!(one_by_one, whole);
    }
}

#[test]
fn a_failing_event_is_named_with_the_state_before_it() {
    for letter in ["t", "e", "j", "s", "m", "o", "z", "x"] {
        let letters = format!("aaa{letter}aa");
        let mut reducer = reducer(quotas());
        let failed = reducer.reduce(number(0), &events(&letters)).unwrap_err();
        assert_eq!((failed.index, &failed.state), (3, &folded(0, "aaa")), "{letter}");
        // It goes on with a fresh instance.
        assert_eq!(reducer.reduce(number(0), &events("aa")).unwrap().state, folded(0, "aa"));
    }
}

#[test]
fn each_failure_of_reduce_has_its_code() {
    for (letter, code) in [
        ("t", "trap"),
        ("s", "out-of-fuel"),
        ("m", "out-of-memory"),
        ("e", "guest-error"),
        ("j", "bad-state"),
        ("h", "state-too-large"),
        ("o", "trap"),
        ("z", "trap"),
        ("x", "trap"),
    ] {
        assert_eq!(reduce_code(letter, quotas()), code, "{letter}");
    }
}

#[test]
fn a_trap_tells_where_it_happened() {
    let failed = reducer(quotas()).reduce(number(0), &events("t")).unwrap_err();
    let reason = failed.error.reason();
    assert!(reason.message.contains("unreachable"), "{reason:?}");
    assert!(reason.location.as_ref().is_some_and(|location| location.contains("common")), "{reason:?}");
}

#[test]
fn the_outbox_is_out_of_reach_of_reduce() {
    let failed = reducer(quotas()).reduce(number(0), &events("o")).unwrap_err();
    let message = failed.error.to_string();
    assert!(message.contains("pelton:processor/outbox.append was called outside of after-append"), "{message}");
}

#[test]
fn a_clock_cannot_be_waited_for_in_reduce() {
    let failed = reducer(quotas()).reduce(number(0), &events("z")).unwrap_err();
    let message = failed.error.to_string();
    assert!(message.contains("wasi:clocks/monotonic-clock.subscribe-duration"), "{message}");
}

#[test]
fn reduce_may_print_on_a_thread_of_a_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let reduced = runtime.block_on(async { reducer(quotas()).reduce(number(0), &events("qq")) });
    assert_eq!(reduced.unwrap().state, folded(0, "qq"));
}

#[test]
fn memory_left_over_does_not_decide_the_fate_of_an_event() {
    let mut reducer = reducer(quotas());
    reducer.reduce(number(0), &events("aa")).unwrap();
    assert_eq!(reducer.reduce(number(0), &events("w")).unwrap().state, folded(0, "w"));
}

#[test]
fn a_reducer_that_grows_is_replaced_before_it_runs_out() {
    // Each of them keeps a mebibyte for good, and 16 are allowed.
    let mut reducer = reducer(Quotas { instance_recycle_bytes: 4 << 20, ..quotas() });
    let letters = "g".repeat(100);
    for event in events(&letters) {
        reducer.reduce(number(0), &[event]).unwrap();
    }
}

#[test]
fn memory_left_over_does_not_decide_the_fate_of_an_effect() {
    // Each of them keeps a mebibyte for good and fails without it, and 16 are allowed.
    let results = act_on(effector(quotas()), events(&"G".repeat(40)), recorder(None));
    assert!(results.iter().all(Result::is_ok), "{results:?}");
}

#[test]
fn an_effect_that_has_gone_out_is_not_done_again_for_want_of_memory() {
    let recorder = recorder(None);
    let results = act_on(effector(quotas()), events(&"D".repeat(20)), recorder.clone());
    let failed: Vec<_> = results.iter().filter_map(|result| Some(result.as_ref().err()?.reason().code)).collect();
    assert_eq!(failed, ["out-of-memory"]);
    assert_eq!(recorder.recorded.lock().unwrap().len(), 20);
}

#[test]
fn the_outbox_comes_back_stamped() {
    let mut handled = events("p");
    handled[0].source = Some(Source {
        slug: Slug::new("other").unwrap(),
        digest: Digest::of(b"other"),
        stream_path: StreamPath::root(),
        offset: Offset::FIRST,
        depth: 4,
    });
    let effects = act_on(effector(quotas()), handled, recorder(None)).remove(0).unwrap();
    let [(stream, event)] = &effects.outbox[..] else { panic!("{effects:?}") };
    assert_eq!((stream.as_str(), event.event_type.as_str(), event.payload.as_str()), ("/room", "pong", r#"{"state":5}"#));
    let source = event.source.as_ref().unwrap();
    assert_eq!((source.slug.as_str(), source.digest, source.offset.get(), source.depth), ("guest", GUEST.digest(), 1, 5));
    assert!(effects.fuel > 0);
}

#[test]
fn an_append_at_once_returns_the_event_and_derives_its_key() {
    let recorder = recorder(None);
    let effects = act_on(effector(quotas()), events("d"), recorder.clone()).remove(0).unwrap();
    let recorded = recorder.recorded.lock().unwrap();
    let [(stream, event)] = &recorded[..] else { panic!("{recorded:?}") };
    assert_eq!((stream.as_str(), event.idempotency_key.as_ref().unwrap().as_str()), ("/room", "pelton:guest:/room:1:1"));
    // The guest put what it got back into its outbox.
    assert_eq!((&effects.outbox[0].1.event_type, &effects.outbox[0].1.payload), (&event.event_type, &event.payload));
}

#[test]
fn a_refused_append_reaches_the_guest() {
    let paused = recorder(Some(AppendError::Paused("maintenance".to_owned())));
    let error = act_on(effector(quotas()), events("d"), paused).remove(0).unwrap_err();
    assert_eq!(error, CallError::Guest { message: "maintenance".to_owned() });
}

#[test]
fn what_a_guest_may_not_append_is_refused_with_the_reason() {
    let few = Quotas { appends_max: 3, ..quotas() };
    let small = Quotas { append_bytes_max: 40, ..quotas() };
    let tiny = Quotas { event_bytes_max: 14, ..quotas() };
    let flat = Quotas { depth_max: 0, ..quotas() };
    for (letter, quotas, part) in [
        ("b", quotas(), "only the host appends `stream/initialized`"),
        ("c", quotas(), "cannot upload a component"),
        ("n", quotas(), "payload: not valid JSON"),
        ("k", quotas(), "stream path: expected"),
        ("l", few, "one call may append 3 events"),
        ("l", small, "one call may append 40 bytes"),
        ("p", tiny, "the event has 15 bytes, the limit is 14"),
        ("p", flat, "number 1 in a chain of answers, the limit is 0"),
    ] {
        let error = act(letter, quotas).unwrap_err();
        assert!(matches!(&error, CallError::Guest { message } if message.contains(part)), "{letter}: {error}");
    }
}

#[test]
fn each_failure_of_after_append_has_its_code() {
    for (letter, code) in [("t", "trap"), ("s", "out-of-fuel"), ("m", "out-of-memory"), ("e", "guest-error"), ("x", "trap")] {
        assert_eq!(act_code(letter, quotas()), code, "{letter}");
    }
}

#[test]
fn a_sleeping_guest_is_stopped_by_the_deadline() {
    assert_eq!(act("z", Quotas { after_append_millis_max: 50, ..quotas() }), Err(CallError::Timeout { millis_max: 50 }));
}

#[test]
fn a_spinning_guest_is_stopped_by_the_deadline_too() {
    let endless = Quotas { after_append_millis_max: 50, after_append_fuel_max: u64::MAX, ..quotas() };
    assert_eq!(act("s", endless), Err(CallError::Timeout { millis_max: 50 }));
}

#[test]
fn an_effector_goes_on_after_every_failure() {
    let limits = Quotas { after_append_millis_max: 2_000, ..quotas() };
    let letters = "ptpepmpxqp";
    let results = act_on(effector(limits), events(letters), recorder(None));
    for (letter, result) in letters.chars().zip(results) {
        assert_eq!(result.is_ok(), matches!(letter, 'p' | 'q'), "{letter}: {result:?}");
        // An error leaves nothing behind for the next call's outbox.
        assert_eq!(result.map_or(0, |effects| effects.outbox.len()), usize::from(letter == 'p'));
    }
}

#[test]
fn an_effector_outside_of_a_runtime_is_the_hosts_fault() {
    let error = effector(quotas()).after_append(&events("p")[0], &number(0), recorder(None), Arc::new(Shut)).unwrap_err();
    assert_eq!(error.reason().code, "host-error");
}

#[test]
fn what_is_not_a_component_is_refused_by_name() {
    assert_eq!(load_code(b""), "not-wasm");
    assert_eq!(load_code(b"#!/bin/sh"), "not-wasm");
    assert_eq!(load_code(&wat::parse_str("(module)").unwrap()), "core-module");
    assert_eq!(load_code(&guest::component(r#"(module (func (export "greet")))"#, "other")), "wrong-world");
    assert_eq!(load_error(&guest::guest(), &Quotas { component_bytes_max: 100, ..quotas() }).reason().code, "component-too-large");
}

#[test]
fn every_forbidden_import_is_listed() {
    const TEXT: &str = r#"(module
        (import "wasi:keyvalue/store@0.2.0" "f" (func))
        (memory (export "memory") 1)
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
        (func (export "pelton:processor/processor@0.1.0#describe") (result i32) unreachable)
        (func (export "pelton:processor/processor@0.1.0#reduce") (param i32 i32 i32 i32) (result i32) unreachable)
        (func (export "pelton:processor/processor@0.1.0#after-append") (param i32) (result i32) unreachable))"#;
    let error = load_error(&guest::component(TEXT, "greedy"), &quotas());
    assert_eq!(error, LoadError::ForbiddenImport { imports: vec!["wasi:keyvalue/store@0.2.0".to_owned()] });
    assert_eq!(error.reason().code, "forbidden-import");
}

/// A guest that sends `GET https://example.com` in both functions, and does not wait for what becomes of it.
const CALLER: &str = r#"(module
    (import "wasi:http/types@0.2.12" "[constructor]fields" (func $fields (result i32)))
    (import "wasi:http/types@0.2.12" "[constructor]outgoing-request" (func $request (param i32) (result i32)))
    (import "wasi:http/types@0.2.12" "[method]outgoing-request.set-authority" (func $authority (param i32 i32 i32 i32) (result i32)))
    (import "wasi:http/types@0.2.12" "[method]outgoing-request.set-path-with-query" (func $path (param i32 i32 i32 i32) (result i32)))
    (import "wasi:http/outgoing-handler@0.2.12" "handle" (func $handle (param i32 i32 i32 i32)))
    (memory (export "memory") 1)
    (data (i32.const 1024) "{\22name\22:\22caller\22}")
    (data (i32.const 1100) "1example.com/")
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 2048))
    (func (export "pelton:processor/processor@0.1.0#describe") (result i32)
        (i32.store (i32.const 0) (i32.const 1024)) (i32.store (i32.const 4) (i32.const 17)) (i32.const 0))
    (func $send (local $request i32)
        (local.set $request (call $request (call $fields)))
        (drop (call $authority (local.get $request) (i32.const 1) (i32.const 1101) (i32.const 11)))
        (drop (call $path (local.get $request) (i32.const 1) (i32.const 1112) (i32.const 1)))
        (call $handle (local.get $request) (i32.const 0) (i32.const 0) (i32.const 64)))
    (func (export "pelton:processor/processor@0.1.0#reduce") (param i32 i32 i32 i32) (result i32)
        (call $send)
        (i32.store8 (i32.const 32) (i32.const 0)) (i32.store (i32.const 36) (i32.const 1100)) (i32.store (i32.const 40) (i32.const 1))
        (i32.const 32))
    (func (export "pelton:processor/processor@0.1.0#after-append") (param i32) (result i32)
        (call $send)
        (if (i32.load8_u (i32.const 64)) (then unreachable))
        (i32.store8 (i32.const 32) (i32.const 0))
        (i32.const 32)))"#;

#[test]
fn a_request_from_reduce_traps_by_its_name() {
    let caller = SANDBOX.load(&guest::component(CALLER, "caller"), &quotas()).unwrap();
    let failed = caller.reducer(identity(), JsonObject::empty(), quotas()).reduce(number(0), &events("a")).unwrap_err();
    let message = failed.error.to_string();
    assert!(message.contains("wasi:http/outgoing-handler.handle was called outside of after-append"), "{message}");
}

/// Says when a request was given up.
struct Stuck(Mutex<Option<tokio::sync::oneshot::Sender<()>>>);

impl Gate for Stuck {
    fn send(&self, _: HttpRequest) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send>> {
        let dropped = self.0.lock().unwrap().take();
        Box::pin(async move {
            let _told_when_dropped = dropped;
            std::future::pending().await
        })
    }
}

#[test]
fn a_request_that_nobody_waits_for_ends_with_its_call() {
    let caller = SANDBOX.load(&guest::component(CALLER, "caller"), &quotas()).unwrap();
    let mut effector = caller.effector(identity(), JsonObject::empty(), Vec::new(), quotas());
    let (dropped, gone) = tokio::sync::oneshot::channel();
    let gate = Arc::new(Stuck(Mutex::new(Some(dropped))));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    // The instance stays warm, and holds the handle that the guest forgot.
    let act = move || effector.after_append(&events("a")[0], &number(0), recorder(None), gate).map(|_| effector);
    let _warm = runtime.block_on(async { tokio::task::spawn_blocking(act).await.unwrap() }).unwrap();
    assert!(runtime.block_on(gone).is_err());
}

#[test]
fn an_export_of_the_right_name_and_the_wrong_type_is_of_the_wrong_world() {
    const TEXT: &str = r#"(component
        (core module $m (func (export "f") (result i32) i32.const 0))
        (core instance $i (instantiate $m))
        (func $f (result u32) (canon lift (core func $i "f")))
        (instance $p (export "describe" (func $f)) (export "reduce" (func $f)) (export "after-append" (func $f)))
        (export "pelton:processor/processor@0.1.0" (instance $p)))"#;
    let error = load_error(&wat::parse_str(TEXT).unwrap(), &quotas());
    assert!(matches!(error, LoadError::WrongTypes { .. }), "{error:?}");
    assert_eq!(error.reason().code, "wrong-world");
}

#[test]
fn damage_is_found_at_its_byte() {
    let mut bytes = guest::guest();
    bytes.truncate(bytes.len() / 2);
    let error = load_error(&bytes, &quotas());
    assert!(matches!(error, LoadError::Malformed { offset, .. } if offset > 0), "{error:?}");
}

#[test]
fn a_component_that_nests_its_way_to_millions_of_instances_is_not_unfolded() {
    let mut text = "(component $c0 (core module $m) (core instance (instantiate $m)))".to_owned();
    for level in 1..=7 {
        let below = level - 1;
        let ten = format!("(instance (instantiate $c{below}))").repeat(10);
        text = format!("(component $c{level} {text} {ten})");
    }
    let text = format!(
        r#"(component {text} (instance (instantiate $c7)) (instance $p) (export "pelton:processor/processor@0.1.0" (instance $p)))"#
    );
    let error = load_error(&wat::parse_str(text).unwrap(), &quotas());
    assert_eq!(error, LoadError::TooManyParts { what: "instances", max: quotas().core_instances_max, found: 10_000_000 });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_the_verifier_panic(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        static BYTES: LazyLock<Vec<u8>> = LazyLock::new(guest::guest);
        let mut bytes = BYTES.clone();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        // Too small a quota, so that what is still well formed is not compiled.
        let refused = SANDBOX.load(&bytes, &Quotas { core_instances_max: 0, ..Quotas::default() });
        prop_assert!(refused.is_err());
    }
}

#[test]
fn compiled_code_is_kept_in_a_folder_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("compiled");
    let options = SandboxOptions { compile_cache: Some(cache.clone()) };
    for _ in 0..2 {
        let component = Sandbox::new(&options).unwrap().load(&guest::guest(), &quotas()).unwrap();
        assert_eq!(component.describe(None, JsonObject::empty(), &quotas()).unwrap().name, "guest");
    }
    assert!(std::fs::read_dir(&cache).unwrap().next().is_some());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&cache).unwrap().permissions().mode() & 0o777, 0o700);
    }
}

#[test]
fn what_is_prepared_is_found_by_whoever_loads_it() {
    fn files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let files = entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] });
        // How often what is used is noted beside it, a while later.
        files.filter(|path| path.extension().is_none_or(|extension| extension != "stats")).collect()
    }
    let folder = tempfile::tempdir().unwrap();
    let (bytes, cache) = (guest::guest(), folder.path().join("compiled"));
    let sandbox = Sandbox::new(&SandboxOptions { compile_cache: Some(cache.clone()) }).unwrap();
    let prepare = || sandbox.prepare(&Digest::of(&bytes), &bytes, &Quotas::default()).unwrap();
    prepare();
    let prepared = files(&cache);
    assert!(prepared.len() > 1, "compiled code, and a note that it is there: {prepared:?}");
    sandbox.load(&bytes, &Quotas::default()).unwrap();
    prepare();
    assert_eq!(files(&cache), prepared, "nothing was compiled again under another name");
}

#[cfg(unix)]
#[test]
fn a_cache_that_others_can_write_to_is_not_used_and_one_that_was_there_is_left_as_it_is() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let mode_after = |mode: u32| {
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        let sandbox = Sandbox::new(&SandboxOptions { compile_cache: Some(folder.path().to_owned()) });
        let after = std::fs::metadata(folder.path()).unwrap().permissions().mode() & 0o7777;
        sandbox.map(|_| after).map_err(|error| error.to_string())
    };
    assert_eq!(mode_after(0o755).unwrap(), 0o755);
    assert_eq!(mode_after(0o2770).unwrap(), 0o2750);
    assert!(mode_after(0o1777).unwrap_err().contains("everybody on this machine can write to it"));
}
