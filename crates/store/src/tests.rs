//! The promises of the crate. `order` has those about one group, `model` compares any groups with a model in memory, `crash` has what
//! holds when the disk fails or the machine goes down, `file` is about files,
//! `breaker` about circuit breakers, `control` about how much is configured and `destroy` about streams that end.

mod breaker;
mod control;
mod crash;
mod destroy;
mod disk;
mod file;
mod model;
mod order;

use pelton_model::{Consumer, Event, EventType, IdempotencyKey, JsonObject, NewEvent, Offset, Slug, StreamPath, TenantName, Timestamp};

use crate::{Append, Committed, OpenOptions, PageLimit, Refusal, Store, Write, Writer, Written};
use disk::Disk;

fn options() -> OpenOptions {
    OpenOptions { tenant: TenantName::new("acme").unwrap(), cache_bytes: 4 << 20, breaker_counts_all: false, control_bytes_max: 8 << 20 }
}

fn open(disk: &Disk) -> (Store, Writer) {
    open_with(disk, &options())
}

fn open_with(disk: &Disk, options: &OpenOptions) -> (Store, Writer) {
    Store::open_with_backend(disk.clone(), options).unwrap()
}

fn path(text: &str) -> StreamPath {
    StreamPath::new(text).unwrap()
}

fn processor(slug: &str) -> Consumer {
    Consumer::Processor(Slug::new(slug).unwrap())
}

fn offset(value: u64) -> Offset {
    Offset::new(value).unwrap()
}

fn millis(value: u64) -> Timestamp {
    Timestamp::from_millis(value)
}

fn event(event_type: &str, payload: &str) -> NewEvent {
    NewEvent::new(EventType::new(event_type).unwrap(), JsonObject::parse(payload).unwrap())
}

fn keyed(event_type: &str, payload: &str, key: &str) -> NewEvent {
    NewEvent { idempotency_key: Some(IdempotencyKey::new(key).unwrap()), ..event(event_type, payload) }
}

fn append(stream: &str, event: NewEvent) -> Append {
    Append { stream: path(stream), event }
}

fn unit(appends: Vec<Append>) -> Write {
    Write { appends, ..Write::default() }
}

fn commit(writer: &mut Writer, group: Vec<Write>) -> Committed {
    writer.commit(group, millis(1)).unwrap()
}

fn commit_one(writer: &mut Writer, write: Write) -> Result<Written, Refusal> {
    commit(writer, vec![write]).answers.remove(0)
}

fn all_events(store: &Store, stream: &str) -> Vec<Event> {
    store.read_stream(&path(stream), Offset::FIRST..Offset::MAX, PageLimit::default()).unwrap().events
}

/// `offset type` of each event of a stream.
fn outline(store: &Store, stream: &str) -> Vec<String> {
    all_events(store, stream).iter().map(|event| format!("{} {}", event.offset, event.event_type)).collect()
}
