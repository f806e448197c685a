//! The component that runs JavaScript, as every tenant of this host gets it.

use std::sync::{Arc, OnceLock};

use pelton_model::{Builtin, ComponentRef, Digest, DynamicWorkerConfigured, NewEvent};
use pelton_store::{Component, Write};
use tokio::sync::OnceCell;

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
    stored: OnceCell<()>,
}

impl TenantJavaScript {
    pub fn new(runtime: Option<JavaScript>) -> Self {
        Self { runtime, stored: OnceCell::new() }
    }

    /// # Errors
    /// [`AppendError::NoJavaScriptRuntime`] where an event needs what this host does not have.
    pub fn check(&self, event: &NewEvent) -> Result<(), AppendError> {
        if self.runtime.is_none() && needs_runtime(event) { Err(AppendError::NoJavaScriptRuntime) } else { Ok(()) }
    }

    /// Says in the events of a write that need the runtime which one it is, and has `store` write its bytes where that was not done before: one
    /// write of them at a time, for they are megabytes that whoever appends many programs at once would have multiplied.
    ///
    /// # Errors
    /// As [`TenantJavaScript::check`], or what became of `store`.
    pub async fn attach<F>(&self, write: &mut Write, store: impl FnOnce(Write) -> F) -> Result<(), AppendError>
    where
        F: Future<Output = Result<(), AppendError>>,
    {
        let Some(runtime) = self.name_runtime(write)? else { return Ok(()) };
        let component = || Component { digest: runtime.component().digest, bytes: runtime.bytes().to_vec() };
        self.stored.get_or_try_init(|| store(Write { component: Some(component()), ..Write::default() })).await.copied()
    }

    /// The runtime, where an event needs it.
    fn name_runtime(&self, write: &mut Write) -> Result<Option<&JavaScript>, AppendError> {
        let mut needed = None;
        for event in write.appends.iter_mut().map(|append| &mut append.event).filter(|event| needs_runtime(event)) {
            let runtime = self.runtime.as_ref().ok_or(AppendError::NoJavaScriptRuntime)?;
            DynamicWorkerConfigured::attach_runtime(event, runtime.component());
            needed = Some(runtime);
        }
        Ok(needed)
    }
}

fn needs_runtime(event: &NewEvent) -> bool {
    Builtin::of(event.event_type.as_str()) == Some(Builtin::DynamicWorkerConfigured)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pelton_model::{JsonObject, StreamPath};
    use pelton_store::Append;
    use std::cell::Cell;

    fn program() -> Write {
        let payload = JsonObject::parse(r#"{"slug":"a","script":""}"#).unwrap();
        let event = NewEvent { payload, ..NewEvent::builtin(Builtin::DynamicWorkerConfigured, &()) };
        Write { appends: vec![Append { stream: StreamPath::new("/a").unwrap(), event }], ..Write::default() }
    }

    #[tokio::test]
    async fn of_many_programs_at_once_one_carries_the_runtime_to_the_disk() {
        let tenant = TenantJavaScript::new(Some(JavaScript::new(Arc::from(&b"runtime"[..]))));
        let carried = Cell::new(0);
        let append = async |succeeds: bool| {
            let mut write = program();
            let store = async |bytes: Write| {
                carried.set(carried.get() + bytes.component.map_or(0, |component| component.bytes.len()));
                tokio::task::yield_now().await;
                if succeeds { Ok(()) } else { Err(AppendError::Unavailable(String::new())) }
            };
            let attached = tenant.attach(&mut write, store).await;
            assert!(write.component.is_none() && write.appends[0].event.payload.as_str().contains("runtime"));
            attached.is_ok()
        };
        assert!(!append(false).await, "what was not stored is not said to be");
        assert_eq!(tokio::join!(append(true), append(true), append(true)), (true, true, true));
        assert_eq!(carried.get(), 2 * b"runtime".len());
    }
}
