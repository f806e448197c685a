//! Why a component is not accepted, and why a call of it failed.

use pelton_model::Reason;

/// The sandbox itself could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The folder for compiled code cannot be made or used.
    #[error("compile cache {path}: {message}")]
    Cache { path: String, message: String },
    /// wasmtime refuses its configuration on this machine.
    #[error("wasmtime: {message}")]
    Engine { message: String },
    /// The thread that counts epochs did not start.
    #[error("epoch ticker: {0}")]
    Ticker(#[from] std::io::Error),
}

/// Why the bytes of a component are refused. All of these are the author's to mend, except [`LoadError::Host`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// Larger than the tenant's quota.
    #[error("the component is larger than allowed")]
    TooLarge { max: usize, found: usize },
    /// Not WebAssembly at all.
    #[error("the bytes are not a WebAssembly component")]
    NotWasm { found: String },
    /// A core module, which has no typed interface.
    #[error(
        "this is a core WebAssembly module, not a component; build for `wasm32-wasip2`, or turn it into a component with \
         `wasm-tools component new module.wasm -o component.wasm`"
    )]
    CoreModule,
    /// It begins like a component and breaks the rules further on.
    #[error("the component is malformed: {message}")]
    Malformed { offset: u64, message: String },
    /// It does not export the interface `processor`.
    #[error("the component does not export `pelton:processor/processor`; build it against the world `stream-processor`")]
    MissingExport { exports: Vec<String> },
    /// It speaks a version of the contract that this host does not.
    #[error(
        "the component was built for pelton:processor@{version}, and this host speaks {}; build it with the SDK of this host's release, or run it \
         on a host of its own version",
        crate::verify::CONTRACT
    )]
    OtherContract { version: String },
    /// It has the right names and the wrong types.
    #[error("the component does not fit the world `stream-processor`: {message}")]
    WrongTypes { message: String },
    /// It imports what no processor is granted.
    #[error("the component imports what a processor is not granted; leave out the code or the library that needs it")]
    ForbiddenImport { imports: Vec<String> },
    /// It consists of too many parts.
    #[error("the component consists of too many core {what}")]
    TooManyParts { what: &'static str, max: usize, found: usize },
    /// It is valid, and this host cannot compile it: a feature that is switched off, or a limit of the compiler.
    #[error("the component cannot be compiled: {message}")]
    Compile { message: String },
}

/// Why a call failed. The instance is gone after each of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The function returned its error case.
    #[error("the processor returned an error: {message}")]
    Guest { message: String },
    /// The guest ran into something that ends it: unreachable code, a wrong memory access, a call of what is not granted.
    #[error("the processor trapped: {message}")]
    Trap { message: String, backtrace: Option<String> },
    /// The guest used up its fuel.
    #[error("the processor ran out of fuel")]
    OutOfFuel { max: u64, backtrace: Option<String> },
    /// The guest asked for more memory than its quota, and did not survive the refusal.
    #[error("the processor ran out of memory: {message}")]
    OutOfMemory { max: usize, message: String, backtrace: Option<String> },
    /// `after-append` was not done in time.
    #[error("after-append took longer than allowed")]
    Timeout { millis_max: u64 },
    /// What `reduce` returned is not JSON.
    #[error("reduce returned a state that is not JSON: {message}")]
    BadState { message: String, found: String },
    /// What `reduce` returned is larger than the tenant's quota.
    #[error("reduce returned a state that is larger than allowed")]
    StateTooLarge { max: usize, found: usize },
    /// What `describe` returned says that the component cannot run with its configuration.
    #[error("{message}")]
    Refused { message: String, location: Option<String> },
    /// What `describe` returned is not a manifest.
    #[error("describe returned a manifest that does not fit{}", at_field(field))]
    BadManifest { field: String, expected: String, found: String },
    /// The host could not run the guest; nothing that the guest did.
    #[error("the host could not run the processor: {message}")]
    Host { message: String },
}

impl LoadError {
    /// The reason as it is recorded in an event. The codes are for good.
    #[must_use]
    pub fn reason(&self) -> Reason {
        let message = self.to_string();
        let reason = |code: &str| Reason { code: code.to_owned(), message, expected: None, found: None, location: None };
        match self {
            Self::TooLarge { max, found } => Reason {
                expected: Some(format!("at most {max} bytes")),
                found: Some(format!("{found} bytes")),
                ..reason("component-too-large")
            },
            Self::NotWasm { found } => {
                Reason { expected: Some("a WebAssembly component".to_owned()), found: Some(found.clone()), ..reason("not-wasm") }
            }
            Self::CoreModule => {
                Reason { expected: Some("a component".to_owned()), found: Some("a core module".to_owned()), ..reason("core-module") }
            }
            Self::Malformed { offset, .. } => Reason { location: Some(format!("byte {offset}")), ..reason("malformed-component") },
            Self::MissingExport { exports } => Reason {
                expected: Some(format!("an export {}", crate::verify::EXPORT)),
                found: Some(list(exports)),
                ..reason("wrong-world")
            },
            Self::OtherContract { version } => Reason {
                expected: Some(crate::verify::CONTRACT.to_owned()),
                found: Some(format!("pelton:processor@{version}")),
                ..reason("other-contract")
            },
            Self::WrongTypes { .. } => reason("wrong-world"),
            Self::ForbiddenImport { imports } => Reason {
                expected: Some(format!("only {}", crate::verify::GRANTED)),
                found: Some(list(imports)),
                ..reason("forbidden-import")
            },
            Self::TooManyParts { max, found, .. } => {
                Reason { expected: Some(format!("at most {max}")), found: Some(found.to_string()), ..reason("too-many-instances") }
            }
            Self::Compile { .. } => reason("cannot-compile"),
        }
    }
}

impl CallError {
    /// What the guest said of its failure, cut: it may be as long as the guest's memory.
    pub(crate) fn guest(message: &str) -> Self {
        Self::Guest { message: clamp(message, 4_000) }
    }

    /// The reason as it is recorded in an event. The codes are for good.
    #[must_use]
    pub fn reason(&self) -> Reason {
        let message = self.to_string();
        let reason = |code: &str| Reason { code: code.to_owned(), message, expected: None, found: None, location: None };
        match self {
            Self::Guest { .. } => reason("guest-error"),
            Self::Trap { backtrace, .. } => Reason { location: backtrace.clone(), ..reason("trap") },
            Self::OutOfFuel { max, backtrace } => Reason {
                expected: Some(format!("at most {max} units of fuel, about one an instruction")),
                location: backtrace.clone(),
                ..reason("out-of-fuel")
            },
            Self::OutOfMemory { max, backtrace, .. } => {
                Reason { expected: Some(format!("at most {max} bytes of memory")), location: backtrace.clone(), ..reason("out-of-memory") }
            }
            Self::Timeout { millis_max } => Reason { expected: Some(format!("at most {millis_max} ms")), ..reason("timeout") },
            Self::BadState { found, .. } => {
                Reason { expected: Some("one JSON text".to_owned()), found: Some(found.clone()), ..reason("bad-state") }
            }
            Self::StateTooLarge { max, found } => Reason {
                expected: Some(format!("at most {max} bytes")),
                found: Some(format!("{found} bytes")),
                ..reason("state-too-large")
            },
            Self::BadManifest { expected, found, .. } => {
                Reason { expected: Some(expected.clone()), found: Some(found.clone()), ..reason("bad-manifest") }
            }
            Self::Refused { location, .. } => Reason { location: location.clone(), ..reason("bad-config") },
            Self::Host { .. } => reason("host-error"),
        }
    }
}

/// At most so many bytes of a text that a guest controls, with a note of its length where something is missing.
pub(crate) fn clamp(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    format!("{}… ({} bytes)", &text[..text.floor_char_boundary(bytes_max)], text.len())
}

fn at_field(field: &str) -> String {
    if field.is_empty() { String::new() } else { format!(", at `{field}`") }
}

/// At most twenty names, for a component can have thousands.
fn list(names: &[String]) -> String {
    const SHOWN: usize = 20;
    let shown = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 if names.is_empty() => "nothing".to_owned(),
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
