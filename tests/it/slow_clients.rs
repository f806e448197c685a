//! Clients that are slow, endless or many. Timeouts are set so short that a test can wait for them.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use crate::support::*;

fn connect(server: &Client) -> TcpStream {
    let stream = TcpStream::connect(server.authority()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Everything up to the end of the connection, however it ended.
fn to_the_end(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => {}
        // What was still being sent when the server closed resets the connection, after the answer.
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("{error}, after {}", bytes.escape_ascii()),
    }
    String::from_utf8(bytes).unwrap()
}

#[test]
fn headers_that_do_not_come_to_an_end_close_the_connection() {
    let server = Server::start_with(&["--header-timeout-seconds", "1"]);
    for begun in ["", "GET /api/streams/a HTTP/1.1\r\nhost: x\r\n"] {
        let mut stream = connect(&server);
        stream.write_all(begun.as_bytes()).unwrap();
        let answer = to_the_end(stream);
        assert!(!answer.contains("200"), "{answer}");
    }
    assert_eq!(server.get("/healthz").status, 200);
}

#[test]
fn a_reader_that_is_silent_is_not_taken_for_a_slow_client() {
    let server = Server::start_with(&["--header-timeout-seconds", "1", "--body-timeout-seconds", "1"]);
    let mut tail = server.tail("/a", "", &[]);
    let slow = connect(&server);
    assert_eq!(to_the_end(slow), "", "the timeout has passed");
    server.append("/a", &event("e"));
    assert_eq!(types(&tail.take(2)), ["stream/initialized", "e"]);
}

#[test]
fn a_header_bomb_is_answered_with_431_and_closed() {
    let server = Server::start();
    let bomb = |header: &str| {
        let mut stream = connect(&server);
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n").unwrap();
        for _ in 0..100_000 {
            // The server may hang up at any time.
            if stream.write_all(header.as_bytes()).is_err() {
                break;
            }
        }
        to_the_end(stream)
    };
    for header in ["x-a: b\r\n".to_owned(), format!("x-a: {}", "b".repeat(10_000))] {
        let answer = bomb(&header);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
    let many: String = (0..101).map(|n| format!("x-{n}: b\r\n")).collect();
    let mut stream = connect(&server);
    stream.write_all(format!("GET /healthz HTTP/1.1\r\nhost: x\r\n{many}\r\n").as_bytes()).unwrap();
    let answer = to_the_end(stream);
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let long = "b".repeat(70_000);
    let mut stream = connect(&server);
    stream.write_all(format!("GET /healthz HTTP/1.1\r\nhost: x\r\nx-a: {long}\r\n").as_bytes()).unwrap();
    let answer = to_the_end(stream);
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    assert_eq!(server.get("/healthz").status, 200);
}

#[test]
fn a_body_that_stops_in_the_middle_is_given_up_and_records_nothing() {
    let server = Server::start_with(&["--body-timeout-seconds", "1"]);
    for head in ["content-type: application/json", "content-type: application/wasm", "content-type: multipart/form-data; boundary=b"] {
        let mut stream = connect(&server);
        let request = format!("POST /api/streams/a?slug=p HTTP/1.1\r\nhost: x\r\n{head}\r\ncontent-length: 1000\r\n\r\n{{\"type\":");
        let request = if head.contains("wasm") { request } else { request.replace("?slug=p", "") };
        stream.write_all(request.as_bytes()).unwrap();
        let answer = to_the_end(stream);
        assert!(answer.starts_with("HTTP/1.1 408 "), "{head}: {answer}");
        assert!(answer.contains("\"code\":\"body-timeout\"") && answer.to_lowercase().contains("connection: close"), "{answer}");
    }
    assert!(server.log("/a").is_empty());
}

#[test]
fn a_body_that_comes_slowly_but_steadily_is_taken() {
    let server = Server::start_with(&["--body-timeout-seconds", "2"]);
    let body = r#"{"type":"slow"}"#;
    let mut stream = connect(&server);
    let head = format!("POST /api/streams/a HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).unwrap();
    let idle = || assert_eq!(server.get("/healthz").status, 200);
    for byte in body.bytes() {
        idle();
        stream.write_all(&[byte]).unwrap();
    }
    assert!(to_the_end(stream).starts_with("HTTP/1.1 200 "));
}

#[test]
fn connections_beyond_the_maximum_wait_until_one_ends() {
    let server = Server::start_with(&["--connections-max", "2"]);
    let held = [server.tail("/a", "", &[]), server.tail("/a", "", &[])];
    let mut waiting = connect(&server);
    waiting.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    waiting.set_nonblocking(true).unwrap();
    assert_eq!(waiting.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    waiting.set_nonblocking(false).unwrap();
    drop(held);
    assert!(to_the_end(waiting).starts_with("HTTP/1.1 200 "));
}
