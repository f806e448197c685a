//! Answers each `ping` with a `pong`: the smallest processor that does everything.
//!
//! - state: `{ "count": <pings so far>, "last": <the last ping's message, or null> }`
//! - a ping's payload: `{ "message"?: any JSON }`
//! - a pong's payload: `{ "to": <offset of the ping>, "count": <pings up to that one>, "message"?: <the ping's> }`

use pelton_sdk::{EffectContext, Event, Manifest, NewEvent, Processor, ReduceContext, Result};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// What a ping says is kept as it was written, so that a number of any size stays what it was.
#[derive(Default, Serialize, Deserialize)]
struct Pings {
    count: u64,
    last: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Ping {
    message: Option<Box<RawValue>>,
}

#[derive(Serialize)]
struct Pong {
    to: u64,
    count: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Box<RawValue>>,
}

struct PingPong;

impl Processor for PingPong {
    type State = Pings;

    fn manifest() -> Manifest {
        Manifest::new("ping-pong", env!("CARGO_PKG_VERSION"))
            .description("Answers each ping with a pong, and counts them.")
            .consumes(["ping"])
            .emits(["pong"])
    }

    fn reduce(state: &mut Pings, event: &Event, _context: &ReduceContext) -> Result<()> {
        let ping: Ping = event.payload()?;
        state.count += 1;
        state.last = ping.message;
        Ok(())
    }

    fn after_append(event: &Event, state: &Pings, context: &EffectContext) -> Result<()> {
        let ping: Ping = event.payload()?;
        let pong = Pong { to: event.offset, count: state.count, message: ping.message };
        Ok(context.append(NewEvent::new("pong").payload(pong))?)
    }
}

pelton_sdk::export!(PingPong);

#[cfg(test)]
mod tests {
    use super::*;
    use pelton_sdk::{json, testing::Host};

    #[test]
    fn each_ping_is_answered_and_counted() {
        let mut host = Host::<PingPong>::new();
        let first = host.append("ping", json!({ "message": "hi" })).unwrap();
        assert_eq!((&*first[0].event_type, &first[0].payload), ("pong", &json!({ "to": 2, "count": 1, "message": "hi" })));
        let second = host.append("ping", json!({})).unwrap();
        assert_eq!(second[0].payload, json!({ "to": 3, "count": 2 }));
        assert_eq!(host.state_json(), r#"{"count":2,"last":null}"#);
    }
}
