//! The same events as Server-Sent Events, JSON, NDJSON and YAML, and only those of some types.

use serde_json::{Value, json};

use crate::support::*;

fn read(server: &Client, target: &str, accept: &str) -> Reply {
    server.send("GET", target, &[("accept", accept)], b"")
}

fn lines(reply: &Reply) -> Vec<Value> {
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The target of the header that leads to the next page.
fn link(reply: &Reply) -> Option<String> {
    let header = reply.header("link");
    (!header.is_empty()).then(|| header.strip_prefix('<').unwrap().strip_suffix(r#">; rel="next""#).unwrap().to_owned())
}

#[test]
fn ndjson_holds_everything_one_event_a_line_as_the_json_pages_do() {
    let server = Server::start();
    server.append_all("/a", (0..1500).map(|n| json!({ "type": "e", "payload": { "n": n } })));
    for accept in ["application/x-ndjson", "application/ndjson", "application/jsonl"] {
        let reply = read(&server, "/api/streams/a", accept);
        assert_eq!(reply.header("content-type"), "application/x-ndjson");
        assert_eq!(lines(&reply), server.log("/a"));
        assert_eq!(link(&reply), None);
    }
    assert_eq!(read(&server, "/api/streams/nobody", "application/x-ndjson").text(), "");
}

#[test]
fn yaml_is_one_document_an_event() {
    let server = Server::start();
    server.append("/a", &json!({ "type": "note", "payload": { "text": "one\ntwo\n", "yes": "no", "n": 1, "list": [] }, "metadata": {} }));
    let log = server.log("/a");
    for accept in ["application/yaml", "text/yaml"] {
        let reply = read(&server, "/api/streams/a?afterOffset=1", accept);
        assert_eq!((reply.status, reply.header("content-type")), (200, "application/yaml"));
        let expected = format!(
            "---\nstreamPath: /a\noffset: 2\ntype: note\npayload:\n  text: |\n    one\n    two\n  \"yes\": \"no\"\n  n: 1\n  list: []\nmetadata: {{}}\ncreatedAt: {}\n",
            log[1]["createdAt"]
        );
        assert_eq!(reply.text(), expected);
    }
    assert_eq!(read(&server, "/api/streams/a", "application/yaml").text().matches("---\n").count(), 2);
    let state = read(&server, "/api/streams/__state/a", "application/yaml");
    assert_eq!(state.header("content-type"), "application/yaml");
    assert!(state.text().starts_with("projectSlug: default\npath: /a\n"), "{}", state.text());
}

#[test]
fn the_format_that_is_liked_best_is_sent() {
    let server = Server::start();
    server.append("/a", &event("e"));
    for (accept, expected) in [
        ("application/json;q=0.5, application/x-ndjson", "application/x-ndjson"),
        ("application/yaml;q=0.9, application/json;q=0.95", "application/json"),
        ("text/event-stream;q=0, */*;q=0.1", "application/json"),
        ("*/*", "text/event-stream"),
    ] {
        assert_eq!(read(&server, "/api/streams/a?beforeOffset=end", accept).header("content-type"), expected, "{accept}");
    }
    read(&server, "/api/streams/a", "text/html").problem(406, "not-acceptable");
    read(&server, "/api/streams/a", "application/json;q=much").problem(400, "bad-header");
}

#[test]
fn pages_of_every_format_lead_to_the_end() {
    let server = Server::start();
    server.append_all("/a/b", (0..6).map(|_| event("e")));
    let pages = |accept: &str| {
        let mut next = Some("/api/streams/a/b?limit=3&types=*".to_owned());
        let mut counts = Vec::new();
        while let Some(target) = next {
            let reply = read(&server, &target, accept);
            assert_eq!(reply.status, 200, "{}", reply.text());
            counts.push(reply.text().matches("streamPath").count());
            next = link(&reply);
        }
        counts
    };
    assert_eq!(pages("application/x-ndjson"), [3, 3, 1]);
    assert_eq!(pages("application/yaml"), [3, 3, 1]);
    // The page of JSON names its stream once more.
    assert_eq!(pages("application/json"), [4, 4, 2]);
    let page = server.get("/api/streams/a/b?limit=3");
    assert_eq!(page.json()["next"].as_str(), link(&page).as_deref());
    server.send("GET", "/api/streams/a/b?limit=3", &[], b"").problem(400, "bad-query");
}

#[test]
fn a_filter_on_types_applies_to_every_format() {
    let server = Server::start();
    server.append_all("/a", ["red/1", "blue/1", "green", "red/2"].map(event));
    let query = "/api/streams/a?types=red/*,%20green&beforeOffset=end";
    let expected: Vec<_> = server.log("/a").into_iter().filter(|event| [2, 4, 5].contains(&event["offset"].as_u64().unwrap())).collect();
    assert_eq!(lines(&read(&server, query, "application/x-ndjson")), expected);
    assert_eq!(server.get(query).ok()["events"], json!(expected));
    assert_eq!(server.tail("/a", "?types=red/*,%20green&beforeOffset=end", &[]).rest(), expected);
    assert_eq!(read(&server, query, "application/yaml").text().matches("---\n").count(), 3);
    server.get("/api/streams/a?types=").problem(400, "bad-query");
    server.get("/api/streams/a?types=a,,b").problem(400, "bad-query");
}

#[test]
fn the_cursor_moves_over_what_a_filter_passes_over() {
    let server = Server::start();
    server.append_all("/a", (0..20).map(|_| event("dull")));
    // An id without data moves the last event id of a client and is no event (WHATWG, event stream interpretation).
    let reply = server.send("GET", "/api/streams/a?types=bright&beforeOffset=end", &[], b"");
    assert_eq!(reply.text(), ":\n\nid: 21\n\n");

    server.append_all("/a", ["bright", "dull", "bright", "dull"].map(event));
    let first = server.get("/api/streams/a?types=bright&limit=1").ok();
    assert_eq!(offsets(first["events"].as_array().unwrap()), [22]);
    let second = server.get(first["next"].as_str().unwrap()).ok();
    assert_eq!(offsets(second["events"].as_array().unwrap()), [24], "no match is left out: {first:#}");
    let third = second["next"].as_str().map(|target| server.get(target).ok());
    assert!(third.is_none_or(|page| page["events"] == json!([]) && page["next"].is_null()));
}

#[test]
fn a_page_without_a_match_ends_after_so_many_events_and_says_where_to_go_on() {
    let server = Server::start();
    for _ in 0..3 {
        server.append_all("/a", (0..5000).map(|_| event("dull")));
    }
    server.append("/a", &event("bright"));
    let page = server.get("/api/streams/a?types=bright").ok();
    assert_eq!(page["events"], json!([]));
    let mut next = page["next"].clone();
    let mut found = Vec::new();
    while let Some(target) = next.as_str() {
        let mut page = server.get(target).ok();
        found.extend(offsets(page["events"].as_array().unwrap()));
        next = page["next"].take();
    }
    assert_eq!(found, [15_002]);
}

#[test]
fn every_read_names_the_incarnation_and_a_wrong_one_is_a_conflict() {
    let server = Server::start();
    assert_eq!(server.get("/api/streams/a").header("etag"), r#""0-0""#);
    assert_eq!(server.get("/api/streams/a").header("pelton-incarnation"), "");
    server.append("/a", &event("e"));
    let incarnation = server.state("/a")["incarnation"].as_u64().unwrap();
    for accept in ["text/event-stream", "application/json", "application/x-ndjson", "application/yaml"] {
        let reply = read(&server, &format!("/api/streams/a?beforeOffset=end&incarnation={incarnation}"), accept);
        assert_eq!((reply.status, reply.header("pelton-incarnation")), (200, &*incarnation.to_string()), "{accept}");
    }
    let page = server.get("/api/streams/a");
    assert_eq!(page.header("etag"), format!("\"{incarnation}-2\""));
    assert_eq!(page.json()["incarnation"], incarnation);
    let first = server.get("/api/streams/a?limit=1").ok();

    server.send("DELETE", "/api/streams/a", &[], b"").ok();
    let gone = server.get(first["next"].as_str().unwrap()).problem(409, "incarnation-changed");
    assert_eq!(gone["found"], Value::Null);
    server.append("/a", &event("e"));
    let other = server.get(first["next"].as_str().unwrap()).problem(409, "incarnation-changed");
    assert_eq!(other["found"], server.state("/a")["incarnation"]);
}

#[test]
fn a_live_reader_learns_that_its_stream_was_destroyed_and_does_not_go_on_in_the_next_one() {
    let server = Server::start();
    server.append("/a", &event("e"));
    let incarnation = server.state("/a")["incarnation"].clone();
    let mut tail = server.tail("/a", "", &[]);
    tail.take(2);
    server.send("DELETE", "/api/streams/a", &[], b"").ok();
    server.append_all("/a", (0..5).map(|_| event("of-the-next")));
    assert_eq!(tail.rest(), Vec::<Value>::new());
    assert_eq!(tail.destroyed, Some(json!({ "streamPath": "/a", "incarnation": incarnation })));
}
