//! What the runtime needs of the host, so that it can be tested without one.

/// A number that stands for a request under way.
pub(crate) type Exchange = u32;

pub(crate) trait World {
    fn log(&self, level: Level, message: &str);
    /// Records with the call that is under way.
    fn append(&self, to: Option<&str>, event: NewEvent) -> Result<(), AppendError>;
    /// Records at once.
    fn append_now(&self, to: Option<&str>, event: NewEvent) -> Result<Event, AppendError>;
    fn wall_millis(&self) -> u64;
    fn monotonic_nanos(&self) -> u64;
    fn random(&self, bytes: usize) -> Vec<u8>;
    /// # Errors
    /// Why the request cannot be sent.
    fn send(&self, request: Request) -> Result<Exchange, String>;
    /// What the exchange has come to, without waiting.
    fn poll(&self, exchange: Exchange) -> Poll;
    fn close(&self, exchange: Exchange);
    /// Waits until one of the exchanges has something, or the monotonic clock is at `until`.
    fn wait(&self, exchanges: &[Exchange], until: Option<u64>);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub stream_path: String,
    pub offset: u64,
    pub event_type: String,
    pub payload: String,
    pub metadata: Option<String>,
    pub idempotency_key: Option<String>,
    pub created_at: u64,
    pub source: Option<Source>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    pub slug: String,
    pub digest: String,
    pub stream_path: String,
    pub offset: u64,
    pub depth: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewEvent {
    pub event_type: String,
    pub payload: String,
    pub metadata: Option<String>,
    pub idempotency_key: Option<String>,
    pub expected_offset: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AppendError {
    /// The case of the contract's `append-error`.
    pub code: &'static str,
    pub message: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub method: String,
    pub is_https: bool,
    pub authority: String,
    pub path_with_query: String,
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Option<Vec<u8>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Poll {
    Pending,
    Head { status: u16, headers: Vec<(String, Vec<u8>)> },
    Chunk(Vec<u8>),
    End,
    Failed(String),
}
