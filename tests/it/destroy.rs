//! A stream that is destroyed is gone with everything that belongs to it, and its path begins anew.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::*;

fn destroy(server: &Client, stream: &str, query: &str) -> Value {
    server.send("DELETE", &format!("/api/streams{stream}{query}"), &[], b"").ok()
}

fn children(server: &Client, stream: &str) -> Vec<String> {
    let children = server.get(&format!("/api/streams/__children{stream}")).ok();
    children.as_array().unwrap().iter().map(|child| child["path"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_answer_holds_the_last_state_and_the_path_begins_anew_at_offset_1() {
    let server = Server::start();
    server.append("/a/b", &json!({ "type": "stream/metadata-updated", "payload": { "metadata": { "k": "v" } } }));
    let before = server.state("/a/b");
    let answer = destroy(&server, "/a/b", "");
    assert_eq!(answer, json!({ "destroyedStreamCount": 1, "finalStateByPath": { "/a/b": { "finalState": before } } }));
    assert_eq!(server.state("/a/b")["eventCount"], 0);
    assert_eq!(server.log("/a/b"), Vec::<Value>::new());

    assert_eq!(server.append("/a/b", &event("x"))["offset"], 2);
    let after = server.state("/a/b");
    assert!(after["incarnation"].as_u64() > before["incarnation"].as_u64(), "{before} {after}");
    assert_eq!(after["metadata"], json!({}));
}

#[test]
fn ancestors_lose_the_child_and_children_stay_unless_asked_for() {
    let server = Server::start();
    server.append("/a/b/c", &event("x"));
    server.append("/a/d", &event("x"));
    assert_eq!(destroy(&server, "/a/b", "")["destroyedStreamCount"], 1);
    assert_eq!(server.state("/a")["childPaths"], json!(["/a/d"]));
    assert_eq!(children(&server, "/a"), ["/a/d", "/a/b/c", "/a"]);
    assert_eq!(server.log("/a/b/c").len(), 2);
    let answer = destroy(&server, "/a", "?destroyChildren=true");
    assert_eq!(answer["destroyedStreamCount"], 3);
    assert_eq!(answer["finalStateByPath"].as_object().unwrap().keys().collect::<Vec<_>>(), ["/a", "/a/b/c", "/a/d"]);
    assert_eq!(children(&server, "/"), ["/"]);
    assert_eq!(server.state("/")["childPaths"], json!([]));
}

#[test]
fn nothing_is_destroyed_where_nothing_is() {
    let server = Server::start();
    let answer = destroy(&server, "/a", "?destroyChildren=true");
    assert_eq!(answer, json!({ "destroyedStreamCount": 0, "finalStateByPath": { "/a": { "finalState": null } } }));
    assert_eq!(children(&server, "/"), ["/"]);
    server.send("DELETE", "/api/streams/a?destroyChildren=yes", &[], b"").problem(400, "bad-query");
    server.send("DELETE", "/api/streams/A", &[], b"").problem(400, "bad-path");
}

#[test]
fn the_root_and_everything_below_it_can_be_destroyed() {
    let server = Server::start();
    server.append("/a/b", &event("x"));
    assert_eq!(destroy(&server, "/", "?destroyChildren=true")["destroyedStreamCount"], 3);
    assert_eq!(server.append("/", &event("x"))["offset"], 2);
}

#[test]
fn what_was_destroyed_stays_so_after_kill_9() {
    let mut server = Server::start();
    server.deploy("/a/b", "p", "ping-pong", json!({}));
    let incarnation = server.state("/a/b")["incarnation"].as_u64();
    destroy(&server, "/a/b", "");
    server.kill_and_start_again();
    assert_eq!(server.state("/a/b")["eventCount"], 0);
    server.append("/a/b", &event("ping"));
    assert!(server.state("/a/b")["incarnation"].as_u64() > incarnation);
    assert_eq!(types(&server.log("/a/b")), ["stream/initialized", "ping"]);
}

/// What a tenant holds below `/t`: each stream with the texts of its events.
fn planted(server: &Client) -> BTreeMap<String, Vec<String>> {
    let log = |stream: &str| server.log_text(stream).iter().map(|event| event.get().to_owned()).collect();
    children(server, "/t").into_iter().map(|stream| (stream.clone(), log(&stream))).collect()
}

/// Bytes that a process has written so far, to whatever it has open.
fn written(pid: u32) -> u64 {
    let counters = std::fs::read_to_string(format!("/proc/{pid}/io")).unwrap();
    counters.lines().find_map(|line| line.strip_prefix("wchar: ")).unwrap().parse().unwrap()
}

#[test]
fn a_destroy_that_kill_9_meets_on_its_way_has_destroyed_everything_or_nothing() {
    let mut server = Server::start();
    let plant = |tenant: &Client| {
        let text = "x".repeat(500);
        for stream in ["/t", "/t/a", "/t/a/b", "/t/c"] {
            for batch in 0..4 {
                let event = |n: u32| json!({ "type": "x", "payload": { "text": text }, "idempotencyKey": format!("{batch} {n}") });
                tenant.append_all(stream, (0..500).map(event));
            }
        }
    };
    let undisturbed = server.tenant("undisturbed");
    plant(&undisturbed);
    let before = written(server.pid());
    assert_eq!(destroy(&undisturbed, "/t", "?destroyChildren=true")["destroyedStreamCount"], 4);
    let all = written(server.pid()) - before;

    for percent in [0, 1, 30, 60, 90, 99, 200] {
        let name = format!("killed-at-{percent}");
        let tenant = server.tenant(&name);
        plant(&tenant);
        let (before, pid) = (planted(&tenant), server.pid());
        let enough = written(pid) + all * percent / 100;
        let is_acknowledged = std::thread::scope(|scope| {
            let answer = scope.spawn(|| tenant.try_send("DELETE", "/api/streams/t?destroyChildren=true", &[], b""));
            while written(pid) < enough && !answer.is_finished() {
                std::thread::yield_now();
            }
            server.kill();
            answer.join().unwrap().is_ok_and(|reply| reply.status == 200)
        });
        server.start_again();
        let tenant = server.tenant(&name);
        let found = planted(&tenant);
        assert!(found.is_empty() || !is_acknowledged, "{percent} %: acknowledged, and there again");
        assert!(found.is_empty() || found == before, "{percent} %: something is left, and not everything");
        let offset = if found.is_empty() { 2 } else { before["/t/c"].len() + 1 };
        assert_eq!(tenant.append("/t/c", &event("goes-on"))["offset"], offset, "{percent} %");
    }
}

#[test]
fn a_processor_ends_with_its_stream_and_its_successor_starts_from_nothing() {
    let server = Server::start();
    server.deploy("/a", "p", "ping-pong", json!({}));
    server.append("/a", &event("ping"));
    assert_eq!(server.settled("/a")["processors"]["p"]["state"]["count"], 1);
    destroy(&server, "/a", "");
    server.append("/a", &event("ping"));
    assert_eq!(types(&server.log("/a")), ["stream/initialized", "ping"]);
    server.deploy("/a", "p", "ping-pong", json!({}));
    server.append("/a", &event("ping"));
    let state = server.settled("/a");
    assert_eq!(state["processors"]["p"]["state"]["count"], 2, "the ping before the upload is folded, not answered: {state:#}");
    assert_eq!(server.log_of_type("/a", "pong").len(), 1);
}

#[test]
fn a_processor_of_the_tree_goes_on_when_a_stream_below_it_ends() {
    let server = Server::start();
    server.deploy("/t", "p", "counter-v2", json!({ "includeChildren": true }));
    server.append("/t/a", &event("x"));
    let folded = |state: &Value| state["processors"]["p"]["state"].clone();
    let before = server.settled("/t");
    destroy(&server, "/t/a", "");
    assert_eq!(folded(&server.settled("/t")), folded(&before));
    server.append("/t/a", &event("x"));
    assert_ne!(folded(&server.settled("/t")), folded(&before));
}

#[test]
fn children_are_listed_the_newest_first() {
    let server = Server::start();
    assert_eq!(server.get("/api/streams/__children/").ok(), json!([{ "path": "/" }]));
    server.append("/a", &event("x"));
    server.append("/a/b", &event("x"));
    let listed = server.get("/api/streams/__children/").ok();
    assert_eq!(children(&server, ""), ["/a/b", "/a", "/"]);
    assert_eq!(listed[1]["createdAt"], server.log("/a")[0]["createdAt"]);
    for form in ["/a%2Fb", "/%2Fa%2Fb", "/a/b"] {
        assert_eq!(children(&server, form), ["/a/b"]);
    }
    assert_eq!(children(&server, "/nobody"), Vec::<String>::new());
    server.post("/__children/a", "{}").problem(405, "method-not-allowed");
}
