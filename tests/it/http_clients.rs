//! A request sent as one does in each language, by a component through the host: what arrives, what comes back, and what does not leave.
//! The components are those of `plugins/http`; what the host allows is in `egress.rs`.

use std::io::Write as _;
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};

use serde_json::{Value, json};

use crate::remote::{Remote, write_response};
use crate::support::*;

const SECRET: &str = "sk-4f9a/Qz+7";

/// The body of an answer: its beginning, longer than what the host holds back while it looks for the secret, and what comes once the processor has
/// read of that.
fn beginning() -> String {
    "dé\n".repeat(1000)
}

fn rest() -> String {
    "but ".repeat(50_000)
}

/// A processor that has sent a request, and the servers that it may and may not reach.
struct Sent {
    server: Server,
    other: Remote,
    request: Value,
}

impl Sent {
    /// The processor of this name sends a POST with a secret and a body, and gets all of the answer. `in_pieces` where it shall read the beginning
    /// before the rest is there.
    #[track_caller]
    fn check(plugin: &str, with: &str, in_pieces: bool) -> Self {
        let (remote, go_on) = in_two_parts();
        let other = Remote::answering("");
        let server = Server::start_with(&["--egress", &remote.rule()]);
        let secret = json!({ "name": "key", "value": SECRET, "hosts": ["127.0.0.1"] });
        assert_eq!(server.send("POST", "/api/secrets", &[("content-type", "application/json")], secret.to_string().as_bytes()).status, 201);
        let fields = json!({ "egress": [remote.rule(), other.rule()], "limits": { "attemptsMax": 1 } });
        server.deploy("/out", "client", plugin, fields);

        let body = "hé\n".repeat(5000);
        let headers = json!({ "authorization": "Bearer {{secret:key}}", "content-type": "text/plain", "x-one": "1" });
        let mut request = json!({ "with": with, "method": "POST", "url": remote.url("/a?b=%C3%A9&c="), "headers": headers, "body": body });
        server.append("/out", &json!({ "type": "fetch", "payload": request }));
        if in_pieces {
            assert_eq!(server.wait_for("/out", |event| event["type"] == "began")["payload"], json!({ "status": 201 }));
        }
        go_on.send(()).unwrap();
        let fetched = server.wait_for("/out", |event| event["type"] == "fetched")["payload"].take();
        assert_eq!((&fetched["status"], &fetched["kind"]), (&json!(201), &json!("parts")), "{fetched:.500}");
        assert!(fetched["body"] == beginning() + &rest(), "{fetched:.500}");

        let arrived = remote.next();
        assert_eq!(arrived.line, "POST /a?b=%C3%A9&c= HTTP/1.1");
        assert_eq!(arrived.header("authorization"), format!("Bearer {SECRET}"));
        assert_eq!((arrived.header("x-one"), arrived.header("content-type")), ("1", "text/plain"));
        assert!(arrived.body == body.as_bytes(), "{} bytes arrived", arrived.body.len());

        request["url"] = other.url("/a").into();
        Self { server, other, request }
    }

    /// A server that the operator does not allow is not touched, and the processor is told so in these words.
    #[track_caller]
    fn then_is_denied(self, says: &str) {
        let fetched = fetched(&self.server, self.request);
        mentions(fetched["error"].as_str().unwrap_or_default(), &[says]);
        self.other.assert_untouched();
    }

    /// Where a request that is not allowed ends the call: the server is not touched, and the processor is parked with this code and message.
    #[track_caller]
    fn then_is_parked(self, code: &str, says: &str) {
        self.server.append("/out", &json!({ "type": "fetch", "payload": self.request }));
        let parked = self.server.wait_for("/out", |event| event["type"] == "stream/processor/parked");
        let reason = &parked["payload"]["reason"];
        assert_eq!(reason["code"], code, "{parked:#}");
        mentions(reason["message"].as_str().unwrap_or_default(), &[says]);
        self.other.assert_untouched();
    }
}

/// A server that sends the rest of its answer when it is told to.
fn in_two_parts() -> (Remote, Sender<()>) {
    let (go_on, told) = channel();
    let told = Mutex::new(told);
    let remote = Remote::start(move |_, out| {
        let (beginning, rest) = (beginning(), rest());
        let head = format!("HTTP/1.1 201 Created\r\ncontent-length: {}\r\nx-kind: parts\r\n\r\n", beginning.len() + rest.len());
        out.write_all((head + &beginning).as_bytes()).unwrap();
        told.lock().unwrap().recv_timeout(PATIENCE).unwrap();
        out.write_all(rest.as_bytes()).unwrap();
    });
    (remote, go_on)
}

#[test]
fn a_request_by_gos_net_http_leaves_through_the_host() {
    Sent::check("http-go", "net/http", true).then_is_denied("HTTP-request-denied");
}

#[test]
fn a_request_by_the_small_client_in_go_leaves_through_the_host() {
    Sent::check("http-go", "fetch", false).then_is_denied("HTTP-request-denied");
}

#[test]
fn a_request_by_pythons_urllib_leaves_through_the_host() {
    Sent::check("http-python", "urllib", true).then_is_denied("HTTP-request-denied");
}

#[test]
fn a_request_by_requests_leaves_through_the_host() {
    Sent::check("http-python", "requests", true).then_is_denied("HTTP-request-denied");
}

#[test]
fn a_request_by_httpx_leaves_through_the_host() {
    Sent::check("http-python", "httpx", true).then_is_denied("HTTP-request-denied");
}

#[test]
fn a_request_by_fetch_in_javascript_leaves_through_the_host() {
    Sent::check("http-js", "fetch", true).then_is_denied("the host does not allow it; the operator's egress rules");
}

#[test]
fn a_request_by_fetch_on_starlingmonkey_leaves_through_the_host() {
    Sent::check("http-js-starlingmonkey", "fetch", true).then_is_denied("NetworkError");
}

#[test]
fn a_request_in_c_leaves_through_the_host() {
    Sent::check("http-c", "pelton_fetch", false).then_is_parked("guest-error", "HTTP-request-denied: the operator's rules");
}

#[test]
fn an_answer_that_is_coded_is_read_by_the_libraries_that_ask_for_it() {
    const CODED: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xcb\x38\xbc\x32\x27\x27\x1f\x00\x36\x82\x3b\x9e\x06\x00\x00\x00";
    let remote = Remote::start(|request, out| {
        assert!(request.header("accept-encoding").contains("gzip"));
        write_response(out, "200 OK", "content-encoding: gzip\r\n", CODED);
    });
    let server = in_python(&remote);
    for with in ["requests", "httpx"] {
        let fetched = fetched(&server, json!({ "with": with, "method": "GET", "url": remote.url("/"), "headers": {}, "body": "" }));
        assert_eq!(fetched["body"], "héllo", "{with} {fetched:#}");
    }
}

#[test]
fn requests_keeps_cookies_and_knows_that_an_answer_to_head_has_no_body() {
    let remote = Remote::start(|_, out| {
        out.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\nset-cookie: kind=oat; Path=/\r\n\r\n").unwrap();
    });
    let request = json!({ "with": "session", "method": "HEAD", "url": remote.url("/"), "headers": {}, "body": "" });
    assert_eq!(fetched(&in_python(&remote), request), json!({ "status": 200, "kind": "oat", "body": "" }));
}

fn in_python(remote: &Remote) -> Server {
    let server = Server::start_with(&["--egress", &remote.rule()]);
    server.deploy("/out", "client", "http-python", json!({ "egress": [remote.rule()] }));
    server
}

/// What the processor says of the request that it is told to send.
fn fetched(server: &Server, request: Value) -> Value {
    let told = server.append("/out", &json!({ "type": "fetch", "payload": request }));
    let is_answer = |event: &Value| event["type"] == "fetched" && event["source"]["offset"] == told["offset"];
    server.wait_for("/out", is_answer)["payload"].take()
}
