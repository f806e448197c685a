//! `pelton serve`: from the command line to a listening server, and down again without losing anything accepted.

use std::io::{IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytesize::ByteSize;
use clap::{Args, ValueEnum};
use pelton_engine::{Engine, EngineError, EngineOptions};
use pelton_model::Quotas;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::egress::{Egress, Rule};
use crate::listen::Manners;
use crate::push::Post;
use crate::{http, listen};

/// Options of `pelton serve`.
#[derive(Args)]
pub struct Options {
    /// Address to listen on; port 0 picks a free one. There is no authentication yet: keep it on a loopback address.
    #[arg(long, env = "PELTON_LISTEN", default_value = "127.0.0.1:7070")]
    listen: SocketAddr,
    /// Folder for everything that is kept.
    #[arg(long, env = "PELTON_DATA", default_value = "./pelton-data")]
    data: PathBuf,
    /// Folder for compiled components; `compiled` in the data folder unless named. Several daemons may share one, of the same user only: whoever
    /// can write to it can run machine code as the daemon.
    #[arg(long, env = "PELTON_COMPILE_CACHE")]
    compile_cache: Option<PathBuf>,
    /// File with the key that secrets are sealed with; `master.key` in the data folder unless named. Made on the first start, readable by its
    /// owner only. Without it no secret can be opened: keep a copy apart from the data.
    #[arg(long, env = "PELTON_MASTER_KEY_FILE")]
    master_key_file: Option<PathBuf>,
    /// What may leave the host, `[TENANT=][METHOD:]SCHEME://HOST[:PORT]`, such as `https://*`, `acme=https://*.example.com:*` or `http://127.0.0.1:9000`; several are
    /// separated by spaces, or the option given again. Nothing leaves unless it is allowed here, and nothing goes to an address that is not public
    /// unless the address itself, or its network, is named.
    #[arg(long, env = "PELTON_EGRESS", value_delimiter = ' ')]
    egress: Vec<Rule>,
    /// Component that runs the programs of `stream/dynamic-worker/configured`, instead of the one that this binary may contain.
    #[arg(long, env = "PELTON_JAVASCRIPT_RUNTIME_FILE")]
    javascript_runtime: Option<PathBuf>,
    /// Largest component that may be uploaded.
    #[arg(long, env = "PELTON_BODY_LIMIT", default_value = "64MiB")]
    body_limit: ByteSize,
    /// Largest event: type, payload, metadata and key together.
    #[arg(long, env = "PELTON_EVENT_LIMIT", default_value = "1MiB")]
    event_limit: ByteSize,
    /// Page cache of all open tenants together.
    #[arg(long, env = "PELTON_CACHE", default_value = "256MiB")]
    cache: ByteSize,
    /// Tenants that are open at the same time, each with one file; the least recently used idle one gives way.
    #[arg(long, env = "PELTON_OPEN_TENANTS", default_value = "256")]
    open_tenants: usize,
    /// Seconds after which a tenant that nobody uses is closed.
    #[arg(long, env = "PELTON_IDLE_SECONDS", default_value = "60")]
    idle_seconds: u64,
    /// Processors of all tenants that work at the same time, each on a thread that its slow requests hold; further ones wait. Half of them are kept
    /// for tenants of which none works yet.
    #[arg(long, env = "PELTON_EFFECTS_MAX", default_value = "256", value_parser = clap::value_parser!(u16).range(2..=10_000))]
    effects_max: u16,
    /// Answer as another service does where the two differ, for its clients.
    #[arg(long, env = "PELTON_COMPAT")]
    compat: Option<http::Compat>,
    /// Connections that are open at the same time; further ones wait, not accepted, until one ends.
    #[arg(long, env = "PELTON_CONNECTIONS_MAX", default_value = "20000", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    connections_max: u32,
    /// Seconds that the headers of a request may take, and that a connection may be idle between two requests.
    #[arg(long, env = "PELTON_HEADER_TIMEOUT_SECONDS", default_value = "30", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    header_timeout_seconds: u64,
    /// Seconds of silence after which a request is given up whose body has not come to its end.
    #[arg(long, env = "PELTON_BODY_TIMEOUT_SECONDS", default_value = "30", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    body_timeout_seconds: u64,
    /// How log lines on standard error look. What is logged is set by `PELTON_LOG`, such as `info` or `pelton_engine=debug`.
    #[arg(long, env = "PELTON_LOG_FORMAT", default_value = "text")]
    log_format: LogFormat,
}

#[derive(Clone, Copy, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

/// Why the daemon does not start or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("cannot listen on {address}: {source}")]
    Listen {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("--javascript-runtime {file}: {source}")]
    JavaScriptRuntime {
        file: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
    #[error("{what}: {source}")]
    Io {
        what: &'static str,
        #[source]
        source: std::io::Error,
    },
    #[error("--{option}: expected a size that fits into this machine's memory addresses, found {found}")]
    Size { option: &'static str, found: ByteSize },
}

/// The component that runs JavaScript, empty where it was not there when this was built.
static JAVASCRIPT_RUNTIME: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/javascript.wasm"));

/// How long open connections may take to finish once the daemon is told to stop.
const DRAIN_TIME: Duration = Duration::from_secs(20);

/// For reads and whatever else ends soon. Deployments, JSONata and lookups of names, which may not, are at most 64 each.
const BLOCKING_THREADS_BESIDE_EFFECTS: usize = 3 * 64 + 512;

/// Runs the daemon until SIGTERM or SIGINT.
///
/// # Errors
/// [`ServeError`] where it cannot start, or cannot serve any more.
pub fn run(options: Options) -> Result<(), ServeError> {
    log_to_stderr(options.log_format);
    let threads = usize::from(options.effects_max) + BLOCKING_THREADS_BESIDE_EFFECTS;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().max_blocking_threads(threads).build();
    let runtime = runtime.map_err(io("starting the runtime"))?;
    runtime.block_on(serve(options))
}

async fn serve(options: Options) -> Result<(), ServeError> {
    let listener = TcpListener::bind(options.listen).await.map_err(|source| ServeError::Listen { address: options.listen, source })?;
    let address = listener.local_addr().map_err(io("reading the address listened on"))?;
    let engine = Engine::start(engine_options(&options)?)?;
    announce(address).map_err(io("writing to standard output"))?;

    let (stop, stopping) = watch::channel(false);
    let body_timeout = Duration::from_secs(options.body_timeout_seconds);
    let app = http::router(http::App { engine: engine.clone(), stopping: stopping.clone(), compat: options.compat, body_timeout });
    let manners = Manners { header_timeout: Duration::from_secs(options.header_timeout_seconds), connections_max: options.connections_max };
    let mut server = tokio::spawn(listen::serve(listener, app, manners, stopping));

    tokio::select! {
        result = &mut server => return ended(result),
        () = stop_signal() => {}
    }
    tracing::info!("stopping: finishing what was accepted");
    stop.send_replace(true);
    match tokio::time::timeout(DRAIN_TIME, server).await {
        Ok(result) => ended(result)?,
        Err(_elapsed) => tracing::warn!("some connections did not finish in time and are cut"),
    }
    engine.shutdown().await;
    tracing::info!("stopped");
    Ok(())
}

fn ended(result: Result<(), tokio::task::JoinError>) -> Result<(), ServeError> {
    result.map_err(std::io::Error::other).map_err(io("serving"))
}

fn engine_options(options: &Options) -> Result<EngineOptions, ServeError> {
    let size = |option, found: ByteSize| usize::try_from(found.as_u64()).map_err(|_| ServeError::Size { option, found });
    let quotas = Quotas {
        component_bytes_max: size("body-limit", options.body_limit)?,
        event_bytes_max: size("event-limit", options.event_limit)?,
        ..Quotas::default()
    };
    let courier = Post::new(Egress::new(options.egress.clone()), options.compat).map_err(ServeError::Tls)?;
    let javascript_runtime = match &options.javascript_runtime {
        Some(file) => std::fs::read(file).map_err(|source| ServeError::JavaScriptRuntime { file: file.clone(), source })?.into(),
        None => JAVASCRIPT_RUNTIME.into(),
    };
    Ok(EngineOptions {
        javascript_runtime: Some(javascript_runtime).filter(|bytes: &Arc<[u8]>| !bytes.is_empty()),
        courier: Arc::new(courier),
        data_dir: options.data.clone(),
        compile_cache: options.compile_cache.clone().unwrap_or_else(|| options.data.join("compiled")),
        master_key_file: options.master_key_file.clone().unwrap_or_else(|| options.data.join("master.key")),
        breaker_counts_all: options.compat.is_some(),
        quotas,
        cache_bytes_max: size("cache", options.cache)?,
        tenants_open_max: options.open_tenants,
        effects_max: options.effects_max.into(),
        idle_time: Duration::from_secs(options.idle_seconds),
    })
}

/// The first line on standard output, which scripts read to learn the port.
fn announce(address: SocketAddr) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "listening on http://{address}")?;
    out.flush()
}

async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let (terminate, interrupt) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    match (terminate, interrupt) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        }
        (Err(error), _) | (_, Err(error)) => {
            tracing::error!(%error, "signals cannot be handled; only SIGKILL ends this process");
            std::future::pending().await
        }
    }
}

fn log_to_stderr(format: LogFormat) {
    let filter = tracing_subscriber::EnvFilter::try_from_env("PELTON_LOG").unwrap_or_else(|_| "info".into());
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.json().init(),
    }
}

fn io(what: &'static str) -> impl FnOnce(std::io::Error) -> ServeError {
    move |source| ServeError::Io { what, source }
}
