//! C: clang or zig makes a core module, whose types the generated bindings have in an object file.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use super::{Build, encode, preview1, tool};
use crate::cli::Failure;

/// What every compiler is told.
const FLAGS: &[&str] = &["-mexec-model=reactor", "-Os", "-s", "-Wl,-z,stack-size=131072"];

/// A project in C has no name but its folder's.
pub fn name(_compile_flags: &str) -> Option<String> {
    None
}

pub fn build(build: &mut Build<'_>) -> Result<Vec<u8>, Failure> {
    let compiler = Compiler::find(&build.project.root)?;
    let root = &build.project.root;
    let sources = c_files(&root.join("src"))?;
    if sources.is_empty() {
        return Err(Failure::usage(format!("{}: there is no file *.c, of which the processor would be made", root.join("src").display())));
    }
    // As the compiler shall name them when it finds fault with one.
    let sources = sources.iter().map(|source| source.strip_prefix(root).unwrap_or(source));
    let objects = library(build, &compiler)?;
    let output = build.scratch()?.join("core.wasm");
    let mut link = compiler.command();
    link.args(compiler.link).args(FLAGS).args(flags(root)?).args(sources).args(objects);
    link.arg(build.sdk().join("bindings/bindings_component_type.o"));
    let ended = build.try_run(link.arg("-o").arg(&output))?;
    tool::pass_on(&ended.said.stderr);
    if !ended.success {
        let mut failure = tool::failed(&link, &ended);
        if let Some(part) = missing_part(&String::from_utf8_lossy(&ended.said.stderr)) {
            failure.message.push_str(&format!("\n{part}"));
        }
        return Err(failure);
    }
    let module = std::fs::read(&output).map_err(|error| Failure::new(1, format!("{}: {error}", output.display())))?;
    encode(&module, &[(preview1::NAME, &preview1::adapter(build)?)])
}

/// What else a clang needs that comes in a package of its own, if that is why it could not link.
fn missing_part(said: &str) -> Option<&'static str> {
    if said.contains("unable to execute command") && said.contains("wasm-ld") {
        return Some("clang has no linker for WebAssembly; install lld of the same version (Debian: apt install lld-19)");
    }
    let has_no_builtins = said.contains("libclang_rt.builtins");
    has_no_builtins
        .then_some("clang has no library of its own for WebAssembly; install that (Debian: apt install libclang-rt-19-dev-wasm32)")
}

/// The objects of the SDK. Apart from the project's, for its warnings are not the author's and the author's flags are not for it.
fn library(build: &Build<'_>, compiler: &Compiler) -> Result<Vec<PathBuf>, Failure> {
    let sdk = build.sdk();
    let [sources, headers, bindings] = ["src", "include", "bindings"].map(|folder| sdk.join(folder));
    let folder = build.scratch()?.join(compiler.name);
    std::fs::create_dir_all(&folder).map_err(|error| Failure::new(1, format!("{}: {error}", folder.display())))?;
    let newest = [&sources, &headers, &bindings].into_iter().flat_map(|folder| files(folder)).filter_map(|file| time(&file)).max();
    let mut objects = Vec::new();
    for source in [c_files(&sources)?, c_files(&bindings)?].concat() {
        let object = folder.join(source.with_extension("o").file_name().unwrap_or_default());
        if time(&object) <= newest {
            let mut compile = compiler.command();
            compile.args(["-std=c11", "-Os", "-w", "-c"]).arg(&source).arg("-I").arg(&headers).arg("-I").arg(&bindings);
            build.run(compile.arg("-o").arg(&object))?;
        }
        objects.push(object);
    }
    Ok(objects)
}

/// The project file, as clang's own tools read it: a flag a line.
fn flags(root: &Path) -> Result<Vec<String>, Failure> {
    let file = root.join("compile_flags.txt");
    let text = std::fs::read_to_string(&file).map_err(|error| Failure::usage(format!("{}: {error}", file.display())))?;
    Ok(text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect())
}

/// The files `*.c` of a folder, in an order that does not change.
fn c_files(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    if !folder.is_dir() {
        return Err(Failure::usage(format!("{}: there is no such folder", folder.display())));
    }
    let mut files: Vec<_> = files(folder).into_iter().filter(|path| path.extension().is_some_and(|end| end == "c")).collect();
    files.sort();
    Ok(files)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// When a file was last written; `None`, which is before all, where it is not there.
fn time(file: &Path) -> Option<SystemTime> {
    file.metadata().and_then(|metadata| metadata.modified()).ok()
}

/// A compiler that has a C library for WebAssembly.
struct Compiler {
    /// Objects of one are not for another.
    name: &'static str,
    program: PathBuf,
    arguments: &'static [&'static str],
    /// What else it is told to link.
    link: &'static [&'static str],
}

impl Compiler {
    /// WASI_SDK_PATH is meant for this; zig has all it needs; a clang needs packages beside it.
    fn find(root: &Path) -> Result<Self, Failure> {
        let zig = |program| Self { name: "zig", program, arguments: &["cc", "--target=wasm32-wasi"], link: &[] };
        // The stack first in memory, so that one that overflows traps. Zig does so unasked.
        let clang = |program| Self { name: "clang", program, arguments: &["--target=wasm32-wasi"], link: &["-Wl,--stack-first"] };
        if let Some(sdk) = std::env::var_os("WASI_SDK_PATH") {
            let program = PathBuf::from(sdk).join("bin/clang");
            if !program.is_file() {
                return Err(Failure::usage(format!("WASI_SDK_PATH: there is no {}", program.display())));
            }
            return Ok(clang(program));
        }
        if let Some(program) = ["zig", "python-zig"].into_iter().find_map(|name| tool::in_venv_or_on_path(root, name)) {
            return Ok(zig(program));
        }
        let has_library = Path::new("/usr/lib/wasm32-wasi/libc.a").is_file();
        let program = ["clang-19", "clang"].into_iter().find_map(tool::on_path).filter(|_| has_library);
        program.map(clang).ok_or_else(|| {
            Failure::new(
                1,
                "there is no C compiler for WebAssembly; install one of\n  \
                 zig: `python3 -m venv .venv && .venv/bin/pip install ziglang==0.17.0` in the project, or https://ziglang.org/download\n  \
                 clang: apt install clang-19 lld-19 wasi-libc libclang-rt-19-dev-wasm32 (Debian)\n  \
                 the WASI SDK: https://github.com/WebAssembly/wasi-sdk, and set WASI_SDK_PATH",
            )
        })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(self.arguments);
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_clang_that_is_not_installed_is_named_with_its_package() {
        let part = |said| missing_part(said).unwrap_or_default();
        let linker = "clang-19: error: unable to execute command: Executable \"wasm-ld-19\" doesn't exist!";
        assert!(part(linker).contains("apt install lld-19"));
        let library =
            "wasm-ld-19: error: cannot open /usr/lib/llvm-19/lib/clang/19/lib/wasm32-unknown-wasi/libclang_rt.builtins.a: No such file";
        assert!(part(library).contains("apt install libclang-rt-19-dev-wasm32"));
        assert_eq!(missing_part("wasm-ld: error: core.o: undefined symbol: pelton_this"), None);
    }
}
