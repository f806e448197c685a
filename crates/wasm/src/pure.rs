//! WASI without a world, for `reduce` and `describe`: clocks that stand still, randomness that is a constant, and nothing to wait for.

use std::time::Duration;

use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::p2::bindings::io::{poll as poll_async, streams as streams_async};
use wasmtime_wasi::p2::bindings::sync::io::{poll, streams};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, DynPollable, StreamError, StreamResult};
use wasmtime_wasi::{Deterministic, HostMonotonicClock, HostWallClock, WasiCtxBuilder, WasiView};

use crate::host::Host;
use crate::http;

/// Links WASI such that nothing in it waits, reaches out, or gives an answer that depends on when, where or how often it is asked.
pub(crate) fn add_to_linker(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_sync(linker)?;
    http::add_to_pure_linker(linker)?;
    linker.allow_shadowing(true);
    // The original waits by entering a tokio runtime, which would panic on a runtime's own thread.
    poll::add_to_linker::<Host, PureData>(linker, |host| Pure(host.ctx().table))?;
    streams::add_to_linker::<Host, PureData>(linker, |host| Pure(host.ctx().table))?;
    for (instance, function) in [
        ("wasi:clocks/monotonic-clock@0.2.12", "subscribe-instant"),
        ("wasi:clocks/monotonic-clock@0.2.12", "subscribe-duration"),
        ("wasi:sockets/tcp-create-socket@0.2.12", "create-tcp-socket"),
        ("wasi:sockets/udp-create-socket@0.2.12", "create-udp-socket"),
        ("wasi:sockets/ip-name-lookup@0.2.12", "resolve-addresses"),
        ("wasi:http/outgoing-handler@0.2.12", "handle"),
        ("pelton:processor/outbox@0.1.0", "append"),
        ("pelton:processor/appender@0.1.0", "append"),
    ] {
        linker.instance(instance)?.func_new(function, move |_, _, _, _| {
            let interface = instance.split_once('@').map_or(instance, |(name, _)| name);
            wasmtime::bail!("{interface}.{function} was called outside of after-append; reduce and describe have no access to the world")
        })?;
    }
    linker.allow_shadowing(false);
    Ok(())
}

/// The constants. Clocks are far enough from zero to subtract from, and the bytes of the randomness are all alike, so that no generator
/// has a state in which one call could leave a trace for the next.
pub(crate) fn configure(wasi: &mut WasiCtxBuilder) {
    const BYTE: u8 = 0x5a;
    wasi.wall_clock(Still)
        .monotonic_clock(Still)
        .secure_random(Deterministic::new(vec![BYTE]))
        .insecure_random(Deterministic::new(vec![BYTE]))
        .insecure_random_seed(u128::from_ne_bytes([BYTE; 16]));
}

struct Still;

impl HostWallClock for Still {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    /// The first second of the year 2000.
    fn now(&self) -> Duration {
        Duration::from_secs(946_684_800)
    }
}

impl HostMonotonicClock for Still {
    fn resolution(&self) -> u64 {
        1_000_000
    }

    fn now(&self) -> u64 {
        1 << 50
    }
}

/// The streams of `wasi:io` that never wait.
struct Pure<'a>(&'a mut ResourceTable);

struct PureData;

impl HasData for PureData {
    type Data<'a> = Pure<'a>;
}

/// The streams here are the three standard ones, which are always ready; whatever is not ready at once never will be.
fn at_once<F: Future>(future: F) -> wasmtime::Result<F::Output> {
    wasmtime_wasi::runtime::poll_noop(std::pin::pin!(future))
        .ok_or_else(|| wasmtime::format_err!("the guest waits for something, which reduce and describe cannot"))
}

fn stream_at_once<T>(future: impl Future<Output = StreamResult<T>>) -> StreamResult<T> {
    at_once(future).map_err(StreamError::Trap)?
}

impl poll::Host for Pure<'_> {
    fn poll(&mut self, pollables: Vec<Resource<DynPollable>>) -> wasmtime::Result<Vec<u32>> {
        at_once(poll_async::Host::poll(self.0, pollables))?
    }
}

impl poll::HostPollable for Pure<'_> {
    fn ready(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<bool> {
        at_once(poll_async::HostPollable::ready(self.0, pollable))?
    }

    fn block(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        at_once(poll_async::HostPollable::block(self.0, pollable))?
    }

    fn drop(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        poll_async::HostPollable::drop(self.0, pollable)
    }
}

impl streams::Host for Pure<'_> {
    fn convert_stream_error(&mut self, error: StreamError) -> wasmtime::Result<streams::StreamError> {
        Ok(streams_async::Host::convert_stream_error(self.0, error)?.into())
    }
}

impl streams::HostOutputStream for Pure<'_> {
    fn check_write(&mut self, stream: Resource<DynOutputStream>) -> StreamResult<u64> {
        streams_async::HostOutputStream::check_write(self.0, stream)
    }

    fn write(&mut self, stream: Resource<DynOutputStream>, bytes: Vec<u8>) -> StreamResult<()> {
        streams_async::HostOutputStream::write(self.0, stream, bytes)
    }

    fn blocking_write_and_flush(&mut self, stream: Resource<DynOutputStream>, bytes: Vec<u8>) -> StreamResult<()> {
        stream_at_once(streams_async::HostOutputStream::blocking_write_and_flush(self.0, stream, bytes))
    }

    fn flush(&mut self, stream: Resource<DynOutputStream>) -> StreamResult<()> {
        streams_async::HostOutputStream::flush(self.0, stream)
    }

    fn blocking_flush(&mut self, stream: Resource<DynOutputStream>) -> StreamResult<()> {
        stream_at_once(streams_async::HostOutputStream::blocking_flush(self.0, stream))
    }

    fn subscribe(&mut self, stream: Resource<DynOutputStream>) -> wasmtime::Result<Resource<DynPollable>> {
        streams_async::HostOutputStream::subscribe(self.0, stream)
    }

    fn write_zeroes(&mut self, stream: Resource<DynOutputStream>, len: u64) -> StreamResult<()> {
        streams_async::HostOutputStream::write_zeroes(self.0, stream, len)
    }

    fn blocking_write_zeroes_and_flush(&mut self, stream: Resource<DynOutputStream>, len: u64) -> StreamResult<()> {
        stream_at_once(streams_async::HostOutputStream::blocking_write_zeroes_and_flush(self.0, stream, len))
    }

    fn splice(&mut self, to: Resource<DynOutputStream>, from: Resource<DynInputStream>, len: u64) -> StreamResult<u64> {
        streams_async::HostOutputStream::splice(self.0, to, from, len)
    }

    fn blocking_splice(&mut self, to: Resource<DynOutputStream>, from: Resource<DynInputStream>, len: u64) -> StreamResult<u64> {
        stream_at_once(streams_async::HostOutputStream::blocking_splice(self.0, to, from, len))
    }

    fn drop(&mut self, stream: Resource<DynOutputStream>) -> wasmtime::Result<()> {
        at_once(streams_async::HostOutputStream::drop(self.0, stream))?
    }
}

impl streams::HostInputStream for Pure<'_> {
    fn read(&mut self, stream: Resource<DynInputStream>, len: u64) -> StreamResult<Vec<u8>> {
        streams_async::HostInputStream::read(self.0, stream, len)
    }

    fn blocking_read(&mut self, stream: Resource<DynInputStream>, len: u64) -> StreamResult<Vec<u8>> {
        stream_at_once(streams_async::HostInputStream::blocking_read(self.0, stream, len))
    }

    fn skip(&mut self, stream: Resource<DynInputStream>, len: u64) -> StreamResult<u64> {
        streams_async::HostInputStream::skip(self.0, stream, len)
    }

    fn blocking_skip(&mut self, stream: Resource<DynInputStream>, len: u64) -> StreamResult<u64> {
        stream_at_once(streams_async::HostInputStream::blocking_skip(self.0, stream, len))
    }

    fn subscribe(&mut self, stream: Resource<DynInputStream>) -> wasmtime::Result<Resource<DynPollable>> {
        streams_async::HostInputStream::subscribe(self.0, stream)
    }

    fn drop(&mut self, stream: Resource<DynInputStream>) -> wasmtime::Result<()> {
        at_once(streams_async::HostInputStream::drop(self.0, stream))?
    }
}
