//! Tenants whose processors hang keep the others from nothing.

use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};

use serde_json::json;

use crate::support::*;

/// A server that takes every connection and never answers.
struct Silent {
    port: u16,
    connected: Receiver<()>,
    connections: Arc<Mutex<Vec<TcpStream>>>,
}

impl Silent {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (tell, connected) = mpsc::channel();
        let connections = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&connections);
        std::thread::spawn(move || {
            for stream in listener.incoming().filter_map(Result::ok) {
                keep.lock().unwrap().push(stream);
                tell.send(()).ok();
            }
        });
        Self { port, connected, connections }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    #[track_caller]
    fn wait_for(&self, count: usize) {
        for nth in 0..count {
            self.connected.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("only {nth} of {count} processors have asked"));
        }
    }

    fn count(&self) -> usize {
        self.connections.lock().unwrap().len()
    }
}

/// Lets as many processors of a tenant wait for the server.
fn hang(tenant: &Client, silent: &Silent, processors: usize, limits: serde_json::Value) {
    for n in 0..processors {
        let stream = format!("/s{n}");
        tenant.deploy(&stream, "client", "http-client", json!({ "egress": [silent.url()], "limits": limits }));
        tenant.append(&stream, &json!({ "type": "fetch", "payload": { "url": silent.url() } }));
    }
}

#[test]
fn processors_that_hang_leave_other_tenants_their_reads_their_appends_and_a_processor() {
    let silent = Silent::start();
    let server = Server::start_with(&["--egress", &silent.url(), "--effects-max", "8"]);
    let other = server.tenant("other");
    other.deploy("/a", "p", "ping-pong", json!({}));
    // Four places are for the first of each tenant, four for the rest.
    for name in ["one", "two", "three"] {
        hang(&server.tenant(name), &silent, 6, json!({}));
    }
    silent.wait_for(3 + 4);

    for _ in 0..3 {
        other.append("/a", &event("ping"));
        other.settled("/a");
    }
    assert_eq!(other.log_of_type("/a", "pong").len(), 3);
    other.deploy("/b", "p", "ping-pong", json!({}));
    assert_eq!(server.tenant("one").log_of_type("/s5", "fetch").len(), 1);
    assert_eq!(silent.count(), 3 + 4, "nobody waited until a call had failed");
}

#[test]
fn with_more_tenants_that_hang_than_places_each_has_its_turn() {
    let silent = Silent::start();
    let server = Server::start_with(&["--egress", &silent.url(), "--effects-max", "2"]);
    let other = server.tenant("other");
    other.deploy("/a", "p", "ping-pong", json!({}));
    for name in ["one", "two", "three"] {
        hang(&server.tenant(name), &silent, 3, json!({ "afterAppendMillisMax": 300, "attemptsMax": 4 }));
    }
    silent.wait_for(2);
    other.append("/a", &event("ping"));
    other.wait_for("/a", |event| event["type"] == "pong");
    // The others are not forgotten either.
    silent.wait_for(3 * 3 * 4 - 2);
}
