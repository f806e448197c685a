//! Push subscriptions: in order, at least once, until delivered or visibly parked.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::*;

/// What one webhook was.
pub struct Arrived {
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Arrived {
    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// An HTTP server that tells what arrived, and answers as it is told.
pub struct Receiving {
    pub url: String,
    /// The rule that lets webhooks out to it.
    pub rule: String,
    arrived: Mutex<Receiver<Arrived>>,
    answers: Arc<Mutex<Vec<String>>>,
    in_flight_twice: Arc<AtomicBool>,
}

impl Receiving {
    /// The first requests get these answers, status line and headers; those after them 200.
    pub fn start(answers: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (tell, arrived) = mpsc::channel();
        let answers = Arc::new(Mutex::new(answers.iter().rev().map(ToString::to_string).collect::<Vec<_>>()));
        let in_flight_twice = Arc::new(AtomicBool::new(false));
        let (queue, twice, busy) = (Arc::clone(&answers), Arc::clone(&in_flight_twice), Arc::new(AtomicBool::new(false)));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (tell, queue, twice, busy) = (tell.clone(), Arc::clone(&queue), Arc::clone(&twice), Arc::clone(&busy));
                std::thread::spawn(move || {
                    let mut reader = BufReader::new(stream);
                    let mut line = String::new();
                    if reader.read_line(&mut line).unwrap_or(0) == 0 {
                        return;
                    }
                    twice.fetch_or(busy.swap(true, Ordering::SeqCst), Ordering::SeqCst);
                    let mut headers = Vec::new();
                    loop {
                        let mut line = String::new();
                        if reader.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
                            break;
                        }
                        let (name, value) = line.trim().split_once(':').unwrap();
                        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
                    }
                    let length = headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, length)| length.parse().unwrap());
                    let mut body = vec![0; length];
                    reader.read_exact(&mut body).unwrap();
                    let answer = queue.lock().unwrap().pop().unwrap_or_else(|| "200 OK".to_owned());
                    busy.store(false, Ordering::SeqCst);
                    tell.send(Arrived { headers, body: String::from_utf8(body).unwrap() }).ok();
                    if answer == "silence" {
                        // Held until the other side gives up.
                        reader.read_to_end(&mut Vec::new()).ok();
                        return;
                    }
                    write!(reader.get_mut(), "HTTP/1.1 {answer}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").ok();
                });
            }
        });
        let rule = format!("http://127.0.0.1:{port}");
        Self { url: format!("{rule}/hook"), rule, arrived: Mutex::new(arrived), answers, in_flight_twice }
    }

    pub fn next(&self) -> Arrived {
        self.arrived.lock().unwrap().recv_timeout(PATIENCE).expect("nothing arrived")
    }

    /// Waits a moment for what must not come.
    fn nothing_more(&self) -> bool {
        self.arrived.lock().unwrap().recv_timeout(Duration::from_millis(300)).is_err()
    }

    fn types(&self, count: usize) -> Vec<String> {
        (0..count).map(|_| self.next().json()["type"].as_str().unwrap().to_owned()).collect()
    }

    fn answer_next(&self, answers: &[&str]) {
        self.answers.lock().unwrap().extend(answers.iter().rev().map(ToString::to_string));
    }
}

fn start(target: &Receiving) -> Server {
    Server::start_with(&["--egress", &target.rule])
}

fn subscribe(server: &Client, stream: &str, target: &Receiving, more: Value) -> Value {
    let mut payload = json!({ "slug": "s", "type": "webhook", "callbackUrl": target.url });
    payload.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let recorded = server.append(stream, &json!({ "type": "stream/subscription/configured", "payload": payload }));
    assert_eq!(recorded["type"], "stream/subscription/configured", "{recorded:#}");
    recorded
}

fn parked(server: &Client, stream: &str) -> Value {
    server.wait_for(stream, |event| event["type"] == "stream/subscription/parked")
}

#[test]
fn events_arrive_in_order_one_at_a_time_as_they_are() {
    let target = Receiving::start(&[]);
    let server = start(&target);
    subscribe(&server, "/a", &target, json!({}));
    let events = server.append_all("/a", (0..20).map(|n| json!({ "type": "x", "payload": { "n": n } })));
    for event in &events {
        let arrived = target.next();
        assert_eq!(&arrived.json(), event);
        assert_eq!(arrived.header("content-type"), "application/json");
        assert!(arrived.header("user-agent").starts_with("Pelton/"));
        assert!(arrived.header("webhook-id").starts_with("msg_"));
    }
    assert!(!target.in_flight_twice.load(Ordering::SeqCst));
    assert!(target.nothing_more());
}

#[test]
fn a_failed_delivery_is_repeated_under_the_same_id_and_holds_up_what_follows() {
    let target = Receiving::start(&["500 Oops", "503 Busy"]);
    let server = start(&target);
    subscribe(&server, "/a", &target, json!({}));
    server.append_all("/a", [event("x"), event("y")]);
    let attempts: Vec<_> = (0..4).map(|_| target.next()).collect();
    assert_eq!(
        attempts.iter().map(|arrived| arrived.json()["type"].as_str().unwrap().to_owned()).collect::<Vec<_>>(),
        ["x", "x", "x", "y"]
    );
    assert_eq!(attempts[0].header("webhook-id"), attempts[2].header("webhook-id"));
    assert_ne!(attempts[0].header("webhook-id"), attempts[3].header("webhook-id"));
}

#[test]
fn kill_9_amid_the_attempts_goes_on_counting_and_delivers() {
    let target = Receiving::start(&["500 Oops"; 10]);
    let mut server = start(&target);
    subscribe(&server, "/a", &target, json!({ "attemptsMax": 3 }));
    server.append("/a", &event("x"));
    target.next();
    target.next();
    server.kill_and_start_again();
    let parked = parked(&server, "/a");
    assert_eq!(parked["payload"]["attempts"], 3, "{parked:#}");
    server.kill_and_start_again();
    assert_eq!(server.state("/a")["subscriptions"]["s"]["status"], "parked");
    target.answers.lock().unwrap().clear();
    server.append("/a", &json!({ "type": "stream/subscription/resumed", "payload": { "slug": "s" } }));
    let types = std::iter::repeat_with(|| target.next().json()["type"].as_str().unwrap().to_owned());
    assert!(types.take(3).any(|event_type| event_type == "x"));
}

#[test]
fn after_the_last_attempt_it_is_parked_with_the_reason_until_resumed_or_skipped() {
    let target = Receiving::start(&["500 Oops", "500 Oops"]);
    let server = start(&target);
    subscribe(&server, "/a", &target, json!({ "attemptsMax": 2 }));
    let bad = server.append("/a", &event("bad"));
    server.append("/a", &event("next"));
    let event_of = parked(&server, "/a");
    let payload = &event_of["payload"];
    assert_eq!((&payload["slug"], &payload["atOffset"], &payload["attempts"]), (&json!("s"), &bad["offset"], &json!(2)));
    assert_eq!(payload["reason"]["code"], "bad-status");
    assert!(payload["reason"]["message"].as_str().unwrap().contains("500"), "{payload}");
    assert_eq!(target.types(2), ["bad", "bad"]);
    assert!(target.nothing_more(), "it is parked");
    let state = server.state("/a");
    assert_eq!(state["subscriptions"]["s"]["status"], "parked", "{state:#}");

    target.answer_next(&["500 Oops", "500 Oops"]);
    server.append("/a", &json!({ "type": "stream/subscription/resumed", "payload": { "slug": "s" } }));
    assert_eq!(target.types(2), ["bad", "bad"], "a resume begins a new run of attempts");
    server.wait_for("/a", |event| event["type"] == "stream/subscription/parked" && event["offset"].as_u64() > event_of["offset"].as_u64());
    server.append("/a", &json!({ "type": "stream/subscription/resumed", "payload": { "slug": "s", "skip": true } }));
    assert_eq!(target.types(1), ["next"]);
}

#[test]
fn a_receiver_that_is_gone_or_redirects_is_not_followed() {
    let target = Receiving::start(&["410 Gone"]);
    let server = start(&target);
    subscribe(&server, "/gone", &target, json!({}));
    server.append("/gone", &event("x"));
    assert_eq!(parked(&server, "/gone")["payload"]["reason"]["code"], "gone");
    target.next();

    target.answer_next(&["302 Found\r\nlocation: http://127.0.0.1:1/"]);
    subscribe(&server, "/moved", &target, json!({ "attemptsMax": 1 }));
    server.append("/moved", &event("x"));
    let reason = parked(&server, "/moved")["payload"]["reason"].clone();
    assert!(reason["message"].as_str().unwrap().contains("redirects are not followed"), "{reason}");
}

#[test]
fn what_the_operator_does_not_allow_is_parked_at_once_and_never_sent() {
    let target = Receiving::start(&[]);
    for (rules, expected) in [
        (vec![], "no rule of the operator allows POST http://127.0.0.1:"),
        (vec!["--egress", "https://*:*"], "no rule of the operator allows"),
        (vec!["--egress", "http://*:*"], "which is not a public address"),
    ] {
        let server = Server::start_with(&rules);
        subscribe(&server, "/a", &target, json!({}));
        server.append("/a", &event("x"));
        let payload = parked(&server, "/a")["payload"].clone();
        assert_eq!((&payload["reason"]["code"], &payload["attempts"]), (&json!("egress-denied"), &json!(1)));
        assert!(payload["reason"]["message"].as_str().unwrap().contains(expected), "{payload}");
    }
    assert!(target.nothing_more());
}

#[test]
fn a_slow_receiver_times_out() {
    let target = Receiving::start(&["silence"]);
    let server = start(&target);
    subscribe(&server, "/a", &target, json!({ "timeoutMillis": 200, "attemptsMax": 1 }));
    server.append("/a", &event("x"));
    let reason = parked(&server, "/a")["payload"]["reason"].clone();
    assert_eq!((&reason["code"], &reason["message"]), (&json!("timeout"), &json!("no answer within 200 ms")));
}

#[test]
fn subscribers_do_not_wait_for_each_other() {
    let (slow, quick) = (Receiving::start(&["silence"]), Receiving::start(&[]));
    let server = Server::start_with(&["--egress", &slow.rule, "--egress", &quick.rule]);
    subscribe(&server, "/a", &slow, json!({ "slug": "slow" }));
    subscribe(&server, "/a", &quick, json!({ "slug": "quick" }));
    server.append("/a", &event("x"));
    assert_eq!(quick.types(1), ["x"]);
}

#[test]
fn delivery_begins_where_it_is_asked_to() {
    let target = Receiving::start(&[]);
    let server = start(&target);
    server.append_all("/a", [event("one"), event("two")]);
    subscribe(&server, "/a", &target, json!({ "from": "start" }));
    assert_eq!(target.types(3), ["stream/initialized", "one", "two"]);
    server.append("/a", &event("three"));
    assert_eq!(target.types(1), ["three"]);
    subscribe(&server, "/a", &target, json!({}));
    server.append("/a", &event("four"));
    assert_eq!(target.types(1), ["four"], "without `from` it goes on where it was");
    subscribe(&server, "/a", &target, json!({ "from": { "offset": 3 } }));
    assert_eq!(target.types(3), ["two", "three", "four"]);
}

#[test]
fn what_came_while_the_host_was_down_or_the_subscription_busy_is_not_passed_over() {
    let target = Receiving::start(&["silence"]);
    let mut server = start(&target);
    subscribe(&server, "/a", &target, json!({}));
    server.append_all("/a", [event("x"), event("y")]);
    target.next();
    server.kill_and_start_again();
    assert_eq!(target.types(2), ["x", "y"]);
}

#[test]
fn filters_types_and_transforms_say_what_is_sent() {
    let target = Receiving::start(&[]);
    let server = start(&target);
    subscribe(
        &server,
        "/a",
        &target,
        json!({ "jsonataFilter": "payload.n > 1", "types": ["order-*"], "jsonataTransform": "{ 'n': payload.n, 'at': offset }" }),
    );
    let n = |event_type: &str, n: u64| json!({ "type": event_type, "payload": { "n": n } });
    server.append_all("/a", [n("order-placed", 1), n("order-placed", 2), n("other", 3), n("order-paid", 4)]);
    assert_eq!(target.next().json(), json!({ "n": 2, "at": 4 }));
    assert_eq!(target.next().json(), json!({ "n": 4, "at": 6 }));
}

#[test]
fn an_expression_that_fails_parks_and_one_that_makes_no_sense_is_an_invalid_event() {
    let target = Receiving::start(&[]);
    let server = start(&target);
    subscribe(&server, "/a", &target, json!({ "jsonataFilter": "$error('no luck')" }));
    server.append("/a", &event("x"));
    let reason = parked(&server, "/a")["payload"]["reason"].clone();
    assert_eq!(reason["code"], "filter-failed");
    assert!(reason["message"].as_str().unwrap().contains("no luck"), "{reason}");
    let payload = json!({ "slug": "s", "type": "webhook", "callbackUrl": target.url, "jsonataFilter": "a[" });
    let recorded = server.append("/a", &json!({ "type": "stream/subscription/configured", "payload": payload }));
    assert_eq!(recorded["type"], "stream/invalid-event-appended");
    assert!(
        recorded["payload"]["error"].as_str().unwrap().starts_with("payload.jsonataFilter: expected a JSONata expression"),
        "{recorded}"
    );
    assert!(target.nothing_more());
}

#[test]
fn a_webhook_is_signed_with_the_secret_it_names() {
    let target = Receiving::start(&[]);
    let server = start(&target);
    let secret = json!({ "name": "hook", "value": "whsec_plJ3nmyCDGBKInavdOK15jsl" });
    assert_eq!(server.send("POST", "/api/secrets", &[], secret.to_string().as_bytes()).status, 201);
    subscribe(&server, "/a", &target, json!({ "signingSecret": "hook", "headers": { "X-Team": "blue" } }));
    server.append("/a", &event("x"));
    let arrived = target.next();
    assert_eq!(arrived.header("x-team"), "blue");
    let signed = format!("{}.{}.{}", arrived.header("webhook-id"), arrived.header("webhook-timestamp"), arrived.body);
    assert_eq!(arrived.header("webhook-signature"), signature("plJ3nmyCDGBKInavdOK15jsl", &signed));
    assert!(!server.log("/a").iter().any(|event| event.to_string().contains("plJ3nm")));
}

/// HMAC-SHA256 as RFC 2104 has it, with a key of at most 64 bytes.
fn signature(key: &str, signed: &str) -> String {
    let mut block = [0; 64];
    let key = BASE64.decode(key).unwrap();
    block[..key.len()].copy_from_slice(&key);
    let inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(signed).finalize();
    let outer = Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize();
    format!("v1,{}", BASE64.encode(outer))
}

#[test]
fn deliveries_go_on_while_the_stream_is_paused() {
    let target = Receiving::start(&["500 Oops"]);
    let server = start(&target);
    subscribe(&server, "/a", &target, json!({}));
    server.append_all("/a", [event("x"), event("stream/paused")]);
    assert_eq!(target.types(3), ["x", "x", "stream/paused"]);
}

#[test]
fn a_removed_subscription_is_silent_and_begins_anew_if_it_comes_back() {
    let target = Receiving::start(&[]);
    let server = start(&target);
    subscribe(&server, "/a", &target, json!({}));
    server.append("/a", &event("x"));
    assert_eq!(target.types(1), ["x"]);
    server.append("/a", &json!({ "type": "stream/subscription/removed", "payload": { "slug": "s" } }));
    server.append("/a", &event("y"));
    assert_eq!(server.state("/a").get("subscriptions"), None);
    assert!(target.nothing_more());
    subscribe(&server, "/a", &target, json!({}));
    server.append("/a", &event("z"));
    assert_eq!(target.types(1), ["z"]);
}

#[test]
fn a_destroyed_stream_ends_its_subscriptions() {
    let target = Receiving::start(&[]);
    let server = start(&target);
    subscribe(&server, "/a", &target, json!({}));
    server.send("DELETE", "/api/streams/a", &[], b"").ok();
    server.append("/a", &event("x"));
    assert!(target.nothing_more());
}
