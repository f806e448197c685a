//! Python: componentize-py runs the modules up to their last import in a CPython, and makes a component of what is then in its memory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use pelton_model::Digest;

use super::{Build, WORLD, tool};
use crate::cli::Failure;

/// What the SDK was made for: the names of its bindings depend on it.
const VERSION: &str = "0.25.1";

/// The Python inside it, for which packages are chosen.
const PYTHON: &str = "3.14";

/// The module that componentize-py is given. It must not be called what a module of the author's may be.
const ENTRY: &str = "pelton_entry";

pub fn name(pyproject: &str) -> Option<String> {
    let table: toml::Table = pyproject.parse().ok()?;
    table.get("project")?.get("name")?.as_str().map(str::to_owned)
}

pub fn build(build: &mut Build<'_>) -> Result<Vec<u8>, Failure> {
    let project = Settings::read(&build.project.root)?;
    let componentize = componentize_py(build)?;
    let scratch = Scratch::prepare(build, &project)?;
    install(build, &project, &componentize, &scratch)?;
    bindings(build, &componentize, &scratch)?;

    // Each build makes other bytes of the same sources, which a host would have to compile again.
    let output = build.scratch()?.join("component.wasm");
    let (stamp, sources) = (output.with_extension("sources"), fingerprint(build, &project, &scratch)?);
    if output.is_file() && fs::read_to_string(&stamp).is_ok_and(|built| built == sources) {
        return fs::read(&output).map_err(|error| failure(&output, &error));
    }

    // componentize-py names them /0, /1 and so on, and is run in the project's folder.
    let root = &build.project.root;
    let folders = [&project.source, &build.sdk(), &scratch.packages, &scratch.entry].map(|folder| within(root, folder));
    let mut command = componentize.command(build, &scratch, "componentize");
    for folder in &folders {
        command.arg("-p").arg(folder);
    }
    command.args([ENTRY, "-o"]).arg(within(root, &output));
    let ended = build.try_run(&mut command)?;
    if !ended.success {
        let printed = String::from_utf8_lossy(&ended.said.stderr);
        let Some(said) = Said::read(&printed, &folders[0], &project.file(root)) else {
            tool::pass_on(printed.as_bytes());
            return Err(tool::failed(&command, &ended));
        };
        tool::pass_on(said.trace.as_bytes());
        return Err(Failure::new(1, said.error));
    }
    fs::write(&stamp, sources).map_err(|error| failure(&stamp, &error))?;
    fs::read(&output).map_err(|error| failure(&output, &error))
}

/// What pyproject.toml says of a processor.
struct Settings {
    module: String,
    /// The folder that the module is in.
    source: PathBuf,
    /// Packages that it needs, as pip takes them.
    requirements: Requirements,
}

enum Requirements {
    None,
    /// `requirements.txt`, which pins them.
    File(PathBuf),
    /// `dependencies` of `[project]`.
    List(Vec<String>),
}

impl Settings {
    fn read(root: &Path) -> Result<Self, Failure> {
        let file = root.join("pyproject.toml");
        let wrong = |problem: String| Failure::usage(format!("{}: {problem}", file.display()));
        let table: toml::Table = fs::read_to_string(&file)?.parse().map_err(|error| wrong(format!("{error}")))?;
        let settings = table.get("tool").and_then(|tool| tool.get("pelton")?.as_table());
        if let Some(unknown) = settings.and_then(|settings| settings.keys().find(|key| *key != "module")) {
            return Err(wrong(format!("`[tool.pelton]` has no field `{unknown}`; it has `module`")));
        }
        let module = settings.and_then(|settings| settings.get("module")?.as_str()).ok_or_else(|| {
            wrong("expected `module = \"processor\"` in `[tool.pelton]`, which says in which module the processor is".to_owned())
        })?;
        let is_name = |part: &str| {
            part.chars().all(|c| c.is_alphanumeric() || c == '_') && !part.starts_with(|c: char| c.is_numeric()) && !part.is_empty()
        };
        if !module.split('.').all(is_name) {
            return Err(wrong(format!("`module` is the name of a module, such as `processor` or `shop.orders`, not {module:?}")));
        }
        let path = module.replace('.', "/");
        let holds = |folder: &PathBuf| folder.join(format!("{path}.py")).is_file() || folder.join(&path).join("__init__.py").is_file();
        let source = [root.join("src"), root.to_owned()].into_iter().find(holds).ok_or_else(|| {
            wrong(format!("there is no module `{module}`; expected src/{path}.py or {path}.py beside pyproject.toml, or another `module` in `[tool.pelton]`"))
        })?;
        Ok(Self { module: module.to_owned(), source, requirements: Requirements::read(root, &table).map_err(wrong)? })
    }

    /// The module's file, as seen from the project's folder.
    fn file(&self, root: &Path) -> String {
        let path = self.source.join(self.module.replace('.', "/"));
        let file = path.with_extension("py");
        let file = if file.is_file() { file } else { path.join("__init__.py") };
        within(root, &file).display().to_string()
    }
}

impl Requirements {
    fn read(root: &Path, pyproject: &toml::Table) -> Result<Self, String> {
        let file = root.join("requirements.txt");
        if file.is_file() {
            return Ok(Self::File(file));
        }
        let Some(list) = pyproject.get("project").and_then(|project| project.get("dependencies")) else { return Ok(Self::None) };
        let strings =
            list.as_array().and_then(|list| list.iter().map(|entry| entry.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>());
        match strings {
            None => Err("`dependencies` of `[project]` is a list of strings".to_owned()),
            Some(list) if list.is_empty() => Ok(Self::None),
            Some(list) => Ok(Self::List(list)),
        }
    }
}

/// Where things are made on the way to a component.
struct Scratch {
    entry: PathBuf,
    packages: PathBuf,
    bindings: PathBuf,
    /// A virtual environment without packages: without one, those that are installed for another Python would be taken.
    environment: PathBuf,
}

impl Scratch {
    fn prepare(build: &Build<'_>, project: &Settings) -> Result<Self, Failure> {
        let folder = build.scratch()?;
        let scratch = Self {
            entry: folder.join("entry"),
            packages: folder.join("packages"),
            bindings: folder.join("bindings"),
            environment: folder.join("environment"),
        };
        for folder in [&scratch.entry, &scratch.packages, &scratch.environment.join("lib/site-packages")] {
            fs::create_dir_all(folder).map_err(|error| failure(folder, &error))?;
        }
        let entry =
            format!("import {} as module\nfrom pelton.component import component\n\nProcessor = component(module)\n", project.module);
        let file = scratch.entry.join(format!("{ENTRY}.py"));
        fs::write(&file, entry).map_err(|error| failure(&file, &error))?;
        Ok(scratch)
    }
}

struct ComponentizePy(PathBuf);

impl ComponentizePy {
    /// One of its commands, for the world that the SDK is made for.
    fn command(&self, build: &Build<'_>, scratch: &Scratch, name: &str) -> Command {
        let mut command = Command::new(&self.0);
        command.env("VIRTUAL_ENV", &scratch.environment).env_remove("PYTHONPATH");
        command.args(["-q", "-w", WORLD, "-d"]).arg(within(&build.project.root, &build.wit())).arg(name);
        command
    }

    /// The Python beside it, which has pip.
    fn python(&self) -> Option<PathBuf> {
        let beside = self.0.with_file_name("python3");
        if beside.is_file() { Some(beside) } else { tool::on_path("python3") }
    }
}

fn componentize_py(build: &Build<'_>) -> Result<ComponentizePy, Failure> {
    const NAME: &str = "bin/componentize-py";
    let active = std::env::var_os("VIRTUAL_ENV").map(|folder| PathBuf::from(folder).join(NAME)).filter(|file| file.is_file());
    let found = active.or_else(|| tool::upward(&build.project.root, &format!(".venv/{NAME}"))).or_else(|| tool::on_path("componentize-py"));
    let install = format!("python3 -m venv .venv && .venv/bin/pip install componentize-py=={VERSION}");
    let Some(found) = found else {
        let python = if tool::on_path("python3").is_some() {
            ""
        } else {
            "\nPython 3.10 or newer comes first (https://www.python.org; Debian: apt install python3-venv)"
        };
        return Err(Failure::new(1, format!("componentize-py is not installed; run `{install}` in the project{python}")));
    };
    let version = Command::new(&found).arg("--version").output().map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    let version = version.map_err(|error| failure(&found, &error))?;
    if version.rsplit(' ').next() != Some(VERSION) {
        let found = found.display();
        return Err(Failure::new(1, format!("{found} is {version}, and the SDK is made for {VERSION}; run `{install}` in the project")));
    }
    Ok(ComponentizePy(found))
}

/// Installs what the project requires, where that is not installed. Packages are of Python alone: there is no machine code in a component.
fn install(build: &Build<'_>, project: &Settings, componentize: &ComponentizePy, scratch: &Scratch) -> Result<(), Failure> {
    let wanted = match &project.requirements {
        Requirements::None => String::new(),
        Requirements::File(file) => fs::read_to_string(file).map_err(|error| failure(file, &error))?,
        Requirements::List(list) => list.join("\n"),
    };
    // Written last, and so says that all before it was done.
    let stamp = scratch.packages.with_extension("installed");
    if fs::read_to_string(&stamp).unwrap_or_default() == wanted {
        return Ok(());
    }
    fs::remove_dir_all(&scratch.packages)
        .and_then(|()| fs::create_dir_all(&scratch.packages))
        .map_err(|error| failure(&scratch.packages, &error))?;
    let python = componentize.python().ok_or_else(|| Failure::new(1, "python3 is not on PATH; it installs what the project requires"))?;
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile", "--only-binary=:all:", "--platform=any"]);
    pip.args(["--implementation=py", "--abi=none", &format!("--python-version={PYTHON}"), "--target"]).arg(&scratch.packages);
    match &project.requirements {
        Requirements::None => {}
        Requirements::File(file) => drop(pip.arg("--requirement").arg(file)),
        Requirements::List(list) => drop(pip.arg("--").args(list)),
    }
    if !matches!(project.requirements, Requirements::None) {
        build.run(&mut pip).map_err(|error| {
            Failure::new(
                error.code,
                format!("{}\n(packages must be of Python alone: a component has no place for those with machine code)", error.message),
            )
        })?;
    }
    fs::write(&stamp, wanted).map_err(|error| failure(&stamp, &error))
}

/// The types of what componentize-py generates, for an editor that looks into the SDK.
fn bindings(build: &Build<'_>, componentize: &ComponentizePy, scratch: &Scratch) -> Result<(), Failure> {
    let time = |path: &Path| path.metadata().and_then(|metadata| metadata.modified()).ok();
    if time(&scratch.bindings).is_some_and(|made| time(&build.wit().join("processor.wit")).is_some_and(|changed| changed <= made)) {
        return Ok(());
    }
    if scratch.bindings.exists() {
        fs::remove_dir_all(&scratch.bindings).map_err(|error| failure(&scratch.bindings, &error))?;
    }
    let mut command = componentize.command(build, scratch, "bindings");
    build.run(command.arg(within(&build.project.root, &scratch.bindings))).map(drop)
}

/// What a component is made of, in short: names and contents of all files.
fn fingerprint(build: &Build<'_>, project: &Settings, scratch: &Scratch) -> Result<String, Failure> {
    let mut all = format!("{VERSION} {}\n", project.module).into_bytes();
    for folder in [&project.source, &build.sdk(), &build.wit(), &scratch.packages] {
        gather(folder, &mut all).map_err(|error| failure(folder, &error))?;
    }
    Ok(Digest::of(&all).to_string())
}

/// Leaves out what is made, or is hidden: environments, and our own folder.
fn gather(folder: &Path, all: &mut Vec<u8>) -> std::io::Result<()> {
    let mut paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') || name == "__pycache__" || name == "build" {
            continue;
        }
        if path.is_dir() {
            gather(&path, all)?;
        } else {
            let bytes = fs::read(&path)?;
            all.extend_from_slice(format!("\n{} {}\n", path.display(), bytes.len()).as_bytes());
            all.extend_from_slice(&bytes);
        }
    }
    Ok(())
}

/// What Python said of the author's module.
#[derive(Debug, PartialEq)]
struct Said {
    /// The calls that led there, where there were any, with the files as they are in the project.
    trace: String,
    /// File, line and error.
    error: String,
}

impl Said {
    /// Reads what componentize-py printed; `None` where it was not Python that failed. `source` is the author's folder and `module` the file
    /// where the fault is when no line is named, both as seen from the project's folder.
    fn read(printed: &str, source: &Path, module: &str) -> Option<Self> {
        let printed = printed.split_once("AssertionError: ")?.1;
        let printed = printed.split("\nCaused by:").next()?.trim_end();
        let (mut place, mut lines, mut is_shown) = (module.to_owned(), Vec::new(), true);
        for line in printed.lines() {
            if let Some(frame) = line.strip_prefix("  File \"/") {
                let own = Self::place(frame, source);
                is_shown = own.is_some();
                if let Some((file, number)) = own {
                    let rest = frame.split_once("\", ").map_or("", |(_, rest)| rest);
                    lines.push(format!("  File \"{file}\", {rest}"));
                    place = format!("{file}:{number}");
                }
                continue;
            }
            // What stands below a file is indented further.
            is_shown = is_shown || !line.starts_with("    ");
            if is_shown {
                lines.push(line.to_owned());
            }
        }
        let mut error = Self::with_own_paths(&lines.pop()?, source);
        if error.starts_with("ModuleNotFoundError: ") {
            error.push_str(
                "\n  a module of the project belongs beside the processor's; a package is named in `dependencies` of pyproject.toml",
            );
        }
        let trace = if lines.iter().any(|line| line.starts_with("  File")) { lines.join("\n") } else { String::new() };
        Some(Self { trace, error: format!("{place}: {}", error.trim()) })
    }

    /// `ImportError` names in parentheses where a module is. A path of the build says nothing to the author.
    fn with_own_paths(error: &str, source: &Path) -> String {
        let Some((before, rest)) = error.split_once(" (/").filter(|_| error.starts_with("ImportError: ")) else { return error.to_owned() };
        let Some((path, after)) = rest.split_once(')') else { return error.to_owned() };
        match path.strip_prefix("0/") {
            Some(file) => format!("{before} ({}){after}", Self::shown(source, file)),
            None => format!("{before}{after}"),
        }
    }

    /// A file of the author's folder, as seen from the project's.
    fn shown(source: &Path, file: &str) -> String {
        let file = source.join(file);
        file.strip_prefix(".").unwrap_or(&file).display().to_string()
    }

    /// File and line of a frame such as `0/processor.py", line 5, in <module>`, if it is in the author's folder, which is the first.
    fn place(frame: &str, source: &Path) -> Option<(String, String)> {
        let (file, rest) = frame.strip_prefix("0/")?.split_once("\", line ")?;
        Some((Self::shown(source, file), rest.chars().take_while(char::is_ascii_digit).collect()))
    }
}

/// A path as seen from the project's folder.
fn within(root: &Path, path: &Path) -> PathBuf {
    match path.strip_prefix(root) {
        Ok(rest) if rest.as_os_str().is_empty() => PathBuf::from("."),
        Ok(rest) => rest.to_owned(),
        Err(_) => path.to_owned(),
    }
}

fn failure(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(1, format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(printed: &str) -> Option<Said> {
        Said::read(printed, Path::new("src"), "src/processor.py")
    }

    #[test]
    fn an_exception_at_import_names_file_and_line_of_the_author() {
        let printed = "Traceback (most recent call last):\n  File \"/usr/bin/componentize-py\", line 8, in <module>\nAssertionError: \
            Traceback (most recent call last):\n  File \"/3/pelton_entry.py\", line 1, in <module>\n    import processor as module\n  \
            File \"/0/processor.py\", line 5, in <module>\n    f()\n    ~^^\n  File \"/python/json/__init__.py\", line 4, in f\n    raise\n\
            ValueError: boom\n\n\nCaused by:\n    ValueError: boom\n";
        let said = said(printed).unwrap();
        assert_eq!(said.error, "src/processor.py:5: ValueError: boom");
        assert_eq!(said.trace, "Traceback (most recent call last):\n  File \"src/processor.py\", line 5, in <module>\n    f()\n    ~^^");
    }

    #[test]
    fn a_syntax_error_names_file_and_line() {
        let said = said(
            "AssertionError:   File \"/0/shop/a.py\", line 3\n    def f(:\n          ^\nSyntaxError: invalid syntax\n\n\nCaused by:\n",
        );
        assert_eq!(said.unwrap().error, "src/shop/a.py:3: SyntaxError: invalid syntax");
    }

    #[test]
    fn a_module_that_is_not_there_is_told_where_it_would_be_looked_for() {
        let said = said(
            "AssertionError: Traceback (most recent call last):\n  File \"/0/processor.py\", line 1, in <module>\n    import left\n\
            ModuleNotFoundError: No module named 'left'\n",
        );
        let error = said.unwrap().error;
        assert!(error.starts_with("src/processor.py:1: ModuleNotFoundError: No module named 'left'\n"), "{error}");
        assert!(error.contains("`dependencies` of pyproject.toml"), "{error}");
    }

    #[test]
    fn a_name_that_is_not_in_a_module_is_told_without_paths_of_the_build() {
        let imported = |from: &str| {
            let printed = format!(
                "AssertionError: Traceback (most recent call last):\n  File \"/0/processor.py\", line 2, in <module>\n    import\n\
                ImportError: cannot import name 'Procesor' from {from}. Did you mean: 'Processor'?\n"
            );
            said(&printed).unwrap().error
        };
        let says = "src/processor.py:2: ImportError: cannot import name 'Procesor' from";
        assert_eq!(imported("'pelton' (/1/pelton/__init__.py)"), format!("{says} 'pelton'. Did you mean: 'Processor'?"));
        assert_eq!(imported("'shop' (/0/shop/a.py)"), format!("{says} 'shop' (src/shop/a.py). Did you mean: 'Processor'?"));
    }

    #[test]
    fn what_the_sdk_refuses_names_the_module_and_what_is_not_pythons_is_left_as_it_is() {
        let sdk = said(
            "AssertionError: Traceback (most recent call last):\n  File \"/1/pelton/glue.py\", line 3, in f\n    raise\nTypeError: no\n",
        )
        .unwrap();
        assert_eq!(sdk, Said { trace: String::new(), error: "src/processor.py: TypeError: no".into() });
        assert_eq!(said("error: cannot read wit"), None);
    }

    fn settings(pyproject: &str, files: &[&str]) -> Result<Settings, String> {
        let folder = tempfile::tempdir().unwrap();
        for (file, text) in files.iter().map(|file| (*file, "")).chain([("pyproject.toml", pyproject)]) {
            let file = folder.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        let root = folder.path().display().to_string();
        let settings = Settings::read(folder.path()).map_err(|failure| failure.message.replace(&root, ""))?;
        Ok(Settings { source: PathBuf::from(settings.source.display().to_string().replace(&root, "")), ..settings })
    }

    #[test]
    fn the_module_is_looked_for_in_src_and_beside_the_project_file() {
        let project = "[tool.pelton]\nmodule = \"shop.orders\"\n[project]\ndependencies = [\"httpx==0.28.1\"]";
        assert_eq!(settings(project, &["src/shop/orders.py"]).unwrap().source, Path::new("/src"));
        let beside = settings(project, &["shop/orders/__init__.py"]).unwrap();
        assert_eq!(beside.source, Path::new(""));
        assert!(matches!(beside.requirements, Requirements::List(list) if list == ["httpx==0.28.1"]));
        let pinned = settings(project, &["shop/orders.py", "requirements.txt"]).unwrap();
        assert!(matches!(pinned.requirements, Requirements::File(_)));
    }

    #[test]
    fn a_project_file_that_says_too_little_says_what_to_write() {
        for (text, says) in [
            ("", "/pyproject.toml: expected `module = \"processor\"` in `[tool.pelton]`"),
            ("[tool.pelton]\nmodul = \"a\"", "/pyproject.toml: `[tool.pelton]` has no field `modul`; it has `module`"),
            ("[tool.pelton]\nmodule = \"a/b\"", "/pyproject.toml: `module` is the name of a module"),
            ("[tool.pelton]\nmodule = \"a.b\"", "/pyproject.toml: there is no module `a.b`; expected src/a/b.py or a/b.py"),
            ("[tool", "/pyproject.toml: TOML parse error at line 1"),
        ] {
            let message = settings(text, &[]).err().unwrap();
            assert!(message.starts_with(says), "{message}");
        }
    }

    #[test]
    fn a_component_is_made_of_its_sources_and_not_of_what_was_made_on_the_way() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| {
            let file = folder.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        };
        let gathered = || {
            let mut all = Vec::new();
            gather(folder.path(), &mut all).unwrap();
            all
        };
        put("shop/orders.py", "x = 1");
        let before = gathered();
        for made in ["shop/__pycache__/orders.pyc", ".venv/bin/python", ".pelton/made/a", "build/shop.wasm"] {
            put(made, "made");
        }
        assert_eq!(gathered(), before);
        put("shop/orders.py", "x = 2");
        assert_ne!(gathered(), before);
        put("shop/orders.py", "x = 1");
        put("shop/more.py", "");
        assert_ne!(gathered(), before);
    }
}
