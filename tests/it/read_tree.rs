//! A stream and everything below it as one log, in the tenant's commit order.

use serde_json::{Value, json};

use crate::support::*;

/// Appends `n` in turn to streams in and beside the tree `/t`.
fn grow(server: &Client) {
    for (n, stream) in ["/t", "/t/a", "/u", "/t/a/b", "/t", "/tt", "/t/c"].into_iter().enumerate() {
        server.append(stream, &json!({ "type": "e", "payload": { "n": n } }));
    }
}

fn numbers(events: &[Value]) -> Vec<u64> {
    events.iter().filter_map(|event| event["payload"]["n"].as_u64()).collect()
}

fn positions(events: &[Value]) -> Vec<u64> {
    events.iter().map(|event| event["position"].as_u64().unwrap()).collect()
}

#[test]
fn a_tree_is_read_in_commit_order_and_then_live() {
    let server = Server::start();
    grow(&server);
    let mut tail = server.tail("/t", "?includeChildren=true", &[]);
    let page = server.get("/api/streams/t?includeChildren=true").ok();
    let events = page["events"].as_array().unwrap();
    assert_eq!(numbers(events), [0, 1, 3, 4, 6]);
    assert!(positions(events).is_sorted_by(|one, other| one < other), "{events:?}");
    assert!(events.iter().all(|event| event["streamPath"] == "/t" || event["streamPath"].as_str().unwrap().starts_with("/t/")));
    assert_eq!(&tail.take(events.len()), events);
    server.append("/u", &event("elsewhere"));
    server.append("/t/new/deep", &json!({ "type": "e", "payload": { "n": 7 } }));
    assert_eq!(tail.wait_for(|event| event["type"] == "e")["payload"]["n"], 7);
}

#[test]
fn a_reader_of_a_tree_resumes_at_its_position() {
    let server = Server::start();
    grow(&server);
    let all = server.tail("/t", "?includeChildren=true&beforePosition=end", &[]).rest();
    for (nth, at) in positions(&all).into_iter().enumerate() {
        let id = at.to_string();
        let resumed = server.tail("/t", "?includeChildren=true&beforePosition=end", &[("last-event-id", &*id)]).rest();
        assert_eq!(resumed, all[nth + 1..]);
        let after = server.tail("/t", &format!("?includeChildren=true&beforePosition=end&afterPosition={at}"), &[]).rest();
        assert_eq!(after, all[nth + 1..]);
        let before = server.tail("/t", &format!("?includeChildren=true&beforePosition={at}"), &[]).rest();
        assert_eq!(before, all[..nth]);
    }
}

#[test]
fn pages_of_a_tree_lead_to_the_end_in_every_format() {
    let server = Server::start();
    grow(&server);
    let all = server.tail("/t", "?includeChildren=true&beforePosition=end", &[]).rest();
    let mut next = json!("/api/streams/t?includeChildren=true&limit=2");
    let mut found = Vec::new();
    while let Some(target) = next.as_str() {
        let mut page = server.get(target).ok();
        assert!(page["events"].as_array().unwrap().len() <= 2);
        found.extend(page["events"].as_array().unwrap().clone());
        next = page["next"].take();
    }
    assert_eq!(found, all);
    let ndjson = server.send("GET", "/api/streams/t?includeChildren=true", &[("accept", "application/x-ndjson")], b"");
    assert_eq!(ndjson.text().lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect::<Vec<_>>(), all);
    let typed = server.get("/api/streams/t?includeChildren=true&types=e").ok();
    assert_eq!(numbers(typed["events"].as_array().unwrap()), [0, 1, 3, 4, 6]);
}

#[test]
fn the_cursor_of_a_tree_moves_over_streams_elsewhere() {
    let server = Server::start();
    server.append("/t", &event("e"));
    server.append("/u", &event("e"));
    let all = server.get("/api/streams/?includeChildren=true").ok();
    let last = positions(all["events"].as_array().unwrap()).pop().unwrap();
    let reply = server.send("GET", "/api/streams/t?includeChildren=true&beforePosition=end", &[], b"");
    assert!(reply.text().ends_with(&format!("\n\nid: {last}\n\n")), "{}", reply.text());
}

#[test]
fn bounds_of_the_other_kind_are_refused_with_the_right_name() {
    let server = Server::start();
    for (query, expected) in [
        ("?afterPosition=1", "expected `afterOffset`"),
        ("?beforePosition=end&includeChildren=false", "expected `beforeOffset`"),
        ("?afterOffset=1&includeChildren=true", "expected `afterPosition`"),
        ("?beforeOffset=1&includeChildren=true", "expected `beforePosition`"),
        ("?includeChildren=1", "true"),
        ("?includeChildren=", "true"),
        ("?afterPosition=x&includeChildren=true", "expected a position"),
    ] {
        let problem = server.get(&format!("/api/streams/t{query}")).problem(400, "bad-query");
        assert!(problem["detail"].as_str().unwrap().contains(expected), "{query}: {problem:#}");
    }
    server.append("/t/a", &event("e"));
    assert_eq!(server.get("/api/streams/t?includeChildren=false").ok(), server.get("/api/streams/t").ok());
}

#[test]
fn reading_a_tree_begins_nothing() {
    let server = Server::start();
    assert_eq!(server.get("/api/streams/t/a?includeChildren=true").ok(), json!({ "streamPath": "/t/a", "events": [], "next": null }));
    assert_eq!(server.get("/api/streams/?includeChildren=true").ok()["events"], json!([]));
}

#[test]
fn a_reader_of_a_tree_goes_on_when_a_stream_of_it_is_destroyed() {
    let server = Server::start();
    grow(&server);
    let mut tail = server.tail("/t", "?includeChildren=true&afterPosition=end", &[]);
    server.send("DELETE", "/api/streams/t/a", &[], b"").ok();
    server.append("/t/c", &event("after"));
    assert_eq!(tail.wait_for(|event| event["type"] == "after")["streamPath"], "/t/c");
    let page = server.get("/api/streams/t?includeChildren=true").ok();
    assert_eq!(numbers(page["events"].as_array().unwrap()), [0, 3, 4, 6]);
}
