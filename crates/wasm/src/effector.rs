//! Acting on one event.

use std::sync::Arc;
use std::time::Duration;

use pelton_model::{Event, Json, NewEvent, StreamPath};

use crate::host::{Context, Handling};
use crate::instance::Instance;
use crate::lower::Digests;
use crate::{Appender, CallError, Component, Gate, Identity};

/// Calls `after-append`; keeps a warm instance and replaces it when needed.
pub struct Effector {
    component: Component,
    identity: Identity,
    context: Arc<Context>,
    warm: Option<Instance>,
}

/// What a successful call asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effects {
    /// To be recorded in one transaction with the acknowledged cursor.
    pub outbox: Vec<(StreamPath, NewEvent)>,
    /// What the guest used, for metrics.
    pub fuel: u64,
}

impl Effector {
    pub(crate) fn new(component: Component, identity: Identity, context: Context) -> Self {
        Self { component, identity, context: Arc::new(context), warm: None }
    }

    /// Acts on one event. Requests that the guest left under way when it returned are given up. Blocking: call it from a thread that may block, inside the context of a tokio runtime.
    ///
    /// # Errors
    /// [`CallError`]; what the outbox held is then gone.
    pub fn after_append(
        &mut self,
        event: &Event,
        state: &Json,
        appender: Arc<dyn Appender>,
        gate: Arc<dyn Gate>,
    ) -> Result<Effects, CallError> {
        let runtime = tokio::runtime::Handle::try_current().map_err(|error| CallError::Host { message: error.to_string() })?;
        let millis_max = self.context.quotas.after_append_millis_max;
        // When the time is over the call is dropped where it stands, and its instance with it.
        let call = self.call(event, state, appender, gate);
        runtime
            .block_on(async { tokio::time::timeout(Duration::from_millis(millis_max), call).await })
            .unwrap_or(Err(CallError::Timeout { millis_max }))
    }

    /// The instance is kept only if all went well.
    async fn call(&mut self, event: &Event, state: &Json, appender: Arc<dyn Appender>, gate: Arc<dyn Gate>) -> Result<Effects, CallError> {
        let quotas = &self.context.quotas;
        let fuel_max = quotas.after_append_fuel_max;
        let mut instance = match self.warm.take().filter(|instance| !instance.is_spent(quotas)) {
            Some(instance) => instance,
            None => Instance::worldly(self.component.worldly(), &self.context, fuel_max).await?,
        };
        instance.begin_worldly_call(fuel_max, event.offset)?;
        let host = instance.store.data_mut();
        host.handling = Some(Handling::new(event, &self.identity, appender));
        host.outgoing.begin_call(gate, quotas);
        let digests = Digests::of(std::slice::from_ref(event));
        let guest = instance.guest.pelton_processor_processor();
        let result = guest.call_after_append(&mut instance.store, digests.lower(event), state.as_str()).await;
        let host = instance.store.data_mut();
        host.outgoing.end_call();
        let handling = host.handling.take();
        let (returned, fuel) = instance.end_call(result, fuel_max)?;
        returned.map_err(|message| CallError::guest(&message))?;
        self.warm = Some(instance);
        Ok(Effects { outbox: handling.map_or_else(Vec::new, Handling::into_outbox), fuel })
    }
}
