//! Transformers make events of a stream into other events of it, each once.

use serde_json::{Value, json};

use crate::support::*;

fn configure(server: &Client, stream: &str, slug: &str, matcher: &str, transform: &str) -> Value {
    let payload = json!({ "slug": slug, "matcher": matcher, "transform": transform });
    let recorded = server.append(stream, &json!({ "type": "stream/jsonata-transformer-configured", "payload": payload }));
    assert_eq!(recorded["type"], "stream/jsonata-transformer-configured", "{recorded:#}");
    recorded
}

#[test]
fn a_slack_slash_command_becomes_an_event() {
    let server = Server::start();
    let matcher = "type = 'stream/invalid-event-appended' and $exists(payload.rawInput.command)";
    let transform = "{ 'type': 'command-given', 'payload': { 'command': payload.rawInput.command, 'text': payload.rawInput.text } }";
    configure(&server, "/slack", "commands", matcher, transform);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let invalid = server.send("POST", "/api/streams/slack", &form, b"command=%2Fdeploy&text=the+wheel&user_id=U1").ok()["event"].clone();
    let given = server.wait_for("/slack", |event| event["type"] == "command-given");
    assert_eq!(given["payload"], json!({ "command": "/deploy", "text": "the wheel" }));
    assert_eq!(given["source"]["slug"], "commands");
    assert_eq!((&given["source"]["offset"], &given["source"]["depth"]), (&invalid["offset"], &json!(1)));
}

#[test]
fn it_does_not_react_to_its_own_output() {
    let server = Server::start();
    configure(&server, "/a", "t", "true", "{ 'type': 'echo', 'payload': { 'of': offset } }");
    server.append("/a", &event("x"));
    server.append("/a", &event("y"));
    let echo = server.wait_for("/a", |event| event["type"] == "echo" && event["payload"]["of"].as_u64() >= Some(3));
    server.append("/a", &event("z"));
    server.wait_for("/a", |event| event["type"] == "echo" && event["offset"].as_u64() > echo["offset"].as_u64());
    for echo in server.log_of_type("/a", "echo") {
        let of = &server.log("/a")[usize::try_from(echo["payload"]["of"].as_u64().unwrap()).unwrap() - 1];
        assert_ne!(of["type"], "echo");
    }
}

#[test]
fn two_that_feed_each_other_are_stopped_by_the_breaker() {
    let server = Server::start();
    configure(&server, "/a", "ping", "type = 'ping'", "{ 'type': 'pong' }");
    configure(&server, "/a", "pong", "type = 'pong'", "{ 'type': 'ping' }");
    server.append(
        "/a",
        &json!({ "type": "stream/circuit-breaker/configured", "payload": { "burstCapacity": 20, "refillRatePerMinute": 1 } }),
    );
    server.append("/a", &event("ping"));
    let paused = server.wait_for("/a", |event| event["type"] == "stream/paused");
    assert!(paused["payload"]["reason"].as_str().unwrap().contains("circuit breaker"), "{paused}");
}

#[test]
fn several_results_are_appended_together_and_none_is_nothing() {
    let server = Server::start();
    configure(&server, "/a", "t", "type = 'order'", "payload.items.{ 'type': 'item', 'payload': { 'name': $ } }");
    server.append("/a", &json!({ "type": "order", "payload": { "items": [] } }));
    server.append("/a", &json!({ "type": "order", "payload": { "items": ["a", "b"] } }));
    server.wait_for("/a", |event| event["payload"]["name"] == "b");
    let names: Vec<_> = server.log_of_type("/a", "item").iter().map(|item| item["payload"]["name"].clone()).collect();
    assert_eq!(names, ["a", "b"]);
}

#[test]
fn a_failure_is_told_and_harms_no_other_transformer() {
    let server = Server::start();
    configure(&server, "/a", "bad", "type = 'x'", "{ 'typ': 'y' }");
    configure(&server, "/a", "good", "type = 'x'", "{ 'type': 'y' }");
    let x = server.append("/a", &event("x"));
    server.wait_for("/a", |event| event["type"] == "y");
    let error = server.wait_for("/a", |event| event["type"] == "stream/error-occurred");
    assert_eq!((&error["payload"]["transformer"], &error["payload"]["offset"]), (&json!("bad"), &x["offset"]));
    assert!(error["payload"]["message"].as_str().unwrap().contains("type: expected a string, found nothing"), "{error}");
}

#[test]
fn two_that_fail_at_everything_do_not_fail_for_ever() {
    let server = Server::start();
    configure(&server, "/a", "one", "true", "$error('1')");
    configure(&server, "/a", "two", "true", "$error('2')");
    server.append("/a", &event("x"));
    configure(&server, "/a", "last", "type = 'stop'", "{ 'type': 'stopped' }");
    server.append("/a", &event("stop"));
    server.wait_for("/a", |event| event["type"] == "stopped");
    let errors = server.log_of_type("/a", "stream/error-occurred").len();
    assert!(errors <= 12, "{errors} errors");
}

#[test]
fn an_expression_that_does_not_compile_is_an_invalid_event() {
    let server = Server::start();
    let payload = json!({ "slug": "t", "matcher": "true", "transform": "{ 'type': " });
    let recorded = server.append("/a", &json!({ "type": "stream/jsonata-transformer-configured", "payload": payload }));
    assert_eq!(recorded["type"], "stream/invalid-event-appended");
    assert!(recorded["payload"]["error"].as_str().unwrap().starts_with("payload.transform: expected a JSONata expression"), "{recorded}");
}

#[test]
fn each_event_is_transformed_once_over_kill_9() {
    let mut server = Server::start();
    configure(&server, "/a", "t", "type = 'x'", "{ 'type': 'y', 'payload': { 'of': offset } }");
    let mut expected = Vec::new();
    for _round in 0..3 {
        expected.extend(offsets(&server.append_all("/a", vec![event("x"); 10])));
        server.kill_and_start_again();
    }
    let last = *expected.last().unwrap();
    server.wait_for("/a", |event| event["payload"]["of"] == last);
    let of: Vec<_> = server.log_of_type("/a", "y").iter().map(|y| y["payload"]["of"].as_u64().unwrap()).collect();
    assert_eq!(of, expected);
}

#[test]
fn what_it_appends_waits_for_a_paused_stream() {
    let server = Server::start();
    configure(&server, "/a", "t", "type = 'stream/paused'", "{ 'type': 'noted' }");
    server.append("/a", &event("stream/paused"));
    server.append("/a", &event("stream/resumed"));
    server.wait_for("/a", |event| event["type"] == "noted");
}

#[test]
fn a_slug_configured_again_is_replaced_and_a_removed_one_is_silent() {
    let server = Server::start();
    configure(&server, "/a", "t", "type = 'x'", "{ 'type': 'old' }");
    configure(&server, "/a", "t", "type = 'x'", "{ 'type': 'new' }");
    server.append("/a", &event("x"));
    server.wait_for("/a", |event| event["type"] == "new");
    assert_eq!(server.state("/a")["transformers"]["t"]["matcher"], "type = 'x'");
    server.append("/a", &json!({ "type": "stream/jsonata-transformer-removed", "payload": { "slug": "t" } }));
    configure(&server, "/a", "other", "type = 'x'", "{ 'type': 'other' }");
    server.append("/a", &event("x"));
    server.wait_for("/a", |event| event["type"] == "other");
    assert_eq!((server.log_of_type("/a", "old").len(), server.log_of_type("/a", "new").len()), (0, 1));
}
