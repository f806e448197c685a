//! Every cap that the host puts on a tenant, by name.

use serde::{Deserialize, Serialize};

use crate::ProcessorLimits;

/// The limits of one tenant. The defaults are documented in `docs/quotas.md`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Quotas {
    /// Bytes of one event: type, payload, metadata and key together.
    pub event_bytes_max: usize,
    /// Events of one atomic batch.
    pub batch_events_max: usize,
    /// Segments of the path of a stream that is appended to. Every stream above a new one begins with it and is told of it, so that the cost of a
    /// path grows with the square of its depth.
    pub path_depth_max: usize,
    /// Bytes of what is configured on one stream, as JSON: processors, subscriptions, transformers, schedules, variables and metadata.
    pub control_bytes_max: usize,
    /// Bytes that may wait for the writer before an append has to wait itself.
    pub queue_bytes_max: usize,
    /// Bytes of one uploaded component.
    pub component_bytes_max: usize,
    /// Bytes of a processor's state as JSON.
    pub state_bytes_max: usize,
    /// Bytes of all linear memories of an instance together.
    pub memory_bytes_max: usize,
    /// Elements of each table of an instance.
    pub table_elements_max: usize,
    /// Core instances, memories and tables that a component may consist of.
    pub core_instances_max: usize,
    /// Fuel of `describe`. About one unit is one WebAssembly instruction.
    pub describe_fuel_max: u64,
    /// Fuel of `reduce` for one event. A call with many events gets no more.
    pub reduce_fuel_max: u64,
    /// Fuel of one call of `after-append`.
    pub after_append_fuel_max: u64,
    /// Milliseconds that one call of `after-append` may take.
    pub after_append_millis_max: u64,
    /// Attempts at one event in `after-append` before the processor is parked.
    pub attempts_max: u32,
    /// Events that one call of `after-append` may append, outbox and appender together.
    pub appends_max: usize,
    /// Bytes of those events together.
    pub append_bytes_max: usize,
    /// Length of a chain of answers to answers.
    pub depth_max: u32,
    /// HTTP requests that one call of `after-append` may send.
    pub http_requests_max: usize,
    /// Bytes of the headers of one request or response, names and values together.
    pub http_header_bytes_max: usize,
    /// Bytes of the bodies of all requests of one call together.
    pub http_request_bytes_max: usize,
    /// Bytes of the bodies of all responses of one call together.
    pub http_response_bytes_max: usize,
    /// Connections that the HTTP requests of all processors of the tenant have open together.
    pub http_connections_max: usize,
    /// Milliseconds from looking up a name until the connection, TLS included, is there.
    pub http_connect_millis_max: u64,
    /// Milliseconds of silence while a response is waited for or read.
    pub http_silence_millis_max: u64,
    /// Log lines of one call that are kept.
    pub log_lines_max: usize,
    /// Bytes of one log line that are kept.
    pub log_line_bytes_max: usize,
    /// Calls after which an instance is replaced by a fresh one.
    pub instance_calls_max: u64,
    /// Bytes of memory past which an instance is replaced after a call.
    pub instance_recycle_bytes: usize,
}

impl Default for Quotas {
    fn default() -> Self {
        const MIB: usize = 1 << 20;
        Self {
            event_bytes_max: MIB,
            batch_events_max: 10_000,
            path_depth_max: 32,
            control_bytes_max: 8 * MIB,
            queue_bytes_max: 64 * MIB,
            component_bytes_max: 64 * MIB,
            state_bytes_max: 4 * MIB,
            memory_bytes_max: 128 * MIB,
            table_elements_max: 20_000,
            core_instances_max: 40,
            describe_fuel_max: 8_000_000_000,
            reduce_fuel_max: 1_000_000_000,
            after_append_fuel_max: 10_000_000_000,
            after_append_millis_max: 30_000,
            attempts_max: 5,
            appends_max: 1_000,
            append_bytes_max: 8 * MIB,
            depth_max: 1_000,
            http_requests_max: 50,
            http_header_bytes_max: 64 << 10,
            http_request_bytes_max: 8 * MIB,
            http_response_bytes_max: 16 * MIB,
            http_connections_max: 200,
            http_connect_millis_max: 10_000,
            http_silence_millis_max: 25_000,
            log_lines_max: 100,
            log_line_bytes_max: 4_096,
            instance_calls_max: 100_000,
            instance_recycle_bytes: 64 * MIB,
        }
    }
}

impl Quotas {
    /// The quotas with what a processor asks for in its own configuration. It can lower them, never raise them.
    #[must_use]
    pub fn lowered_by(&self, limits: &ProcessorLimits) -> Self {
        fn lower<T: Ord + Copy>(quota: &mut T, wanted: Option<T>) {
            *quota = wanted.map_or(*quota, |wanted| wanted.min(*quota));
        }
        let mut quotas = self.clone();
        lower(&mut quotas.memory_bytes_max, limits.memory_bytes_max);
        lower(&mut quotas.state_bytes_max, limits.state_bytes_max);
        lower(&mut quotas.reduce_fuel_max, limits.reduce_fuel_max);
        lower(&mut quotas.after_append_fuel_max, limits.after_append_fuel_max);
        lower(&mut quotas.after_append_millis_max, limits.after_append_millis_max);
        lower(&mut quotas.attempts_max, limits.attempts_max.map(|attempts| attempts.max(1)));
        quotas
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_can_lower_a_quota_and_never_raise_it() {
        let limits = ProcessorLimits { memory_bytes_max: Some(1), state_bytes_max: Some(usize::MAX), ..ProcessorLimits::default() };
        let quotas = Quotas::default().lowered_by(&limits);
        assert_eq!((quotas.memory_bytes_max, quotas.state_bytes_max), (1, Quotas::default().state_bytes_max));
    }
}
