//! Compiled code, shared by all that run the same bytes. Instances are never shared; they belong to one processor each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use pelton_model::{Digest, Quotas, Reason};
use pelton_store::Store;
use pelton_wasm::{Component, Sandbox};

/// Compiled components, the most recently used ones. What falls out is loaded again from the compile cache on disk.
pub(crate) struct Components {
    sandbox: Sandbox,
    recent: Mutex<Recent>,
    /// Who loads a component holds its gate, so that nobody else does the same at the same time.
    gates: Mutex<HashMap<Digest, Arc<Mutex<()>>>>,
}

#[derive(Default)]
struct Recent {
    uses: u64,
    loaded: HashMap<Digest, (Component, u64)>,
}

const RECENT_MAX: usize = 64;

impl Components {
    pub fn new(sandbox: Sandbox) -> Self {
        Self { sandbox, recent: Mutex::default(), gates: Mutex::default() }
    }

    /// Verifies and compiles the component that `store` holds under `digest`. Blocking, and may take seconds.
    pub fn load(&self, store: &Store, digest: &Digest, quotas: &Quotas) -> Result<Component, Reason> {
        // Compiled code is shared, knowledge of it is not: a tenant runs what it has itself.
        store.component_size(digest).map_err(|error| host_fault(&error))?.ok_or_else(|| unknown(digest))?;
        if let Some(component) = self.recent(digest) {
            return Ok(component);
        }
        self.alone(digest, || {
            if let Some(component) = self.recent(digest) {
                return Ok(component);
            }
            let bytes = store.component(digest).map_err(|error| host_fault(&error))?.ok_or_else(|| unknown(digest))?;
            let component = self.sandbox.load(&bytes, quotas).map_err(|error| error.reason())?;
            self.keep(*digest, component.clone());
            Ok(component)
        })
    }

    /// Compiles a component before somebody asks for it, and leaves it in the cache on disk. Blocking, and may take many seconds, in which whoever does
    /// ask for it does not wait for this.
    pub fn prepare(&self, digest: &Digest, bytes: &[u8], quotas: &Quotas) -> Result<(), Reason> {
        // Who is loading it already leaves it in the cache too.
        self.alone(digest, || ());
        self.sandbox.prepare(digest, bytes, quotas).map_err(|error| error.reason())
    }

    fn alone<T>(&self, digest: &Digest, load: impl FnOnce() -> T) -> T {
        let gate = Arc::clone(self.gates.lock().unwrap_or_else(PoisonError::into_inner).entry(*digest).or_default());
        let loaded = {
            let _alone = gate.lock().unwrap_or_else(PoisonError::into_inner);
            load()
        };
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        // This one and the map's: nobody waits for it.
        if Arc::strong_count(&gate) == 2 {
            gates.remove(digest);
        }
        loaded
    }

    fn recent(&self, digest: &Digest) -> Option<Component> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.uses += 1;
        let now = recent.uses;
        let (component, used) = recent.loaded.get_mut(digest)?;
        *used = now;
        Some(component.clone())
    }

    fn keep(&self, digest: Digest, component: Component) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let now = recent.uses;
        recent.loaded.insert(digest, (component, now));
        if recent.loaded.len() > RECENT_MAX {
            let oldest = recent.loaded.iter().min_by_key(|(_, (_, used))| *used).map(|(digest, _)| *digest);
            oldest.and_then(|digest| recent.loaded.remove(&digest));
        }
    }
}

/// The code of a reason that is no fault of the plugin.
pub(crate) const HOST_ERROR: &str = "host-error";

pub(crate) fn host_fault(error: &dyn std::fmt::Display) -> Reason {
    Reason { code: HOST_ERROR.to_owned(), message: format!("the host failed: {error}"), expected: None, found: None, location: None }
}

fn unknown(digest: &Digest) -> Reason {
    Reason {
        code: "unknown-component".to_owned(),
        message: "no component with this digest has been uploaded to this tenant".to_owned(),
        expected: Some("the digest of a component uploaded before, or its bytes".to_owned()),
        found: Some(digest.to_string()),
        location: None,
    }
}
