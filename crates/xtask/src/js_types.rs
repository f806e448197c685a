//! TypeScript declarations of the contract's interfaces, as components in JavaScript import them.
//!
//! `plugins/sdk/js/types/wit.d.ts` is this module's output, committed; a test says when it is out of step with `wit/`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context, Result};
use wit_parser::{Docs, Function, FunctionKind, Handle, Interface, InterfaceId, Resolve, Type, TypeDefKind, TypeId, TypeOwner, WorldItem};

use crate::run;

/// Holds every interface that a processor may import.
const WORLD: &str = "stream-processor-wasi";

/// Writes the declarations to where they are committed.
pub fn write() -> Result<()> {
    let path = file();
    run::step(format_args!("writing {}", path.display()));
    std::fs::write(&path, generate()?)?;
    Ok(())
}

fn file() -> PathBuf {
    run::root().join("plugins/sdk/js/types/wit.d.ts")
}

fn generate() -> Result<String> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(run::root().join("wit"))?;
    let world = resolve.select_world(&[package], Some(WORLD))?;
    let mut text = String::from(
        "// Generated from wit/ by `cargo xtask js-types`; do not edit.\n//\n\
         // What the engines make of the contract: 64-bit integers are numbers on QuickJS and BigInt on StarlingMonkey; absence is null or\n\
         // undefined; a function whose result is an error throws something with that error as its `payload`. On QuickJS the interfaces of\n\
         // `wasi:` go by the name `host:` until the component is built.\n",
    );
    for item in resolve.worlds[world].imports.values() {
        let WorldItem::Interface { id, .. } = item else { continue };
        Module { resolve: &resolve, id: *id }.write(&mut text)?;
    }
    Ok(text)
}

/// One interface, which is one module to JavaScript.
struct Module<'a> {
    resolve: &'a Resolve,
    id: InterfaceId,
}

impl Module<'_> {
    fn write(&self, out: &mut String) -> Result<()> {
        let name = self.resolve.id_of(self.id).context("an interface of a world has a name")?;
        let name = name.replace("wasi:", "host:");
        write!(out, "\ndeclare module \"{name}\" {{\n")?;
        for (module, types) in self.imports()? {
            writeln!(out, "  import type {{ {} }} from \"{module}\";", types.join(", "))?;
        }
        for (name, id) in &self.interface().types {
            self.declare_type(out, name, *id)?;
        }
        for function in self.interface().functions.values().filter(|function| function.kind == FunctionKind::Freestanding) {
            docs(out, "  ", &function.docs);
            writeln!(out, "  export function {}{};", camel(&function.name), self.signature(function, &function.params)?)?;
        }
        out.push_str("}\n");
        // StarlingMonkey has what the SDK needs of this one under its own name alone.
        if name.starts_with("host:cli/environment") {
            write!(out, "\ndeclare module \"{}\" {{\n  export * from \"{name}\";\n}}\n", name.replace("host:", "wasi:"))?;
        }
        Ok(())
    }

    fn interface(&self) -> &Interface {
        &self.resolve.interfaces[self.id]
    }

    /// The types that other interfaces own, by their modules.
    fn imports(&self) -> Result<Vec<(String, Vec<String>)>> {
        let mut found: Vec<(String, Vec<String>)> = Vec::new();
        let mut used = BTreeSet::new();
        for id in self.interface().types.values() {
            let TypeDefKind::Type(Type::Id(original)) = &self.resolve.types[*id].kind else { continue };
            let TypeOwner::Interface(owner) = self.resolve.types[*original].owner else { continue };
            if owner == self.id {
                continue;
            }
            let module = self.resolve.id_of(owner).context("an interface that is used has a name")?.replace("wasi:", "host:");
            let original = pascal(self.resolve.types[*original].name.as_deref().context("a type that is used has a name")?);
            let local = pascal(self.resolve.types[*id].name.as_deref().context("a type that is used has a name")?);
            if !used.insert(local.clone()) {
                continue;
            }
            let import = if original == local { local } else { format!("{original} as {local}") };
            match found.iter_mut().find(|(name, _)| *name == module) {
                Some((_, types)) => types.push(import),
                None => found.push((module, vec![import])),
            }
        }
        Ok(found)
    }

    fn declare_type(&self, out: &mut String, name: &str, id: TypeId) -> Result<()> {
        let definition = &self.resolve.types[id];
        let local = pascal(name);
        let is_import = match &definition.kind {
            TypeDefKind::Type(Type::Id(original)) => self.resolve.types[*original].owner != TypeOwner::Interface(self.id),
            _ => false,
        };
        if is_import {
            writeln!(out, "  export type {{ {local} }};")?;
            return Ok(());
        }
        docs(out, "  ", &definition.docs);
        match &definition.kind {
            TypeDefKind::Record(record) => {
                writeln!(out, "  export interface {local} {{")?;
                for field in &record.fields {
                    docs(out, "    ", &field.docs);
                    let optional = if self.is_option(&field.ty) { "?" } else { "" };
                    writeln!(out, "    {}{optional}: {};", camel(&field.name), self.name_of(&field.ty)?)?;
                }
                out.push_str("  }\n");
            }
            TypeDefKind::Resource => self.declare_resource(out, &local, id)?,
            _ => writeln!(out, "  export type {local} = {};", self.structure(id)?)?,
        }
        Ok(())
    }

    fn declare_resource(&self, out: &mut String, local: &str, id: TypeId) -> Result<()> {
        writeln!(out, "  export class {local} {{")?;
        let mut constructor = "private constructor();".to_owned();
        let mut members = String::new();
        for function in self.interface().functions.values() {
            let name = camel(function.item_name());
            let (prefix, params) = match function.kind {
                FunctionKind::Method(of) if of == id => ("", &function.params[1..]),
                FunctionKind::Static(of) if of == id => ("static ", &function.params[..]),
                FunctionKind::Constructor(of) if of == id => {
                    constructor = format!("constructor({});", self.parameters(&function.params)?);
                    continue;
                }
                _ => continue,
            };
            docs(&mut members, "    ", &function.docs);
            writeln!(members, "    {prefix}{name}{};", self.signature(function, params)?)?;
        }
        write!(out, "    {constructor}\n{members}    /** Gives it back to the host. */\n    [Symbol.dispose](): void;\n  }}\n")?;
        Ok(())
    }

    fn signature(&self, function: &Function, params: &[wit_parser::Param]) -> Result<String> {
        let result = match &function.result {
            None => "void".to_owned(),
            Some(ty) => match self.as_result(ty) {
                // The error case is thrown.
                Some(ok) => ok.map_or_else(|| Ok("void".to_owned()), |ok| self.name_of(&ok))?,
                None => self.name_of(ty)?,
            },
        };
        Ok(format!("({}): {result}", self.parameters(params)?))
    }

    fn parameters(&self, params: &[wit_parser::Param]) -> Result<String> {
        let params: Result<Vec<String>> =
            params.iter().map(|param| Ok(format!("{}: {}", argument(&param.name), self.name_of(&param.ty)?))).collect();
        Ok(params?.join(", "))
    }

    fn as_result(&self, ty: &Type) -> Option<Option<Type>> {
        match ty {
            Type::Id(id) => match &self.resolve.types[*id].kind {
                TypeDefKind::Result(result) => Some(result.ok),
                _ => None,
            },
            _ => None,
        }
    }

    fn is_option(&self, ty: &Type) -> bool {
        matches!(ty, Type::Id(id) if matches!(self.resolve.types[*id].kind, TypeDefKind::Option(_)))
    }

    fn name_of(&self, ty: &Type) -> Result<String> {
        Ok(match ty {
            Type::Bool => "boolean".to_owned(),
            Type::U8 | Type::U16 | Type::U32 | Type::S8 | Type::S16 | Type::S32 | Type::F32 | Type::F64 => "number".to_owned(),
            Type::U64 | Type::S64 => "number | bigint".to_owned(),
            Type::Char | Type::String => "string".to_owned(),
            Type::ErrorContext => "unknown".to_owned(),
            Type::Id(id) => match &self.resolve.types[*id].name {
                Some(name) => pascal(name),
                None => self.structure(*id)?,
            },
        })
    }

    /// A type written out, whether it has a name or not.
    fn structure(&self, id: TypeId) -> Result<String> {
        Ok(match &self.resolve.types[id].kind {
            TypeDefKind::Type(ty) => self.name_of(ty)?,
            TypeDefKind::List(Type::U8) => "Uint8Array".to_owned(),
            TypeDefKind::List(ty) | TypeDefKind::FixedLengthList(ty, _) => format!("Array<{}>", self.name_of(ty)?),
            TypeDefKind::Option(ty) if self.is_option(ty) => tagged(&[("some", Some(self.name_of(ty)?)), ("none", None)]),
            TypeDefKind::Option(ty) => format!("{} | null | undefined", self.name_of(ty)?),
            TypeDefKind::Result(result) => {
                let part = |ty: &Option<Type>| ty.as_ref().map(|ty| self.name_of(ty)).transpose();
                tagged(&[("ok", part(&result.ok)?), ("err", part(&result.err)?)])
            }
            TypeDefKind::Tuple(tuple) => {
                let types: Result<Vec<String>> = tuple.types.iter().map(|ty| self.name_of(ty)).collect();
                format!("[{}]", types?.join(", "))
            }
            TypeDefKind::Variant(variant) => {
                let case = |case: &wit_parser::Case| Ok((case.name.clone(), case.ty.as_ref().map(|ty| self.name_of(ty)).transpose()?));
                let cases: Result<Vec<(String, Option<String>)>> = variant.cases.iter().map(case).collect();
                let cases = cases?;
                tagged(&cases.iter().map(|(name, ty)| (name.as_str(), ty.clone())).collect::<Vec<_>>())
            }
            TypeDefKind::Enum(cases) => cases.cases.iter().map(|case| format!("\"{}\"", case.name)).collect::<Vec<_>>().join(" | "),
            TypeDefKind::Flags(flags) => {
                let flags: Vec<String> = flags.flags.iter().map(|flag| format!("{}?: boolean", camel(&flag.name))).collect();
                format!("{{ {} }}", flags.join("; "))
            }
            TypeDefKind::Handle(Handle::Own(id) | Handle::Borrow(id)) => self.name_of(&Type::Id(*id))?,
            other => anyhow::bail!("there is no TypeScript for a {} yet", other.as_str()),
        })
    }
}

fn tagged(cases: &[(&str, Option<String>)]) -> String {
    let case = |(name, ty): &(&str, Option<String>)| match ty {
        Some(ty) => format!("{{ tag: \"{name}\"; val: {ty} }}"),
        None => format!("{{ tag: \"{name}\"; val?: undefined }}"),
    };
    cases.iter().map(case).collect::<Vec<_>>().join(" | ")
}

fn docs(out: &mut String, indent: &str, docs: &Docs) {
    let Some(contents) = &docs.contents else { return };
    // What would end the comment is the one thing that can't stand in it.
    let contents = contents.trim().replace("*/", "* /");
    let lines: Vec<&str> = contents.lines().collect();
    if let [line] = lines[..] {
        out.push_str(&format!("{indent}/** {line} */\n"));
        return;
    }
    out.push_str(&format!("{indent}/**\n"));
    for line in lines {
        out.push_str(format!("{indent} * {line}").trim_end());
        out.push('\n');
    }
    out.push_str(&format!("{indent} */\n"));
}

fn pascal(name: &str) -> String {
    name.split('-').map(|word| word[..1].to_uppercase() + &word[1..]).collect()
}

fn camel(name: &str) -> String {
    let pascal = pascal(name);
    pascal[..1].to_lowercase() + &pascal[1..]
}

/// A parameter may be called as no variable of JavaScript can be.
fn argument(name: &str) -> String {
    match camel(name).as_str() {
        reserved @ ("in" | "new" | "this" | "default" | "with" | "function" | "class" | "var") => format!("{reserved}_"),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_types_are_in_step_with_the_contract() {
        let committed = std::fs::read_to_string(file()).unwrap();
        assert!(generate().unwrap() == committed, "plugins/sdk/js/types/wit.d.ts is out of step with wit/: run `cargo xtask js-types`");
    }
}
