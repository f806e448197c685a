//! What idle readers cost: many of them on one stream for a minute, and an append that has to reach all.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::process::Server;

pub const ARGUMENT: &str = "readers";

const READERS: usize = 10_000;
const HELD: Duration = Duration::from_secs(60);
/// How long all of them together may take to connect, or to be told of an event.
const PATIENCE: Duration = Duration::from_secs(120);
/// So many connect at the same time; the listener's queue is not much longer.
const CONNECTING: usize = 64;
const STREAM: &str = "/api/streams/bench/readers";

pub fn run() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let server = Server::pelton(dir.path());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(measure(&server));
}

async fn measure(server: &Server) {
    append(server, "first").await;
    let before = server.resident_bytes();
    println!("daemon with no reader                {:>10}", kib(before));

    let began = Instant::now();
    let (connected, mut connections) = mpsc::channel(CONNECTING);
    let (told, mut hears) = mpsc::channel(READERS);
    let mut opened = 0;
    for nth in 0..READERS + CONNECTING {
        if nth < READERS {
            tokio::spawn(read(server.authority.clone(), connected.clone(), told.clone()));
        }
        // The first so many are not waited for, so that as many are under way all the time.
        if nth >= CONNECTING {
            within(connections.recv()).await.expect("a reader that has connected");
            opened += 1;
        }
    }
    assert_eq!(opened, READERS);
    let after = server.resident_bytes();
    println!(
        "with {READERS} readers, after {:>5.1} s       {:>10}   {} bytes a reader",
        began.elapsed().as_secs_f64(),
        kib(after),
        each(before, after)
    );

    tokio::time::sleep(HELD).await;
    let held = server.resident_bytes();
    println!("after {} s of silence                {:>10}   {} bytes a reader", HELD.as_secs(), kib(held), each(before, held));

    let began = Instant::now();
    append(server, "wanted").await;
    for _ in 0..READERS {
        within(hears.recv()).await.expect("a reader that was told");
    }
    let reached = began.elapsed();
    let told = server.resident_bytes();
    println!(
        "after an append that reached all     {:>10}   {} bytes a reader, in {:.2} s",
        kib(told),
        each(before, told),
        reached.as_secs_f64()
    );
}

/// One reader: says when it is connected, and when it has seen the event that all wait for.
async fn read(authority: String, connected: mpsc::Sender<()>, told: mpsc::Sender<()>) {
    let mut stream = TcpStream::connect(&authority).await.unwrap();
    stream.write_all(format!("GET {STREAM}?afterOffset=end HTTP/1.1\r\nhost: {authority}\r\n\r\n").as_bytes()).await.unwrap();
    let mut text = Vec::new();
    until(&mut stream, &mut text, b"\n:\n\n").await;
    assert!(text.starts_with(b"HTTP/1.1 200"), "{}", text.escape_ascii());
    connected.send(()).await.unwrap();
    drop(connected);
    text.clear();
    until(&mut stream, &mut text, b"\"type\":\"wanted\"").await;
    told.send(()).await.unwrap();
    // Stays connected until all have been told.
    told.closed().await;
}

async fn until(stream: &mut TcpStream, text: &mut Vec<u8>, wanted: &[u8]) {
    let mut chunk = [0; 512];
    while !text.windows(wanted.len()).any(|found| found == wanted) {
        let read = stream.read(&mut chunk).await.unwrap();
        assert!(read > 0, "the server hung up after {}", text.escape_ascii());
        text.extend(&chunk[..read]);
    }
}

async fn append(server: &Server, event_type: &str) {
    let body = format!(r#"{{"type":"{event_type}"}}"#);
    let head = format!("POST {STREAM} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    let mut stream = TcpStream::connect(&server.authority).await.unwrap();
    stream.write_all((head + &body).as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", answer.escape_ascii());
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("all readers are served in time")
}

fn each(before: usize, after: usize) -> usize {
    after.saturating_sub(before) / READERS
}

fn kib(bytes: usize) -> String {
    format!("{} KiB", bytes >> 10)
}
