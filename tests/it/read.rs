//! Reading a stream: history, then live, without a gap.

use serde_json::{Value, json};

use crate::support::*;

/// A server with a stream `/a` of `count` events, the host's own first one included.
fn with_events(count: usize) -> Server {
    let server = Server::start();
    server.append_all("/a", (2..=count).map(|n| json!({ "type": "e", "payload": { "n": n } })));
    server
}

#[test]
fn history_comes_first_and_then_what_is_appended() {
    let server = with_events(3);
    let mut tail = server.tail("/a", "", &[]);
    assert_eq!(tail.take(3), server.log("/a"));
    for n in 4..8 {
        let recorded = server.append("/a", &json!({ "type": "live", "payload": { "n": n } }));
        assert_eq!(tail.next(), Some((n, recorded)));
    }
}

#[test]
fn the_frames_are_as_documented() {
    let server = with_events(2);
    let reply = server.send("GET", "/api/streams/a?beforeOffset=end", &[], b"");
    let (comment, frames) = reply.text().split_once("\n\n").unwrap();
    assert!(comment.starts_with(':'), "{comment:?}");
    let expected: String = server
        .log_text("/a")
        .iter()
        .enumerate()
        .map(|(nth, event)| format!("id: {}\nevent: message\ndata: {event}\n\n", nth + 1))
        .collect();
    assert_eq!(frames, expected);
    assert!(reply.header("cache-control").starts_with("no-"), "{}", reply.header("cache-control"));
}

#[test]
fn a_reader_resumes_after_the_last_event_it_has_seen() {
    let server = with_events(5);
    let after = |query: &str, header: Option<&str>| {
        let headers: Vec<_> = header.map(|id| ("last-event-id", id)).into_iter().collect();
        offsets(&server.tail("/a", query, &headers).rest())
    };
    assert_eq!(after("?beforeOffset=end", Some("3")), [4, 5]);
    assert_eq!(after("?beforeOffset=end", Some("5")), [0; 0]);
    assert_eq!(after("?beforeOffset=end&afterOffset=1", Some("3")), [2, 3, 4, 5], "the query wins");
    assert_eq!(after("?beforeOffset=end&afterOffset=start", Some("3")), [1, 2, 3, 4, 5], "the query wins");
}

#[test]
fn both_bounds_are_exclusive() {
    let server = with_events(5);
    for (query, expected) in [
        ("?afterOffset=2&beforeOffset=5", vec![3, 4]),
        ("?afterOffset=start&beforeOffset=3", vec![1, 2]),
        ("?afterOffset=0&beforeOffset=3", vec![1, 2]),
        ("?beforeOffset=end", vec![1, 2, 3, 4, 5]),
        ("?beforeOffset=6", vec![1, 2, 3, 4, 5]),
        ("?beforeOffset=99", vec![1, 2, 3, 4, 5]),
        ("?afterOffset=4&beforeOffset=end", vec![5]),
        ("?afterOffset=5&beforeOffset=end", vec![]),
        ("?afterOffset=99&beforeOffset=end", vec![]),
        ("?afterOffset=end&beforeOffset=end", vec![]),
        ("?afterOffset=4&beforeOffset=2", vec![]),
        ("?beforeOffset=1", vec![]),
    ] {
        assert_eq!(offsets(&server.tail("/a", query, &[]).rest()), expected, "{query}");
        let page = server.get(&format!("/api/streams/a{query}")).ok();
        assert_eq!(offsets(page["events"].as_array().unwrap()), expected, "{query}");
        assert_eq!(page["next"], Value::Null, "{query}");
    }
}

#[test]
fn a_reader_from_the_end_gets_only_what_comes_after() {
    let server = with_events(5);
    let mut tail = server.tail("/a", "?afterOffset=end", &[]);
    server.append("/a", &event("new"));
    assert_eq!(tail.next().unwrap().0, 6);
}

#[test]
fn a_reader_ahead_of_the_stream_waits_for_it() {
    let server = with_events(2);
    let mut tail = server.tail("/a", "?afterOffset=4", &[]);
    server.append_all("/a", [event("three"), event("four"), event("five")]);
    assert_eq!(tail.next().unwrap().1["type"], "five");
}

#[test]
fn pages_lead_to_the_end() {
    let server = with_events(7);
    let mut next = json!("/api/streams/a?limit=3");
    let mut pages = Vec::new();
    while let Some(target) = next.as_str() {
        let mut page = server.get(target).ok();
        assert_eq!(page["streamPath"], "/a");
        pages.push(offsets(page["events"].as_array().unwrap()));
        next = page["next"].take();
    }
    assert_eq!(pages, [vec![1, 2, 3], vec![4, 5, 6], vec![7]]);
    let exact = server.get("/api/streams/a?limit=7").ok();
    assert_eq!((exact["events"].as_array().unwrap().len(), &exact["next"]), (7, &Value::Null));
    let bounded = server.get("/api/streams/a?limit=2&beforeOffset=4").ok();
    assert_eq!(offsets(bounded["events"].as_array().unwrap()), [1, 2]);
    let rest = server.get(bounded["next"].as_str().unwrap()).ok();
    assert_eq!((offsets(rest["events"].as_array().unwrap()), &rest["next"]), (vec![3], &Value::Null), "the next page has the same end");
}

#[test]
fn pages_of_large_events_lead_to_the_end() {
    let server = Server::start();
    for n in 0..5 {
        server.append("/a", &json!({ "type": "large", "payload": { "n": n, "text": "x".repeat(1_000_000) } }));
    }
    assert_contiguous(&server.log("/a"));
    assert_contiguous(&server.tail("/a", "?beforeOffset=end", &[]).rest());
}

#[test]
fn a_stream_that_nobody_has_appended_to_is_empty_and_stays_so() {
    let server = Server::start();
    assert_eq!(server.get("/api/streams/a/b").ok(), json!({ "streamPath": "/a/b", "events": [], "next": null }));
    assert_eq!(server.tail("/a/b", "?beforeOffset=end", &[]).rest(), Vec::<Value>::new());
    let state = server.state("/a/b");
    assert_eq!((&state["path"], &state["eventCount"], &state["processors"]), (&json!("/a/b"), &json!(0), &json!({})));
    let mut tail = server.tail("/a/b", "", &[]);
    assert_eq!(server.log("/"), Vec::<Value>::new());
    assert_eq!(server.state("/")["childPaths"], json!([]));
    server.append("/a/b", &event("hello"));
    assert_eq!(types(&tail.take(2)), ["stream/initialized", "hello"]);
}

#[test]
fn every_reader_gets_every_event_once_and_in_order_while_eight_append() {
    const EACH: usize = 40;
    let server = Server::start();
    server.append("/a", &event("first"));
    let total = 2 + 8 * EACH;
    std::thread::scope(|scope| {
        let from_the_start: Vec<_> = (0..3).map(|_| server.tail("/a", "", &[])).collect();
        let mut later = server.tail("/a", "?afterOffset=2", &[]);
        for writer in 0..8 {
            let server = &server;
            scope.spawn(move || {
                for n in 0..EACH {
                    let recorded = server.append("/a", &json!({ "type": "e", "payload": { "writer": writer, "n": n } }));
                    let again =
                        server.get(&format!("/api/streams/a?afterOffset={}&limit=1", recorded["offset"].as_u64().unwrap() - 1)).ok();
                    assert_eq!(again["events"][0], recorded, "what is acknowledged is visible to every later read");
                }
            });
        }
        let readers: Vec<_> = from_the_start.into_iter().map(|mut tail| scope.spawn(move || tail.take(total))).collect();
        assert_eq!(offsets(&later.take(total - 2)), (3..=total as u64).collect::<Vec<_>>());
        let log = server.log("/a");
        assert_contiguous(&log);
        for reader in readers {
            assert_eq!(reader.join().unwrap(), log);
        }
        for writer in 0..8 {
            let of_one =
                log.iter().filter(|event| event["payload"]["writer"] == writer).map(|event| event["payload"]["n"].as_u64().unwrap());
            assert!(of_one.eq(0..EACH as u64), "the order of each writer is kept");
        }
    });
}

#[test]
fn a_reader_of_one_stream_hears_nothing_of_others() {
    let server = Server::start();
    server.append("/a", &event("mine"));
    let mut tail = server.tail("/a", "?afterOffset=end", &[]);
    server.append("/b", &event("not-mine"));
    server.tenant("acme").append("/a", &event("not-mine"));
    server.append("/a", &event("mine"));
    assert_eq!(tail.next().unwrap().1["type"], "mine");
}

#[test]
fn a_reader_that_goes_away_disturbs_nobody() {
    let server = Server::start();
    server.append("/a", &event("first"));
    for _ in 0..20 {
        drop(server.tail("/a", "", &[]));
    }
    let mut tail = server.tail("/a", "?afterOffset=end", &[]);
    server.append("/a", &event("second"));
    assert_eq!(tail.next().unwrap().0, 3);
}

#[test]
fn a_reader_that_hears_nothing_is_sent_a_comment() {
    let server = with_events(2);
    let mut tail = server.tail("/a", "?afterOffset=end", &[]);
    tail.wait_for_comment();
    server.append("/a", &event("late"));
    assert_eq!(types(&tail.take(1)), ["late"]);
}

#[test]
fn a_reader_that_does_not_read_holds_nobody_up_and_misses_nothing() {
    let server = Server::start();
    let mut tail = server.tail("/a", "", &[]);
    let text = "x".repeat(10_000);
    // Far more than sockets take in between.
    for batch in 0..20 {
        server.append_all("/a", (0..100).map(|n| json!({ "type": "e", "payload": { "n": batch * 100 + n, "text": text } })));
    }
    let seen = tail.take(2_001);
    assert!(seen[1..].iter().map(|event| event["payload"]["n"].as_u64().unwrap()).eq(0..2_000));
}
