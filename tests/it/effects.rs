//! What a processor appends is recorded exactly once, whatever happens in between.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::support::*;

/// Fails unless each ping of the stream has one pong of this processor, and its state has counted all pings.
#[track_caller]
fn assert_each_ping_answered_once(server: &Client, stream: &str, slug: &str) {
    let state = server.settled(stream);
    let log = server.log(stream);
    assert_contiguous(&log);
    let pings: Vec<_> = log.iter().filter(|event| event["type"] == "ping").map(|event| event["offset"].as_u64().unwrap()).collect();
    let mut answers: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for pong in log.iter().filter(|event| event["type"] == "pong" && event["source"]["slug"] == slug) {
        assert_eq!(pong["payload"]["to"], pong["source"]["offset"]);
        answers.entry(pong["payload"]["to"].as_u64().unwrap()).or_default().push(pong["payload"]["count"].as_u64().unwrap());
    }
    let expected: BTreeMap<_, _> = pings.iter().zip(1..).map(|(&ping, count)| (ping, vec![count])).collect();
    assert_eq!(answers, expected, "one answer for each ping, with the count at that ping");
    assert_eq!(state["processors"][slug]["state"]["count"], pings.len());
}

#[test]
fn kill_9_between_events_loses_and_doubles_nothing() {
    let mut server = Server::start();
    server.deploy("/a", "p", "ping-pong", json!({}));
    for round in 0..4 {
        server.append_all("/a", vec![event("ping"); round + 1]);
        if round % 2 == 1 {
            server.settled("/a");
        }
        server.kill_and_start_again();
    }
    assert_each_ping_answered_once(&server, "/a", "p");
    assert_eq!(server.log_of_type("/a", "stream/processor/activated").len(), 1, "a restart is no new activation");
}

#[test]
fn kill_9_amid_a_storm_of_pings_loses_and_doubles_nothing() {
    let mut server = Server::start();
    server.without_breaker("/a");
    server.deploy("/a", "p", "ping-pong", json!({}));
    for _round in 0..3 {
        let (client, pid, count) = (Client::clone(&server), server.pid(), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while client.try_send("POST", "/api/streams/a", &[], br#"{"type":"ping"}"#).is_ok() {
                        if count.fetch_add(1, Ordering::SeqCst) == 50 {
                            kill_9(pid);
                        }
                    }
                });
            }
        });
        server.kill_and_start_again();
    }
    assert_each_ping_answered_once(&server, "/a", "p");
}

#[test]
fn sigterm_amid_a_storm_of_pings_loses_and_doubles_nothing() {
    let mut server = Server::start();
    server.deploy("/a", "p", "ping-pong", json!({}));
    server.append_all("/a", vec![event("ping"); 500]);
    assert!(server.terminate().success());
    server.start_again();
    assert_each_ping_answered_once(&server, "/a", "p");
}

#[test]
fn state_and_cursors_are_the_same_after_a_restart() {
    let mut server = Server::start();
    server.deploy("/a", "p", "ping-pong", json!({}));
    server.append_all("/a", vec![json!({ "type": "ping", "payload": { "message": { "n": 1.10 } } }); 5]);
    let before = server.settled("/a");
    server.kill_and_start_again();
    assert_eq!(server.settled("/a"), before);
}

#[test]
fn a_kill_while_a_component_is_compiled_only_delays_it() {
    let mut server = Server::start();
    let wasm_type = ("content-type", "application/wasm");
    server.send("POST", "/api/streams/a?slug=p&wait=0", &[wasm_type], &plugin("ping-pong")).ok();
    server.append("/a", &event("ping"));
    server.kill_and_start_again();
    server.wait_for("/a", |event| event["type"] == "pong");
    assert_each_ping_answered_once(&server, "/a", "p");
    assert_eq!(server.log_of_type("/a", "stream/processor/activated").len(), 1);
}

#[test]
fn processors_of_one_stream_work_side_by_side() {
    let server = Server::start();
    for slug in ["p", "q", "r.2_B-x"] {
        server.deploy("/a", slug, "ping-pong", json!({}));
    }
    server.append_all("/a", vec![event("ping"); 10]);
    for slug in ["p", "q", "r.2_B-x"] {
        assert_each_ping_answered_once(&server, "/a", slug);
    }
}

#[test]
fn processors_of_many_streams_work_side_by_side() {
    let server = Server::start();
    server.deploy("/s0", "p", "ping-pong", json!({}));
    let digest = server.state("/s0")["processors"]["p"]["digest"].clone();
    let streams: Vec<_> = (0..30).map(|n| format!("/s{n}")).collect();
    for stream in &streams[1..] {
        let payload = json!({ "slug": "p", "component": { "digest": digest } });
        server.append(stream, &json!({ "type": "stream/processor/configured", "payload": payload }));
    }
    for stream in &streams {
        server.append_all(stream, vec![event("ping"); 3]);
    }
    for stream in &streams {
        assert_each_ping_answered_once(&server, stream, "p");
    }
}

#[test]
fn only_what_a_processor_consumes_reaches_it() {
    let server = Server::start();
    server.deploy("/a", "p", "ping-pong", json!({}));
    server.deploy("/a", "narrow", "ping-pong", json!({ "consumes": ["pi*/x", "*-ping"] }));
    server.deploy("/a", "nothing", "ping-pong", json!({ "consumes": [] }));
    server.append_all("/a", [event("ping"), event("pi/y"), event("pi/x"), event("my-ping"), event("other")]);
    let state = server.settled("/a");
    let counts: Vec<_> = ["p", "narrow", "nothing"].iter().map(|slug| state["processors"][slug]["state"]["count"].clone()).collect();
    assert_eq!(counts, [json!(1), json!(2), json!(0)]);
    assert_eq!(server.log_of_type("/a", "pong").len(), 3);
    let cursors = |slug: &str| state["processors"][slug]["cursors"].clone();
    assert_eq!((cursors("p"), cursors("p")), (cursors("narrow"), cursors("nothing")), "cursors pass what is not consumed");
}

#[test]
fn a_processor_of_a_tree_sees_all_streams_below_and_answers_in_each() {
    let mut server = Server::start();
    server.append("/team/early", &event("ping"));
    server.deploy("/team", "p", "ping-pong", json!({ "includeChildren": true }));
    for stream in ["/team", "/team/early", "/team/late/deep", "/teammate", "/other"] {
        server.append(stream, &event("ping"));
    }
    for stream in ["/team", "/team/early", "/team/late/deep"] {
        let pong = server.wait_for(stream, |event| event["type"] == "pong");
        assert_eq!((&pong["streamPath"], &pong["source"]["streamPath"]), (&json!(stream), &json!(stream)));
    }
    server.kill_and_start_again();
    server.append("/team/late/deep", &event("ping"));
    let last = server.wait_for("/team/late/deep", |event| event["type"] == "pong" && event["payload"]["count"] == 5);
    assert_eq!(last["source"]["slug"], "p");
    for (stream, pongs) in [("/team", 1), ("/team/early", 1), ("/team/late/deep", 2), ("/teammate", 0), ("/other", 0)] {
        assert_eq!(server.log_of_type(stream, "pong").len(), pongs, "{stream}");
    }
    assert_eq!(server.state("/team")["processors"]["p"]["state"]["count"], 5);
}

#[test]
fn a_processor_of_the_root_sees_the_whole_tenant() {
    let server = Server::start();
    server.deploy("/", "p", "ping-pong", json!({ "includeChildren": true }));
    for stream in ["/", "/a", "/a/b"] {
        server.append(stream, &event("ping"));
        server.wait_for(stream, |event| event["type"] == "pong");
    }
    server.tenant("acme").append("/a", &event("ping"));
    assert_eq!(server.state("/")["processors"]["p"]["state"]["count"], 3);
}

#[test]
fn a_loop_ends_at_the_depth_limit() {
    let server = Server::start();
    server.without_breaker("/a");
    server.deploy("/a", "p", "ping-pong", json!({ "consumes": ["ping", "pong"], "limits": { "attemptsMax": 1 } }));
    server.append("/a", &event("ping"));
    let parked = server.wait_for("/a", |event| event["type"] == "stream/processor/parked");
    let pongs = server.log_of_type("/a", "pong");
    let depths: Vec<_> = pongs.iter().map(|pong| pong["source"]["depth"].as_u64().unwrap()).collect();
    assert_eq!(depths, (1..=1000).collect::<Vec<_>>());
    assert_eq!((&parked["payload"]["phase"], &parked["payload"]["atOffset"]), (&json!("after-append"), &pongs[999]["offset"]));
    assert!(parked["payload"]["reason"]["message"].as_str().unwrap().contains("denied"), "{parked:#}");
    assert_eq!(server.log("/a").last().unwrap(), &parked, "and that is the end of it");
}

fn told(action: &str, more: Value) -> Value {
    let mut payload = more;
    payload["action"] = json!(action);
    json!({ "type": "do", "payload": payload })
}

#[test]
pub fn what_an_event_asks_for_is_recorded_as_asked() {
    let server = Server::start();
    server.deploy("/a/b", "p", "effects", json!({}));
    for action in ["append", "append-now"] {
        for (to, stream) in
            [(Value::Null, "/a/b"), (json!("."), "/a/b"), (json!("./below"), "/a/b/below"), (json!(".."), "/a"), (json!("/x"), "/x")]
        {
            let proposal = json!({ "to": to, "type": format!("by-{action}"), "payload": { "n": 1 }, "metadata": { "m": [] } });
            let asked = server.append("/a/b", &told(action, proposal));
            let recorded = server.wait_for(stream, |event| event["source"]["offset"] == asked["offset"]);
            assert_eq!(recorded["type"], format!("by-{action}"));
            assert_eq!((&recorded["payload"], &recorded["metadata"]), (&json!({ "n": 1 }), &json!({ "m": [] })));
            assert_eq!((&recorded["source"]["streamPath"], &recorded["source"]["depth"]), (&json!("/a/b"), &json!(1)));
        }
    }
    let state = server.settled("/a/b");
    assert_eq!(state["processors"]["p"]["state"]["events"], state["eventCount"], "it consumes everything, the host's own events too");
}

#[test]
fn an_append_at_once_is_recorded_once_however_often_it_is_tried() {
    let server = Server::start();
    server.deploy("/a", "p", "effects", json!({ "limits": { "attemptsMax": 3 } }));
    server.append("/a", &told("append-now-then-fail", json!({ "type": "x" })));
    let parked = server.wait_for("/a", |event| event["type"] == "stream/processor/parked");
    assert_eq!(parked["payload"]["attempts"], 3);
    server.append("/a", &json!({ "type": "stream/processor/resumed", "payload": { "slug": "p" } }));
    server.wait_for("/a", |event| event["type"] == "stream/processor/parked" && event["offset"].as_u64() > parked["offset"].as_u64());
    assert_eq!(server.log_of_type("/a", "x").len(), 1);
}

#[test]
fn an_append_at_once_is_not_doubled_by_kill_9() {
    let mut server = Server::start();
    server.deploy("/a", "p", "effects", json!({ "consumes": ["do"] }));
    for _ in 0..3 {
        let asked = server.append_all("/a", vec![told("append-now", json!({ "type": "x" })); 20]);
        // Somewhere between the appends at once and the commits that acknowledge their events.
        server.wait_for("/a", |event| event["type"] == "x" && event["source"]["offset"] == asked[5]["offset"]);
        server.kill_and_start_again();
    }
    server.settled("/a");
    let asked: Vec<_> = server.log_of_type("/a", "do").iter().map(|event| event["offset"].clone()).collect();
    let recorded: Vec<_> = server.log_of_type("/a", "x").iter().map(|event| event["source"]["offset"].clone()).collect();
    assert_eq!(recorded, asked);
}

#[test]
fn the_outbox_of_a_failed_attempt_is_discarded() {
    let server = Server::start();
    server.deploy("/a", "p", "effects", json!({ "limits": { "attemptsMax": 2 } }));
    server.append("/a", &told("outbox-then-fail", json!({ "type": "x" })));
    server.wait_for("/a", |event| event["type"] == "stream/processor/parked");
    assert_eq!(server.log_of_type("/a", "x"), Vec::<Value>::new());
}

#[test]
fn a_processor_cannot_pass_for_another_nor_for_the_host() {
    let server = Server::start();
    server.deploy("/a", "p", "effects", json!({ "limits": { "attemptsMax": 1 } }));
    server.append("/a", &told("append", json!({ "type": "stream/processor/activated", "payload": {} })));
    let parked = server.wait_for("/a", |event| event["type"] == "stream/processor/parked");
    assert!(parked["payload"]["reason"]["message"].as_str().unwrap().contains("invalid"), "{parked:#}");
}

#[test]
fn an_outbox_to_a_paused_stream_waits_for_the_pause_to_end() {
    let mut server = Server::start();
    server.deploy("/a", "p", "effects", json!({}));
    server.append("/b", &event("stream/paused"));
    server.append("/a", &told("append", json!({ "to": "/b", "type": "x" })));
    server.kill_and_start_again();
    server.append("/b", &event("stream/resumed"));
    server.wait_for("/b", |event| event["type"] == "x");
    server.settled("/a");
    assert_eq!(server.log_of_type("/b", "x").len(), 1);
    assert_eq!(server.log_of_type("/a", "stream/processor/parked"), Vec::<Value>::new());
}

#[test]
fn a_processor_may_pause_its_stream() {
    let server = Server::start();
    server.deploy("/a", "p", "effects", json!({}));
    server.append("/a", &told("pause", json!({ "reason": "enough" })));
    server.wait_for("/a", |event| event["type"] == "stream/paused");
    assert_eq!(server.state("/a")["pauseReason"], "enough");
    server.append("/a", &event("stream/resumed"));
    server.append("/a", &told("append", json!({ "type": "x" })));
    server.wait_for("/a", |event| event["type"] == "x");
}

#[test]
fn an_append_that_expects_another_offset_parks_the_processor() {
    let server = Server::start();
    server.deploy("/a", "p", "effects", json!({ "limits": { "attemptsMax": 1 } }));
    let asked = server.append("/a", &told("append", json!({ "type": "x", "expectedOffset": 2 })));
    let parked = server.wait_for("/a", |event| event["type"] == "stream/processor/parked");
    assert_eq!((&parked["payload"]["phase"], &parked["payload"]["atOffset"]), (&json!("after-append"), &asked["offset"]));
    assert_eq!(server.log_of_type("/a", "x"), Vec::<Value>::new());
}

#[test]
fn answers_to_answers_know_how_deep_they_are() {
    let server = Server::start();
    server.deploy("/a", "p", "effects", json!({}));
    server.deploy("/a", "q", "ping-pong", json!({}));
    server.append("/a", &told("append", json!({ "type": "ping" })));
    let pong = server.wait_for("/a", |event| event["type"] == "pong");
    assert_eq!((&pong["source"]["slug"], &pong["source"]["depth"]), (&json!("q"), &json!(2)));
}
