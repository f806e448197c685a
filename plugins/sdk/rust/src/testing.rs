//! Runs a processor natively, in `cargo test`, through the same code as the component.

use std::cell::RefCell;
use std::marker::PhantomData;

use crate::bindings::pelton::processor::types;
use crate::context::{AppendError, Host as Imports, Level, Pretender};
use crate::http::{FetchError, Request, Response};
use crate::{Error, Event, Processor, Result, Value, glue};

/// A stream with one processor attached, in memory.
///
/// It does what the host does for one event after the other: `reduce`, then `after_append`, once. What the processor appends is
/// returned, and neither fed back to it nor put to the limits of a real host.
pub struct Host<P> {
    state: String,
    next_offset: u64,
    imports: Recorder,
    processor: PhantomData<P>,
}

impl<P: Processor> Host<P> {
    /// An initialized stream `/test`: the next event gets offset 2. The configuration is `{}`, the slug `test`.
    pub fn new() -> Host<P> {
        let description: Value = serde_json::from_str(&glue::describe_as_json::<P>()).expect("a description is JSON");
        Host {
            state: description["initialState"].to_string(),
            next_offset: 2,
            imports: Recorder { config: "{}".into(), ..Recorder::default() },
            processor: PhantomData,
        }
    }

    /// With this configuration.
    pub fn config(mut self, config: Value) -> Host<P> {
        self.imports.config = config.to_string();
        self
    }

    /// With this environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Host<P> {
        self.imports.env.push((name.into(), value.into()));
        self
    }

    /// Answers the requests that the processor sends, which are denied otherwise. Secrets are still their placeholders here.
    pub fn on_fetch(mut self, answer: impl Fn(&Request) -> Result<Response, FetchError> + 'static) -> Host<P> {
        self.imports.answer = Some(Box::new(answer));
        self
    }

    /// Appends an event from outside and returns what the processor appended in answer.
    ///
    /// Fails with what `reduce` or `after_append` failed with, and when the processor does not consume this type of event.
    pub fn append(&mut self, event_type: &str, payload: Value) -> Result<Vec<Appended>> {
        self.append_with_metadata(event_type, payload, None)
    }

    /// [`append`](Self::append), with metadata.
    pub fn append_with_metadata(&mut self, event_type: &str, payload: Value, metadata: Option<Value>) -> Result<Vec<Appended>> {
        if !P::manifest().wants(event_type) {
            return Err(Error::new(format_args!("the manifest does not consume `{event_type}`")));
        }
        let event = Event::from(types::Event {
            stream_path: "/test".into(),
            offset: self.next_offset,
            event_type: event_type.into(),
            payload: payload.to_string(),
            metadata: metadata.map(|metadata| metadata.to_string()),
            idempotency_key: None,
            created_at: 1_700_000_000_000 + self.next_offset,
            source: None,
        });
        self.next_offset += 1;
        self.state = glue::reduce_with::<P>(&self.imports, &self.state, std::iter::once(event.clone()))?;
        let acted = glue::after_append_with::<P>(&self.imports, &event, &self.state);
        let appended = self.imports.appended.take();
        acted.map(|()| appended)
    }

    /// The state after the events so far.
    pub fn state(&self) -> Result<P::State> {
        glue::decode_state::<P>(&self.state)
    }

    /// The JSON text of the state after the events so far.
    pub fn state_json(&self) -> &str {
        &self.state
    }

    /// The lines logged since this was asked last.
    pub fn take_log(&mut self) -> Vec<(Level, String)> {
        self.imports.log.take()
    }
}

impl<P: Processor> Default for Host<P> {
    fn default() -> Self {
        Host::new()
    }
}

/// An event that the processor appended.
#[derive(Clone, Debug, PartialEq)]
pub struct Appended {
    /// The path it was appended to, as the processor wrote it; `None` for the stream of the event being handled.
    pub to: Option<String>,
    /// Its type.
    pub event_type: String,
    /// Its payload.
    pub payload: Value,
    /// Its metadata.
    pub metadata: Option<Value>,
    /// Its idempotency key.
    pub idempotency_key: Option<String>,
    /// The offset it was expected to get.
    pub expected_offset: Option<u64>,
    /// Whether it was recorded at once, rather than with the outbox.
    pub at_once: bool,
}

type Answer = dyn Fn(&Request) -> Result<Response, FetchError>;

#[derive(Default)]
struct Recorder {
    config: String,
    env: Vec<(String, String)>,
    answer: Option<Box<Answer>>,
    appended: RefCell<Vec<Appended>>,
    log: RefCell<Vec<(Level, String)>>,
}

impl Recorder {
    fn record(&self, to: Option<&str>, event: types::NewEvent, at_once: bool) -> Result<(), AppendError> {
        let object = |json: &str| match serde_json::from_str(json)? {
            Value::Object(object) => Ok(Value::Object(object)),
            other => Err(AppendError::Invalid(format!("not a JSON object: {other}"))),
        };
        let appended = Appended {
            to: to.map(Into::into),
            payload: object(&event.payload)?,
            metadata: event.metadata.as_deref().map(object).transpose()?,
            event_type: event.event_type,
            idempotency_key: event.idempotency_key,
            expected_offset: event.expected_offset,
            at_once,
        };
        self.appended.borrow_mut().push(appended);
        Ok(())
    }
}

impl Imports for Recorder {
    fn config(&self) -> String {
        self.config.clone()
    }

    fn slug(&self) -> String {
        "test".into()
    }

    fn log(&self, level: Level, message: &str) {
        self.log.borrow_mut().push((level, message.into()));
    }

    fn append(&self, to: Option<&str>, event: types::NewEvent) -> Result<(), AppendError> {
        self.record(to, event, false)
    }

    fn append_now(&self, to: Option<&str>, event: types::NewEvent) -> Result<Event, AppendError> {
        self.record(to, event.clone(), true)?;
        Ok(Event::from(types::Event {
            stream_path: to.unwrap_or("/test").into(),
            offset: self.appended.borrow().len() as u64,
            event_type: event.event_type,
            payload: event.payload,
            metadata: event.metadata,
            idempotency_key: event.idempotency_key,
            created_at: 1_700_000_000_000,
            source: None,
        }))
    }

    fn pretender(&self) -> Option<&dyn Pretender> {
        Some(self)
    }
}

impl Pretender for Recorder {
    fn fetch(&self, request: &Request) -> Result<Response, FetchError> {
        match &self.answer {
            Some(answer) => answer(request),
            None => Err(FetchError::Denied(format!("{} {}", request.method(), request.url()))),
        }
    }

    fn env(&self, name: &str) -> Option<String> {
        self.env.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }
}
