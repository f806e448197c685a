//! C: clang or zig makes a core module, whose types the generated bindings have in an object file.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Build, encode, preview1, tool};
use crate::cli::Failure;

/// What every compiler is told. The stack comes first in memory, so that one that overflows traps.
const FLAGS: &[&str] = &["-mexec-model=reactor", "-Os", "-s", "-Wl,--stack-first", "-Wl,-z,stack-size=131072"];

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
    let made = build.scratch()?;
    // The library apart, for its warnings are not the author's and the author's flags are not for it.
    let sdk = build.sdk();
    let library = [c_files(&sdk.join("src"))?, c_files(&sdk.join("bindings"))?].concat();
    let mut compile = compiler.command();
    compile.args(["-std=c11", "-Os", "-w", "-c"]).arg("-I").arg(sdk.join("include")).arg("-I").arg(sdk.join("bindings"));
    build.run(compile.args(&library).current_dir(&made))?;
    let objects = library.iter().filter_map(|source| Some(made.join(source.file_name()?).with_extension("o")));
    let output = made.join("core.wasm");
    let mut link = compiler.command();
    link.args(FLAGS).args(flags(root)?).args(sources).args(objects).arg(sdk.join("bindings/bindings_component_type.o"));
    let said = build.run(link.arg("-o").arg(&output))?;
    tool::pass_on(&said.stderr);
    let module = std::fs::read(&output).map_err(|error| Failure::new(1, format!("{}: {error}", output.display())))?;
    encode(&module, &[(preview1::NAME, &preview1::adapter(build)?)])
}

/// The project file, as clang's own tools read it: a flag a line.
fn flags(root: &Path) -> Result<Vec<String>, Failure> {
    let file = root.join("compile_flags.txt");
    let text = std::fs::read_to_string(&file).map_err(|error| Failure::usage(format!("{}: {error}", file.display())))?;
    Ok(text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect())
}

/// The files `*.c` of a folder, in an order that does not change.
fn c_files(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let entries = std::fs::read_dir(folder).map_err(|error| Failure::usage(format!("{}: {error}", folder.display())))?;
    let mut files: Vec<_> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "c")).collect();
    files.sort();
    Ok(files)
}

/// A compiler that has a C library for WebAssembly.
struct Compiler {
    program: PathBuf,
    arguments: &'static [&'static str],
}

impl Compiler {
    /// WASI_SDK_PATH is meant for this; zig has all it needs; a clang needs packages beside it.
    fn find(root: &Path) -> Result<Self, Failure> {
        const CLANG: &[&str] = &["--target=wasm32-wasi"];
        const ZIG: &[&str] = &["cc", "--target=wasm32-wasi"];
        if let Some(sdk) = std::env::var_os("WASI_SDK_PATH") {
            let program = PathBuf::from(sdk).join("bin/clang");
            if !program.is_file() {
                return Err(Failure::usage(format!("WASI_SDK_PATH: there is no {}", program.display())));
            }
            return Ok(Self { program, arguments: CLANG });
        }
        let zig = || ["zig", "python-zig"].into_iter().find_map(|name| tool::in_venv_or_on_path(root, name));
        if let Some(program) = zig() {
            return Ok(Self { program, arguments: ZIG });
        }
        let has_library = Path::new("/usr/lib/wasm32-wasi/libc.a").is_file();
        let clang = ["clang-19", "clang"].into_iter().find_map(tool::on_path).filter(|_| has_library);
        clang.map(|program| Self { program, arguments: CLANG }).ok_or_else(|| {
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
