//! Durable appends a second over HTTP, Pelton and the bare handler in turns, under the same load.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use crate::bare;
use crate::process::Server;

pub const EVENT_BYTES: usize = 200;

/// How many connections append, and to how many of Pelton's streams in turn. The bare handler has one table whatever they are.
const LOADS: [(usize, usize); 4] = [(1, 1), (16, 1), (64, 1), (64, 16)];
const ROUNDS: usize = 5;
const WARM_UP: Duration = Duration::from_millis(200);
const ROUND: Duration = Duration::from_millis(1000);

pub struct Row {
    pub connections: usize,
    pub streams: usize,
    pub pelton: f64,
    pub bare: f64,
    /// The median of the rounds' ratios.
    pub ratio: f64,
}

/// Hands each row to `show` as soon as it is known.
pub fn measure(dir: &Path, mut show: impl FnMut(&Row)) -> Vec<Row> {
    let pelton = Server::pelton(&dir.join("pelton"));
    let bare = Server::start(Command::new(std::env::current_exe().unwrap()).arg(bare::ARGUMENT).arg(dir.join("bare.redb")));
    let rows = LOADS.map(|(connections, streams)| {
        let mut rounds = Vec::new();
        for round in 0..ROUNDS {
            let measure_pelton = || load(&pelton, connections, |nth| format!("/api/streams/bench/s{}", nth % streams));
            let measure_bare = || load(&bare, connections, |_| "/".to_owned());
            // Whoever goes second has a larger file or a warmer disk; so each goes second in turn.
            rounds.push(if round % 2 == 0 {
                let first = measure_pelton();
                (first, measure_bare())
            } else {
                let first = measure_bare();
                (measure_pelton(), first)
            });
        }
        let row = Row {
            connections,
            streams,
            pelton: crate::median(rounds.iter().map(|(pelton, _)| *pelton).collect()),
            bare: crate::median(rounds.iter().map(|(_, bare)| *bare).collect()),
            ratio: crate::median(rounds.iter().map(|(pelton, bare)| pelton / bare).collect()),
        };
        show(&row);
        row
    });
    rows.into()
}

/// Answers a second.
fn load(server: &Server, connections: usize, path_of: impl Fn(usize) -> String) -> f64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut tasks = Vec::new();
        let begin = Instant::now() + WARM_UP;
        for nth in 0..connections {
            let stream = TcpStream::connect(&server.authority).await.unwrap();
            stream.set_nodelay(true).unwrap();
            tasks.push(tokio::spawn(post_over_and_over(stream, request(&server.authority, &path_of(nth)), begin)));
        }
        let mut answers = 0;
        for task in tasks {
            answers += task.await.unwrap();
        }
        f64::from(answers) / ROUND.as_secs_f64()
    })
}

fn request(authority: &str, path: &str) -> Vec<u8> {
    let empty = r#"{"type":"bench","payload":{"text":""}}"#;
    let body = empty.replace(r#""text":"""#, &format!(r#""text":"{}""#, "x".repeat(EVENT_BYTES - empty.len())));
    assert_eq!(body.len(), EVENT_BYTES);
    format!("POST {path} HTTP/1.1\r\nhost: {authority}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
        .into_bytes()
}

/// Requests and answers in turns, without a client library, so that little of the machine goes to the load itself.
async fn post_over_and_over(stream: TcpStream, request: Vec<u8>, begin: Instant) -> u32 {
    let (mut answers, mut answer, mut chunk) = (0, Vec::new(), [0; 4096]);
    loop {
        let mut sent = 0;
        while sent < request.len() {
            sent += now_or_when(stream.try_write(&request[sent..]), || stream.writable()).await;
        }
        answer.clear();
        while !is_complete(&answer) {
            let read = now_or_when(stream.try_read(&mut chunk), || stream.readable()).await;
            answer.extend(&chunk[..read]);
        }
        let now = Instant::now();
        if now >= begin + ROUND {
            return answers;
        }
        answers += u32::from(now >= begin);
    }
}

/// The bytes that an attempt moved, or 0 once another attempt is worth while.
async fn now_or_when<F: Future<Output = std::io::Result<()>>>(attempt: std::io::Result<usize>, ready: impl FnOnce() -> F) -> usize {
    match attempt {
        Ok(0) => panic!("the server hung up"),
        Ok(moved) => moved,
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
            ready().await.unwrap();
            0
        }
        Err(error) => panic!("{error}"),
    }
}

fn is_complete(answer: &[u8]) -> bool {
    const LENGTH: &[u8] = b"content-length: ";
    let Some(head) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", answer.escape_ascii());
    let at = answer[..head].windows(LENGTH.len()).position(|text| text == LENGTH).expect("a content-length");
    let digits = answer[at + LENGTH.len()..].iter().take_while(|byte| byte.is_ascii_digit());
    let length = digits.fold(0, |number, digit| number * 10 + usize::from(digit - b'0'));
    answer.len() >= head + 4 + length
}
