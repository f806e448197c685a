//! The least that appends durably over HTTP: an axum handler before a thread that commits what waits to redb, together.

use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use redb::{Database, TableDefinition};
use tokio::sync::oneshot;

/// With this first argument the benchmark is the handler; the second is its file.
pub const ARGUMENT: &str = "--bare-handler";

const EVENTS: TableDefinition<u64, &[u8]> = TableDefinition::new("events");

type Waiting = (Bytes, oneshot::Sender<u64>);

pub fn serve(file: &Path) {
    let database = Database::create(file).unwrap();
    let (queue, waiting) = channel();
    std::thread::spawn(move || write(&database, &waiting));
    let router = Router::new().route("/", post(append)).with_state(queue);
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("listening on http://{}", listener.local_addr().unwrap());
        axum::serve(listener, router).await.unwrap();
    });
}

async fn append(State(queue): State<Sender<Waiting>>, body: Bytes) -> String {
    let (acknowledge, acknowledged) = oneshot::channel();
    queue.send((body, acknowledge)).unwrap();
    format!(r#"{{"offset":{}}}"#, acknowledged.await.unwrap())
}

fn write(database: &Database, waiting: &Receiver<Waiting>) {
    let mut next = 1;
    while let Ok(first) = waiting.recv() {
        let group: Vec<Waiting> = std::iter::once(first).chain(waiting.try_iter()).collect();
        let transaction = database.begin_write().unwrap();
        let mut events = transaction.open_table(EVENTS).unwrap();
        for ((body, _), offset) in group.iter().zip(next..) {
            events.insert(offset, &**body).unwrap();
        }
        drop(events);
        transaction.commit().unwrap();
        for (_, acknowledge) in group {
            // Whoever went away meanwhile needs no answer.
            acknowledge.send(next).ok();
            next += 1;
        }
    }
}
