//! `pelton plugin test`: a component on files of events, without a server.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};

use crate::support::*;

fn run(folder: &Path, plugin: &str, args: &[&str]) -> Output {
    let component = repository().join(format!("target/plugins/{plugin}.wasm")).display().to_string();
    pelton(folder, &[&["plugin", "test", &component], args].concat()).output().unwrap()
}

/// The report on the one file that there is.
#[track_caller]
fn report_on(plugin: &str, case: &Value) -> Value {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("case.json"), case.to_string()).unwrap();
    let output = run(folder.path(), plugin, &["case.json", "--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[track_caller]
fn text(output: &Output, code: i32) -> String {
    let all = [output.stdout.as_slice(), &output.stderr].concat();
    let text = String::from_utf8(all).unwrap();
    assert_eq!(output.status.code(), Some(code), "{text}");
    text
}

#[test]
fn each_event_shows_its_state_its_appends_and_its_fuel() {
    let report = report_on("ping-pong", &json!([{ "type": "ping", "payload": { "message": 1 } }, { "type": "other" }, { "type": "ping" }]));
    let steps = report["steps"].as_array().unwrap();
    assert_eq!(steps[0]["state"], json!({ "count": 1, "last": 1 }));
    assert_eq!(steps[0]["appends"], json!([{ "type": "pong", "payload": { "to": 2, "count": 1, "message": 1 } }]));
    assert!(steps[0]["fuel"]["reduce"].as_u64() > Some(0) && steps[0]["fuel"]["afterAppend"].as_u64() > Some(0), "{report:#}");
    assert_eq!(steps[1], json!({ "offset": 3, "type": "other" }), "not consumed");
    assert_eq!((&steps[2]["offset"], &steps[2]["state"]["count"]), (&json!(4), &json!(2)));
    assert_eq!(report["manifest"]["name"], "ping-pong");
    assert_eq!(report["golden"], "missing");
}

#[test]
fn events_come_as_they_are_written() {
    let event = json!({ "type": "ping", "payload": {}, "offset": 9, "streamPath": "/elsewhere", "createdAt": "2026-01-31T12:00:00Z", "metadata": {} });
    let report =
        report_on("ping-pong", &json!({ "slug": "p", "streamPath": "/here", "config": {}, "events": [event, { "type": "ping" }] }));
    assert_eq!(report["steps"][0]["appends"][0]["payload"]["to"], 9);
    assert_eq!(report["steps"][1]["offset"], 2, "offsets are those of the case's own stream");
}

#[test]
fn what_happens_is_compared_with_what_is_expected() {
    let folder = tempfile::tempdir().unwrap();
    let (case, golden) = (folder.path().join("a.json"), folder.path().join("a.golden.json"));
    fs::write(&case, r#"[{"type":"ping","payload":{"message":1.10}}]"#).unwrap();
    assert!(text(&run(folder.path(), "ping-pong", &["a.json"]), 0).contains("there is no a.golden.json"));
    assert!(text(&run(folder.path(), "ping-pong", &["a.json", "--update"]), 0).contains("written a.golden.json"));
    let written = fs::read_to_string(&golden).unwrap();
    assert!(written.contains(r#""state": { "count": 1, "last": 1.1"#) && !written.contains("fuel"), "{written}");
    assert!(text(&run(folder.path(), "ping-pong", &["."]), 0).contains("ok as in a.golden.json"));
    // How it is laid out does not matter.
    fs::write(&golden, serde_json::from_str::<Box<serde_json::value::RawValue>>(&written).unwrap().get().replace('\n', "")).unwrap();
    assert!(text(&run(folder.path(), "ping-pong", &["a.json"]), 0).contains("ok as in"));
    fs::write(&golden, written.replace("\"count\": 1, \"last\"", "\"count\": 7, \"last\"")).unwrap();
    let said = text(&run(folder.path(), "ping-pong", &["a.json"]), 1);
    for part in
        ["not as in a.golden.json", "-       \"state\": { \"count\": 7", "+       \"state\": { \"count\": 1", "1 of 1 tests failed: a.json"]
    {
        assert!(said.contains(part), "without {part:?}: {said}");
    }
}

#[test]
fn yaml_and_lines_are_taken_too() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.yaml"), "description: two\nevents:\n  - type: ping\n  - {type: ping, payload: {message: hi}}\n")
        .unwrap();
    fs::write(folder.path().join("b.ndjson"), "{\"type\":\"ping\"}\n\n{\"type\":\"ping\",\"payload\":{\"message\":\"hi\"}}\n").unwrap();
    let output = run(folder.path(), "ping-pong", &["a.yaml", "b.ndjson", "--json"]);
    let reports: Vec<Value> = text(&output, 0).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(reports.len(), 2);
    for report in reports {
        assert_eq!(report["steps"][1]["state"], json!({ "count": 2, "last": "hi" }));
    }
}

#[test]
fn a_trap_is_part_of_its_step_and_the_next_event_is_served() {
    let events = json!([{ "type": "tick" }, { "type": "boom" }, { "type": "tick" }]);
    let report = report_on("trap-in-reduce", &events);
    let steps = report["steps"].as_array().unwrap();
    assert_eq!((&steps[1]["error"]["code"], &steps[1]["state"]), (&json!("trap"), &json!({ "ticks": 1 })), "{report:#}");
    let said: Vec<_> = steps[1]["log"].as_array().unwrap().iter().filter(|line| line["message"].to_string().contains("boom")).collect();
    assert_eq!(said.len(), 1, "once, however often it was tried: {report:#}");
    assert_eq!(steps[2]["state"], json!({ "ticks": 2 }));

    let report = report_on("trap-in-after-append", &events);
    assert_eq!((&report["steps"][1]["error"]["code"], &report["steps"][1]["appends"]), (&json!("trap"), &json!([])), "{report:#}");
    assert_eq!(report["steps"][2]["state"], json!({ "ticks": 2 }));
}

#[test]
pub fn a_state_that_depends_on_how_events_are_split_into_calls_is_found() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.json"), json!([{ "type": "tick" }, { "type": "tick" }, { "type": "tick" }]).to_string()).unwrap();
    let said = text(&run(folder.path(), "remembers", &["a.json"]), 1);
    for part in ["not ok", "depends on how events are split", "-   \"ticks\": ", "+   \"ticks\": 1", "nothing may be kept in memory"] {
        assert!(said.contains(part), "without {part:?}: {said}");
    }
    let output = run(folder.path(), "remembers", &["a.json", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(report["splits"]["expected"] != report["splits"]["found"], "{report:#}");
}

#[test]
fn a_file_that_is_no_test_is_told_why() {
    let folder = tempfile::tempdir().unwrap();
    for (file, content, part) in [
        ("a.json", "{", "a.json: not valid JSON"),
        ("b.json", r#"{"events":[{"type":"x"},{"payload":{}}]}"#, "b.json: event 2: missing field `type`"),
        ("c.json", r#"{"event":[]}"#, "c.json: unknown field `event`"),
        ("d.yaml", "- type: [", "d.yaml: "),
        ("e.ndjson", "{\"type\":\"x\"}\nnonsense\n", "e.ndjson: line 2: not valid JSON"),
        ("f.json", r#"[{"type":"x","createdAt":"yesterday"}]"#, "f.json: event 1: createdAt: expected a time"),
    ] {
        fs::write(folder.path().join(file), content).unwrap();
        let said = text(&run(folder.path(), "ping-pong", &[file]), 2);
        assert!(said.contains(part), "without {part:?}: {said}");
    }
    assert!(text(&run(folder.path(), "ping-pong", &[]), 2).contains("name a file of events"));
}

#[test]
fn http_leaves_a_test_only_where_it_is_let_out() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.json"), json!([{ "type": "fetch", "payload": { "url": format!("{url}/x") } }]).to_string()).unwrap();
    let fetched = |args: &[&str]| {
        let output = run(folder.path(), "http-client", &[&["a.json", "--json"], args].concat());
        let report: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
        report["steps"][0].clone()
    };
    let step = fetched(&[]);
    assert_eq!(step["appends"][0]["payload"]["case"], "denied", "{step:#}");
    assert!(step["log"].to_string().contains(&format!("--allow-http {url}")), "{step:#}");

    let server = std::thread::spawn(move || {
        let mut asked = listener.accept().unwrap().0;
        let mut line = String::new();
        BufReader::new(&asked).read_line(&mut line).unwrap();
        asked.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi").unwrap();
        line
    });
    let step = fetched(&["--allow-http", &url]);
    assert_eq!(step["appends"][0]["payload"]["body"], "hi", "{step:#}");
    assert!(server.join().unwrap().starts_with("GET /x "));
}

#[test]
fn a_test_has_the_environment_that_its_file_gives() {
    let events = json!([{ "type": "show-env", "payload": { "name": "A" } }]);
    let report = report_on("http-client", &json!({ "environment": { "A": "1" }, "events": events }));
    assert_eq!(report["steps"][0]["appends"][0]["payload"], json!({ "name": "A", "value": "1" }));
}
