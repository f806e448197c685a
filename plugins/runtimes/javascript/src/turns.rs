//! The event loop: jobs of promises, timers, and requests under way.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context as Waking, Poll as Ready, Waker};

use boa_engine::builtins::promise::{OperationType, Promise, ResolvingFunctions};
use boa_engine::context::HostHooks;
use boa_engine::context::time::{Clock, JsInstant};
use boa_engine::job::{GenericJob, Job, JobExecutor, NativeAsyncJob, PromiseJob};
use boa_engine::object::builtins::{JsArray, JsArrayBuffer, JsFunction};
use boa_engine::{Context, JsError, JsNativeError, JsObject, JsResult, JsString, JsValue, js_string};

use crate::program::Dialect;
use crate::world::{Exchange, Poll, World};

/// What one instance is doing. Shared with the functions that programs call.
pub(crate) struct Turns {
    pub world: Rc<dyn World>,
    pub dialect: Dialect,
    pub phase: Cell<Phase>,
    jobs: RefCell<VecDeque<PromiseJob>>,
    others: RefCell<VecDeque<Other>>,
    timers: RefCell<BTreeMap<(u64, u32), Timer>>,
    timers_set: Cell<u32>,
    waits: RefCell<Vec<Wait>>,
    /// Promises that were rejected and that nobody looks after.
    rejected: RefCell<Vec<JsObject>>,
}

/// What the program is called for, which decides what it may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Load,
    Reduce,
    AfterAppend,
}

enum Other {
    Async(NativeAsyncJob),
    Generic(GenericJob),
}

struct Timer {
    callback: JsFunction,
    arguments: Vec<JsValue>,
    repeat_nanos: Option<u64>,
}

struct Wait {
    exchange: Exchange,
    resolvers: ResolvingFunctions,
}

impl Turns {
    pub(crate) fn new(world: Rc<dyn World>, dialect: Dialect) -> Self {
        Self {
            world,
            dialect,
            phase: Cell::new(Phase::Load),
            jobs: RefCell::default(),
            others: RefCell::default(),
            timers: RefCell::default(),
            timers_set: Cell::new(0),
            waits: RefCell::default(),
            rejected: RefCell::default(),
        }
    }

    /// Refuses what only `afterAppend` may do.
    pub(crate) fn require_world(&self, what: &str) -> JsResult<()> {
        let place = match self.phase.get() {
            Phase::AfterAppend => return Ok(()),
            Phase::Load => "while a module is loaded",
            Phase::Reduce => "in reduce, which is pure",
        };
        Err(JsNativeError::error().with_message(format!("{what} cannot be called {place}; call it in afterAppend")).into())
    }

    pub(crate) fn set_timer(&self, callback: JsFunction, millis: u64, repeats: bool, arguments: Vec<JsValue>) -> u32 {
        let id = self.timers_set.get() + 1;
        self.timers_set.set(id);
        let nanos = millis.saturating_mul(1_000_000);
        let due = self.world.monotonic_nanos().saturating_add(nanos);
        self.timers.borrow_mut().insert((due, id), Timer { callback, arguments, repeat_nanos: repeats.then_some(nanos) });
        id
    }

    pub(crate) fn clear_timer(&self, id: u32) {
        self.timers.borrow_mut().retain(|(_, timer), _| *timer != id);
    }

    pub(crate) fn wait_for(&self, exchange: Exchange, resolvers: ResolvingFunctions) {
        self.waits.borrow_mut().push(Wait { exchange, resolvers });
    }

    pub(crate) fn close(&self, exchange: Exchange) {
        self.waits.borrow_mut().retain(|wait| wait.exchange != exchange);
        self.world.close(exchange);
    }

    /// Does what is next once no promise has a job left. `false` where nothing is left to happen.
    pub(crate) fn turn(&self, context: &mut Context) -> JsResult<bool> {
        let exchanges: Vec<Exchange> = self.waits.borrow().iter().map(|wait| wait.exchange).collect();
        let due = self.timers.borrow().keys().next().map(|(due, _)| *due);
        if exchanges.is_empty() && due.is_none() {
            return Ok(false);
        }
        let now = self.world.monotonic_nanos();
        if due.is_none_or(|due| due > now) {
            self.world.wait(&exchanges, due);
        }
        for exchange in exchanges {
            self.advance(exchange, context)?;
        }
        self.fire(context)?;
        Ok(true)
    }

    /// Settles the promise that waits for an exchange, if that has come to something.
    fn advance(&self, exchange: Exchange, context: &mut Context) -> JsResult<()> {
        let found = self.world.poll(exchange);
        if found == Poll::Pending {
            return Ok(());
        }
        let mut waits = self.waits.borrow_mut();
        let Some(nth) = waits.iter().position(|wait| wait.exchange == exchange) else { return Ok(()) };
        let Wait { resolvers, .. } = waits.remove(nth);
        drop(waits);
        let undefined = JsValue::undefined();
        match found {
            Poll::Failed(message) => {
                self.world.close(exchange);
                let error = JsNativeError::typ().with_message(format!("fetch failed: {message}"));
                resolvers.reject.call(&undefined, &[error.into_opaque(context).into()], context)
            }
            Poll::Chunk(bytes) => {
                let buffer = buffer(&bytes, context)?;
                resolvers.resolve.call(&undefined, &[buffer], context)
            }
            Poll::Head { status, headers } => {
                let head = JsObject::with_object_proto(context.intrinsics());
                let fields = headers
                    .iter()
                    .flat_map(|(name, value)| [JsString::from(name.as_str()), JsString::from(String::from_utf8_lossy(value).as_ref())]);
                let fields = JsArray::from_iter(fields.map(JsValue::from).collect::<Vec<_>>(), context);
                head.create_data_property_or_throw(js_string!("exchange"), exchange, context)?;
                head.create_data_property_or_throw(js_string!("status"), status, context)?;
                head.create_data_property_or_throw(js_string!("fields"), fields, context)?;
                resolvers.resolve.call(&undefined, &[head.into()], context)
            }
            Poll::End | Poll::Pending => {
                self.world.close(exchange);
                resolvers.resolve.call(&undefined, std::slice::from_ref(&undefined), context)
            }
        }
        .map(drop)
    }

    /// Calls the first timer that is due. One a turn, so that its promises go on before the next.
    fn fire(&self, context: &mut Context) -> JsResult<()> {
        let now = self.world.monotonic_nanos();
        let Some((key, timer)) = self.timers.borrow_mut().pop_first() else { return Ok(()) };
        if key.0 > now {
            self.timers.borrow_mut().insert(key, timer);
            return Ok(());
        }
        let (callback, arguments) = (timer.callback.clone(), timer.arguments.clone());
        if let Some(nanos) = timer.repeat_nanos {
            self.timers.borrow_mut().insert((now.saturating_add(nanos.max(1)), key.1), timer);
        }
        callback.call(&JsValue::undefined(), &arguments, context).map(drop)
    }

    /// Leaves nothing of a call for the next one. Gives what was rejected without anybody looking after it.
    pub(crate) fn end(&self, looked_after: Option<&JsObject>) -> Option<JsObject> {
        self.timers.borrow_mut().clear();
        self.jobs.borrow_mut().clear();
        self.others.borrow_mut().clear();
        for wait in self.waits.take() {
            self.world.close(wait.exchange);
        }
        let rejected = self.rejected.take();
        rejected.into_iter().find(|promise| looked_after.is_none_or(|own| !JsObject::equals(own, promise)))
    }

    fn next_job(&self) -> Option<PromiseJob> {
        self.jobs.borrow_mut().pop_front()
    }
}

pub(crate) fn buffer(bytes: &[u8], context: &mut Context) -> JsResult<JsValue> {
    let block = boa_engine::object::builtins::AlignedVec::from_iter(0, bytes.iter().copied());
    JsArrayBuffer::from_byte_block(block, context).map(JsValue::from)
}

/// The jobs of promises, as the engine hands them out and has them run.
pub(crate) struct Executor(pub Rc<Turns>);

impl JobExecutor for Executor {
    fn enqueue_job(self: Rc<Self>, job: Job, _context: &mut Context) {
        match job {
            Job::PromiseJob(job) => self.0.jobs.borrow_mut().push_back(job),
            Job::AsyncJob(job) => self.0.others.borrow_mut().push_back(Other::Async(job)),
            Job::GenericJob(job) => self.0.others.borrow_mut().push_back(Other::Generic(job)),
            // Timers are the runtime's own, and what a registry cleans up ends with the instance anyway.
            _ => {}
        }
    }

    fn run_jobs(self: Rc<Self>, context: &mut Context) -> JsResult<()> {
        loop {
            while let Some(job) = self.0.next_job() {
                job.call(context)?;
            }
            let other = self.0.others.borrow_mut().pop_front();
            match other {
                Some(Other::Generic(job)) => drop(job.call(context)?),
                Some(Other::Async(job)) => at_once(job, context)?,
                None => return Ok(()),
            }
        }
    }
}

/// The engine's only such job is to load a module, which is there or is not.
fn at_once(job: NativeAsyncJob, context: &mut Context) -> JsResult<()> {
    let context = RefCell::new(context);
    match pin!(job.call(&context)).poll(&mut Waking::from_waker(Waker::noop())) {
        Ready::Ready(result) => result.map(drop),
        Ready::Pending => Err(JsNativeError::error().with_message("a job of the engine waits for something").into()),
    }
}

/// Keeps account of promises that nobody looks after.
pub(crate) struct Hooks(pub Rc<Turns>);

impl HostHooks for Hooks {
    fn promise_rejection_tracker(&self, promise: &JsObject<Promise>, operation: OperationType, _context: &mut Context) {
        let promise: JsObject = promise.clone().upcast();
        let mut rejected = self.0.rejected.borrow_mut();
        match operation {
            OperationType::Reject => rejected.push(promise),
            OperationType::Handle => rejected.retain(|other| !JsObject::equals(other, &promise)),
        }
    }

    fn local_timezone_offset_seconds(&self, _unix_time_seconds: i64) -> i32 {
        0
    }
}

/// The clock of `Date`.
pub(crate) struct WorldClock(pub Rc<dyn World>);

impl Clock for WorldClock {
    fn now(&self) -> JsInstant {
        let nanos = self.0.monotonic_nanos();
        JsInstant::new(nanos / 1_000_000_000, (nanos % 1_000_000_000) as u32)
    }

    fn system_time_millis(&self) -> i64 {
        i64::try_from(self.0.wall_millis()).unwrap_or(i64::MAX)
    }
}

pub(crate) fn error_of(promise: &JsObject) -> Option<JsError> {
    let promise = boa_engine::object::builtins::JsPromise::from_object(promise.clone()).ok()?;
    match promise.state() {
        boa_engine::builtins::promise::PromiseState::Rejected(value) => Some(JsError::from_opaque(value)),
        _ => None,
    }
}
