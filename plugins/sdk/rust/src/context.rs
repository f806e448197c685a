use std::fmt::{self, Display};
use std::ops::Deref;

use serde::de::DeserializeOwned;

use crate::bindings::pelton::processor::{appender, context, outbox, types};
use crate::bindings::wasi::cli::environment::get_environment;
use crate::http::{self, FetchError, Request, Response};
use crate::{Error, Event, NewEvent, Result};

/// How serious a log line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

/// What `reduce` may reach: the configuration and the log. There is no way to append from here.
pub struct ReduceContext<'a> {
    host: &'a dyn Host,
}

impl<'a> ReduceContext<'a> {
    pub(crate) fn new(host: &'a dyn Host) -> Self {
        ReduceContext { host }
    }

    /// The processor's configuration as a `T`; `{}` is what it reads where none was given. The same for as long as this
    /// version of the processor is configured. Fails when the configuration is not of that shape.
    pub fn config<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_str(&self.host.config()).map_err(|error| Error::from(error).during("configuration"))
    }

    /// The slug under which this processor is configured.
    pub fn slug(&self) -> String {
        self.host.slug()
    }

    /// Writes one line to the host's log, with tenant, stream, slug and offset added. The host cuts long lines, and drops
    /// those past its limit for one call.
    pub fn log(&self, level: Level, message: impl Display) {
        self.host.log(level, &message.to_string());
    }

    /// [`log`](Self::log) at this level; the message can be `format_args!("{total} in all")`.
    pub fn debug(&self, message: impl Display) {
        self.log(Level::Debug, message);
    }

    /// [`log`](Self::log) at this level.
    pub fn info(&self, message: impl Display) {
        self.log(Level::Info, message);
    }

    /// [`log`](Self::log) at this level.
    pub fn warn(&self, message: impl Display) {
        self.log(Level::Warn, message);
    }

    /// [`log`](Self::log) at this level.
    pub fn error(&self, message: impl Display) {
        self.log(Level::Error, message);
    }
}

/// What `after_append` may reach: all of [`ReduceContext`], appending, HTTP and the stream's environment variables.
///
/// `to` in the functions below is an absolute path (`/orders`), or one relative to the stream of the event being handled
/// (`./below`, `../beside`).
pub struct EffectContext<'a> {
    common: ReduceContext<'a>,
}

impl<'a> EffectContext<'a> {
    pub(crate) fn new(host: &'a dyn Host) -> Self {
        EffectContext { common: ReduceContext::new(host) }
    }

    /// Appends to the stream of the event being handled: recorded when `after_append` returns `Ok`, exactly once, and not at all
    /// when it returns an error.
    ///
    /// `Ok` means well formed and kept for the commit. [`Invalid`](AppendError::Invalid) and [`Denied`](AppendError::Denied)
    /// show at once; a refusal that only the commit can show (an expected offset, a paused stream) fails the whole call,
    /// which the host then repeats.
    pub fn append(&self, event: NewEvent) -> Result<(), AppendError> {
        self.common.host.append(None, event.into_wit()?)
    }

    /// [`append`](Self::append) to another stream.
    pub fn append_to(&self, to: &str, event: NewEvent) -> Result<(), AppendError> {
        self.common.host.append(Some(to), event.into_wit()?)
    }

    /// Records an event at once, whatever comes of this call, and returns it. For what cannot wait, such as streamed output.
    ///
    /// Without an idempotency key the host derives one from the slug, the offset being handled and the number of this append in
    /// the call, so that a repeated call finds what it recorded before. Every [`AppendError`] is possible.
    pub fn append_now(&self, event: NewEvent) -> Result<Event, AppendError> {
        self.common.host.append_now(None, event.into_wit()?)
    }

    /// [`append_now`](Self::append_now) to another stream.
    pub fn append_now_to(&self, to: &str, event: NewEvent) -> Result<Event, AppendError> {
        self.common.host.append_now(Some(to), event.into_wit()?)
    }

    /// Sends a request and reads all of the response, whatever its status. Redirects are answers too: each new request asks the host anew.
    ///
    /// What the host does not let out, and what does not come back, is a [`FetchError`].
    pub fn fetch(&self, request: Request) -> Result<Response, FetchError> {
        match self.common.host.pretender() {
            Some(pretender) => pretender.fetch(&request),
            None => http::send(&request),
        }
    }

    /// What stands for the value of a secret of the tenant in the header of a request. The host puts the value there on the way out, if the secret
    /// lists the host that the request goes to; the processor never holds it.
    pub fn secret(&self, name: &str) -> String {
        format!("{{{{secret:{name}}}}}")
    }

    /// The value of an environment variable, which events of the stream set. Without a variable of this name, `None`.
    pub fn env(&self, name: &str) -> Option<String> {
        match self.common.host.pretender() {
            Some(pretender) => pretender.env(name),
            None => get_environment().into_iter().find(|(known, _)| known == name).map(|(_, value)| value),
        }
    }
}

impl<'a> Deref for EffectContext<'a> {
    type Target = ReduceContext<'a>;

    fn deref(&self) -> &ReduceContext<'a> {
        &self.common
    }
}

/// Why an append was refused. The text is for people; decide by the case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppendError {
    /// The stream is paused; the text says why. It may succeed later.
    Paused(String),
    /// The expected offset is not the next one. It will not succeed unchanged.
    Conflict(String),
    /// The processor may not do this: too deep in a chain of answers, or over a quota. It will not succeed unchanged.
    Denied(String),
    /// The path, the type, the key, the payload or the metadata is malformed. It will not succeed unchanged.
    Invalid(String),
    /// The host cannot write now. It may succeed later.
    Unavailable(String),
}

impl Display for AppendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (case, text) = match self {
            AppendError::Paused(text) => ("paused", text),
            AppendError::Conflict(text) => ("conflict", text),
            AppendError::Denied(text) => ("denied", text),
            AppendError::Invalid(text) => ("invalid", text),
            AppendError::Unavailable(text) => ("unavailable", text),
        };
        write!(f, "append refused as {case}: {text}")
    }
}

impl std::error::Error for AppendError {}

/// A payload or metadata that did not serialise.
impl From<serde_json::Error> for AppendError {
    fn from(error: serde_json::Error) -> AppendError {
        AppendError::Invalid(error.to_string())
    }
}

impl From<types::AppendError> for AppendError {
    fn from(error: types::AppendError) -> AppendError {
        match error {
            types::AppendError::Paused(text) => AppendError::Paused(text),
            types::AppendError::Conflict(text) => AppendError::Conflict(text),
            types::AppendError::Denied(text) => AppendError::Denied(text),
            types::AppendError::Invalid(text) => AppendError::Invalid(text),
            types::AppendError::Unavailable(text) => AppendError::Unavailable(text),
        }
    }
}

/// The other side of a context: the component's imports, or [`testing::Host`](crate::testing::Host) in a native test.
pub(crate) trait Host {
    fn config(&self) -> String;
    fn slug(&self) -> String;
    fn log(&self, level: Level, message: &str);
    fn append(&self, to: Option<&str>, event: types::NewEvent) -> Result<(), AppendError>;
    fn append_now(&self, to: Option<&str>, event: types::NewEvent) -> Result<Event, AppendError>;

    /// Who answers for WASI in a native test. Calls of WASI itself are no methods of this trait: through it they would be part of every
    /// component, used or not.
    fn pretender(&self) -> Option<&dyn Pretender> {
        None
    }
}

/// In place of WASI.
pub(crate) trait Pretender {
    fn fetch(&self, request: &Request) -> Result<Response, FetchError>;
    fn env(&self, name: &str) -> Option<String>;
}

/// The host that runs the component.
pub(crate) struct Imports;

impl Host for Imports {
    fn config(&self) -> String {
        context::config()
    }

    fn slug(&self) -> String {
        context::slug()
    }

    fn log(&self, level: Level, message: &str) {
        let level = match level {
            Level::Debug => context::Level::Debug,
            Level::Info => context::Level::Info,
            Level::Warn => context::Level::Warn,
            Level::Error => context::Level::Error,
        };
        context::log(level, message);
    }

    fn append(&self, to: Option<&str>, event: types::NewEvent) -> Result<(), AppendError> {
        Ok(outbox::append(to, &event)?)
    }

    fn append_now(&self, to: Option<&str>, event: types::NewEvent) -> Result<Event, AppendError> {
        Ok(appender::append(to, &event)?.into())
    }
}
