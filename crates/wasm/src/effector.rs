//! Acting on one event.

use std::sync::Arc;
use std::time::Duration;

use pelton_model::{Event, Json, NewEvent, StreamPath};

use crate::host::{Context, Handling};
use crate::instance::Instance;
use crate::lower::Digests;
use crate::{Appender, CallError, Component, Gate, Identity};

/// Calls `after-append`; keeps a warm instance and replaces it when needed.
///
/// A call that wanted more memory than a warm instance had left is made again on a fresh one, unless something of it has gone out already: what
/// earlier calls left in memory must not decide what becomes of an event.
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

/// A call that failed.
struct Failed {
    error: CallError,
    /// Memory was what it lacked, a fresh instance has more of it, and nobody has seen anything of the call.
    is_repeatable: bool,
}

impl From<CallError> for Failed {
    fn from(error: CallError) -> Self {
        Self { error, is_repeatable: false }
    }
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
        let call = async {
            match self.call(event, state, &appender, &gate).await {
                Err(Failed { is_repeatable: true, .. }) => self.call(event, state, &appender, &gate).await,
                result => result,
            }
            .map_err(|failed| failed.error)
        };
        runtime
            .block_on(async { tokio::time::timeout(Duration::from_millis(millis_max), call).await })
            .unwrap_or(Err(CallError::Timeout { millis_max }))
    }

    /// The instance is kept only if all went well.
    async fn call(&mut self, event: &Event, state: &Json, appender: &Arc<dyn Appender>, gate: &Arc<dyn Gate>) -> Result<Effects, Failed> {
        let quotas = &self.context.quotas;
        let fuel_max = quotas.after_append_fuel_max;
        let mut instance = match self.warm.take().filter(|instance| !instance.is_spent(quotas)) {
            Some(instance) => instance,
            None => Instance::worldly(self.component.worldly(), &self.context, fuel_max).await?,
        };
        let was_fresh = instance.is_fresh();
        instance.begin_worldly_call(fuel_max, event.offset)?;
        let host = instance.store.data_mut();
        host.handling = Some(Handling::new(event, &self.identity, Arc::clone(appender)));
        host.outgoing.begin_call(Arc::clone(gate), quotas);
        let digests = Digests::of(std::slice::from_ref(event));
        let guest = instance.guest.pelton_processor_processor();
        let result = guest.call_after_append(&mut instance.store, digests.lower(event), state.as_str()).await;
        let host = instance.store.data_mut();
        let has_sent = host.outgoing.end_call();
        let handling = host.handling.take();
        let has_gone_out = has_sent || handling.as_ref().is_some_and(Handling::has_appended_at_once);
        let is_repeatable = !was_fresh && host.limits.was_refused() && !has_gone_out;
        let ended = instance.end_call(result, fuel_max);
        let ended = ended.and_then(|(returned, fuel)| Ok((returned.map_err(|message| CallError::guest(&message))?, fuel)));
        let ((), fuel) = ended.map_err(|error| Failed { error, is_repeatable })?;
        self.warm = Some(instance);
        Ok(Effects { outbox: handling.map_or_else(Vec::new, Handling::into_outbox), fuel })
    }
}
