//! The caps on memory and tables, counted over all of an instance together.

use pelton_model::Quotas;
use wasmtime::ResourceLimiter;

/// Growth beyond a cap fails inside the guest, the same way each time, and is remembered: most languages answer it with a trap whose own
/// message says nothing of memory.
pub(crate) struct Limits {
    memory_bytes_max: usize,
    table_elements_max: usize,
    parts_max: usize,
    memory_bytes: usize,
    /// What the growth under way has added, to be taken back where the machine refuses it.
    growing: usize,
    was_refused: bool,
}

impl Limits {
    pub(crate) fn new(quotas: &Quotas) -> Self {
        Self {
            memory_bytes_max: quotas.memory_bytes_max,
            table_elements_max: quotas.table_elements_max,
            parts_max: quotas.core_instances_max,
            memory_bytes: 0,
            growing: 0,
            was_refused: false,
        }
    }

    pub(crate) fn begin_call(&mut self) {
        self.was_refused = false;
    }

    /// Whether growth was refused since the call began.
    pub(crate) fn was_refused(&self) -> bool {
        self.was_refused
    }

    pub(crate) fn memory_bytes_max(&self) -> usize {
        self.memory_bytes_max
    }

    /// Bytes of all linear memories together.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }
}

impl ResourceLimiter for Limits {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let delta = desired.saturating_sub(current);
        // Beyond the memory's own maximum the guest has set the limit itself.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let fits = self.memory_bytes.saturating_add(delta) <= self.memory_bytes_max;
        if fits {
            self.growing = delta;
            self.memory_bytes += delta;
        } else {
            self.was_refused = true;
        }
        Ok(fits)
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.memory_bytes -= std::mem::take(&mut self.growing);
        Ok(())
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let fits = desired <= self.table_elements_max;
        self.was_refused |= !fits;
        Ok(fits)
    }

    fn instances(&self) -> usize {
        self.parts_max
    }

    fn tables(&self) -> usize {
        self.parts_max
    }

    fn memories(&self) -> usize {
        self.parts_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_capped_over_all_memories_together() {
        let mut limits = Limits::new(&Quotas { memory_bytes_max: 100, ..Quotas::default() });
        assert!(limits.memory_growing(0, 60, None).unwrap());
        assert!(!limits.memory_growing(0, 60, None).unwrap());
        assert!(limits.was_refused());
        limits.begin_call();
        assert!(limits.memory_growing(0, 40, Some(40)).unwrap() && !limits.was_refused());
        assert_eq!(limits.memory_bytes(), 100);
    }

    #[test]
    fn growth_that_the_machine_refuses_is_not_counted() {
        let mut limits = Limits::new(&Quotas { memory_bytes_max: 100, ..Quotas::default() });
        assert!(limits.memory_growing(0, 60, None).unwrap());
        limits.memory_grow_failed(wasmtime::format_err!("no memory")).unwrap();
        assert_eq!(limits.memory_bytes(), 0);
    }
}
