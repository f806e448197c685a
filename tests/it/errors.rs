//! Requests that are refused, each with a code to decide by; nothing of them is recorded.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::support::*;

#[test]
fn a_bad_path_is_refused_not_repaired() {
    let server = Server::start();
    let too_long = format!("/{}", "a".repeat(1023));
    for path in ["/A", "/a.b", "/a/", "/a//b", "///a", "/a%20b", "/%C3%A4", "/%ff", "/%zz", "/a%252Fb", "/a%00", "/..", &too_long] {
        server.post(path, r#"{"type":"hello"}"#).problem(400, "bad-path");
        server.get(&format!("/api/streams{path}")).problem(400, "bad-path");
        server.get(&format!("/api/streams/__state{path}")).problem(400, "bad-path");
    }
    let longest = format!("/{}", "a".repeat(1022));
    assert_eq!(server.append(&longest, &event("hello"))["streamPath"], longest);
    assert_eq!(server.log("/").len(), 2, "only the longest path has begun");
}

#[test]
fn segments_may_begin_with_underscores() {
    let server = Server::start();
    assert_eq!(server.append("/__foo/_", &event("hello"))["streamPath"], "/__foo/_");
}

#[test]
fn a_bad_tenant_is_refused_before_any_stream_is_touched() {
    let server = Server::start();
    let too_long = "a".repeat(64);
    for tenant in ["A", "a/b", "..", "-a", "a b", "a.redb", "", &too_long] {
        for header in ["x-pelton-tenant", "x-iterate-project"] {
            server.send("POST", "/api/streams/a", &[(header, tenant)], br#"{"type":"hello"}"#).problem(400, "bad-tenant");
        }
    }
    assert_eq!(server.state("/a")["eventCount"], 0);
    assert_eq!(server.tenant(&"a".repeat(63)).append("/a", &event("hello"))["offset"], 2);
}

#[test]
fn a_bad_query_is_refused() {
    let server = Server::start();
    for query in [
        "afterOffset=x",
        "afterOffset=-1",
        "afterOffset=",
        "beforeOffset=x",
        "beforeOffset=1.5",
        "unknown=1",
        "limit=0",
        "limit=1001",
        "limit=x",
    ] {
        let problem = server.get(&format!("/api/streams/a?{query}")).problem(400, "bad-query");
        let name = query.split('=').next().unwrap();
        assert!(problem["detail"].as_str().unwrap().contains(name), "the detail names the culprit: {problem:#}");
    }
    for query in ["handled=x", "handled=1&wait=x", "handled=-1&wait=1", "handled=1&wait=61", "unknown=1"] {
        server.get(&format!("/api/streams/__state/a?{query}")).problem(400, "bad-query");
    }
    assert_eq!(server.state("/a")["eventCount"], 0);
}

#[test]
fn a_bad_upload_header_or_query_is_refused() {
    let server = Server::start();
    let wasm = ("content-type", "application/wasm");
    for header in ["no json", "[]", r#"{"slug":"a b"}"#, r#"{"slug":"p","unknown":1}"#] {
        server.send("POST", "/api/streams/a", &[wasm, ("x-pelton-processor", header)], b"\0asm").problem(400, "bad-header");
    }
    for query in [
        "",
        "?slug=",
        "?slug=a%20b",
        "?slug=p&config=x",
        "?slug=p&limits=%7B%22x%22:1%7D",
        "?slug=p&effectsFrom=never",
        "?slug=p&catchUp=x",
    ] {
        server.send("POST", &format!("/api/streams/a{query}"), &[wasm], b"\0asm").problem(400, "bad-query");
    }
    assert_eq!(server.state("/a")["eventCount"], 0);
}

#[test]
fn a_bad_multipart_body_is_refused() {
    let server = Server::start();
    let part = |name: &str, content: &str| format!("--b\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{content}\r\n");
    let configured = r#"{"type":"stream/processor/configured","payload":{"slug":"p"}}"#;
    for body in [
        "--b--\r\n".to_owned(),
        part("event", configured) + "--b--\r\n",
        part("component", "x") + "--b--\r\n",
        part("event", "no json") + &part("component", "x") + "--b--\r\n",
        part("event", r#"{"type":"hello"}"#) + &part("component", "x") + "--b--\r\n",
        part("event", configured) + &part("component", "x"),
    ] {
        let headers = [("content-type", "multipart/form-data; boundary=b")];
        server.send("POST", "/api/streams/a", &headers, body.as_bytes()).problem(400, "bad-body");
    }
    server.send("POST", "/api/streams/a", &[("content-type", "multipart/form-data")], b"").problem(400, "bad-body");
    assert_eq!(server.state("/a")["eventCount"], 0);
}

#[test]
fn an_empty_batch_is_refused() {
    let server = Server::start();
    server.post("/a", "[]").problem(400, "bad-body");
    assert_eq!(server.state("/a")["eventCount"], 0);
}

#[test]
fn an_unknown_route_is_not_found() {
    let server = Server::start();
    for target in ["/", "/nope", "/api", "/api/nope", "/api/stream/a", "/healthz/x"] {
        server.get(target).problem(404, "not-found");
    }
}

#[test]
fn a_wrong_method_is_not_allowed() {
    let server = Server::start();
    for (method, target) in
        [("PUT", "/api/streams/a"), ("PATCH", "/api/streams/"), ("POST", "/api/streams/__state/a"), ("POST", "/healthz")]
    {
        let reply = server.send(method, target, &[], b"{}");
        reply.problem(405, "method-not-allowed");
        assert!(reply.header("allow").contains("GET"), "{method} {target}: allow: {:?}", reply.header("allow"));
    }
}

#[test]
fn an_answer_that_nobody_accepts_is_refused() {
    let server = Server::start();
    server.append("/a", &event("hello"));
    for accept in ["text/html", "image/png, application/xml;q=0.9"] {
        server.send("GET", "/api/streams/a", &[("accept", accept)], b"").problem(406, "not-acceptable");
    }
    for (accept, content_type) in [
        ("*/*", "text/event-stream"),
        ("text/event-stream", "text/event-stream"),
        ("text/*", "text/event-stream"),
        ("application/json", "application/json"),
        ("application/json, text/html;q=0.5", "application/json"),
    ] {
        let reply = server.send("GET", "/api/streams/a?beforeOffset=end", &[("accept", accept)], b"");
        assert!(
            reply.status == 200 && reply.header("content-type").starts_with(content_type),
            "{accept}: {}",
            reply.header("content-type")
        );
    }
}

#[test]
fn an_event_over_the_limit_is_refused() {
    const MIB: usize = 1 << 20;
    let server = Server::start();
    let of = |size: usize| json!({ "type": "x", "payload": { "text": "x".repeat(size) } }).to_string();
    let problem = server.post("/a", of(MIB)).problem(413, "event-too-large");
    assert!(problem["detail"].as_str().unwrap().contains(&MIB.to_string()), "the limit is named: {problem:#}");
    server.post("/a", format!("[{},{}]", event("x"), of(MIB))).problem(413, "event-too-large");
    server.post("/a", "x".repeat(MIB + 1)).problem(413, "event-too-large");
    assert_eq!(server.state("/a")["eventCount"], 0);
    assert_eq!(server.post("/a", of(MIB - 100)).ok()["event"]["offset"], 2);
}

#[test]
fn a_batch_over_the_limit_is_refused() {
    let server = Server::start();
    let of = |count: usize| Value::from(vec![event("x"); count]).to_string();
    let problem = server.post("/a", of(10_001)).problem(413, "batch-too-large");
    assert!(problem["detail"].as_str().unwrap().contains("10000"), "the limit is named: {problem:#}");
    assert_eq!(server.state("/a")["eventCount"], 0);
    assert_eq!(server.post("/a", of(10_000)).ok()["events"].as_array().unwrap().len(), 10_000);
    assert_eq!(server.log("/a").len(), 10_001);
}

#[test]
fn a_body_over_the_limit_is_refused_before_it_is_read() {
    let server = Server::start_with(&["--body-limit", "1MiB"]);
    let mut connection = TcpStream::connect(server.authority()).unwrap();
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = 100 << 20;
    write!(connection, "POST /api/streams/a HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n").unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains(r#""code":"body-too-large""#), "{answer}");
    assert_eq!(server.state("/a")["eventCount"], 0);
}

#[test]
fn a_body_of_unknown_length_is_refused_where_it_passes_the_limit() {
    let server = Server::start_with(&["--body-limit", "1MiB"]);
    let mut connection = TcpStream::connect(server.authority()).unwrap();
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answers = connection.try_clone().unwrap();
    std::thread::spawn(move || {
        write!(connection, "POST /api/streams/a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")?;
        // Ends with an error as soon as the server has had enough.
        let chunk = vec![b'x'; 1 << 20];
        loop {
            write!(connection, "{:x}\r\n", chunk.len())?;
            connection.write_all(&chunk)?;
            connection.write_all(b"\r\n")?;
        }
        #[expect(unreachable_code, reason = "gives the closure its type")]
        std::io::Result::Ok(())
    });
    let mut answer = [0; 12];
    answers.read_exact(&mut answer).unwrap();
    assert_eq!(answer.as_slice(), b"HTTP/1.1 413");
    assert_eq!(server.state("/a")["eventCount"], 0);
}

#[test]
fn an_error_before_the_body_is_read_leaves_the_connection_usable_or_says_that_it_is_not() {
    let server = Server::start();
    let mut connection = TcpStream::connect(server.authority()).unwrap();
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    let body = r#"{"type":"hello"}"#;
    write!(connection, "POST /api/streams/A HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len()).unwrap();
    let mut answer = String::new();
    while !answer.ends_with("}\n") {
        let mut chunk = [0; 1024];
        let read = connection.read(&mut chunk).unwrap();
        assert!(read > 0, "the server hung up after {answer:?}");
        answer.push_str(std::str::from_utf8(&chunk[..read]).unwrap());
    }
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    if !answer.to_ascii_lowercase().contains("\r\nconnection: close\r\n") {
        write!(connection, "{body}GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        let mut next = String::new();
        connection.read_to_string(&mut next).unwrap();
        assert!(next.starts_with("HTTP/1.1 200 "), "the next request was answered with {next:?}");
    }
}

#[test]
fn health_and_readiness_are_told() {
    let server = Server::start();
    let health = server.get("/healthz");
    assert_eq!((health.status, health.text().trim()), (200, "ok"));
    assert_eq!(server.get("/readyz").ok(), json!({ "ready": true }));
}

#[test]
fn a_path_beyond_the_depth_limit_is_refused_and_begins_no_stream() {
    let server = Server::start();
    let (deepest, too_deep) = ("/a".repeat(32), "/a".repeat(33));
    let problem = server.post(&too_deep, r#"{"type":"x"}"#).problem(400, "path-too-deep");
    assert_eq!(problem["max"], 32);
    assert_eq!(server.state("/")["eventCount"], 0);
    assert_eq!(server.append(&deepest, &event("x"))["offset"], 2);
}

#[test]
fn two_tenants_in_one_request_are_refused() {
    let server = Server::start();
    let ours = ("x-pelton-tenant", "ada");
    for other in [("x-pelton-tenant", "bob"), ("x-iterate-project", "bob")] {
        server.send("POST", "/api/streams/a", &[ours, other], b"{}").problem(400, "bad-tenant");
    }
    server.send("POST", "/api/streams/a", &[ours, ("x-iterate-project", "ada")], br#"{"type":"x"}"#).ok();
    assert_eq!(server.tenant("bob").state("/a")["eventCount"], 0);
}

#[test]
fn every_parameter_of_every_route_is_checked() {
    let server = Server::start();
    let document = server.get("/api/openapi.json").ok();
    let mut checked = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        let path = path.replace("{path}", "a").replace("{id}", "a");
        for (verb, operation) in operations.as_object().unwrap() {
            let method = verb.to_uppercase();
            let send = |query: &str, headers: &[(&str, &str)]| {
                let headers: Vec<_> =
                    [("accept", "application/json"), ("content-type", "application/wasm")].iter().chain(headers).copied().collect();
                server.send(&method, &format!("{path}{query}"), &headers, b"")
            };
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let name = parameter["name"].as_str().unwrap();
                let long = "9".repeat(20_000);
                if parameter["in"] == "query" {
                    send("?nonsense=1", &[]).problem(400, "bad-query");
                    send(&format!("?{name}=1&{name}=1"), &[]).problem(400, "bad-query");
                    send(&format!("?{name}=%FF"), &[]).problem(400, "bad-query");
                    for value in
                        ["", "%00", "%ED%A0%80", "-1", "1e999", "99999999999999999999999999", "%F0%9F%98%80", "[]", "%7B%22a%22", &long]
                    {
                        let status = send(&format!("?{name}={value}"), &[]).status;
                        assert!((200..500).contains(&status), "{method} {path}?{name}={value}: {status}");
                    }
                }
                if parameter["in"] == "header" {
                    for value in ["", " ", "-1", "{\"slug\":\"a\",\"slug\":\"b\"}", "99999999999999999999999999", &long] {
                        let status = send("", &[(name, value)]).status;
                        assert!((200..500).contains(&status), "{method} {path} {name}: {value:.40}: {status}");
                    }
                }
                checked += 1;
            }
        }
    }
    assert!(checked > 25, "{checked} parameters");
    assert_eq!(server.get("/readyz").status, 200);
}
