//! Programs in a world that is made up: its clock moves when somebody waits, its network answers what the test says.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use serde_json::{Value, json};

use crate::failure::Failure;
use crate::runtime::Runtime;
use crate::world::{AppendError, Event, Exchange, Level, NewEvent, Poll, Request, World};

#[derive(Default)]
struct Fake {
    log: RefCell<Vec<(Level, String)>>,
    appended: RefCell<Vec<(Option<String>, NewEvent)>>,
    refusal: RefCell<Option<AppendError>>,
    nanos: Cell<u64>,
    /// How long an answer takes, and what it is, by path.
    answers: RefCell<HashMap<String, (u64, Vec<Poll>)>>,
    sent: RefCell<Vec<Request>>,
    under_way: RefCell<HashMap<Exchange, (u64, Vec<Poll>)>>,
}

impl Fake {
    fn answers(&self, path: &str, millis: u64, status: u16, headers: &[(&str, &str)], chunks: &[&str]) {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
        let mut polls = vec![Poll::Head { status, headers }];
        polls.extend(chunks.iter().map(|chunk| Poll::Chunk(chunk.as_bytes().to_vec())));
        self.answers.borrow_mut().insert(path.to_owned(), (millis * 1_000_000, polls));
    }
}

impl World for Fake {
    fn log(&self, level: Level, message: &str) {
        self.log.borrow_mut().push((level, message.to_owned()));
    }

    fn append(&self, to: Option<&str>, event: NewEvent) -> Result<(), AppendError> {
        if let Some(refusal) = self.refusal.borrow().clone() {
            return Err(refusal);
        }
        self.appended.borrow_mut().push((to.map(str::to_owned), event));
        Ok(())
    }

    fn append_now(&self, to: Option<&str>, event: NewEvent) -> Result<Event, AppendError> {
        self.append(to, event.clone())?;
        Ok(Event { payload: event.payload, ..happened(&event.event_type, &json!({})) })
    }

    fn wall_millis(&self) -> u64 {
        1_700_000_000_000 + self.nanos.get() / 1_000_000
    }

    fn monotonic_nanos(&self) -> u64 {
        self.nanos.get()
    }

    fn random(&self, bytes: usize) -> Vec<u8> {
        vec![0x5a; bytes]
    }

    fn send(&self, request: Request) -> Result<Exchange, String> {
        let answer = self.answers.borrow().get(&request.path_with_query).cloned();
        self.sent.borrow_mut().push(request);
        let (nanos, polls) = answer.ok_or_else(|| "the host does not allow this request".to_owned())?;
        let exchange = self.sent.borrow().len() as Exchange;
        self.under_way.borrow_mut().insert(exchange, (self.nanos.get() + nanos, polls));
        Ok(exchange)
    }

    fn poll(&self, exchange: Exchange) -> Poll {
        let mut under_way = self.under_way.borrow_mut();
        match under_way.get_mut(&exchange) {
            Some((due, _)) if *due > self.nanos.get() => Poll::Pending,
            Some((_, polls)) if !polls.is_empty() => polls.remove(0),
            _ => Poll::End,
        }
    }

    fn close(&self, exchange: Exchange) {
        self.under_way.borrow_mut().remove(&exchange);
    }

    fn wait(&self, exchanges: &[Exchange], until: Option<u64>) {
        let under_way = self.under_way.borrow();
        let due = exchanges.iter().filter_map(|exchange| under_way.get(exchange).map(|(due, _)| *due)).chain(until).min();
        self.nanos.set(self.nanos.get().max(due.expect("something to wait for")));
    }
}

struct Loaded {
    world: Rc<Fake>,
    runtime: Runtime,
}

fn load_with(config: &Value, environment: &[(&str, &str)]) -> Result<Loaded, Failure> {
    let world = Rc::new(Fake::default());
    let environment: Vec<(String, String)> = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let as_world: Rc<dyn World> = Rc::clone(&world) as Rc<dyn World>;
    Runtime::load(&as_world, "kit-1", &config.to_string(), &environment).map(|runtime| Loaded { world, runtime })
}

fn load(script: &str) -> Loaded {
    load_with(&json!({ "script": script }), &[]).unwrap_or_else(|failure| panic!("{failure}"))
}

/// A program that does this in `afterAppend`.
fn effect(body: &str) -> Loaded {
    load(&format!("export default {{ async afterAppend({{ append, appendNow, event, state, env }}) {{ {body} }} }}"))
}

fn refused(config: Value) -> Failure {
    load_with(&config, &[]).map(drop).expect_err("it is refused")
}

fn happened(event_type: &str, payload: &Value) -> Event {
    Event {
        stream_path: "/a".to_owned(),
        offset: 7,
        event_type: event_type.to_owned(),
        payload: payload.to_string(),
        metadata: None,
        idempotency_key: None,
        created_at: 1_700_000_000_000,
        source: None,
    }
}

impl Loaded {
    fn reduce(&mut self, state: Value, events: &[Event]) -> Result<Value, String> {
        let state = self.runtime.reduce(state.to_string(), events).map_err(|failure| failure.to_string())?;
        Ok(serde_json::from_str(&state).expect("the state is JSON"))
    }

    fn act(&mut self) -> Result<(), String> {
        self.act_on(&happened("ping", &json!({})), &json!({}))
    }

    fn act_on(&mut self, event: &Event, state: &Value) -> Result<(), String> {
        self.runtime.after_append(event, &state.to_string()).map_err(|failure| failure.to_string())
    }

    /// Types and payloads of what was appended.
    fn appended(&self) -> Vec<(String, Value)> {
        let appended = self.world.appended.borrow();
        appended.iter().map(|(_, event)| (event.event_type.clone(), serde_json::from_str(&event.payload).unwrap())).collect()
    }

    fn log(&self) -> Vec<String> {
        self.world.log.borrow().iter().map(|(_, line)| line.clone()).collect()
    }
}

/// What an expression gives in `afterAppend`, as JSON.
fn value_of(expression: &str) -> Value {
    let mut loaded = effect(&format!("append({{ type: 'value', payload: {{ value: {expression} }} }})"));
    loaded.act().unwrap_or_else(|failure| panic!("{expression}: {failure}"));
    loaded.appended().remove(0).1["value"].take()
}

const PING_PONG: &str = "
    export default {
        slug: 'ping-pong',
        initialState: { pings: 0 },
        reduce({ event, state }) {
            if (event.type !== 'ping') return;
            return { ...state, pings: state.pings + 1 };
        },
        async afterAppend({ append, event, state }) {
            if (event.type !== 'ping') return;
            await append({ type: 'pong', payload: { pings: state.pings, sourceOffset: event.offset } });
        },
    };
";

#[test]
fn a_processor_reduces_and_acts() {
    let mut loaded = load(PING_PONG);
    let manifest: Value = serde_json::from_str(&loaded.runtime.describe("given").unwrap()).unwrap();
    assert_eq!(manifest, json!({ "name": "ping-pong", "initialState": { "pings": 0 } }));
    let ping = happened("ping", &json!({}));
    let state = loaded.reduce(json!({ "pings": 0 }), &[ping.clone(), happened("other", &json!({})), ping.clone()]).unwrap();
    assert_eq!(state, json!({ "pings": 2 }));
    loaded.act_on(&ping, &state).unwrap();
    assert_eq!(loaded.appended(), [("pong".to_owned(), json!({ "pings": 2, "sourceOffset": 7 }))]);
}

#[test]
fn a_reducer_gets_a_copy_and_returning_nothing_keeps_the_state() {
    let mut loaded = load("export default { reduce({ state }) { state.n = 1 } }");
    assert_eq!(loaded.reduce(json!({ "b": [1], "a": null }), &[happened("x", &json!({}))]).unwrap(), json!({ "b": [1], "a": null }));
}

#[test]
fn the_order_of_keys_and_every_kind_of_number_pass_through() {
    let mut loaded = load("export default { reduce: ({ event }) => event.payload }");
    let payload = r#"{"z":1,"a":[1.5,-3,2147483648,1e300,0.1],"10":"ü\u0000","__proto__":{"x":true},"e":{}}"#;
    let mut event = happened("x", &json!({}));
    event.payload = payload.to_owned();
    let state = loaded.runtime.reduce("{}".to_owned(), &[event]).unwrap();
    assert_eq!(state, r#"{"10":"ü\u0000","z":1,"a":[1.5,-3,2147483648,1e+300,0.1],"__proto__":{"x":true},"e":{}}"#);
}

#[test]
fn what_was_written_is_there_as_it_was_written_and_goes_out_so() {
    let mut loaded = load(
        "export default {
            initialState: '',
            reduce: ({ event, state }) => `${state}${event.payloadJson} ${event.metadataJson} ${JSON.stringify({ ...event }).includes('Json')};`,
            async afterAppend({ append, event }) { await append({ type: 'echo', payloadJson: event.payloadJson, metadataJson: event.metadataJson }) },
        }",
    );
    let event = Event { payload: r#"{"n":12345678901234567890,"m":1.10}"#.to_owned(), ..happened("x", &json!({})) };
    let with_metadata = Event { metadata: Some(r#"{"a": 1e2}"#.to_owned()), ..event.clone() };
    let state = loaded.reduce(json!(""), &[event, with_metadata.clone()]).unwrap();
    let text = &with_metadata.payload;
    assert_eq!(state, json!(format!(r#"{text} undefined false;{text} {{"a": 1e2}} false;"#)));
    loaded.act_on(&with_metadata, &json!("")).unwrap();
    let appended = loaded.world.appended.borrow();
    assert_eq!((&appended[0].1.payload, appended[0].1.metadata.as_deref()), (text, Some(r#"{"a": 1e2}"#)));
}

#[test]
fn a_program_knows_its_slug_and_its_configuration_and_cannot_change_them() {
    let script = "export default {
        initialState: null,
        reduce: ({ slug, config }) => ({ slug, config }),
        async afterAppend({ append, slug, config }) { await append({ type: slug, payload: config }); config.limits.max = 2; },
    }";
    let config = json!({ "limits": { "max": 1.5, "list": [1, null] } });
    let mut loaded = load_with(&json!({ "script": script, "config": config }), &[]).unwrap_or_else(|failure| panic!("{failure}"));
    let event = happened("x", &json!({}));
    assert_eq!(loaded.reduce(json!(null), std::slice::from_ref(&event)).unwrap(), json!({ "slug": "kit-1", "config": config }));
    assert!(loaded.act().unwrap_err().contains("TypeError"));
    assert_eq!(loaded.appended(), [("kit-1".to_owned(), config)]);
    assert_eq!(load(script).reduce(json!(null), &[event]).unwrap()["config"], json!({}));
}

#[test]
fn how_events_are_split_into_calls_does_not_show() {
    let script = "export default { initialState: [], reduce: ({ event, state }) => [...state, { t: event.type, u: undefined, d: new Date(0), r: Math.random() }] }";
    let events: Vec<Event> = (0..5).map(|nth| happened(&format!("e{nth}"), &json!({}))).collect();
    let at_once = load(script).reduce(json!([]), &events).unwrap();
    let mut loaded = load(script);
    let one_by_one = events.iter().fold(json!([]), |state, event| loaded.reduce(state, std::slice::from_ref(event)).unwrap());
    assert_eq!(at_once, one_by_one);
}

#[test]
fn the_older_shape_gets_the_state_before_the_event_too() {
    let mut loaded = load(
        "export default { initialState: { n: 1 }, reduce: ({ state }) => ({ n: state.n + 1 }),
           onEvent({ append, prevState, state }) { append({ type: 'seen', payload: { prevState, state } }) } }",
    );
    let manifest: Value = serde_json::from_str(&loaded.runtime.describe("old").unwrap()).unwrap();
    let state = loaded.reduce(manifest["initialState"].clone(), &[happened("x", &json!({}))]).unwrap();
    loaded.act_on(&happened("x", &json!({})), &state).unwrap();
    assert_eq!(loaded.appended()[0].1, json!({ "prevState": { "n": 1 }, "state": { "n": 2 } }));
}

#[test]
fn the_oldest_shape_reduces_by_position() {
    let mut loaded = load(
        "export default { initialState: {}, reduce(state, event) { return { ...state, last: event.type } }, onEvent({ append, state }) { append({ type: 'seen', payload: state }) } }",
    );
    let state = loaded.reduce(json!({ "state": {}, "prevState": {} }), &[happened("x", &json!({}))]).unwrap();
    assert_eq!(state["state"], json!({ "last": "x" }));
}

#[test]
fn a_program_for_another_service_knows_events_by_its_names() {
    let script = "export default { initialState: [], reduce: ({ event, state }) => [...state, event.type], async afterAppend({ append, event }) { await append({ type: 'seen', payload: { type: event.type } }) } }";
    let mut loaded = load_with(&json!({ "script": script, "compat": "iterate" }), &[]).unwrap_or_else(|failure| panic!("{failure}"));
    let events = [happened("stream/dynamic-worker/configured", &json!({})), happened("stream/processor/activated", &json!({}))];
    assert_eq!(loaded.reduce(json!([]), &events).unwrap(), json!(["https://events.iterate.com/events/stream/dynamic-worker/configured"]));
    loaded.act_on(&events[0], &json!([])).unwrap();
    loaded.act_on(&events[1], &json!([])).unwrap();
    assert_eq!(loaded.appended().len(), 1);
}

#[test]
fn a_default_export_may_be_a_factory_even_an_async_one() {
    let mut loaded = load("export default async function () { await null; return { initialState: 3, reduce: ({ state }) => state + 1 } }");
    assert_eq!(loaded.reduce(json!(3), &[happened("x", &json!({}))]).unwrap(), json!(4));
}

#[test]
fn modules_import_each_other_with_their_types_stripped() {
    let modules = json!({ "modules": {
        "processor.ts": "import { type Add, add } from './lib/add';\nimport data from './data.json';\nconst f: Add = add;\nexport default { initialState: 0, reduce: ({ state }: { state: number }): number => f(state, data.step as number) }",
        "lib/add.ts": "export type Add = (a: number, b: number) => number;\nexport const add: Add = (a, b) => a + b;",
        "data.json": "{\"step\":5}",
    } });
    let mut loaded = load_with(&modules, &[]).unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(loaded.reduce(json!(1), &[happened("x", &json!({}))]).unwrap(), json!(6));
}

#[test]
fn what_cannot_be_loaded_says_what_where_and_what_to_do() {
    let script = |text: &str| json!({ "script": text });
    for (config, what, location) in [
        (script("export default {\n  reduce( {\n}"), "SyntaxError", Some("processor.js:3:2")),
        (
            script("const a: number = 1;\nexport default {}"),
            "this is TypeScript, which is understood in `modules`",
            Some("processor.js:1:7"),
        ),
        (script("\n\nthrow new Error('no luck')"), "Error: no luck", Some("processor.js:3:")),
        (script("export default undefinedName"), "ReferenceError: undefinedName is not defined", Some("processor.js")),
        (script("export const reduce = 1"), "processor.js has no default export; expected `export default {", None),
        (script("export default 7"), "the default export of processor.js is 7", None),
        (script("export default {}"), "neither `reduce` nor `afterAppend`", None),
        (script("export default { reduce: 1 }"), "`reduce` of the processor is 1, not a function", None),
        (
            script("import z from 'zod'; export default {}"),
            "processor.js imports \"zod\", which is not among the modules (processor.js)",
            None,
        ),
        (script("await new Promise(() => {}); export default {}"), "the module waits for something that never comes", None),
        (
            script("setTimeout(() => {}, 1); export default {}"),
            "setTimeout cannot be called while a module is loaded",
            Some("processor.js:1:"),
        ),
        (script("await fetch('http://a/'); export default {}"), "fetch cannot be called while a module is loaded", Some("processor.js:1:")),
        (
            json!({ "modules": { "processor.ts": "import { a } from './a.ts'; export default a", "a.ts": "export const a = 1;\nenum B {}" } }),
            "an `enum` is more than a type",
            Some("a.ts:2:1"),
        ),
        (json!({ "modules": { "processor.ts": "import { T } from './a.ts'; export default {}", "a.ts": "export type T = 1" } }), "T", None),
    ] {
        let failure = refused(config.clone());
        assert!(failure.message.contains(what), "{config}: {failure:?}");
        if let Some(location) = location {
            assert!(failure.location.as_deref().is_some_and(|found| found.starts_with(location)), "{config}: {failure:?}");
        }
    }
}

#[test]
fn a_name_that_is_misspelled_is_not_passed_over() {
    for (program, what) in [
        ("{ reduse() {}, afterAppend() {} }", "has `reduse`, which nothing asks for; did you mean `reduce`?"),
        ("{ reduce() {}, after_append() {} }", "has `after_append`, which nothing asks for; did you mean `afterAppend`?"),
        ("{ reduce() {}, intialState: {} }", "did you mean `initialState`?"),
        ("{ reduce() {}, comsumes: [] }", "did you mean `consumes`?"),
        ("new (class { reduec() {} afterAppend() {} })()", "did you mean `reduce`?"),
    ] {
        let failure = refused(json!({ "script": format!("export default {program}") }));
        assert!(failure.message.contains(what), "{program}: {failure:?}");
    }
    // What the program has besides is its own, and one for another service has run there with whatever it has.
    load_with(&json!({ "script": "export default { afterAppend() {}, reducer() {} }", "compat": "iterate" }), &[])
        .unwrap_or_else(|failure| panic!("{failure}"));
    load("export default { reduce() {}, reducer() {}, afterAppend() {}, onEvents() {}, _consume: 1, game: {}, emit() {}, states: [] }");
}

#[test]
fn an_initial_state_that_is_not_json_is_named_by_its_path() {
    for (state, what) in [
        ("{ a: [1, () => 2] }", "initialState.a[1] is a function, which is not JSON"),
        ("new Map()", "initialState is a Map"),
        ("{ n: NaN }", "initialState.n is NaN"),
        ("10n", "initialState is a bigint"),
        ("Symbol()", "initialState is a symbol"),
    ] {
        let mut loaded = load(&format!("export default {{ reduce() {{}}, initialState: {state} }}"));
        let failure = loaded.runtime.describe("a").unwrap_err();
        assert!(failure.message.contains(what), "{failure:?}");
    }
}

#[test]
fn an_error_carries_its_stack_with_lines_of_the_program() {
    let mut loaded = load(
        "export default {\n  reduce({ event }) {\n    return explode(event);\n  },\n};\nfunction explode(event) {\n  throw new TypeError(`bad ${event.type}`);\n}",
    );
    let error = loaded.reduce(json!({}), &[happened("x", &json!({}))]).unwrap_err();
    assert!(error.contains("reduce failed at x 7: TypeError: bad x\n    at explode (processor.js:7:"), "{error}");
    assert!(error.contains("at reduce (processor.js:3:"), "{error}");
    assert!(!error.contains("pelton:"), "{error}");
    for (body, what) in [
        ("throw 'text'", "text was thrown"),
        ("throw { code: 1 }", "{ code: 1 }"),
        ("throw new Error('a', { cause: new Error('b') })", "caused by Error: b"),
        ("await null; null.x", "TypeError"),
        ("await new Promise(() => {})", "waits for a promise that nothing will settle"),
        ("Promise.reject(new Error('lost'))", "a promise was rejected and nobody awaited it: Error: lost"),
        ("(function f() { f() })()", "maximum number of recursive calls"),
    ] {
        let error = effect(body).act().unwrap_err();
        assert!(error.contains(what) && error.starts_with("afterAppend failed at ping 7: "), "{body}: {error}");
    }
}

#[test]
fn of_an_error_that_a_program_words_itself_nothing_else_is_said() {
    let mut loaded = load("export default { reduce({ event }) { throw new ProcessorError(`not this one: ${event.type}`) } }");
    assert_eq!(loaded.reduce(json!({}), &[happened("x", &json!({}))]).unwrap_err(), "not this one: x");
    for body in
        ["throw new ProcessorError('the effect failed')", "await null; throw new (class extends ProcessorError {})('the effect failed')"]
    {
        assert_eq!(effect(body).act().unwrap_err(), "the effect failed");
    }
    let mut loaded = effect(
        "try { throw new ProcessorError('why') } catch (error) { console.log(`${error}`); throw new Error('outer', { cause: error }) }",
    );
    assert!(loaded.act().unwrap_err().starts_with("afterAppend failed at ping 7: Error: outer"));
    assert_eq!(loaded.log(), ["ProcessorError: why"]);
}

#[test]
fn a_promise_that_is_rejected_and_looked_after_is_no_error() {
    let mut loaded = effect("await Promise.reject(new Error('a')).catch(() => {}); try { await append({}) } catch {} ");
    loaded.act().unwrap();
}

#[test]
fn reduce_reaches_nothing() {
    for (call, what) in [
        ("setTimeout(() => {}, 1)", "setTimeout cannot be called in reduce"),
        ("crypto.randomUUID()", "crypto.randomUUID cannot be called in reduce"),
        ("Promise.resolve(1)", "reduce returned a promise"),
        ("(() => 1)", "which is not JSON"),
    ] {
        let mut loaded = load(&format!("export default {{ reduce() {{ return {call} }} }}"));
        let error = loaded.reduce(json!({}), &[happened("x", &json!({}))]).unwrap_err();
        assert!(error.contains(what), "{call}: {error}");
    }
    let mut loaded = load("export default { reduce() { fetch('http://a/') } }");
    assert!(loaded.reduce(json!({}), &[happened("x", &json!({}))]).unwrap_err().contains("fetch cannot be called in reduce"));
}

#[test]
fn append_takes_an_event_or_a_path_with_one() {
    let mut loaded = effect(
        "append({ type: 'a' });
         await append({ event: { type: 'b', payload: { n: 1 }, metadata: { m: 2 }, idempotencyKey: 'k', offset: 9 } });
         await append({ path: './below', event: { type: 'c' } });
         const recorded = await appendNow({ type: 'd', payload: { x: 1 } });
         await append({ type: 'e', payload: { offset: recorded.offset, x: recorded.payload.x } }, { path: '/other' });",
    );
    loaded.act().unwrap();
    let appended = loaded.world.appended.borrow();
    let paths: Vec<Option<&str>> = appended.iter().map(|(to, _)| to.as_deref()).collect();
    assert_eq!(paths, [None, None, Some("./below"), None, Some("/other")]);
    let b = &appended[1].1;
    assert_eq!(
        (b.payload.as_str(), b.metadata.as_deref(), b.idempotency_key.as_deref(), b.expected_offset),
        (r#"{"n":1}"#, Some(r#"{"m":2}"#), Some("k"), Some(9))
    );
    assert_eq!(appended[4].1.payload, r#"{"offset":7,"x":1}"#);
}

#[test]
fn an_append_that_does_not_fit_rejects_its_promise() {
    for (call, what) in [
        ("append()", "append expects an event with a `type`"),
        ("append({ type: 'a', data: 1 })", "an event has no field `data`"),
        ("append({ type: 'a', payload: [1] })", "payload has to be an object"),
        ("append({ type: 'a', payloadJson: {} })", "payloadJson has to be a string"),
        ("append({ type: 'a', payload: {}, payloadJson: '{}' })", "an event has either payload or payloadJson"),
    ] {
        let error = effect(&format!("await {call}")).act().unwrap_err();
        assert!(error.contains(what), "{call}: {error}");
    }
    let mut loaded = effect("try { await append({ type: 'a' }) } catch (error) { console.log(error.code, error.message) }");
    loaded.world.refusal.replace(Some(AppendError { code: "denied", message: "too deep".to_owned() }));
    loaded.act().unwrap();
    assert_eq!(loaded.log(), ["denied append was refused (denied): too deep"]);
}

#[test]
fn timers_wait_and_what_was_not_awaited_ends_with_the_call() {
    let mut loaded = effect(
        "const began = Date.now();
         setTimeout(() => console.log('never'), 60000);
         const every = setInterval(() => console.log('tick'), 40);
         await new Promise((resolve) => setTimeout(resolve, 100, 'x'));
         clearInterval(every);
         const cancelled = setTimeout(() => console.log('never'), 10);
         clearTimeout(cancelled);
         queueMicrotask(() => console.log('micro'));
         await new Promise((resolve) => setTimeout(resolve, 50));
         console.log(Date.now() - began, performance.now() > 0);",
    );
    loaded.act().unwrap();
    assert_eq!(loaded.log(), ["tick", "tick", "micro", "150 true"]);
    loaded.act().unwrap();
    assert_eq!(loaded.log().len(), 8, "{:?}", loaded.log());
}

#[test]
fn fetch_sends_and_reads() {
    let mut loaded = effect(
        "const response = await fetch('http://api.test:81/a?b=c#d', {
             method: 'post', headers: { Authorization: 'Bearer x' }, body: JSON.stringify({ q: 'ü' }),
         });
         const { ok, status, url } = response;
         await append({ type: 'answer', payload: { ok, status, url, type: response.headers.get('Content-Type'), body: await response.json() } });",
    );
    loaded.world.answers("/a?b=c", 5, 201, &[("content-type", "application/json"), ("x", "1")], &["{\"a\":\"\u{fc}", "\"}"]);
    loaded.act().unwrap();
    let answer =
        json!({ "ok": true, "status": 201, "url": "http://api.test:81/a?b=c#d", "type": "application/json", "body": { "a": "ü" } });
    assert_eq!(loaded.appended()[0].1, answer);
    let sent = loaded.world.sent.borrow();
    assert_eq!((sent[0].method.as_str(), sent[0].authority.as_str(), sent[0].is_https), ("POST", "api.test:81", false));
    assert_eq!(sent[0].body.as_deref(), Some("{\"q\":\"ü\"}".as_bytes()));
    let header =
        |name: &str| sent[0].headers.iter().find(|(found, _)| found == name).map(|(_, value)| String::from_utf8_lossy(value).into_owned());
    assert_eq!(header("authorization").as_deref(), Some("Bearer x"));
    assert_eq!(header("content-type").as_deref(), Some("text/plain;charset=UTF-8"));
    assert_eq!(header("content-length").as_deref(), Some("10"));
}

#[test]
fn requests_run_side_by_side_and_a_signal_gives_one_up() {
    let mut loaded = effect(
        "const began = Date.now();
         const texts = await Promise.all(['/a', '/b'].map(async (path) => (await fetch('http://x' + path)).text()));
         console.log(texts.join(), Date.now() - began);
         try { await fetch('http://x/slow', { signal: AbortSignal.timeout(50) }) } catch (error) { console.log(error.name) }
         const controller = new AbortController();
         setTimeout(() => controller.abort(), 30);
         await fetch('http://x/slow', { signal: controller.signal }).catch((error) => console.log(error.name));",
    );
    for (path, millis) in [("/a", 100), ("/b", 80), ("/slow", 10_000)] {
        loaded.world.answers(path, millis, 200, &[], &[path]);
    }
    loaded.act().unwrap();
    assert_eq!(loaded.log(), ["/a,/b 100", "TimeoutError", "AbortError"]);
}

#[test]
fn redirects_are_followed_without_taking_secrets_elsewhere() {
    let mut loaded = effect(
        "const response = await fetch('http://x/a', { method: 'POST', body: 'b', headers: { authorization: 's' } });
         console.log(response.url, response.redirected, await response.text());
         await fetch('http://x/a', { redirect: 'error' }).catch((error) => console.log(error.message));",
    );
    loaded.world.answers("/a", 0, 302, &[("location", "https://y/b")], &[]);
    loaded.world.answers("/b", 0, 200, &[], &["there"]);
    loaded.act().unwrap();
    assert_eq!(loaded.log(), ["https://y/b true there", "GET http://x/a was redirected to https://y/b"]);
    let sent = loaded.world.sent.borrow();
    assert_eq!((sent[1].method.as_str(), sent[1].body.as_ref(), sent[1].is_https), ("GET", None, true));
    assert!(sent[1].headers.is_empty(), "{:?}", sent[1].headers);
}

#[test]
fn a_body_can_be_read_piece_by_piece() {
    let mut loaded = effect(
        "const decoder = new TextDecoder();
         for await (const piece of (await fetch('http://x/a')).body) console.log(decoder.decode(piece, { stream: true }));",
    );
    loaded.world.answers("/a", 0, 200, &[], &["one", "two"]);
    loaded.act().unwrap();
    assert_eq!(loaded.log(), ["one", "two"]);
}

#[test]
fn a_request_that_fails_rejects_with_the_reason() {
    let error = effect("await fetch('http://nowhere/')").act().unwrap_err();
    assert!(error.contains("TypeError: fetch failed: GET http://nowhere/: the host does not allow this request"), "{error}");
    let mut loaded = effect("await fetch('http://x/a')");
    loaded.world.answers.borrow_mut().insert("/a".to_owned(), (0, vec![Poll::Failed("reset".to_owned())]));
    assert!(loaded.act().unwrap_err().contains("TypeError: fetch failed: reset"));
    assert!(effect("await fetch('ftp://a/')").act().unwrap_err().contains("only http and https"));
    assert!(effect("await fetch('no url')").act().unwrap_err().contains("is no URL"));
}

#[test]
fn the_environment_is_where_programs_look_for_it() {
    let script = "const top = process.env.KEY; export default { async afterAppend({ append, env }) { await append({ type: 'x', payload: { top, a: env.KEY, b: globalThis.env.KEY, c: process.env.NONE ?? null } }) } }";
    let mut loaded = load_with(&json!({ "script": script }), &[("KEY", "v")]).unwrap_or_else(|failure| panic!("{failure}"));
    loaded.act().unwrap();
    assert_eq!(loaded.appended()[0].1, json!({ "top": "v", "a": "v", "b": "v", "c": null }));
}

#[test]
fn the_console_writes_what_people_expect_to_read() {
    let mut loaded = effect(
        "console.log('a %s %d %j', 'b', '3', { c: 1 }, [1, 'x', { y: null }]);
         console.warn(new Map([[1, 'a']]), new Set([2]), undefined, 3n, new Uint8Array([1, 2]));
         const self = {}; self.self = self; console.error(self);
         console.debug(new Date(0), () => 1, /x/g);",
    );
    loaded.act().unwrap();
    assert_eq!(
        loaded.log(),
        [
            "a b 3 {\"c\":1} [1, \"x\", { y: null }]",
            "Map {1 => \"a\"} Set {2} undefined 3n Uint8Array [1, 2]",
            "{ self: [circular] }",
            "1970-01-01T00:00:00.000Z [function anonymous] /x/g",
        ]
    );
    let levels: Vec<Level> = loaded.world.log.borrow().iter().map(|(level, _)| *level).collect();
    assert_eq!(levels, [Level::Info, Level::Warn, Level::Error, Level::Debug]);
}

#[test]
fn the_usual_names_do_the_usual_things() {
    for (expression, expected) in [
        ("btoa('hello!')", json!("aGVsbG8h")),
        ("atob('aGVsbG8=')", json!("hello")),
        ("[...new TextEncoder().encode('ü')]", json!([195, 188])),
        ("new TextDecoder().decode(new Uint8Array([0xef, 0xbb, 0xbf, 0x68]))", json!("h")),
        ("new URL('../b?x=1#h', 'http://u:p@a.test:8080/c/d').href", json!("http://u:p@a.test:8080/b?x=1#h")),
        (
            "(() => { const u = new URL('http://a/'); u.searchParams.set('q', 'a b&c'); u.pathname = '/x y'; return u.href })()",
            json!("http://a/x%20y?q=a+b%26c"),
        ),
        ("new URL('http://a/?a=1&b=2').searchParams.get('b')", json!("2")),
        ("URL.canParse('nope')", json!(false)),
        ("[...new URLSearchParams('a=1&a=%20+&b')]", json!([["a", "1"], ["a", "  "], ["b", ""]])),
        ("new URLSearchParams({ a: 'ü', b: '*' }).toString()", json!("a=%C3%BC&b=*")),
        ("structuredClone({ d: new Date(0), n: [1, { m: 2 }] })", json!({ "d": "1970-01-01T00:00:00.000Z", "n": [1, { "m": 2 }] })),
        ("crypto.randomUUID()", json!("5a5a5a5a-5a5a-4a5a-9a5a-5a5a5a5a5a5a")),
        ("crypto.getRandomValues(new Uint8Array(2)).length", json!(2)),
        ("Math.random() >= 0 && Math.random() < 1", json!(true)),
        ("[...new Headers({ B: '1', a: '2' })]", json!([["a", "2"], ["b", "1"]])),
        ("await new Response('x').text()", json!("x")),
        ("await Response.json({ a: 1 }).json()", json!({ "a": 1 })),
        (
            "new Request('http://a/', { method: 'put', body: new URLSearchParams({ a: 1 }) }).headers.get('content-type')",
            json!("application/x-www-form-urlencoded;charset=UTF-8"),
        ),
        ("AbortSignal.abort().aborted", json!(true)),
        ("event.createdAt", json!("2023-11-14T22:13:20.000Z")),
        ("new Date(event.createdAt).getTimezoneOffset()", json!(0)),
        (
            "await import('./nope.js').catch((error) => error.message)",
            json!(
                "processor.js imports \"./nope.js\", which is not among the modules (processor.js); add it, or bundle the program into one module"
            ),
        ),
    ] {
        assert_eq!(value_of(expression), expected, "{expression}");
    }
}
