//! Running a plugin over events as a host does, without streams: what it would append is noted and goes nowhere.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use pelton_model::{Event, IdempotencyKey, Json, JsonObject, NewEvent, Offset, Quotas, Reason, StreamPath, Timestamp};
use pelton_wasm::{AppendError, Appender, CallError, Effector, Gate, Identity, Manifest, Reducer};
use serde::Serialize;

use super::case::Case;
use super::log::Log;
use crate::plugin::target::Plugin;

/// What one event led to, and what that cost, which no test expects to stay the same.
#[derive(Serialize)]
pub struct Played {
    #[serde(flatten)]
    pub step: Step,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fuel: Option<Fuel>,
}

/// What one event led to.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    pub offset: Offset,
    #[serde(rename = "type")]
    pub event_type: String,
    /// Absent where the plugin does not consume the type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub appends: Option<Vec<Appended>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<Line>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Failed>,
}

#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Appended {
    /// Absent for the stream of the event that was handled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<StreamPath>,
    #[serde(rename = "type")]
    pub event_type: String,
    pub payload: JsonObject,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<JsonObject>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<IdempotencyKey>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_offset: Option<Offset>,
    /// It was not left to the outbox.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub now: bool,
}

#[derive(Serialize)]
pub struct Line {
    pub level: &'static str,
    pub message: String,
}

#[derive(Serialize)]
pub struct Failed {
    /// `reduce` or `after-append`.
    #[serde(skip)]
    pub phase: &'static str,
    pub code: String,
    pub message: String,
    /// Where in the plugin's code, which no test expects to stay the same.
    #[serde(skip)]
    pub location: Option<String>,
}

#[derive(Clone, Copy, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Fuel {
    pub reduce: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after_append: Option<u64>,
}

/// A way of splitting the events into calls that gave another state.
pub struct Unequal {
    /// The offsets of the events of the call after which the states differ.
    pub first: Offset,
    pub last: Offset,
    /// As one event a call gave it, and as the call gave it.
    pub expected: Json,
    pub found: Result<Json, Reason>,
}

pub struct Stage<'a> {
    pub plugin: &'a Plugin,
    pub manifest: &'a Manifest,
    pub case: &'a Case,
    pub quotas: &'a Quotas,
    pub log: &'a Log,
    pub runtime: &'a tokio::runtime::Runtime,
    pub gate: Arc<dyn Gate>,
}

impl Stage<'_> {
    /// Every event by itself, in order: `reduce`, then `after-append`. An event that fails in `reduce` changes nothing, as when an operator
    /// has a parked processor skip it; one that fails in `after-append` is not tried again.
    pub fn play(&self) -> Vec<Played> {
        let streams = Arc::new(Streams::new(self.case));
        let mut state = self.manifest.initial_state.clone();
        let mut reducer = self.reducer();
        let mut effector = self.effector();
        let _inside = self.runtime.enter();
        let play = |event: &Event| {
            let (offset, event_type) = (event.offset, event.event_type.as_str().to_owned());
            let mut step = Step { offset, event_type, state: None, appends: None, log: Vec::new(), error: None };
            if !self.wants(event) {
                return Played { step, fuel: None };
            }
            self.log.take();
            let mut fuel = Fuel::default();
            let mut appends = Vec::new();
            match self.reduce(&mut reducer, &state, event) {
                Ok((next, used)) => {
                    (state, fuel.reduce) = (next, used);
                    streams.begin(event);
                    let effects = effector.after_append(event, &state, Arc::clone(&streams) as Arc<dyn Appender>, Arc::clone(&self.gate));
                    appends = streams.take();
                    match effects {
                        Ok(effects) => {
                            appends.extend(effects.outbox.into_iter().map(|(to, new)| appended(to, new, event, false)));
                            fuel.after_append = Some(effects.fuel);
                        }
                        Err(error) => step.error = Some(Failed::of("after-append", &error)),
                    }
                }
                Err(error) => step.error = Some(Failed::of("reduce", &error)),
            }
            (step.state, step.appends) = (Some(state.clone()), Some(appends));
            step.log = self.log.take().into_iter().map(|(level, message)| Line { level, message }).collect();
            Played { step, fuel: Some(fuel) }
        };
        self.case.events.iter().map(play).collect()
    }

    /// Whether reduce gives the same states when it gets many events in a call: all of them, and some other splits, each call on an instance of
    /// its own. How many splits were tried.
    pub fn split(&self, played: &[Played]) -> Result<usize, Box<Unequal>> {
        let failed_in_reduce = |step: &Step| step.error.as_ref().is_some_and(|error| error.phase == "reduce");
        let events = self.case.events.iter().zip(played.iter().map(|played| &played.step)).filter(|(_, step)| !failed_in_reduce(step));
        let folded: Vec<(&Event, &Json)> = events.filter_map(|(event, step)| Some((event, step.state.as_ref()?))).collect();
        if folded.len() < 2 {
            return Ok(0);
        }
        let splits = splits(folded.len());
        for lengths in &splits {
            let (mut rest, mut state) = (folded.as_slice(), self.manifest.initial_state.clone());
            for length in lengths {
                let (page, after) = rest.split_at(*length);
                let events: Vec<Event> = page.iter().map(|(event, _)| (*event).clone()).collect();
                let found = self.reducer().reduce(state, &events).map(|reduced| reduced.state).map_err(|failed| failed.error.reason());
                let expected = page[length - 1].1;
                if found.as_ref().ok() != Some(expected) {
                    let (first, last) = (events[0].offset, events[length - 1].offset);
                    return Err(Box::new(Unequal { first, last, expected: expected.clone(), found }));
                }
                state = expected.clone();
                rest = after;
            }
        }
        self.log.take();
        Ok(splits.len())
    }

    fn reduce(&self, warm: &mut Reducer, state: &Json, event: &Event) -> Result<(Json, u64), CallError> {
        let events = std::slice::from_ref(event);
        if let Ok(reduced) = warm.reduce(state.clone(), events) {
            return Ok((reduced.state, reduced.fuel));
        }
        // On an instance of its own the reason is the same wherever the event stands, and is logged once.
        self.log.take();
        let reduced = self.reducer().reduce(state.clone(), events).map_err(|failed| failed.error)?;
        Ok((reduced.state, reduced.fuel))
    }

    fn wants(&self, event: &Event) -> bool {
        self.manifest.consumes.matches(event.event_type.as_str())
    }

    fn reducer(&self) -> Reducer {
        self.plugin.component.reducer(self.identity(), self.case.config.clone(), self.quotas.clone())
    }

    fn effector(&self) -> Effector {
        let environment = self.case.environment.clone().into_iter().collect();
        self.plugin.component.effector(self.identity(), self.case.config.clone(), environment, self.quotas.clone())
    }

    fn identity(&self) -> Identity {
        self.case.identity(self.plugin.digest)
    }
}

impl Failed {
    fn of(phase: &'static str, error: &CallError) -> Self {
        let Reason { code, message, location, .. } = error.reason();
        // What the plugin says itself is told in its own words alone.
        let message = if let CallError::Guest { message } = error { message.clone() } else { message };
        Self { phase, code, message, location }
    }
}

/// Lengths of calls that together take `count` events: all at once, in halves, and some that look random but are the same each time.
fn splits(count: usize) -> Vec<Vec<usize>> {
    let mut splits = vec![vec![count], vec![count / 2, count - count / 2]];
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..3 {
        let (mut lengths, mut left) = (Vec::new(), count);
        while left > 0 {
            // Marsaglia's xorshift.
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let most = left.min((count / 2).max(2)) as u64;
            let length = (seed % most) as usize + 1;
            lengths.push(length);
            left -= length;
        }
        splits.push(lengths);
    }
    splits.sort();
    splits.dedup();
    splits
}

fn appended(to: StreamPath, event: NewEvent, handled: &Event, now: bool) -> Appended {
    Appended {
        to: (to != handled.stream_path).then_some(to),
        event_type: event.event_type.as_str().to_owned(),
        payload: event.payload,
        metadata: event.metadata,
        idempotency_key: event.idempotency_key,
        expected_offset: event.expected_offset,
        now,
    }
}

/// As much of the streams as appends at once can see: the case's own holds its events, any other only its first.
struct Streams {
    tails: Mutex<HashMap<StreamPath, Vec<Event>>>,
    first: HashMap<StreamPath, Offset>,
    under_way: Mutex<UnderWay>,
}

#[derive(Default)]
struct UnderWay {
    handled: Option<Event>,
    appended: Vec<Appended>,
}

impl Streams {
    fn new(case: &Case) -> Self {
        let mut first = HashMap::new();
        for event in &case.events {
            let next = first.entry(event.stream_path.clone()).or_insert(event.offset.next());
            *next = (*next).max(event.offset.next());
        }
        Self { tails: Mutex::default(), first, under_way: Mutex::default() }
    }

    fn begin(&self, event: &Event) {
        *self.under_way.lock().unwrap_or_else(PoisonError::into_inner) = UnderWay { handled: Some(event.clone()), appended: Vec::new() };
    }

    fn take(&self) -> Vec<Appended> {
        std::mem::take(&mut self.under_way.lock().unwrap_or_else(PoisonError::into_inner).appended)
    }

    fn record(&self, stream: StreamPath, event: NewEvent) -> Result<Event, AppendError> {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        let handled = under_way.handled.clone().ok_or_else(|| AppendError::Unavailable("no event is being handled".to_owned()))?;
        let mut tails = self.tails.lock().unwrap_or_else(PoisonError::into_inner);
        let tail = tails.entry(stream.clone()).or_default();
        let key = event.idempotency_key.as_ref();
        if let Some(present) = tail.iter().find(|present| key.is_some() && present.idempotency_key.as_ref() == key) {
            return Ok(present.clone());
        }
        let first = self.first.get(&stream).copied().unwrap_or(Offset::FIRST.next());
        let offset = first.plus(tail.len() as u64);
        if let Some(expected) = event.expected_offset.filter(|expected| *expected != offset) {
            return Err(AppendError::Conflict(format!("expected offset {expected}, the next one of {stream} is {offset}")));
        }
        let recorded = Event {
            stream_path: stream.clone(),
            offset,
            event_type: event.event_type.clone(),
            payload: event.payload.clone(),
            metadata: event.metadata.clone(),
            idempotency_key: event.idempotency_key.clone(),
            created_at: Timestamp::from_millis(handled.created_at.as_millis() + 1),
            source: event.source.clone(),
        };
        tail.push(recorded.clone());
        let mut noted = appended(stream, event, &handled, true);
        // The key that the host gives is not the plugin's.
        noted.idempotency_key = noted.idempotency_key.filter(|key| !key.as_str().starts_with("pelton:"));
        under_way.appended.push(noted);
        Ok(recorded)
    }
}

impl Appender for Streams {
    fn append(&self, stream: StreamPath, event: NewEvent) -> Pin<Box<dyn Future<Output = Result<Event, AppendError>> + Send + '_>> {
        Box::pin(std::future::ready(self.record(stream, event)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_split_takes_all_events() {
        for count in 2..50 {
            for lengths in splits(count) {
                assert_eq!(lengths.iter().sum::<usize>(), count);
                assert!(lengths.iter().all(|length| *length > 0));
            }
        }
    }
}
