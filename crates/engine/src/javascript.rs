//! The component that runs JavaScript, as every tenant of this host gets it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use pelton_model::{Builtin, ComponentRef, Digest, DynamicWorkerConfigured, NewEvent};
use pelton_store::{Component, Write};

use crate::AppendError;

/// A runtime and its name. Cheap to clone.
#[derive(Clone)]
pub(crate) struct JavaScript(Arc<(Arc<[u8]>, OnceLock<ComponentRef>)>);

impl JavaScript {
    pub fn new(bytes: Arc<[u8]>) -> Self {
        Self(Arc::new((bytes, OnceLock::new())))
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0.0
    }

    /// Digested when first asked for: most daemons start without anybody asking.
    pub fn component(&self) -> &ComponentRef {
        let (bytes, component) = &*self.0;
        component.get_or_init(|| ComponentRef { digest: Digest::of(bytes), size: Some(bytes.len() as u64) })
    }
}

/// What one tenant has of it: the events that need the runtime say which, and its bytes are kept as those of any component, so that what was
/// configured runs the same after an upgrade of the host.
pub(crate) struct TenantJavaScript {
    runtime: Option<JavaScript>,
    is_stored: AtomicBool,
}

impl TenantJavaScript {
    pub fn new(runtime: Option<JavaScript>) -> Self {
        Self { runtime, is_stored: AtomicBool::new(false) }
    }

    /// # Errors
    /// [`AppendError::NoJavaScriptRuntime`] where an event needs what this host does not have.
    pub fn check(&self, event: &NewEvent) -> Result<(), AppendError> {
        if self.runtime.is_none() && needs_runtime(event) { Err(AppendError::NoJavaScriptRuntime) } else { Ok(()) }
    }

    /// Puts the runtime into a write whose events need it. Whether they do.
    ///
    /// # Errors
    /// As [`TenantJavaScript::check`].
    pub fn attach(&self, write: &mut Write) -> Result<bool, AppendError> {
        let mut is_needed = false;
        for event in write.appends.iter_mut().map(|append| &mut append.event).filter(|event| needs_runtime(event)) {
            let runtime = self.runtime.as_ref().ok_or(AppendError::NoJavaScriptRuntime)?;
            DynamicWorkerConfigured::attach_runtime(event, runtime.component());
            is_needed = true;
        }
        if let Some(runtime) = self.runtime.as_ref().filter(|_| is_needed && !self.is_stored.load(Ordering::Acquire)) {
            write.component = Some(Component { digest: runtime.component().digest, bytes: runtime.bytes().to_vec() });
        }
        Ok(is_needed)
    }

    /// A write that was given the runtime is on disk.
    pub fn stored(&self) {
        self.is_stored.store(true, Ordering::Release);
    }
}

fn needs_runtime(event: &NewEvent) -> bool {
    Builtin::of(event.event_type.as_str()) == Some(Builtin::DynamicWorkerConfigured)
}
