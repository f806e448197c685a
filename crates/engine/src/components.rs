//! Compiled code, shared by all that run the same bytes. Instances are never shared; they belong to one processor each.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use pelton_model::{Digest, Quotas, Reason};
use pelton_store::Store;
use pelton_wasm::{Component, Sandbox};

/// Compiled components, the most recently used ones. What falls out is loaded again from the compile cache on disk.
pub(crate) struct Components {
    sandbox: Sandbox,
    recent: Mutex<Recent>,
}

#[derive(Default)]
struct Recent {
    uses: u64,
    loaded: HashMap<Digest, (Component, u64)>,
}

const RECENT_MAX: usize = 64;

impl Components {
    pub fn new(sandbox: Sandbox) -> Self {
        Self { sandbox, recent: Mutex::default() }
    }

    /// Verifies and compiles the component that `store` holds under `digest`. Blocking, and may take seconds.
    pub fn load(&self, store: &Store, digest: &Digest, quotas: &Quotas) -> Result<Component, Reason> {
        // Compiled code is shared, knowledge of it is not: a tenant runs what it has itself.
        store.component_size(digest).map_err(|error| host_fault(&error))?.ok_or_else(|| unknown(digest))?;
        if let Some(component) = self.recent(digest) {
            return Ok(component);
        }
        let bytes = store.component(digest).map_err(|error| host_fault(&error))?.ok_or_else(|| unknown(digest))?;
        let component = self.sandbox.load(&bytes, quotas).map_err(|error| error.reason())?;
        self.keep(*digest, component.clone());
        Ok(component)
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
