//! Processors as JavaScript text: `stream/dynamic-worker/configured`.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver};

use serde_json::{Value, json};

use crate::support::*;

const ALIAS: &str = "https://events.iterate.com/events/stream/";

/// In the shape of the scripts that people have: it looks for a word anywhere in an event, and has to know its own configuration by its full name.
const PING_PONG: &str = r#"
export default {
  slug: "ping-pong",
  initialState: { seen: 0 },

  reduce({ state }) {
    return { seen: state.seen + 1 };
  },

  async afterAppend({ append, event }) {
    const isOwn = event.type === "https://events.iterate.com/events/stream/dynamic-worker/configured";
    if (isOwn || !/\bping\b/i.test(JSON.stringify({ type: event.type, payload: event.payload, metadata: event.metadata ?? null }))) {
      return;
    }
    await append({ event: { type: "pong" } });
  },
};
"#;

const COUNTER: &str = r#"
export default {
  initialState: { count: 0 },
  reduce: ({ event, state }) => (event.type === "count" ? { count: state.count + 1 } : undefined),
  async afterAppend({ append, event, state }) {
    if (event.type === "count") await append({ type: "counted", payload: { count: state.count, of: event.offset } });
  },
};
"#;

fn configured(payload: &Value) -> Value {
    json!({ "type": "stream/dynamic-worker/configured", "payload": payload })
}

fn post(server: &Client, stream: &str, payload: &Value) -> Reply {
    server.post(&format!("{stream}?wait=60"), configured(payload).to_string())
}

/// Configures a program, which must be activated; returns the answer.
#[track_caller]
fn deploy(server: &Client, stream: &str, payload: &Value) -> Value {
    let reply = post(server, stream, payload).ok();
    assert_eq!(reply["outcome"]["type"], "stream/processor/activated", "{reply:#}");
    reply
}

#[track_caller]
fn script(server: &Client, stream: &str, slug: &str, text: &str) -> Value {
    deploy(server, stream, &json!({ "slug": slug, "script": text }))
}

/// A program that does this in `afterAppend` for events of the type `go`.
fn on_go(body: &str) -> String {
    format!(
        "export default {{ async afterAppend({{ append, appendNow, event, state, env }}) {{ if (event.type !== 'go') return; {body} }} }}"
    )
}

#[track_caller]
fn rejection(server: &Client, payload: &Value) -> Value {
    post(server, "/r", payload).problem(422, "component-rejected")["reason"].take()
}

/// An HTTP server that answers each request with this status line, headers and body, and tells what arrived.
struct Receiving {
    rule: String,
    requests: Mutex<Receiver<(String, String)>>,
}

impl Receiving {
    fn start(answer: impl Fn(&str) -> String + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let rule = format!("http://{}", listener.local_addr().unwrap());
        let (tell, requests) = mpsc::channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let mut reader = BufReader::new(stream);
                let mut head = String::new();
                while reader.read_line(&mut head).unwrap_or(0) > 2 {}
                let lower = head.to_ascii_lowercase();
                let length = lower.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok()).unwrap_or(0);
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                let body = String::from_utf8(body).unwrap();
                let answered = answer(&head);
                tell.send((head, body)).ok();
                reader.get_mut().write_all(answered.as_bytes()).ok();
            }
        });
        Self { rule, requests: Mutex::new(requests) }
    }

    fn json(body: &Value) -> String {
        let body = body.to_string();
        format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
    }

    fn next(&self) -> (String, String) {
        self.requests.lock().unwrap().recv_timeout(PATIENCE).expect("nothing arrived")
    }
}

#[test]
fn a_script_is_appended_and_a_blank_stream_answers_pings() {
    let server = Server::start();
    let reply = server
        .post(
            "/a?wait=60",
            json!({ "type": format!("{ALIAS}dynamic-worker/configured"), "payload": { "slug": "ping-pong", "script": PING_PONG } })
                .to_string(),
        )
        .ok();
    assert_eq!(reply["event"]["type"], "stream/dynamic-worker/configured");
    assert_eq!(reply["outcome"]["payload"]["manifest"], json!({ "name": "ping-pong", "initialState": { "seen": 0 } }));
    server.append("/a", &json!({ "type": "greeted", "payload": { "text": "Ping!" } }));
    server.append("/a", &event("other"));
    let state = server.settled("/a");
    assert_eq!(server.log_of_type("/a", "pong").len(), 1, "{:#?}", server.log("/a"));
    assert_eq!(state["processors"]["ping-pong"]["status"], "active");
    // Its own configuration and what came after; nothing of the life of processors, which that service does not know.
    assert_eq!(state["processors"]["ping-pong"]["state"], json!({ "seen": 5 }), "{:#?}", server.log("/a"));
}

#[test]
fn the_runtime_is_part_of_what_is_recorded_and_kept_with_the_tenant() {
    let server = Server::start();
    let reply = script(&server, "/a", "counter", COUNTER);
    let runtime = &reply["event"]["payload"]["runtime"];
    assert_eq!(runtime["digest"], reply["outcome"]["payload"]["digest"]);
    assert!(runtime["size"].as_u64() > Some(1_000_000));
    // Known from now on as any component is.
    let by_digest = json!({ "slug": "p", "component": { "digest": runtime["digest"] }, "config": { "script": COUNTER } });
    let reply = server.post("/b?wait=60", json!({ "type": "stream/processor/configured", "payload": by_digest }).to_string()).ok();
    assert_eq!(reply["outcome"]["type"], "stream/processor/activated");
}

#[test]
fn programs_of_modules_have_their_types_stripped() {
    let server = Server::start();
    let modules = json!({
        "processor.ts": "import type { State } from './types.ts';\nimport { add } from './lib/add.js';\ninterface Args { event: { type: string; payload: { n?: number } }; state: State }\nexport default {\n  initialState: { sum: 0 } satisfies State,\n  reduce({ event, state }: Args): State | void {\n    if (event.type === 'add') return { sum: add(state.sum, event.payload.n!) };\n  },\n};",
        "types.ts": "export interface State { sum: number }",
        "lib/add.js": "export const add = (a, b) => a + b;",
    });
    deploy(&server, "/a", &json!({ "slug": "sum", "modules": modules }));
    server.append_all("/a", (1..=4).map(|n| json!({ "type": "add", "payload": { "n": n } })));
    assert_eq!(server.settled("/a")["processors"]["sum"]["state"], json!({ "sum": 10 }));
}

#[test]
fn fetch_sends_secrets_in_headers_and_awaits_the_answer() {
    let target = Receiving::start(|head| {
        let key = head.lines().find_map(|line| line.to_ascii_lowercase().starts_with("authorization").then(|| line.to_owned()));
        Receiving::json(&json!({ "echo": key, "name": "Ada" }))
    });
    let server = Server::start_with(&["--egress", &target.rule]);
    let secret = json!({ "name": "api", "value": "s3cr3t-value-of-it", "hosts": ["127.0.0.1"] });
    server.send("POST", "/api/secrets", &[("content-type", "application/json")], secret.to_string().as_bytes());
    server.append("/a", &json!({ "type": "stream/dynamic-worker/env-var-set", "payload": { "key": "API_KEY", "value": "getIterateSecret({ secretKey: \"api\" })" } }));
    let program = on_go(&format!(
        "const response = await fetch('{}/people?id=1', {{ method: 'POST', headers: {{ authorization: `Bearer ${{process.env.API_KEY}}` }}, body: JSON.stringify(event.payload) }});
         const {{ name, echo }} = await response.json();
         await append({{ type: 'found', payload: {{ ok: response.ok, status: response.status, type: response.headers.get('content-type'), name, echo, env: env.API_KEY }} }});",
        target.rule
    ));
    deploy(&server, "/a", &json!({ "slug": "f", "script": program, "egress": [target.rule] }));
    server.append("/a", &json!({ "type": "go", "payload": { "q": "ü" } }));
    let found = server.wait_for("/a", |event| event["type"] == "found")["payload"].clone();
    let (head, body) = target.next();
    assert!(head.starts_with("POST /people?id=1 HTTP/1.1\r\n"), "{head}");
    assert!(head.to_ascii_lowercase().contains("authorization: bearer s3cr3t-value-of-it\r\n"), "{head}");
    assert_eq!(body, r#"{"q":"ü"}"#);
    assert_eq!(found["name"], "Ada");
    assert_eq!((&found["ok"], &found["status"], &found["type"]), (&json!(true), &json!(200), &json!("application/json")));
    // The program only ever holds the placeholder, and what the answer repeats is masked.
    assert_eq!(found["env"], "getIterateSecret({ secretKey: \"api\" })");
    assert!(!server.log_text("/a").iter().any(|event| event.get().contains("s3cr3t-value-of-it")));
}

#[test]
fn a_request_that_the_program_did_not_ask_for_is_refused_with_a_reason() {
    let target = Receiving::start(|_| Receiving::json(&json!({})));
    let server = Server::start_with(&["--egress", &target.rule]);
    let program = on_go(&format!(
        "await fetch('{}/').catch((error) => append({{ type: 'refused', payload: {{ message: error.message }} }}))",
        target.rule
    ));
    script(&server, "/a", "f", &program);
    server.append("/a", &event("go"));
    let refused = server.wait_for("/a", |event| event["type"] == "refused");
    assert!(refused["payload"]["message"].as_str().unwrap().contains("the host does not allow this request"), "{refused:#}");
    // Programs of that service could reach whatever it allowed.
    let alias = json!({ "type": format!("{ALIAS}dynamic-worker/configured"), "payload": { "slug": "f", "script": on_go(&format!("await append({{ type: 'status', payload: {{ status: (await fetch('{}/')).status }} }})", target.rule)) } });
    server.post("/b?wait=60", alias.to_string()).ok();
    server.append("/b", &event("go"));
    assert_eq!(server.wait_for("/b", |event| event["type"] == "status")["payload"]["status"], 200);
}

#[test]
fn variables_reach_the_program_also_when_they_change() {
    let server = Server::start();
    let set = |value: &str| {
        server.append("/a", &json!({ "type": "stream/dynamic-worker/env-var-set", "payload": { "key": "COLOUR", "value": value } }))
    };
    set("red");
    script(
        &server,
        "/a",
        "e",
        "const top = process.env.COLOUR; export default { async afterAppend({ append, event, env }) { if (event.type === 'go') await append({ type: 'seen', payload: { top, env: env.COLOUR } }) } }",
    );
    server.append("/a", &event("go"));
    server.settled("/a");
    set("blue");
    server.append("/a", &event("go"));
    server.settled("/a");
    let seen: Vec<Value> = server.log_of_type("/a", "seen").iter().map(|event| event["payload"].clone()).collect();
    assert_eq!(seen, [json!({ "top": "red", "env": "red" }), json!({ "top": "blue", "env": "blue" })]);
}

#[test]
fn what_a_program_logs_stands_in_the_log_of_the_daemon() {
    let server = Server::start();
    script(&server, "/a", "talker", &on_go("console.warn('the wheel', { turns: 3 })"));
    let go = server.append("/a", &event("go"));
    server.settled("/a");
    let log = std::fs::read_to_string(server.data().parent().unwrap().join("stderr")).unwrap();
    let line = log.lines().find(|line| line.contains("the wheel { turns: 3 }")).unwrap_or_else(|| panic!("{log}"));
    for part in ["WARN", "talker", "/a", &format!("offset={}", go["offset"])] {
        assert!(line.contains(part), "{part}: {line}");
    }
}

#[test]
fn timers_wait_on_the_clock() {
    let server = Server::start();
    script(
        &server,
        "/a",
        "t",
        &on_go(
            "const began = Date.now(); await new Promise((resolve) => setTimeout(resolve, 50)); await append({ type: 'waited', payload: { millis: Date.now() - began } })",
        ),
    );
    server.append("/a", &event("go"));
    let waited = server.wait_for("/a", |event| event["type"] == "waited");
    assert!(waited["payload"]["millis"].as_u64() >= Some(49), "{waited:#}");
}

#[test]
fn an_append_may_go_elsewhere_and_may_be_at_once() {
    let server = Server::start();
    let program = on_go(
        "const recorded = await appendNow({ type: 'now', payload: {} });
         await append({ path: './below', event: { type: 'there', payload: { now: recorded.offset } } });",
    );
    script(&server, "/a", "p", &program);
    server.append("/a", &event("go"));
    let there = server.wait_for("/a/below", |event| event["type"] == "there");
    let now = server.wait_for("/a", |event| event["type"] == "now");
    assert_eq!(there["payload"]["now"], now["offset"]);
}

#[test]
fn a_replacement_folds_the_history_with_the_new_reducer_and_acts_on_nothing_twice() {
    let server = Server::start();
    script(&server, "/a", "c", COUNTER);
    server.append_all("/a", [event("count"), event("count")]);
    server.settled("/a");
    script(&server, "/a", "c", &COUNTER.replace("state.count + 1", "state.count + 10"));
    let state = server.settled("/a");
    assert_eq!(state["processors"]["c"]["state"], json!({ "count": 20 }));
    server.append("/a", &event("count"));
    server.settled("/a");
    let counts: Vec<Value> = server.log_of_type("/a", "counted").iter().map(|event| event["payload"]["count"].clone()).collect();
    assert_eq!(counts, [json!(1), json!(2), json!(30)]);
}

#[test]
fn the_same_program_again_changes_nothing() {
    let server = Server::start();
    let first = script(&server, "/a", "c", COUNTER);
    let mut payload = json!({ "slug": "c", "script": COUNTER, "compatibilityDate": "2026-02-05", "compatibilityFlags": ["nodejs_compat"] });
    let again = post(&server, "/a", &payload).ok();
    assert!(again.get("outcome").is_none(), "{again:#}");
    assert_eq!(server.log_of_type("/a", "stream/processor/activated").len(), 1);
    assert_eq!(server.state("/a")["processors"]["c"]["configuredOffset"], first["event"]["offset"]);
    // A repeat under a key is the first event, whatever the host adds to it.
    payload["slug"] = json!("d");
    let keyed = json!({ "type": "stream/dynamic-worker/configured", "payload": payload, "idempotencyKey": "k" });
    let first = server.append("/a", &keyed);
    assert_eq!(server.append("/a", &keyed), first);
}

#[test]
fn a_program_goes_on_after_the_daemon_was_killed() {
    let mut server = Server::start();
    script(&server, "/a", "c", COUNTER);
    server.append_all("/a", [event("count"), event("count")]);
    server.kill_and_start_again();
    server.append("/a", &event("count"));
    server.settled("/a");
    let counts: Vec<Value> = server.log_of_type("/a", "counted").iter().map(|event| event["payload"]["count"].clone()).collect();
    assert_eq!(counts, [json!(1), json!(2), json!(3)]);
}

#[test]
fn two_programs_on_one_stream_each_have_their_own_state() {
    let server = Server::start();
    script(&server, "/a", "one", COUNTER);
    script(&server, "/a", "two", &COUNTER.replace("count + 1", "count - 1").replace("counted", "counted-down"));
    server.append("/a", &event("count"));
    let state = server.settled("/a");
    assert_eq!(state["processors"]["one"]["state"], json!({ "count": 1 }));
    assert_eq!(state["processors"]["two"]["state"], json!({ "count": -1 }));
}

#[test]
fn one_program_serves_several_streams_each_with_its_own_configuration() {
    let server = Server::start();
    let program = "export default {
        initialState: { sum: 0 },
        reduce: ({ event, state, config }) => (event.type === 'add' ? { sum: state.sum + config.step } : undefined),
        async afterAppend({ append, event, slug, config }) {
            if (event.type === 'add') await append({ type: 'added', payload: { slug, config } });
        },
    };";
    for (stream, config) in [("/one", json!({ "step": 1 })), ("/ten", json!({ "step": 10 }))] {
        deploy(&server, stream, &json!({ "slug": "sum", "script": program, "config": config }));
        server.append(stream, &event("add"));
        assert_eq!(server.settled(stream)["processors"]["sum"]["state"]["sum"], config["step"]);
        let added = server.wait_for(stream, |event| event["type"] == "added");
        assert_eq!(added["payload"], json!({ "slug": "sum", "config": config }));
    }
    // Another configuration is another version, which folds the history.
    deploy(&server, "/ten", &json!({ "slug": "sum", "script": program, "config": { "step": 100 } }));
    assert_eq!(server.settled("/ten")["processors"]["sum"]["state"]["sum"], 100);
}

#[test]
fn a_number_of_any_size_passes_through_a_program() {
    let server = Server::start();
    let program = on_go("await append({ type: 'echo', payloadJson: event.payloadJson })");
    script(&server, "/a", "p", &program);
    server.post("/a", r#"{"type":"go","payload":{"n":12345678901234567890123,"m":1.10}}"#).ok();
    server.wait_for("/a", |event| event["type"] == "echo");
    let page = server.get("/api/streams/a?types=echo");
    assert!(page.text().contains(r#"{"n":12345678901234567890123,"m":1.10}"#), "{}", page.text());
}

#[test]
fn a_program_may_be_as_large_as_an_event() {
    let server = Server::start();
    let class = |nth: usize| {
        let methods: Vec<_> = (0..10)
            .map(|m| {
                format!(
                    "  method{m}(first, second) {{ const sum = first + second * {m}; return sum > {nth} ? {{ sum }} : [first, second]; }}"
                )
            })
            .collect();
        format!("class C{nth} {{\n{}\n}}\n", methods.join("\n"))
    };
    let mut program: String = (0..)
        .map(class)
        .scan(0, |bytes, class| {
            *bytes += class.len();
            (*bytes < 1_000_000).then_some(class)
        })
        .collect();
    program += COUNTER;
    assert!(program.len() > 990_000);
    script(&server, "/a", "c", &program);
    server.append("/a", &event("count"));
    assert_eq!(server.settled("/a")["processors"]["c"]["state"], json!({ "count": 1 }));
}

#[test]
fn a_program_that_cannot_be_loaded_is_rejected_with_what_where_and_what_to_do() {
    let server = Server::start();
    for (program, message, location) in [
        (json!({ "script": "export default {\n  reduce( {\n}" }), "SyntaxError", Some("processor.js:3:2")),
        (
            json!({ "script": "const n: number = 1;\nexport default {}" }),
            "this is TypeScript, which is understood in `modules`",
            Some("processor.js:1:7"),
        ),
        (json!({ "script": "\nthrow new Error('no luck')" }), "Error: no luck", Some("processor.js:2:")),
        (json!({ "script": "export const reduce = 1" }), "has no default export; expected `export default {", None),
        (
            json!({ "script": "export default { reduce() {}, initialState: { a: () => 1 } }" }),
            "initialState.a is a function, which is not JSON",
            None,
        ),
        (
            json!({ "script": "import 'left-pad'; export default {}" }),
            "processor.js imports \"left-pad\", which is not among the modules",
            None,
        ),
        (
            json!({ "modules": { "processor.ts": "export default {}\nenum Colour { Red }" } }),
            "an `enum` is more than a type",
            Some("processor.ts:2:1"),
        ),
        (json!({ "modules": { "a.js": "", "b.js": "" } }), "no module to begin with", None),
    ] {
        let mut payload = program;
        payload["slug"] = json!("p");
        let reason = rejection(&server, &payload);
        assert_eq!(reason["code"], "bad-config", "{reason:#}");
        assert!(reason["message"].as_str().unwrap().contains(message), "{message}: {reason:#}");
        if let Some(location) = location {
            assert!(reason["location"].as_str().is_some_and(|found| found.starts_with(location)), "{location}: {reason:#}");
        }
    }
    let reason = rejection(&server, &json!({ "slug": "p", "script": "for (;;) {}" }));
    assert_eq!(reason["code"], "out-of-fuel");
}

#[test]
fn a_broken_program_leaves_the_one_that_runs_in_place() {
    let server = Server::start();
    script(&server, "/a", "c", COUNTER);
    let problem = post(&server, "/a", &json!({ "slug": "c", "script": "export default" })).problem(422, "component-rejected");
    assert_eq!(problem["outcome"]["payload"]["running"], true);
    server.append("/a", &event("count"));
    server.settled("/a");
    assert_eq!(server.log_of_type("/a", "counted").len(), 1);
}

#[test]
fn an_error_at_run_time_parks_with_message_and_stack() {
    let server = Server::start();
    script(
        &server,
        "/a",
        "r",
        "export default {\n  reduce({ event }) {\n    if (event.type === 'bad') throw new TypeError('cannot');\n  },\n};",
    );
    server.append("/a", &event("bad"));
    let parked = server.wait_for("/a", |event| event["type"] == "stream/processor/parked");
    let message = parked["payload"]["reason"]["message"].as_str().unwrap();
    assert!(message.contains("TypeError: cannot\n    at reduce (processor.js:3:"), "{message}");
    assert_eq!((&parked["payload"]["phase"], &parked["payload"]["reason"]["code"]), (&json!("reduce"), &json!("guest-error")));

    let limits = json!({ "attemptsMax": 1 });
    deploy(&server, "/b", &json!({ "slug": "e", "limits": limits, "script": on_go("await null; state.missing.field") }));
    server.append("/b", &event("go"));
    let parked = server.wait_for("/b", |event| event["type"] == "stream/processor/parked");
    let message = parked["payload"]["reason"]["message"].as_str().unwrap();
    assert!(message.contains("TypeError") && message.contains("(processor.js:1:"), "{message}");
}

#[test]
fn a_program_that_never_ends_is_parked_and_harms_nobody() {
    let server = Server::start();
    script(&server, "/a", "spin", "export default { reduce({ event }) { while (event.type === 'spin'); } }");
    let limits = json!({ "attemptsMax": 1, "afterAppendMillisMax": 300 });
    deploy(
        &server,
        "/a",
        &json!({ "slug": "hang", "limits": limits, "script": "export default { async afterAppend({ event }) { while (event.type === 'spin'); } }" }),
    );
    script(&server, "/a", "c", COUNTER);
    server.append("/a", &event("spin"));
    server.append("/a", &event("count"));
    for slug in ["spin", "hang"] {
        server.wait_for("/a", |event| event["type"] == "stream/processor/parked" && event["payload"]["slug"] == slug);
    }
    server.wait_for("/a", |event| event["type"] == "counted");
    let state = server.state("/a");
    assert_eq!(state["processors"]["spin"]["parked"]["reason"]["code"], "out-of-fuel");
    assert_eq!(state["processors"]["hang"]["parked"]["reason"]["code"], "timeout");
}

#[test]
fn what_is_no_program_is_kept_as_an_invalid_event() {
    let server = Server::start();
    for (payload, problem) in [
        (json!({ "slug": "a" }), "found neither"),
        (json!({ "slug": "a", "script": "", "modules": { "a.js": "" } }), "found both"),
        (json!({ "slug": "a", "script": "", "more": 1 }), "unknown field `more`"),
        (json!({ "slug": "a", "script": "", "config": [1] }), "payload.config: expected a JSON object, found array"),
    ] {
        let recorded = server.append("/a", &configured(&payload));
        assert_eq!(recorded["type"], "stream/invalid-event-appended", "{recorded:#}");
        assert!(recorded["payload"]["error"].as_str().unwrap().contains(problem), "{recorded:#}");
    }
}

#[test]
fn clients_of_the_other_service_deploy_as_they_are_used_to() {
    let server = Server::start_with(&["--compat", "iterate"]);
    let payload = json!({ "slug": "ping-pong", "script": PING_PONG, "compatibilityDate": "2026-02-05", "outboundGateway": { "entrypoint": "DynamicWorkerEgressGateway" } });
    let reply = server
        .post("/a?wait=60", json!({ "event": { "type": format!("{ALIAS}dynamic-worker/configured"), "payload": payload } }).to_string())
        .ok();
    assert_eq!(reply["event"]["type"], format!("{ALIAS}dynamic-worker/configured"));
    server.append("/a", &event("ping"));
    server.wait_for("/a", |event| event["type"] == "pong");
    assert_eq!(server.settled("/a")["processors"]["ping-pong"]["status"], "active");
    assert_eq!(server.log_of_type("/a", "pong").len(), 1);
}

#[test]
fn a_runtime_file_takes_the_place_of_the_one_in_the_binary() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("runtime.wasm");
    std::fs::write(&file, plugin("ping-pong")).unwrap();
    let server = Server::start_with(&["--javascript-runtime", file.to_str().unwrap()]);
    let reply = script(&server, "/a", "p", "whatever");
    assert_eq!(reply["outcome"]["payload"]["manifest"]["name"], "ping-pong");

    std::fs::write(&file, "").unwrap();
    let server = Server::start_with(&["--javascript-runtime", file.to_str().unwrap()]);
    let problem = post(&server, "/a", &json!({ "slug": "p", "script": "" })).problem(501, "no-javascript-runtime");
    assert!(problem["detail"].as_str().unwrap().contains("--javascript-runtime"), "{problem:#}");
    assert_eq!(server.log("/a"), Vec::<Value>::new());
    server.append("/a", &event("all-else-works"));
}
