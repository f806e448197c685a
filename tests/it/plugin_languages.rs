//! Projects in JavaScript, TypeScript and Python: what is said of one that cannot be built. And in each language: what `pelton plugin new`
//! makes passes its own test, and reacts once it is deployed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::support::*;

/// A new project that finds the packages which `cargo xtask plugins` has installed for those in JavaScript.
fn project(folder: &Path, language: &str) -> PathBuf {
    let project = new_project(folder, language);
    if project.join("package.json").is_file() {
        let packages = repository().join("plugins/node_modules");
        assert!(packages.is_dir(), "{}: not there; run `cargo xtask plugins` first", packages.display());
        symlink(packages, folder.join("node_modules")).unwrap();
    }
    project
}

fn build(project: &Path) -> Command {
    pelton(project, &["plugin", "build"])
}

/// A project whose source is broken in one way after another.
struct Broken {
    _folder: tempfile::TempDir,
    project: PathBuf,
    source: PathBuf,
    text: String,
}

impl Broken {
    fn new(language: &str, source: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let project = project(folder.path(), language);
        let source = project.join(source);
        let text = fs::read_to_string(&source).unwrap();
        Self { _folder: folder, project, source, text }
    }

    /// With this source, what the build says has these parts, and there is no component.
    #[track_caller]
    fn source(&self, text: &str, parts: &[&str]) -> String {
        fs::write(&self.source, text).unwrap();
        let told = said(1, &mut build(&self.project));
        mentions(&told, parts);
        assert!(!self.project.join("build").exists());
        told
    }

    #[track_caller]
    fn replaced(&self, from: &str, to: &str, parts: &[&str]) -> String {
        assert!(self.text.contains(from), "{from:?} is not in {}", self.source.display());
        self.source(&self.text.replace(from, to), parts)
    }

    #[track_caller]
    fn before(&self, line: &str, parts: &[&str]) {
        self.source(&format!("{line}\n{}", self.text), parts);
    }

    #[track_caller]
    fn after(&self, line: &str, parts: &[&str]) {
        self.source(&format!("{}{line}\n", self.text), parts);
    }

    /// Where a line is that is put after all others.
    fn last(&self) -> usize {
        self.text.lines().count() + 1
    }
}

#[test]
fn what_is_wrong_in_typescript_is_said_with_file_and_line() {
    let project = Broken::new("ts", "src/processor.ts");
    let line = project.text.lines().position(|line| line.contains("state.count += 1")).unwrap() + 1;
    let at = format!("src/processor.ts({line},");
    project.replaced("state.count += 1", "state.counter += 1", &[&at, "error TS2551: Property 'counter' does not exist on type 'State'"]);
    project.replaced("state.count += 1", "state.count += ", &[&at, "error TS1109: Expression expected"]);
    project.replaced("reduce(state)", "reduse(state)", &["src/processor.ts(", "'reduse' does not exist"]);
    project.before("import x from \"./missing\";", &["src/processor.ts(1,15): error TS2307: Cannot find module './missing'"]);
    let left = ["src/processor.ts(1,15)", "Cannot find module 'left'", "the package left is not installed: list it under dependencies"];
    project.before("import x from \"left\";", &left);
    project.before("import fs from \"node:fs\";", &["src/processor.ts(1,16)", "node:fs belongs to Node.js; a component has fetch"]);
    project.replaced(
        "export default",
        "export const processor =",
        &["src/processor.ts: error: there is no default export", "defineProcessor"],
    );
    let thrown = format!("at src/processor.ts:{}", project.last());
    project.after("throw new RangeError(\"no luck\");", &["the processor does not load: ", "no luck", &thrown]);
}

#[test]
fn what_is_wrong_in_javascript_is_said_with_file_and_line() {
    let project = Broken::new("js", "src/processor.js");
    let line = project.text.lines().position(|line| line.contains("state.count += 1")).unwrap() + 1;
    let at = format!("src/processor.js:{line}:");
    project.replaced("state.count += 1", "state.count += ", &[&at, "error: Unexpected \";\""]);
    project
        .before("import x from \"./missing.js\";", &["src/processor.js:1:15: error: Could not resolve \"./missing.js\"", "no such file"]);
    project.before("import x from \"left\";", &["src/processor.js:1:15", "the package left is not installed: list it under dependencies"]);
    project.before("import fs from \"fs\";", &["src/processor.js:1:16", "fs belongs to Node.js; a component has fetch"]);
    project.replaced(
        "export default",
        "export const processor =",
        &["src/processor.js: error: there is no default export", "defineProcessor"],
    );
    let thrown = format!("at load (src/processor.js:{})", project.last());
    project.after("function load() { null.x; } load();", &["the processor does not load: ", "null", &thrown]);
    project.source("export default 3;", &["does not load", "default export has to be defineProcessor({ … }): it is number"]);
    project.replaced("reduce(", "reduse(", &["it has no field \"reduse\"; it has name,"]);
    project.replaced("consumes: [\"ping\"]", "consumes: \"ping\"", &["consumes is no list of event types"]);
}

#[test]
fn what_is_wrong_in_python_is_said_with_file_and_line() {
    let project = Broken::new("python", "src/processor.py");
    let line = project.text.lines().position(|line| line.contains("state.count += 1")).unwrap() + 1;
    let at = format!("src/processor.py:{line}: SyntaxError: ");
    project.replaced("state.count += 1", "state.count +=", &[&at]);
    project.before("import left", &["src/processor.py:1: ModuleNotFoundError: No module named 'left'", "`dependencies` of pyproject.toml"]);
    let thrown = format!("src/processor.py:{}: ZeroDivisionError", project.last());
    project.after("x = 1 / 0", &["Traceback", "    x = 1 / 0", &thrown]);
    project.replaced("def reduce(", "def reduse(", &["src/processor.py: TypeError: Hello.reduse (line ", "did you mean reduce?"]);
    let line = project.text.lines().position(|line| line.contains("from pelton import")).unwrap() + 1;
    let told = project.replaced(
        "Processor, ReduceContext",
        "Procesor, ReduceContext",
        &[&format!("src/processor.py:{line}: ImportError: cannot import name 'Procesor' from 'pelton'"), "Did you mean: 'Processor'?"],
    );
    assert!(!told.contains("__init__"), "{told}");
    project.source("x = 1\n", &["src/processor.py: TypeError: processor defines no processor; write `class MyProcessor(pelton.Processor)"]);
}

#[test]
fn a_package_json_that_says_too_little_says_what_to_write() {
    let project = Broken::new("ts", "package.json");
    let field = "\"pelton\": { \"entry\": \"src/processor.ts\", \"engine\": \"quickjs\" },";
    project.replaced("src/processor.ts", "src/other.ts", &["package.json: ", "\"src/other.ts\", which is no file here"]);
    project.replaced("quickjs\" }", "v8\" }", &["package.json: ", "\"v8\"; it can be \"quickjs\" or \"starlingmonkey\""]);
    project.replaced(field, "\"pelton\": true,", &["package.json: \"pelton\" is true; expected \"pelton\": { \"entry\""]);
    fs::remove_file(project.project.join("tsconfig.json")).unwrap();
    project.source(&project.text, &["tsconfig.json not found"]);
    fs::rename(project.project.join("src/processor.ts"), project.project.join("src/mine.ts")).unwrap();
    project.replaced(field, "", &["package.json: no file is named", "src/index.js", "add \"pelton\": { \"entry\": \"src/processor.ts\" }"]);
    fs::write(&project.source, "{").unwrap();
    mentions(&said(2, &mut build(&project.project)), &["package.json: EOF while parsing an object at line 1"]);
}

#[test]
fn a_pyproject_that_names_no_module_says_what_to_write() {
    let folder = tempfile::tempdir().unwrap();
    let project = project(folder.path(), "python");
    replace(&project.join("pyproject.toml"), "[tool.pelton]", "[tool.other]");
    mentions(&said(2, &mut build(&project)), &["pyproject.toml: expected `module = \"processor\"` in `[tool.pelton]`"]);
}

#[test]
fn a_package_json_without_a_field_for_pelton_is_built_from_where_processors_are() {
    let folder = tempfile::tempdir().unwrap();
    let project = project(folder.path(), "js");
    replace(&project.join("package.json"), "\"pelton\": { \"entry\": \"src/processor.js\", \"engine\": \"quickjs\" },", "");
    said(0, &mut build(&project));
    assert!(project.join("build/hello.wasm").is_file());
}

/// The program of this name that the tests run with.
fn program(name: &str) -> PathBuf {
    let folders = std::env::var_os("PATH").unwrap();
    std::env::split_paths(&folders).map(|folder| folder.join(name)).find(|file| file.is_file()).unwrap()
}

/// A build that finds no other programs than those of a folder.
fn build_with_only(programs: &Path, project: &Path) -> Command {
    let mut command = build(project);
    command.env("PATH", programs).env_remove("VIRTUAL_ENV");
    command
}

#[test]
fn a_missing_toolchain_is_named_with_what_to_install() {
    let folder = tempfile::tempdir().unwrap();
    let programs = folder.path().join("programs");
    fs::create_dir(&programs).unwrap();
    let [js, python] = ["js", "python"].map(|language| {
        let into = folder.path().join(language);
        fs::create_dir(&into).unwrap();
        new_project(&into, language)
    });
    let missing = |project: &Path| said(1, &mut build_with_only(&programs, project));

    mentions(&missing(&js), &["node is not installed", "20.11 or newer", "https://nodejs.org", "apt install nodejs npm"]);
    fake_program(&programs, "node", "echo v18.19.0");
    mentions(&missing(&js), &["programs/node is v18.19.0", "install Node.js 20.11 or newer"]);
    fs::remove_file(programs.join("node")).unwrap();
    symlink(program("node"), programs.join("node")).unwrap();
    mentions(&missing(&js), &["npm is not installed", "https://nodejs.org"]);

    let install = "`python3 -m venv .venv && .venv/bin/pip install componentize-py==0.25.1` in the project";
    mentions(&missing(&python), &["componentize-py is not installed", install, "Python 3.10 or newer comes first", "python3-venv"]);
    fake_program(&programs, "python3", "");
    let told = missing(&python);
    mentions(&told, &[install]);
    assert!(!told.contains("comes first"), "Python is there: {told}");
    fake_program(&programs, "componentize-py", "echo componentize-py 0.1.0");
    mentions(&missing(&python), &["componentize-py 0.1.0, and the SDK is made for 0.25.1", install]);
}

#[test]
fn dependencies_that_are_not_installed_are_installed_and_what_fails_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let project = new_project(folder.path(), "ts");
    let programs = folder.path().join("programs");
    fs::create_dir(&programs).unwrap();
    symlink(program("node"), programs.join("node")).unwrap();
    fake_program(&programs, "npm", "echo \"npm error in $PWD\" >&2\nexit 1");
    let told = said(1, &mut build_with_only(&programs, &project));
    mentions(&told, &["npm error in ", "/hello\n", "`npm install ", "failed (exit status: 1)"]);
    // One that does nothing.
    fake_program(&programs, "npm", "");
    let told = said(1, &mut build_with_only(&programs, &project));
    mentions(
        &told,
        &[
            "npm install",
            "the package typescript is not installed: put \"typescript\": \"7.0.2\" under devDependencies in ",
            "package.json",
        ],
    );

    let python = new_project(&programs, "python");
    replace(&python.join("pyproject.toml"), "dependencies = []", "dependencies = [\"no such package\"]");
    mentions(&said(1, &mut build(&python)), &["no such package", "-m pip install", "failed", "packages must be of Python alone"]);
}

/// A new project passes its test as it stands, is deployed, and answers.
#[track_caller]
fn reacts(language: &str) {
    let folder = tempfile::tempdir().unwrap();
    let project = project(folder.path(), language);
    // Its own, for a component may be another after each build.
    let cache = folder.path().join("compiled").display().to_string();
    let run = |args: &[&str]| {
        let output = pelton(&project, args).env("PELTON_COMPILE_CACHE", &cache).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let golden = fs::read(project.join("tests/pings.golden.json")).unwrap();
    mentions(&run(&["plugin", "test"]), &["{\"count\":2}", "append   pong", "info: ping 2", "ok as in pings.golden.json"]);
    assert!(golden == fs::read(project.join("tests/pings.golden.json")).unwrap());

    let server = Server::start_with(&["--compile-cache", &cache]);
    let told = run(&["plugin", "deploy", "/room", "--url", &server.base]);
    mentions(&told, &["/room: hello is activated at offset 3: hello 0.1.0, sha256:"]);
    let ping = server.append("/room", &event("ping"))["offset"].clone();
    let state = server.settled("/room");
    assert_eq!(state["processors"]["hello"]["state"], json!({ "count": 1 }), "{state:#}");
    let pongs: Vec<_> = server.log_of_type("/room", "pong").iter().map(|pong| pong["payload"].clone()).collect();
    assert_eq!(pongs, [json!({ "to": ping, "count": 1 })]);
}

#[test]
fn a_new_project_in_javascript_passes_its_test_and_reacts() {
    reacts("js");
}

#[test]
fn a_new_project_in_typescript_passes_its_test_and_reacts() {
    reacts("ts");
}

#[test]
fn a_new_project_in_python_passes_its_test_and_reacts() {
    reacts("python");
}

#[test]
fn a_new_project_in_go_passes_its_test_and_reacts() {
    reacts("go");
}

#[test]
fn a_new_project_in_c_passes_its_test_and_reacts() {
    reacts("c");
}
