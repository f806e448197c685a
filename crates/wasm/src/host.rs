//! What the guest sees of the host: the interfaces of our own WIT, and the data behind each instance.

use std::sync::Arc;

use pelton_model::{Builtin, Event, EventType, IdempotencyKey, JsonObject, NewEvent, Offset, Quotas, Source, StreamPath};
use tracing::Level;
use wasmtime::component::{HasSelf, Linker, ResourceTable};
use wasmtime::{Engine, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::bindings::pelton::processor::types::{AppendError as WitAppendError, EventResult, NewEvent as WitNewEvent, SourceResult};
use crate::bindings::pelton::processor::{appender, context, outbox, types};
use crate::error::clamp;
use crate::http::{self, Outgoing};
use crate::limits::Limits;
use crate::log::{Log, Which};
use crate::{AppendError, Appender, Identity, pure};

/// Handles and host-side resources that one guest may hold at a time. A guest has three standard streams and a few pollables.
const HANDLES_MAX: usize = 1_000;

/// For whom a component runs.
#[derive(Clone)]
pub(crate) struct Context {
    /// Absent where a component is only looked at.
    pub identity: Option<Identity>,
    pub config: JsonObject,
    /// What `after-append` finds in its environment.
    pub environment: Vec<(String, String)>,
    pub quotas: Quotas,
}

/// The host's side of one instance.
pub(crate) struct Host {
    pub limits: Limits,
    pub log: Log,
    /// What the call of `after-append` under way is about.
    pub handling: Option<Handling>,
    pub outgoing: Outgoing,
    context: Arc<Context>,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    table: ResourceTable,
}

/// One call of `after-append`.
pub(crate) struct Handling {
    /// Stamped on everything it appends.
    source: Source,
    appender: Arc<dyn Appender>,
    outbox: Vec<(StreamPath, NewEvent)>,
    appends: usize,
    append_bytes: usize,
    /// Calls of `appender.append`, from which idempotency keys are derived.
    direct: u64,
}

/// Links everything that `after-append` is granted.
pub(crate) fn add_to_linker(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    http::add_to_linker(linker)?;
    types::add_to_linker::<Host, HasSelf<Host>>(linker, |host| host)?;
    context::add_to_linker::<Host, HasSelf<Host>>(linker, |host| host)?;
    outbox::add_to_linker::<Host, HasSelf<Host>>(linker, |host| host)?;
    appender::add_to_linker::<Host, HasSelf<Host>>(linker, |host| host)
}

/// Links what `reduce` and `describe` are granted: themselves.
pub(crate) fn add_to_pure_linker(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    pure::add_to_linker(linker)?;
    types::add_to_linker::<Host, HasSelf<Host>>(linker, |host| host)?;
    context::add_to_linker::<Host, HasSelf<Host>>(linker, |host| host)
}

/// A store for one instance, with every limit of wasmtime set.
pub(crate) fn store(engine: &Engine, context: &Arc<Context>, phase: &'static str, is_pure: bool) -> Store<Host> {
    let quotas = &context.quotas;
    let log = Log::new(context.identity.clone(), phase, quotas);
    let mut wasi = WasiCtx::builder();
    // No arguments, no folder and an empty standard input are the builder's own defaults, and so is no environment.
    wasi.stdout(log.output(Which::Stdout)).stderr(log.output(Which::Stderr)).allow_tcp(false).allow_udp(false);
    wasi.max_random_size(64 << 10);
    if is_pure {
        pure::configure(&mut wasi);
    } else {
        wasi.envs(&context.environment);
    }
    let mut table = ResourceTable::new();
    table.set_max_capacity(HANDLES_MAX);
    let (limits, wasi, outgoing) = (Limits::new(quotas), wasi.build(), Outgoing::new(log.clone()));
    let host = Host { limits, log, handling: None, outgoing, context: Arc::clone(context), wasi, http: WasiHttpCtx::new(), table };
    let mut store = Store::new(engine, host);
    store.limiter(|host| &mut host.limits);
    store.set_max_component_handles(HANDLES_MAX);
    store.set_hostcall_fuel(hostcall_bytes_max(quotas));
    store
}

/// How much text the host takes from a guest at once. wasmtime's default of 128 MiB would let each guest make the host hold as much again
/// as its own memory. A state several times too large is still read, so that the error can say how large it is.
fn hostcall_bytes_max(quotas: &Quotas) -> usize {
    const SLACK: usize = 1 << 20;
    quotas.state_bytes_max.max(quotas.event_bytes_max).saturating_mul(4).saturating_add(SLACK)
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for Host {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.outgoing, table: &mut self.table, ctx: &mut self.http }
    }
}

impl types::Host for Host {}

impl context::Host for Host {
    fn config(&mut self) -> wasmtime::Result<String> {
        Ok(self.context.config.as_str().to_owned())
    }

    /// Empty where the component is only looked at.
    fn slug(&mut self) -> wasmtime::Result<String> {
        Ok(self.context.identity.as_ref().map_or_else(String::new, |identity| identity.slug.as_str().to_owned()))
    }

    fn log(&mut self, level: context::Level, message: String) -> wasmtime::Result<()> {
        let level = match level {
            context::Level::Debug => Level::DEBUG,
            context::Level::Info => Level::INFO,
            context::Level::Warn => Level::WARN,
            context::Level::Error => Level::ERROR,
        };
        self.log.line(level, &message);
        Ok(())
    }
}

impl outbox::Host for Host {
    fn append(&mut self, to: Option<String>, event: WitNewEvent) -> wasmtime::Result<Result<(), WitAppendError>> {
        let quotas = &self.context.quotas;
        let handling = handling(&mut self.handling)?;
        Ok(handling.admit(to.as_deref(), event, quotas).map(|admitted| handling.outbox.push(admitted)).map_err(Into::into))
    }
}

impl appender::Host for Host {
    async fn append(&mut self, to: Option<String>, event: WitNewEvent) -> wasmtime::Result<Result<EventResult, WitAppendError>> {
        let quotas = &self.context.quotas;
        let handling = handling(&mut self.handling)?;
        handling.direct += 1;
        let (stream, mut event) = match handling.admit(to.as_deref(), event, quotas) {
            Ok(admitted) => admitted,
            Err(error) => return Ok(Err(error.into())),
        };
        event.idempotency_key.get_or_insert_with(|| handling.derived_key());
        Ok(handling.appender.append(stream, event).await.map(EventResult::from).map_err(Into::into))
    }
}

/// The linker of `reduce` has neither outbox nor appender, so this is a second fence.
fn handling(handling: &mut Option<Handling>) -> wasmtime::Result<&mut Handling> {
    handling.as_mut().ok_or_else(|| wasmtime::format_err!("an event was appended outside of after-append"))
}

impl Handling {
    pub(crate) fn new(event: &Event, identity: &Identity, appender: Arc<dyn Appender>) -> Self {
        let depth = event.source.as_ref().map_or(0, |source| source.depth).saturating_add(1);
        let source = Source {
            slug: identity.slug.clone(),
            digest: identity.digest,
            stream_path: event.stream_path.clone(),
            offset: event.offset,
            depth,
        };
        Self { source, appender, outbox: Vec::new(), appends: 0, append_bytes: 0, direct: 0 }
    }

    pub(crate) fn has_appended_at_once(&self) -> bool {
        self.direct > 0
    }

    pub(crate) fn into_outbox(self) -> Vec<(StreamPath, NewEvent)> {
        self.outbox
    }

    /// Turns what the guest proposes into an event that the store can take, or says why not. Sizes are looked at before any text is read.
    fn admit(&mut self, to: Option<&str>, event: WitNewEvent, quotas: &Quotas) -> Result<(StreamPath, NewEvent), AppendError> {
        let denied = |text: String| Err(AppendError::Denied(text));
        if self.source.depth > quotas.depth_max {
            return denied(format!(
                "this answer would be number {} in a chain of answers, the limit is {}",
                self.source.depth, quotas.depth_max
            ));
        }
        if self.appends >= quotas.appends_max {
            return denied(format!("one call may append {} events", quotas.appends_max));
        }
        let bytes = proposed_bytes(&event);
        if bytes > quotas.event_bytes_max {
            return denied(format!("the event has {bytes} bytes, the limit is {}", quotas.event_bytes_max));
        }
        if self.append_bytes + bytes > quotas.append_bytes_max {
            return denied(format!(
                "one call may append {} bytes, and {} are appended already",
                quotas.append_bytes_max, self.append_bytes
            ));
        }
        let stream = to.map_or_else(|| Ok(self.source.stream_path.clone()), |to| self.source.stream_path.resolve(to)).map_err(invalid)?;
        if stream.depth() > quotas.path_depth_max {
            return denied(format!("the path has {} segments, the limit is {}", stream.depth(), quotas.path_depth_max));
        }
        let mut event = checked(event)?;
        if Builtin::admit(&mut event).map_err(invalid)?.is_some() {
            return denied("a processor cannot upload a component; configure one by its digest".to_owned());
        }
        event.source = Some(self.source.clone());
        self.appends += 1;
        self.append_bytes += bytes;
        Ok((stream, event))
    }

    /// The same in each attempt at the same event, for a guest that appends the same in the same order.
    fn derived_key(&self) -> IdempotencyKey {
        let Source { slug, stream_path, offset, .. } = &self.source;
        IdempotencyKey::from_checked(&format!("pelton:{slug}:{stream_path}:{offset}:{}", self.direct))
    }
}

fn proposed_bytes(event: &WitNewEvent) -> usize {
    let optional = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    event.event_type.len() + event.payload.len() + optional(&event.metadata) + optional(&event.idempotency_key)
}

fn checked(event: WitNewEvent) -> Result<NewEvent, AppendError> {
    let object = |field: &str, text: &str| JsonObject::parse(text).map_err(|error| invalid(format!("{field}: {error}")));
    let offset = |value: u64| Offset::new(value).ok_or_else(|| invalid("expected-offset: the first offset is 1, found 0"));
    Ok(NewEvent {
        event_type: EventType::new(&event.event_type).map_err(invalid)?,
        payload: object("payload", &event.payload)?,
        metadata: event.metadata.map(|text| object("metadata", &text)).transpose()?,
        idempotency_key: event.idempotency_key.map(|text| IdempotencyKey::new(&text).map_err(invalid)).transpose()?,
        expected_offset: event.expected_offset.map(offset).transpose()?,
        source: None,
    })
}

/// Messages may quote what the guest wrote, so they are cut.
fn invalid(problem: impl ToString) -> AppendError {
    AppendError::Invalid(clamp(&problem.to_string(), 1_000))
}

impl From<AppendError> for WitAppendError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Paused(text) => Self::Paused(text),
            AppendError::Conflict(text) => Self::Conflict(text),
            AppendError::Denied(text) => Self::Denied(text),
            AppendError::Invalid(text) => Self::Invalid(text),
            AppendError::Unavailable(text) => Self::Unavailable(text),
        }
    }
}

impl From<Event> for EventResult {
    fn from(event: Event) -> Self {
        Self {
            stream_path: event.stream_path.as_str().to_owned(),
            offset: event.offset.get(),
            event_type: event.event_type.as_str().to_owned(),
            payload: event.payload.as_str().to_owned(),
            metadata: event.metadata.map(|metadata| metadata.as_str().to_owned()),
            idempotency_key: event.idempotency_key.map(|key| key.as_str().to_owned()),
            created_at: event.created_at.as_millis(),
            source: event.source.map(SourceResult::from),
        }
    }
}

impl From<Source> for SourceResult {
    fn from(source: Source) -> Self {
        Self {
            slug: source.slug.as_str().to_owned(),
            digest: source.digest.to_string(),
            stream_path: source.stream_path.as_str().to_owned(),
            offset: source.offset.get(),
            depth: source.depth,
        }
    }
}
