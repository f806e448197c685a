//! The other side of requests that leave the host: a server that tells what arrived.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::support::PATIENCE;

/// What arrived of one request.
pub struct Arrived {
    pub line: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Arrived {
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

type Answer = dyn Fn(&Arrived, &mut TcpStream) + Send + Sync;

/// An HTTP server that tells what arrived, and writes as answer what it is told.
pub struct Remote {
    pub port: u16,
    arrived: Mutex<Receiver<Arrived>>,
    connections: Arc<Mutex<usize>>,
}

impl Remote {
    pub fn start(answer: impl Fn(&Arrived, &mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (tell, arrived) = mpsc::channel();
        let connections = Arc::new(Mutex::new(0));
        let (answer, count): (Arc<Answer>, _) = (Arc::new(answer), Arc::clone(&connections));
        std::thread::spawn(move || {
            for stream in listener.incoming().filter_map(Result::ok) {
                *count.lock().unwrap() += 1;
                let (tell, answer) = (tell.clone(), Arc::clone(&answer));
                std::thread::spawn(move || {
                    let mut reader = BufReader::new(stream);
                    if let Some(request) = read_request(&mut reader) {
                        answer(&request, reader.get_mut());
                        tell.send(request).ok();
                    }
                });
            }
        });
        Self { port, arrived: Mutex::new(arrived), connections }
    }

    /// It answers 200 with this body.
    pub fn answering(body: &'static str) -> Self {
        Self::start(move |_, out| write_response(out, "200 OK", "", body.as_bytes()))
    }

    /// It answers with what came: the header `authorization` in `x-echo`, and the headers as a JSON body.
    pub fn echoing() -> Self {
        Self::start(|request, out| {
            let headers: serde_json::Map<_, _> =
                request.headers.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
            let echo = format!("x-echo: {}\r\n", request.header("authorization"));
            write_response(out, "200 OK", &echo, json!(headers).to_string().as_bytes());
        })
    }

    pub fn rule(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.rule())
    }

    pub fn next(&self) -> Arrived {
        self.arrived.lock().unwrap().recv_timeout(PATIENCE).expect("nothing arrived")
    }

    #[track_caller]
    pub fn assert_untouched(&self) {
        assert_eq!(*self.connections.lock().unwrap(), 0, "something connected");
    }
}

pub fn read_request(reader: &mut impl BufRead) -> Option<Arrived> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, length)| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Arrived { line: line.trim_end().to_owned(), headers, body })
}

pub fn write_response(out: &mut impl Write, status: &str, headers: &str, body: &[u8]) {
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n", body.len());
    out.write_all(head.as_bytes()).and_then(|()| out.write_all(body)).ok();
}
