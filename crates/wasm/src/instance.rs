//! One instance in its own store, and what a failed call means.

use std::sync::Arc;

use pelton_model::{Offset, Quotas};
use wasmtime::{Engine, Store, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use crate::bindings::{StreamProcessor, StreamProcessorPre};
use crate::error::clamp;
use crate::host::{self, Context, Host};
use crate::ticker::TICK;
use crate::{CallError, sandbox};

/// What a guest without clocks may take, by the wall. Fuel ends it long before, the same way on every machine; this ends only what fuel does
/// not see, such as filling a large memory over and over, one unit a time.
const PURE_MILLIS_MAX: u64 = 120_000;

/// An instance, warm after its first call.
pub(crate) struct Instance {
    pub store: Store<Host>,
    pub guest: StreamProcessor,
    calls: u64,
}

impl Instance {
    /// For `reduce` and `describe`: no world, stopped by fuel.
    pub(crate) fn pure(
        pre: &StreamProcessorPre<Host>,
        context: &Arc<Context>,
        phase: &'static str,
        fuel_max: u64,
    ) -> Result<Self, CallError> {
        let mut store = Self::pure_store(pre.engine(), context, phase, fuel_max)?;
        match pre.instantiate(&mut store) {
            Ok(guest) => Ok(Self { store, guest, calls: 0 }),
            Err(error) => Err(failure(&store, &error, fuel_max, true)),
        }
    }

    pub(crate) fn pure_store(
        engine: &Engine,
        context: &Arc<Context>,
        phase: &'static str,
        fuel_max: u64,
    ) -> Result<Store<Host>, CallError> {
        let mut store = host::store(engine, context, phase, true);
        begin_pure(&mut store, fuel_max)?;
        Ok(store)
    }

    /// For `after-append`: it gives way at each tick, so that whoever waits for it can stop it.
    pub(crate) async fn worldly(pre: &StreamProcessorPre<Host>, context: &Arc<Context>, fuel_max: u64) -> Result<Self, CallError> {
        let mut store = host::store(pre.engine(), context, "after-append", false);
        store.epoch_deadline_async_yield_and_update(1);
        begin(&mut store, fuel_max)?;
        store.set_epoch_deadline(1);
        match pre.instantiate_async(&mut store).await {
            Ok(guest) => Ok(Self { store, guest, calls: 0 }),
            Err(error) => Err(failure(&store, &error, fuel_max, true)),
        }
    }

    pub(crate) fn begin_pure_call(&mut self, fuel_max: u64, offset: Option<Offset>) -> Result<(), CallError> {
        self.calls += 1;
        self.store.data().log.begin_call(offset);
        begin_pure(&mut self.store, fuel_max)
    }

    pub(crate) fn begin_worldly_call(&mut self, fuel_max: u64, offset: Offset) -> Result<(), CallError> {
        self.calls += 1;
        self.store.data().log.begin_call(Some(offset));
        begin(&mut self.store, fuel_max)?;
        self.store.set_epoch_deadline(1);
        Ok(())
    }

    /// Ends a call: what it returned or why it did not, and the fuel it used.
    pub(crate) fn end_call<T>(&mut self, result: wasmtime::Result<T>, fuel_max: u64) -> Result<(T, u64), CallError> {
        self.store.data().log.end_call();
        let value = result.map_err(|error| failure(&self.store, &error, fuel_max, false))?;
        let left = self.store.get_fuel().map_err(|error| host_failure(&error))?;
        Ok((value, fuel_max.saturating_sub(left)))
    }

    pub(crate) fn is_fresh(&self) -> bool {
        self.calls == 0
    }

    /// Whether it has served long enough, or grown past the mark.
    pub(crate) fn is_spent(&self, quotas: &Quotas) -> bool {
        self.calls >= quotas.instance_calls_max || self.store.data().limits.memory_bytes() > quotas.instance_recycle_bytes
    }
}

fn begin(store: &mut Store<Host>, fuel_max: u64) -> Result<(), CallError> {
    store.data_mut().limits.begin_call();
    store.set_fuel(fuel_max).map_err(|error| host_failure(&error))
}

fn begin_pure(store: &mut Store<Host>, fuel_max: u64) -> Result<(), CallError> {
    begin(store, fuel_max)?;
    store.set_epoch_deadline(PURE_MILLIS_MAX / sandbox::millis(TICK));
    Ok(())
}

fn host_failure(error: &wasmtime::Error) -> CallError {
    CallError::Host { message: clamp(&format!("{error:#}"), 1_000) }
}

fn failure(store: &Store<Host>, error: &wasmtime::Error, fuel_max: u64, is_instantiation: bool) -> CallError {
    let quotas_refused = store.data().limits.was_refused();
    let trap = error.downcast_ref::<Trap>();
    let trace = error.downcast_ref::<WasmBacktrace>();
    let backtrace = trace.map(|trace| clamp(&trace.to_string(), 8_000));
    match trap {
        Some(Trap::OutOfFuel) => return CallError::OutOfFuel { max: fuel_max, backtrace },
        Some(Trap::Interrupt) => return CallError::Timeout { millis_max: PURE_MILLIS_MAX },
        _ => {}
    }
    let message = match error.downcast_ref::<I32Exit>() {
        Some(I32Exit(status)) => format!("it called exit with status {status}"),
        None => clamp(&error.root_cause().to_string(), 1_000),
    };
    if quotas_refused {
        return CallError::OutOfMemory { max: store.data().limits.memory_bytes_max(), message, backtrace };
    }
    // Nothing of the guest's ran into this: the machine could not give what an instance needs.
    if is_instantiation && trap.is_none() && trace.is_none() {
        return host_failure(error);
    }
    CallError::Trap { message, backtrace }
}
