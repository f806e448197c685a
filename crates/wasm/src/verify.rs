//! What a component must be before it is worth compiling: small enough, well formed, of the right world, and of few parts.

use pelton_model::Quotas;
use wasmparser::{
    ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentOuterAliasKind, ComponentTypeRef, Encoding, Instance, Parser,
    Payload, Validator, WasmFeatures,
};

use crate::LoadError;

/// The only export that counts. Others are welcome: some languages' tools add their own.
pub(crate) const EXPORT: &str = "pelton:processor/processor@0.1.*";

/// Everything that a component may import. Each package and interface is linked, which is not to say that it grants anything.
pub(crate) const GRANTED: &str = "pelton:processor/{types,context,outbox,appender}@0.1.*, and the WASI 0.2 packages wasi:cli, wasi:io, \
                                  wasi:clocks, wasi:random, wasi:filesystem and wasi:sockets, and wasi:http/{types,outgoing-handler}@0.2.*";

/// The version of the contract as hosts of another one would be told.
pub(crate) const CONTRACT: &str = "pelton:processor@0.1";

/// What a component imports and exports by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interfaces {
    pub imports: Vec<String>,
    pub exports: Vec<String>,
}

/// Checks what can be checked without compiling, which takes milliseconds. Function bodies are left to the compiler, which reads them anyway.
///
/// # Errors
/// [`LoadError`] says what the author has to mend.
pub fn verify(bytes: &[u8], quotas: &Quotas) -> Result<Interfaces, LoadError> {
    if bytes.len() > quotas.component_bytes_max {
        return Err(LoadError::TooLarge { max: quotas.component_bytes_max, found: bytes.len() });
    }
    match bytes.get(..8) {
        Some([0, b'a', b's', b'm', 1, 0, 0, 0]) => return Err(LoadError::CoreModule),
        Some([0, b'a', b's', b'm', ..]) => {}
        _ => return Err(LoadError::NotWasm { found: looks_like(bytes) }),
    }
    let outline = outline(bytes)?;
    if let Some(version) = other_version(&outline) {
        return Err(LoadError::OtherContract { version: short(version) });
    }
    let forbidden: Vec<String> = outline.imports.iter().filter(|name| !is_granted(name)).map(|name| short(name)).collect();
    if !forbidden.is_empty() {
        return Err(LoadError::ForbiddenImport { imports: forbidden });
    }
    if !outline.exports.iter().any(|name| interface_of(name, "pelton:processor/", "0.1.") == Some("processor")) {
        return Err(LoadError::MissingExport { exports: outline.exports.iter().map(|name| short(name)).collect() });
    }
    outline.parts.check(quotas.core_instances_max)?;
    Ok(Interfaces { imports: outline.imports, exports: outline.exports })
}

/// The version of the contract that a component speaks, where it is another one.
fn other_version(outline: &Outline) -> Option<&str> {
    let ours = |name: &str| interface_of(name, "pelton:processor/", "0.1.").is_some();
    let names = outline.exports.iter().chain(&outline.imports);
    let other = names.map(String::as_str).find(|name| name.starts_with("pelton:processor/") && !ours(name))?;
    other.split_once('@').map(|(_, version)| version)
}

/// Reads a whole component, function bodies too, for the place where it is malformed.
pub(crate) fn malformed(bytes: &[u8]) -> Option<LoadError> {
    Validator::new_with_features(features()).validate_all(bytes).err().map(|error| LoadError::from(&error))
}

impl From<&wasmparser::BinaryReaderError> for LoadError {
    fn from(error: &wasmparser::BinaryReaderError) -> Self {
        Self::Malformed { offset: error.offset() as u64, message: crate::error::clamp(error.message(), 1_000) }
    }
}

/// What the compiler is configured for, so that both draw the same line.
fn features() -> WasmFeatures {
    WasmFeatures::default().difference(
        WasmFeatures::THREADS
            | WasmFeatures::MEMORY64
            | WasmFeatures::CM_ASYNC
            | WasmFeatures::GC
            | WasmFeatures::EXCEPTIONS
            | WasmFeatures::LEGACY_EXCEPTIONS,
    )
}

fn is_granted(import: &str) -> bool {
    const WASI: [&str; 6] = ["wasi:cli/", "wasi:io/", "wasi:clocks/", "wasi:random/", "wasi:filesystem/", "wasi:sockets/"];
    matches!(interface_of(import, "pelton:processor/", "0.1."), Some("types" | "context" | "outbox" | "appender"))
        || matches!(interface_of(import, "wasi:http/", "0.2."), Some("types" | "outgoing-handler"))
        || WASI.iter().any(|package| interface_of(import, package, "0.2.").is_some())
}

/// `cli` of `wasi:cli/cli@0.2.3`, given `wasi:cli/` and `0.2.`.
fn interface_of<'a>(name: &'a str, package: &str, version: &str) -> Option<&'a str> {
    let (interface, found) = name.strip_prefix(package)?.split_once('@')?;
    let patch = found.strip_prefix(version)?;
    (!patch.is_empty() && patch.bytes().all(|b| b.is_ascii_digit())).then_some(interface)
}

/// A guest's names may be as long as the guest.
fn short(name: &str) -> String {
    crate::error::clamp(name, 200)
}

fn looks_like(bytes: &[u8]) -> String {
    let kind = match bytes {
        [] => return "nothing".to_owned(),
        [0x1f, 0x8b, ..] => "gzip",
        [0x7f, b'E', b'L', b'F', ..] => "an ELF binary, built for a machine instead of WebAssembly",
        [b'P', b'K', 3, 4, ..] => "a zip archive",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "zstd",
        [b'B', b'Z', b'h', ..] => "bzip2",
        _ => "",
    };
    let head = &bytes[..bytes.len().min(32)];
    if !kind.is_empty() {
        return format!("{kind} ({} bytes)", bytes.len());
    }
    let text = String::from_utf8_lossy(head);
    if text.starts_with("(component") || text.starts_with("(module") {
        return format!("WebAssembly in its text form, which has to be made binary first ({} bytes)", bytes.len());
    }
    if text.chars().all(|c| !c.is_control() || c.is_ascii_whitespace()) && !text.contains(char::REPLACEMENT_CHARACTER) {
        return format!("text that begins with {text:?} ({} bytes)", bytes.len());
    }
    let hex: Vec<String> = head.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("{} bytes that begin with {}", bytes.len(), hex.join(" "))
}

/// A component seen from outside.
struct Outline {
    imports: Vec<String>,
    exports: Vec<String>,
    parts: Parts,
}

/// What one instantiation brings into being, that of nested components included. A component of a few hundred bytes can nest its way to
/// millions of instances, and the compiler unfolds them all, so they are counted first.
#[derive(Clone, Copy, Default)]
struct Parts {
    instances: usize,
    memories: usize,
    tables: usize,
    components: usize,
}

impl Parts {
    fn add(&mut self, other: Self) {
        self.instances = self.instances.saturating_add(other.instances);
        self.memories = self.memories.saturating_add(other.memories);
        self.tables = self.tables.saturating_add(other.tables);
        self.components = self.components.saturating_add(other.components);
    }

    fn check(self, max: usize) -> Result<(), LoadError> {
        let counts = [("instances", self.instances), ("memories", self.memories), ("tables", self.tables), ("components", self.components)];
        match counts.into_iter().find(|(_, found)| *found > max) {
            Some((what, found)) => Err(LoadError::TooManyParts { what, max, found }),
            None => Ok(()),
        }
    }
}

/// A module or component that is being read, with what the indexes in it mean. `None` is a module or component that comes from outside
/// or out of an instance, so that its parts are not known here.
#[derive(Default)]
struct Scope {
    parts: Parts,
    modules: Vec<Option<Parts>>,
    components: Vec<Option<Parts>>,
}

fn outline(bytes: &[u8]) -> Result<Outline, LoadError> {
    let mut validator = Validator::new_with_features(features());
    let mut outline = Outline { imports: Vec::new(), exports: Vec::new(), parts: Parts::default() };
    let mut scopes: Vec<(Encoding, Scope)> = Vec::new();
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(|error| LoadError::from(&error))?;
        // The validator goes first: after it every index below is known to be in range.
        validator.payload(&payload).map_err(|error| LoadError::from(&error))?;
        match payload {
            Payload::Version { encoding, .. } => scopes.push((encoding, Scope::default())),
            Payload::End(_) => {
                let Some((encoding, done)) = scopes.pop() else { continue };
                match (scopes.last_mut(), encoding) {
                    (Some((_, outer)), Encoding::Module) => outer.modules.push(Some(done.parts)),
                    (Some((_, outer)), Encoding::Component) => outer.components.push(Some(done.parts)),
                    (None, _) => outline.parts = done.parts,
                }
            }
            payload => read_section(&payload, &mut scopes, &mut outline)?,
        }
    }
    Ok(outline)
}

fn read_section(payload: &Payload<'_>, scopes: &mut [(Encoding, Scope)], outline: &mut Outline) -> Result<(), LoadError> {
    let is_outermost = scopes.len() == 1;
    let Some(((_, scope), outer)) = scopes.split_last_mut() else { return Ok(()) };
    let malformed = |error: wasmparser::BinaryReaderError| LoadError::from(&error);
    match payload {
        Payload::MemorySection(section) => scope.parts.memories += section.count() as usize,
        Payload::TableSection(section) => scope.parts.tables += section.count() as usize,
        Payload::InstanceSection(section) => {
            for instance in section.clone() {
                if let Instance::Instantiate { module_index, .. } = instance.map_err(malformed)? {
                    scope.parts.add(known(&scope.modules, module_index)?);
                    scope.parts.add(Parts { instances: 1, ..Parts::default() });
                }
            }
        }
        Payload::ComponentInstanceSection(section) => {
            for instance in section.clone() {
                if let ComponentInstance::Instantiate { component_index, .. } = instance.map_err(malformed)? {
                    scope.parts.add(known(&scope.components, component_index)?);
                    scope.parts.add(Parts { components: 1, ..Parts::default() });
                }
            }
        }
        Payload::ComponentAliasSection(section) => {
            for alias in section.clone() {
                scope.alias(&alias.map_err(malformed)?, outer);
            }
        }
        Payload::ComponentImportSection(section) => {
            for import in section.clone() {
                let import = import.map_err(malformed)?;
                match import.ty {
                    ComponentTypeRef::Module(_) => scope.modules.push(None),
                    ComponentTypeRef::Component(_) => scope.components.push(None),
                    _ => {}
                }
                if is_outermost {
                    outline.imports.push(import.name.name.to_owned());
                }
            }
        }
        Payload::ComponentExportSection(section) => {
            for export in section.clone() {
                let export = export.map_err(malformed)?;
                // An export gets an index of its own beside that of what it exports.
                match export.kind {
                    ComponentExternalKind::Module => scope.modules.push(scope.modules.get(export.index as usize).copied().flatten()),
                    ComponentExternalKind::Component => {
                        scope.components.push(scope.components.get(export.index as usize).copied().flatten())
                    }
                    _ => {}
                }
                if is_outermost {
                    outline.exports.push(export.name.name.to_owned());
                }
            }
        }
        _ => {}
    }
    Ok(())
}

impl Scope {
    fn alias(&mut self, alias: &ComponentAlias<'_>, outer: &[(Encoding, Self)]) {
        match *alias {
            ComponentAlias::InstanceExport { kind: ComponentExternalKind::Module, .. } => self.modules.push(None),
            ComponentAlias::InstanceExport { kind: ComponentExternalKind::Component, .. } => self.components.push(None),
            ComponentAlias::Outer { kind: ComponentOuterAliasKind::CoreModule, count, index } => {
                let found = self.outward(count, outer).and_then(|scope| scope.modules.get(index as usize).copied().flatten());
                self.modules.push(found);
            }
            ComponentAlias::Outer { kind: ComponentOuterAliasKind::Component, count, index } => {
                let found = self.outward(count, outer).and_then(|scope| scope.components.get(index as usize).copied().flatten());
                self.components.push(found);
            }
            _ => {}
        }
    }

    fn outward<'a>(&'a self, count: u32, outer: &'a [(Encoding, Self)]) -> Option<&'a Self> {
        match (count as usize).checked_sub(1) {
            None => Some(self),
            Some(up) => outer.iter().rev().nth(up).map(|(_, scope)| scope),
        }
    }
}

/// No tool instantiates what it does not hold; allowing it would make the parts uncountable.
fn known(space: &[Option<Parts>], index: u32) -> Result<Parts, LoadError> {
    space.get(index as usize).copied().flatten().ok_or_else(|| LoadError::Compile {
        message: "it instantiates a module or component that it imports or takes out of an instance, which Pelton does not support"
            .to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_is_granted_by_package_and_version() {
        for good in [
            "wasi:cli/stdout@0.2.0",
            "wasi:io/streams@0.2.12",
            "pelton:processor/outbox@0.1.0",
            "pelton:processor/types@0.1.7",
            "wasi:http/outgoing-handler@0.2.4",
        ] {
            assert!(is_granted(good), "{good}");
        }
        for bad in [
            "wasi:http/incoming-handler@0.2.0",
            "wasi:http/types@0.3.0",
            "wasi:cli/stdout@0.3.0",
            "wasi:cli/stdout",
            "wasi:cli/stdout@0.2.0-rc",
            "pelton:processor/outbox@0.2.0",
            "pelton:processor/secrets@0.1.0",
            "env",
            "",
        ] {
            assert!(!is_granted(bad), "{bad}");
        }
    }

    #[test]
    fn bytes_of_other_kinds_are_recognised() {
        for (bytes, expected) in [
            (&b""[..], "nothing"),
            (&[0x1f, 0x8b, 8][..], "gzip (3 bytes)"),
            (b"\x7fELF....", "an ELF binary, built for a machine instead of WebAssembly (8 bytes)"),
            (b"hello", "text that begins with \"hello\" (5 bytes)"),
            (b"(component)", "WebAssembly in its text form, which has to be made binary first (11 bytes)"),
            (&[0xff, 1, 2][..], "3 bytes that begin with ff 01 02"),
        ] {
            assert_eq!(looks_like(bytes), expected);
        }
    }
}
