//! The engine and its linkers, and what they make of a component's bytes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pelton_model::{Digest, JsonObject, Quotas, Slug, StreamPath, TenantName};
use wasmtime::component::{Component as Compiled, Linker};
use wasmtime::{Cache, CacheConfig, Config, Engine, InstanceAllocationStrategy, OptLevel, WasmBacktraceDetails};

use crate::bindings::StreamProcessorPre;
use crate::error::clamp;
use crate::host::{self, Context, Host};
use crate::instance::Instance;
use crate::ticker::Ticker;
use crate::{CallError, Effector, LoadError, Manifest, Reducer, SandboxError, verify};

/// One configuration of wasmtime for everything that runs. Clones share it; the thread behind it ends with the last of them and of
/// what they have loaded.
#[derive(Clone)]
pub struct Sandbox(Arc<Shared>);

#[derive(Debug, Clone, Default)]
pub struct SandboxOptions {
    /// Folder for compiled code; without one, every start compiles anew. Whoever can write to it can run machine code as the host.
    pub compile_cache: Option<PathBuf>,
}

/// A compiled component, linked and ready to be instantiated. Clones share it.
#[derive(Clone)]
pub struct Component(Arc<Linked>);

/// Whose instances these are. Instances are never shared between two identities.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    pub tenant: TenantName,
    /// The stream that the processor is attached to.
    pub stream: StreamPath,
    pub slug: Slug,
    pub digest: Digest,
}

struct Shared {
    engine: Engine,
    pure: Linker<Host>,
    worldly: Linker<Host>,
    cache: Option<Cache>,
    _ticker: Ticker,
}

struct Linked {
    digest: Digest,
    pure: StreamProcessorPre<Host>,
    worldly: StreamProcessorPre<Host>,
    /// Keeps the epochs counted.
    _sandbox: Sandbox,
}

impl Sandbox {
    /// # Errors
    /// [`SandboxError`] where the folder for compiled code cannot be used, or wasmtime does not work on this machine.
    pub fn new(options: &SandboxOptions) -> Result<Self, SandboxError> {
        let engine_error = |error: wasmtime::Error| SandboxError::Engine { message: format!("{error:#}") };
        let mut config = config();
        let cache = options.compile_cache.as_deref().map(cache).transpose()?;
        config.cache(cache.clone());
        let engine = Engine::new(&config).map_err(engine_error)?;
        let mut pure = Linker::new(&engine);
        host::add_to_pure_linker(&mut pure).map_err(engine_error)?;
        let mut worldly = Linker::new(&engine);
        host::add_to_linker(&mut worldly).map_err(engine_error)?;
        let ticker = Ticker::start(engine.clone())?;
        Ok(Self(Arc::new(Shared { engine, pure, worldly, cache, _ticker: ticker })))
    }

    /// Verifies and compiles. Blocking, may take seconds.
    ///
    /// # Errors
    /// [`LoadError`] says what the author has to mend.
    pub fn load(&self, bytes: &[u8], quotas: &Quotas) -> Result<Component, LoadError> {
        verify::verify(bytes, quotas).map(drop)?;
        let compiled = Compiled::from_binary(&self.0.engine, bytes)
            .map_err(|error| verify::malformed(bytes).unwrap_or_else(|| LoadError::Compile { message: text(&error) }))?;
        let wrong_types = |error: wasmtime::Error| LoadError::WrongTypes { message: text(&error) };
        let link = |linker: &Linker<Host>| StreamProcessorPre::new(linker.instantiate_pre(&compiled)?);
        // `worldly` first: its functions are typed, while those that only trap would let any type pass.
        let worldly = link(&self.0.worldly).map_err(wrong_types)?;
        let pure = link(&self.0.pure).map_err(wrong_types)?;
        let component = Component(Arc::new(Linked { digest: Digest::of(bytes), pure, worldly, _sandbox: self.clone() }));
        component.check_exports(quotas)?;
        Ok(component)
    }
}

impl Sandbox {
    /// Sees to it that the compiled code is in the cache on disk, on this thread alone: when that ends, so does what the compiler leaves behind in the
    /// allocator, and other work has the other cores. Blocking, may take many seconds; at once where it was done before by a host like this one.
    ///
    /// # Errors
    /// As [`Sandbox::load`].
    pub fn prepare(&self, digest: &Digest, bytes: &[u8], quotas: &Quotas) -> Result<(), LoadError> {
        let Some(cache) = &self.0.cache else { return Ok(()) };
        let note = cache.directory().join(format!("{}-{}.prepared", digest.to_string().replace(':', "-"), env!("CARGO_PKG_VERSION")));
        if note.exists() {
            return Ok(());
        }
        verify::verify(bytes, quotas).map(drop)?;
        // Nothing else differs, so that the compiled code is found under the same name.
        let mut alone = config();
        alone.cache(Some(cache.clone())).parallel_compilation(false);
        let compile = || Compiled::from_binary(&Engine::new(&alone)?, bytes);
        compile().map_err(|error| LoadError::Compile { message: text(&error) })?;
        // Without the note it is looked up again the next time, no more.
        if let Err(error) = std::fs::write(&note, []) {
            tracing::debug!(%error, path = %note.display(), "not noted as compiled");
        }
        Ok(())
    }
}

impl Component {
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.0.digest
    }

    /// Asks the component what it is, for whom it is to run and with which configuration, so far as that is known.
    ///
    /// # Errors
    /// [`CallError`], of which [`CallError::BadManifest`] and [`CallError::Refused`] are the most likely.
    pub fn describe(&self, identity: Option<Identity>, config: JsonObject, quotas: &Quotas) -> Result<Manifest, CallError> {
        let fuel_max = quotas.describe_fuel_max;
        let context = Arc::new(Context { identity, config, environment: Vec::new(), quotas: quotas.clone() });
        let mut instance = Instance::pure(self.pure(), &context, "describe", fuel_max)?;
        instance.begin_pure_call(fuel_max, None)?;
        let result = instance.guest.pelton_processor_processor().call_describe(&mut instance.store);
        let (text, _fuel) = instance.end_call(result, fuel_max)?;
        Manifest::parse(&text, quotas)
    }

    #[must_use]
    pub fn reducer(&self, identity: Identity, config: JsonObject, quotas: Quotas) -> Reducer {
        Reducer::new(self.clone(), Context { identity: Some(identity), config, environment: Vec::new(), quotas })
    }

    /// `environment` is what the processor sees as its environment variables.
    #[must_use]
    pub fn effector(&self, identity: Identity, config: JsonObject, environment: Vec<(String, String)>, quotas: Quotas) -> Effector {
        Effector::new(self.clone(), identity.clone(), Context { identity: Some(identity), config, environment, quotas })
    }

    pub(crate) fn pure(&self) -> &StreamProcessorPre<Host> {
        &self.0.pure
    }

    pub(crate) fn worldly(&self) -> &StreamProcessorPre<Host> {
        &self.0.worldly
    }

    /// wasmtime checks the types of exports on an instance only, so one is made. If the guest's own start goes wrong that is for `describe`
    /// to report.
    fn check_exports(&self, quotas: &Quotas) -> Result<(), LoadError> {
        let pre = self.pure();
        let Ok(mut store) = Instance::pure_store(pre.engine(), &nobody(quotas), "describe", quotas.describe_fuel_max) else {
            return Ok(());
        };
        let Ok(instance) = pre.instance_pre().instantiate(&mut store) else { return Ok(()) };
        match crate::bindings::StreamProcessor::new(&mut store, &instance) {
            Ok(_) => Ok(()),
            Err(error) => Err(LoadError::WrongTypes { message: text(&error) }),
        }
    }
}

/// The context of a component that is configured nowhere yet.
fn nobody(quotas: &Quotas) -> Arc<Context> {
    Arc::new(Context { identity: None, config: JsonObject::empty(), environment: Vec::new(), quotas: quotas.clone() })
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn text(error: &wasmtime::Error) -> String {
    clamp(&format!("{error:#}"), 1_000)
}

fn config() -> Config {
    let mut config = Config::new();
    config
        // Fuel ends `reduce` at the same instruction everywhere; epochs end `after-append` by the clock.
        .consume_fuel(true)
        .epoch_interruption(true)
        // The bits of a NaN and the results of relaxed SIMD are left open by WebAssembly, and would differ between machines.
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        // Without component-model async the contract needs no bookkeeping of tasks, which makes a call a third cheaper.
        .concurrency_support(false)
        // No language needs memories of more than 4 GiB here, and their bounds checks cost.
        .wasm_memory64(false)
        .cranelift_opt_level(OptLevel::Speed)
        // Function names yes, but not source lines: those would parse a guest's debug information, if an environment variable said so.
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        // A pool has a number of slots that all tenants would compete for.
        .allocation_strategy(InstanceAllocationStrategy::OnDemand)
        // The first pages of an instance are shared with the compiled code until it writes to them.
        .memory_init_cow(true);
    config
}

/// wasmtime's own cache, keyed by the bytes, the configuration and wasmtime's version. It holds machine code, so it is the host's alone.
fn cache(folder: &Path) -> Result<Cache, SandboxError> {
    let fail = |message: String| SandboxError::Cache { path: folder.display().to_string(), message };
    create_private(folder).map_err(|error| fail(error.to_string()))?;
    let folder = folder.canonicalize().map_err(|error| fail(error.to_string()))?;
    let mut config = CacheConfig::new();
    config.with_directory(folder);
    Cache::new(config).map_err(|error| fail(format!("{error:#}")))
}

/// One that was there before may be the operator's for more than this, so of its permissions no more is changed than has to be.
#[cfg(unix)]
fn create_private(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
    const GROUP_WRITES: u32 = 0o020;
    const OTHERS_WRITE: u32 = 0o002;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mode = std::fs::metadata(folder)?.permissions().mode();
    if mode & OTHERS_WRITE != 0 {
        return Err(std::io::Error::other("everybody on this machine can write to it, and what is in it is run; take a folder of its own"));
    }
    if mode & GROUP_WRITES == 0 {
        return Ok(());
    }
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(mode & !GROUP_WRITES))
}

#[cfg(not(unix))]
fn create_private(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)
}
