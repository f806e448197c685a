//! What leaves the host on behalf of processors, and what does not. The other side is a server of the test's own, which tells what arrived.

use std::io::{BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};

use crate::remote::{Remote, read_request, write_response};
use crate::support::*;

const SECRET: &str = "sk-4f9a/Qz+\"7=";

/// A server on all of this machine's addresses that speaks TLS, with a certificate for `localhost` and 127.0.0.1, and answers `hello`.
fn start_tls() -> u16 {
    let file = |name: &str| repository().join("tests/tls").join(name);
    let certificates = CertificateDer::pem_file_iter(file("server.pem")).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(file("server.key")).unwrap();
    let builder = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let config = Arc::new(builder.with_single_cert(certificates, key).unwrap());
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().filter_map(Result::ok) {
            let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut reader = BufReader::new(rustls::StreamOwned::new(connection, stream));
            if read_request(&mut reader).is_some() {
                write_response(reader.get_mut(), "200 OK", "", b"hello");
            }
        }
    });
    port
}

/// A server with these rules of the operator, and the processor on `/out` with these of its own.
fn start(operator: &[&str], own: &[&str]) -> Server {
    start_with(operator, json!({ "egress": own }))
}

fn start_with(operator: &[&str], fields: Value) -> Server {
    let args: Vec<&str> = operator.iter().flat_map(|rule| ["--egress", *rule]).collect();
    let server = Server::start_with(&args);
    server.deploy("/out", "client", "http-client", fields);
    server
}

/// What the processor says of the request that it was told to send.
#[track_caller]
fn fetch(server: &Server, request: Value) -> Value {
    let told = server.append("/out", &json!({ "type": "fetch", "payload": request }));
    let offset = told["offset"].as_u64().unwrap();
    server.wait_for("/out", |event| event["type"] == "fetched" && event["source"]["offset"] == offset)["payload"].take()
}

#[track_caller]
fn assert_denied(server: &Server, request: Value, why: &str) {
    let fetched = fetch(server, request.clone());
    assert_eq!(fetched["case"], "denied", "{request} {fetched:#}");
    let log = log_of(server);
    assert!(log.contains(why), "{why} is not in the log:\n{log}");
}

fn log_of(server: &Server) -> String {
    std::fs::read_to_string(server.data().parent().unwrap().join("stderr")).unwrap()
}

fn set_secret(server: &Server, name: &str, hosts: &[&str]) {
    let secret = json!({ "name": name, "value": SECRET, "hosts": hosts });
    let reply = server.send("POST", "/api/secrets", &[("content-type", "application/json")], secret.to_string().as_bytes());
    assert_eq!(reply.status, 201, "{}", reply.text());
}

/// Neither the log of the server nor any of its files holds the secret, as it is or as JSON writes it.
#[track_caller]
fn assert_kept(server: &mut Server) {
    server.terminate();
    let escaped = json!(SECRET).to_string();
    for text in [SECRET, escaped.trim_matches('"')] {
        assert!(!log_of(server).contains(text), "it is in the log");
        assert_not_below(&server.data(), text.as_bytes());
    }
}

#[track_caller]
fn assert_not_below(folder: &Path, text: &[u8]) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            assert_not_below(&path, text);
        } else {
            let bytes = std::fs::read(&path).unwrap();
            assert!(!bytes.windows(text.len()).any(|window| window == text), "it is in {}", path.display());
        }
    }
}

#[test]
pub fn a_request_that_operator_and_processor_allow_arrives_and_is_answered() {
    let remote = Remote::answering("hello");
    let server = start(&[&remote.rule()], &[&remote.rule()]);
    let request = json!({ "method": "POST", "url": remote.url("/a?b=c"), "headers": { "x-one": "1" }, "body": "hi" });
    let fetched = fetch(&server, request);
    assert_eq!((&fetched["status"], &fetched["body"]), (&json!(200), &json!("hello")), "{fetched:#}");
    let arrived = remote.next();
    assert_eq!((arrived.line.as_str(), arrived.body.as_slice()), ("POST /a?b=c HTTP/1.1", &b"hi"[..]));
    assert_eq!(arrived.header("host"), format!("127.0.0.1:{}", remote.port));
    assert_eq!(arrived.header("x-one"), "1");
    assert!(arrived.header("user-agent").starts_with("Pelton/"));
}

#[test]
fn a_server_has_to_prove_who_it_is() {
    let port = start_tls();
    let server = start(&["https://127.0.0.0/8:*"], &["https://*:*"]);
    for host in ["localhost", "127.0.0.1"] {
        let fetched = fetch(&server, json!({ "url": format!("https://{host}:{port}/") }));
        assert_eq!(fetched["body"], "hello", "{host} {fetched:#}");
    }
    // The certificate does not speak for this address.
    let fetched = fetch(&server, json!({ "url": format!("https://127.0.0.2:{port}/") }));
    assert_eq!(fetched["case"], "failed", "{fetched:#}");
    assert!(log_of(&server).contains("TLS: invalid peer certificate"), "{}", log_of(&server));
    let plain = Remote::answering("");
    assert_eq!(fetch(&server, json!({ "url": format!("https://127.0.0.1:{}/", plain.port) }))["case"], "failed");
}

#[test]
fn nothing_leaves_unless_both_allow_it() {
    let remote = Remote::answering("");
    let rule = remote.rule();
    for (operator, own, why) in [
        (vec![], vec![], "no rule of the operator allows GET http://127.0.0.1"),
        (vec![], vec![rule.as_str()], "no rule of the operator allows GET http://127.0.0.1"),
        (vec![rule.as_str()], vec![], "the processor's own `egress` does not allow GET http://127.0.0.1"),
    ] {
        assert_denied(&start(&operator, &own), json!({ "url": remote.url("/x?token=1") }), why);
    }
    remote.assert_untouched();
}

#[test]
fn method_port_scheme_and_host_each_have_to_fit() {
    let (remote, other) = (Remote::answering(""), Remote::answering(""));
    let (get, port) = (format!("GET:{}", remote.rule()), remote.port);
    let both = [format!("http://127.0.0.1:{port}"), "http://*:*".to_owned()];
    let operator = [both[0].as_str(), "http://[::1]:*"];
    let server = start(&operator, &[&get]);
    let own = "the processor's own `egress` does not allow";
    assert_denied(&server, json!({ "method": "POST", "url": remote.url("/") }), own);
    assert_denied(&server, json!({ "url": other.url("/") }), "no rule of the operator allows GET http://127.0.0.1:");
    assert_denied(&server, json!({ "url": format!("https://127.0.0.1:{port}/") }), "no rule of the operator allows GET https://127.0.0.1");
    assert_denied(&server, json!({ "url": format!("http://127.0.0.2:{port}/") }), "no rule of the operator allows GET http://127.0.0.2");
    assert_denied(&server, json!({ "url": format!("http://[::1]:{port}/") }), "does not allow GET http://[::1]");
    assert_denied(&server, json!({ "url": format!("http://u:p@127.0.0.1:{port}/") }), "without a user name and password");
    assert_denied(&server, json!({ "method": "CONNECT", "url": remote.url("/") }), "CONNECT makes a tunnel");
    remote.assert_untouched();
    other.assert_untouched();
    assert_eq!(fetch(&server, json!({ "url": remote.url("/") }))["status"], 200);
    // As many ways as there are to write it, it is one address.
    assert_eq!(fetch(&server, json!({ "url": format!("http://2130706433:{port}/") }))["status"], 200);
}

#[test]
fn an_address_that_is_not_public_is_reached_only_where_the_operator_names_it() {
    let remote = Remote::answering("");
    let url = format!("http://localhost:{}/", remote.port);
    let named = start(&["http://localhost:*"], &["http://localhost:*"]);
    assert_denied(&named, json!({ "url": url }), "which is not a public address");
    let any = start(&["http://*:*"], &["http://127.0.0.1:*", "http://localhost:*"]);
    assert_denied(&any, json!({ "url": url }), "which is not a public address");
    assert_denied(&any, json!({ "url": remote.url("/") }), "which is not a public address");
    remote.assert_untouched();
    let address = start(&["http://127.0.0.0/8:*"], &["http://localhost:*"]);
    assert_eq!(fetch(&address, json!({ "url": url }))["status"], 200);
    assert_eq!(remote.next().header("host"), format!("localhost:{}", remote.port));
}

#[test]
fn a_redirect_is_a_request_of_its_own() {
    let target = Arc::new(Remote::answering("secret place"));
    let elsewhere = target.url("/inner");
    let remote = Remote::start(move |_, out| write_response(out, "302 Found", &format!("location: {elsewhere}\r\n"), b""));
    let server = start(&[&remote.rule()], &[&remote.rule(), &target.rule()]);
    assert_eq!(fetch(&server, json!({ "url": remote.url("/") }))["status"], 302);
    assert_denied(&server, json!({ "url": remote.url("/"), "follow": 1 }), "no rule of the operator allows GET http://127.0.0.1");
    target.assert_untouched();
}

#[test]
fn one_call_may_send_so_many_requests() {
    let remote = Remote::answering("");
    let server = start(&[&remote.rule()], &[&remote.rule()]);
    server.append("/out", &json!({ "type": "fetch", "payload": { "url": remote.url("/"), "times": 52 } }));
    server.settled("/out");
    let fetched = server.log_of_type("/out", "fetched");
    let denied: Vec<_> = fetched.iter().filter(|event| event["payload"]["case"] == "denied").collect();
    assert_eq!((fetched.len(), denied.len()), (52, 2));
    assert!(log_of(&server).contains("one call may send 50 requests"));
    // The next call has its own.
    assert_eq!(fetch(&server, json!({ "url": remote.url("/") }))["status"], 200);
}

#[test]
fn bodies_have_a_limit_in_either_direction() {
    const TOO_LARGE: usize = 17 << 20;
    let announced = Remote::start(|_, out| write_response(out, "200 OK", "", &vec![b'x'; TOO_LARGE]));
    let endless = Remote::start(|_, out| {
        out.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").unwrap();
        // Until the other side has had enough.
        while out.write_all(&[b'x'; 65_536]).is_ok() {}
    });
    let headers = Remote::start(|_, out| write_response(out, "200 OK", &format!("x: {}\r\n", "x".repeat(100_000)), b""));
    let rules = [announced.rule(), endless.rule(), headers.rule()];
    let rules = rules.each_ref().map(String::as_str);
    let server = start(&rules, &rules);
    for url in [announced.url("/"), endless.url("/"), headers.url("/")] {
        let fetched = fetch(&server, json!({ "url": url }));
        assert_eq!(fetched["case"], "too-large", "{url} {fetched:#}\n{}", log_of(&server));
    }
    let log = log_of(&server);
    assert!(log.contains("the response bodies of one call may have 16777216 bytes together"), "{log}");
    assert!(log.contains("the headers of the response have more than 65536 bytes"), "{log}");
    // Events are smaller than what a request may hold, so the body is sent in several of one call.
    let body = "x".repeat(900 << 10);
    let told = server
        .append("/out", &json!({ "type": "fetch", "payload": { "url": headers.url("/"), "method": "POST", "body": body, "times": 10 } }));
    server.handled("/out", told["offset"].as_u64().unwrap());
    assert!(log_of(&server).contains("the request bodies of one call may have 8388608 bytes together"), "{}", log_of(&server));
}

#[test]
fn a_server_that_never_answers_parks_the_processor_with_the_reason() {
    let remote = Remote::start(|_, out| drop(out.read_to_end(&mut Vec::new())));
    let fields = json!({ "egress": [remote.rule()], "limits": { "attemptsMax": 2 } });
    let server = start_with(&[&remote.rule()], fields);
    // Without `fail` the processor has the error in hand.
    let fetched = fetch(&server, json!({ "url": remote.url("/"), "timeoutMillis": 50 }));
    assert_eq!(fetched["case"], "timeout", "{fetched:#}");
    server.append("/out", &json!({ "type": "fetch", "payload": { "url": remote.url("/"), "timeoutMillis": 50, "fail": true } }));
    let parked = server.wait_for("/out", |event| event["type"] == "stream/processor/parked");
    assert_eq!((&parked["payload"]["attempts"], &parked["payload"]["reason"]["code"]), (&json!(2), &json!("guest-error")), "{parked:#}");
    let message = parked["payload"]["reason"]["message"].as_str().unwrap();
    assert!(message.contains("too slow") && message.contains(&remote.rule()), "{message}");
    assert!(log_of(&server).contains("no response within 50 ms"));
    for _ in 0..3 {
        remote.next();
    }
}

#[test]
fn a_call_that_is_out_of_time_takes_its_requests_with_it() {
    // The remote's thread ends, and tells, only once the connection is closed.
    let remote = Remote::start(|_, out| drop(out.read_to_end(&mut Vec::new())));
    let fields = json!({ "egress": [remote.rule()], "limits": { "attemptsMax": 1, "afterAppendMillisMax": 200 } });
    let server = start_with(&[&remote.rule()], fields);
    server.append("/out", &json!({ "type": "fetch", "payload": { "url": remote.url("/") } }));
    let parked = server.wait_for("/out", |event| event["type"] == "stream/processor/parked");
    assert_eq!(parked["payload"]["reason"]["code"], "timeout", "{parked:#}");
    remote.next();
}

#[test]
fn an_answer_of_any_status_is_an_answer_and_a_broken_one_a_failure() {
    let failing = Remote::start(|_, out| write_response(out, "503 Service Unavailable", "", b"later"));
    let broken = Remote::start(|_, out| drop(out.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")));
    let silent = Remote::start(|_, _| {});
    let rules = [failing.rule(), broken.rule(), silent.rule()];
    let rules = rules.each_ref().map(String::as_str);
    let server = start(&rules, &rules);
    let fetched = fetch(&server, json!({ "url": failing.url("/") }));
    assert_eq!((&fetched["status"], &fetched["body"]), (&json!(503), &json!("later")));
    for url in [broken.url("/"), silent.url("/")] {
        let fetched = fetch(&server, json!({ "url": url }));
        assert_eq!(fetched["case"], "failed", "{url} {fetched:#}");
        assert!(fetched["error"].as_str().unwrap().contains("closed before the response was complete"), "{fetched:#}");
    }
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = start(&["http://127.0.0.0/8:*"], &["http://*:*"]);
    assert_eq!(fetch(&server, json!({ "url": format!("http://127.0.0.1:{closed}/") }))["case"], "failed");
}

#[test]
fn a_secret_arrives_and_comes_back_masked() {
    let remote = Remote::echoing();
    let mut server = start(&[&remote.rule()], &[&remote.rule()]);
    set_secret(&server, "key", &["127.0.0.1"]);
    for placeholder in ["{{secret:key}}", "getIterateSecret({ secretKey: \"key\" })", "getIterateSecret(%7BsecretKey:'key'%7D)"] {
        let headers = json!({ "authorization": format!("Bearer {placeholder}") });
        let fetched = fetch(&server, json!({ "url": remote.url("/"), "headers": headers }));
        let arrived = remote.next();
        assert_eq!(arrived.header("authorization"), format!("Bearer {SECRET}"));
        assert_eq!(arrived.header("accept-encoding"), "identity");
        let stars = "*".repeat(SECRET.len());
        assert_eq!(fetched["headers"]["x-echo"], format!("Bearer {stars}"), "{fetched:#}");
        // In JSON the quote in it has a backslash before it.
        assert!(fetched["body"].as_str().unwrap().contains(&format!("\"Bearer *{stars}\"")), "{fetched:#}");
    }
    assert_kept(&mut server);
}

#[test]
fn a_secret_is_masked_however_the_answer_is_cut() {
    let remote = Remote::start(|_, out| {
        out.set_nodelay(true).unwrap();
        out.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n").unwrap();
        for piece in ["it is ", &SECRET[..5], &SECRET[5..9], &SECRET[9..], " and sk-4f"] {
            out.write_all(format!("{:x}\r\n{piece}\r\n", piece.len()).as_bytes()).unwrap();
            out.flush().unwrap();
            std::thread::sleep(Duration::from_millis(5));
        }
        out.write_all(b"0\r\n\r\n").unwrap();
    });
    let mut server = start(&[&remote.rule()], &[&remote.rule()]);
    set_secret(&server, "key", &["127.0.0.1"]);
    let fetched = fetch(&server, json!({ "url": remote.url("/"), "headers": { "x-key": "{{secret:key}}" } }));
    assert_eq!(fetched["body"], format!("it is {} and sk-4f", "*".repeat(SECRET.len())), "{fetched:#}");
    assert_kept(&mut server);
}

#[test]
fn a_secret_is_sent_only_to_the_hosts_that_it_lists() {
    let remote = Remote::echoing();
    let mut server = start(&[&remote.rule()], &[&remote.rule()]);
    set_secret(&server, "elsewhere", &["api.example.com", "*.0.0.1"]);
    set_secret(&server, "nowhere", &[]);
    let request = |header: &str| json!({ "url": remote.url("/"), "headers": { "x-key": header } });
    assert_denied(&server, request("{{secret:nowhere}}"), "secret nowhere: it may be sent to no host, and not to 127.0.0.1");
    assert_denied(&server, request("{{secret:unknown}}"), "secret unknown: the tenant has none of this name");
    assert_denied(&server, request("{{secret:}}"), "header x-key: expected a placeholder such as {{secret:name}}");
    remote.assert_untouched();
    assert_kept(&mut server);
}

#[test]
fn secrets_belong_to_their_tenant() {
    let remote = Remote::echoing();
    let server = start(&[&remote.rule()], &[&remote.rule()]);
    let other = server.tenant("other");
    let secret = json!({ "name": "key", "value": SECRET, "hosts": ["127.0.0.1"] });
    other.send("POST", "/api/secrets", &[("content-type", "application/json")], secret.to_string().as_bytes());
    let request = json!({ "url": remote.url("/"), "headers": { "x-key": "{{secret:key}}" } });
    assert_denied(&server, request, "secret key: the tenant has none of this name");
    remote.assert_untouched();
}

#[test]
fn placeholders_are_filled_in_headers_only() {
    let remote = Remote::answering("");
    let server = start(&[&remote.rule()], &[&remote.rule()]);
    set_secret(&server, "key", &["127.0.0.1"]);
    let url = remote.url("/%7B%7Bsecret:key%7D%7D?key=getIterateSecret(%7BsecretKey:'key'%7D)");
    fetch(&server, json!({ "url": url, "method": "POST", "body": "{{secret:key}}" }));
    let arrived = remote.next();
    assert_eq!(arrived.line, "POST /%7B%7Bsecret:key%7D%7D?key=getIterateSecret(%7BsecretKey:'key'%7D) HTTP/1.1");
    assert_eq!(arrived.body, b"{{secret:key}}");
}

#[test]
fn an_answer_in_which_a_secret_could_hide_is_refused() {
    let remote = Remote::start(|_, out| write_response(out, "200 OK", "content-encoding: gzip\r\n", b"\x1f\x8b"));
    let server = start(&[&remote.rule()], &[&remote.rule()]);
    set_secret(&server, "key", &["127.0.0.1"]);
    let with = json!({ "url": remote.url("/"), "headers": { "x-key": "{{secret:key}}", "accept-encoding": "gzip" } });
    assert_eq!(fetch(&server, with)["case"], "failed");
    assert_eq!(remote.next().header("accept-encoding"), "identity");
    assert!(log_of(&server).contains("is coded as \"gzip\", although `identity` was asked for"));
    assert_eq!(fetch(&server, json!({ "url": remote.url("/"), "headers": { "accept-encoding": "gzip" } }))["status"], 200);
}

#[test]
fn another_egress_is_another_version() {
    let remote = Remote::answering("");
    let server = start(&[&remote.rule()], &[]);
    assert_denied(&server, json!({ "url": remote.url("/") }), "the processor's own `egress`");
    server.deploy("/out", "client", "http-client", json!({ "egress": [remote.rule()] }));
    assert_eq!(fetch(&server, json!({ "url": remote.url("/") }))["status"], 200);
    assert_eq!(server.state("/out")["processors"]["client"]["egress"], json!([remote.rule()]));
    // In a query they are separated by commas.
    let target = format!("/api/streams/out?slug=client&egress=https://example.com,POST:{}&wait=60", remote.rule());
    server.send("POST", &target, &[("content-type", "application/wasm")], &plugin("http-client")).ok();
    assert_denied(&server, json!({ "url": remote.url("/") }), "does not allow GET");
    assert_eq!(fetch(&server, json!({ "url": remote.url("/"), "method": "POST" }))["status"], 200);
}

#[test]
fn a_rule_that_is_none_is_named_when_the_processor_is_configured() {
    let server = Server::start();
    let reply = server.upload("/out", "client", &plugin("http-client"), json!({ "egress": ["https://ok", "example.com"] }));
    let detail = reply.problem(400, "bad-header")["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains(r#"egress rule "example.com": expected [METHOD:]SCHEME://HOST[:PORT]: there is no ://"#), "{detail}");
}

#[test]
fn a_variable_of_the_stream_is_seen_from_the_next_event_on() {
    let mut server = start(&[], &[]);
    let show = |server: &Server, name: &str| {
        let told = server.append("/out", &json!({ "type": "show-env", "payload": { "name": name } }));
        let offset = told["offset"].clone();
        server.wait_for("/out", |event| event["type"] == "env" && event["source"]["offset"] == offset)["payload"]["value"].take()
    };
    let set = |server: &Server, key: &str, value: Value| {
        let payload = json!({ "key": key, "value": value });
        let recorded = server
            .append("/out", &json!({ "type": "https://events.iterate.com/events/stream/dynamic-worker/env-var-set", "payload": payload }));
        assert_eq!(recorded["type"], "stream/dynamic-worker/env-var-set", "{recorded:#}");
    };
    assert_eq!(show(&server, "TOKEN"), Value::Null);
    set(&server, "TOKEN", json!("{{secret:key}}"));
    assert_eq!(show(&server, "TOKEN"), "{{secret:key}}");
    set(&server, "TOKEN", json!("2"));
    assert_eq!(show(&server, "TOKEN"), "2");
    assert_eq!(server.state("/out")["env"], json!({ "TOKEN": "2" }));
    server.kill_and_start_again();
    assert_eq!(show(&server, "TOKEN"), "2");
    set(&server, "TOKEN", Value::Null);
    assert_eq!(show(&server, "TOKEN"), Value::Null);
    // The host's own environment stays its own.
    assert_eq!(show(&server, "PATH"), Value::Null);
}

#[test]
fn a_variable_that_does_not_fit_is_refused() {
    let server = Server::start();
    let set = |key: &str, value: &str| {
        server.post("/s", json!({ "type": "stream/dynamic-worker/env-var-set", "payload": { "key": key, "value": value } }).to_string())
    };
    let invalid = set("A=B", "x").ok();
    assert_eq!(invalid["event"]["type"], "stream/invalid-event-appended");
    assert!(invalid["event"]["payload"]["error"].as_str().unwrap().contains("payload.key: expected 1 to 128 bytes"), "{invalid:#}");
    for n in 0..100 {
        set(&format!("V{n}"), "x").ok();
    }
    assert_eq!(set("MORE", "x").problem(409, "too-many-variables")["max"], 100);
    set("V0", "y").ok();
    assert_eq!(server.state("/s")["env"]["V0"], "y");
}
