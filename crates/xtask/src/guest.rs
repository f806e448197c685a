//! The toolchain that compiles plugins to `wasm32-unknown-unknown`: three ways to get one, the first that works is taken.
//!
//! 1. `installed`: the target is there.
//! 2. `rustup`: `rustup target add`, which some networks refuse or let hang, so it gets a minute, and a failure is not tried
//!    again for a day.
//! 3. `debian`: Debian's packaged compiler unpacked in `target/guest-toolchain/`, nothing installed system-wide, building the standard
//!    library from its source package. Pinned to the versions in [`TRIED`]; newer ones are taken, and named, once those are gone.
//!
//! `PELTON_GUEST_TOOLCHAIN=installed|rustup|debian` takes that way and no other.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::run;

pub const TARGET: &str = "wasm32-unknown-unknown";

const VARIABLE: &str = "PELTON_GUEST_TOOLCHAIN";
const RUSTUP_LIMIT: Duration = Duration::from_secs(60);
const RUSTUP_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
const APT_UPDATE_LIMIT: Duration = Duration::from_secs(180);

/// The Debian packages, and their versions in Debian 12, that the third way was tried with. Both come from the security archive,
/// which keeps the newest version only.
const TRIED: [(&str, &str); 5] = [
    ("rustc-web", "1.96.0+dfsg1-1~deb12u2"),
    ("libstd-rust-web-dev", "1.96.0+dfsg1-1~deb12u2"),
    ("libstd-rust-web-1.96", "1.96.0+dfsg1-1~deb12u2"),
    ("rust-web-src", "1.96.0+dfsg1-1~deb12u2"),
    ("libllvm22", "1:22.1.8-1~deb12u1"),
];

/// The environment in which cargo compiles guests: nothing else is needed, so that whoever runs cargo can be given it.
pub struct Toolchain {
    variables: Vec<(String, PathBuf)>,
}

impl Toolchain {
    /// Finds or fetches a toolchain, and says which way was taken.
    pub fn find() -> Result<Toolchain> {
        let ways = ways(std::env::var(VARIABLE).ok().as_deref())?;
        let mut attempts = String::new();
        for way in &ways {
            let attempt = match way {
                Way::Installed => installed(),
                Way::Rustup => rustup(ways.len() == 1),
                Way::Debian => debian(),
            };
            match attempt {
                Ok((toolchain, what)) => {
                    run::step(format_args!("guest toolchain: {way}, {what}"));
                    return Ok(toolchain);
                }
                Err(error) => attempts.push_str(&format!("  {way}: {error:#}\n")),
            }
        }
        bail!(
            "no toolchain for {TARGET}; tried:\n{attempts}Install the target (`rustup target add {TARGET}`, or your distribution's package of \
             Rust's standard library for it) and run this again."
        )
    }

    /// `cargo build --release` for the guest target; the caller adds folder and packages.
    pub fn cargo_build(&self) -> Command {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
        command.args(["build", "--release", "--target", TARGET]);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Writes the environment down, a variable a line, for tests that run `pelton plugin build`.
    pub fn write_environment(&self) -> Result<()> {
        fs::create_dir_all(folder())?;
        let lines: String = self.variables.iter().map(|(name, value)| format!("{name}={}\n", value.display())).collect();
        Ok(fs::write(folder().join("environment"), lines)?)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Installed,
    Rustup,
    Debian,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Way::Installed => "installed",
            Way::Rustup => "rustup",
            Way::Debian => "debian",
        })
    }
}

/// The ways to try, in order.
fn ways(asked: Option<&str>) -> Result<Vec<Way>> {
    let all = vec![Way::Installed, Way::Rustup, Way::Debian];
    match asked {
        None | Some("") => Ok(all),
        Some(name) => {
            let way = all.into_iter().find(|way| way.to_string() == name);
            Ok(vec![way.with_context(|| format!("{VARIABLE} is `{name}`; it can be installed, rustup or debian"))?])
        }
    }
}

/// A toolchain and a few words on what it is.
type Found = (Toolchain, String);

fn installed() -> Result<Found> {
    let folder = PathBuf::from(run::read(rustc().args(["--print", "target-libdir", "--target", TARGET]))?.trim());
    let is_core = |name: &str| name.starts_with("libcore-") && name.ends_with(".rlib");
    let complete = fs::read_dir(&folder).is_ok_and(|files| files.flatten().any(|file| is_core(&file.file_name().to_string_lossy())));
    ensure!(complete, "no libraries for the target in {}", folder.display());
    let version = run::read(rustc().arg("--version"))?;
    Ok((Toolchain { variables: vec![] }, version.trim().into()))
}

fn rustup(even_if_refused_before: bool) -> Result<Found> {
    ensure!(run::has("rustup"), "rustup not found");
    let refusal = folder().join("rustup-refused");
    if !even_if_refused_before && let Some(reason) = remembered(&refusal) {
        bail!("failed within the last day, not tried again ({reason}; delete {} to try at once)", refusal.display());
    }
    run::step(format_args!("rustup target add {TARGET} (for at most {} s)", RUSTUP_LIMIT.as_secs()));
    if let Err(error) = run::run_for(RUSTUP_LIMIT, Command::new("rustup").args(["target", "add", TARGET])) {
        fs::create_dir_all(folder())?;
        fs::write(&refusal, format!("{error:#}"))?;
        return Err(error);
    }
    installed()
}

/// The reason in the file, if it was written within the last day.
fn remembered(refusal: &Path) -> Option<String> {
    let age = fs::metadata(refusal).ok()?.modified().ok()?.elapsed().ok()?;
    if age < RUSTUP_RETRY_AFTER { fs::read_to_string(refusal).ok() } else { None }
}

fn debian() -> Result<Found> {
    let (sysroot, packages) = unpacked_packages()?;
    let libraries = fs::read_dir(sysroot.join("usr/lib"))?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.to_string_lossy().ends_with("-linux-gnu"))
        .with_context(|| format!("no library folder in {}", sysroot.display()))?;
    let toolchain = Toolchain {
        variables: vec![
            ("RUSTC".into(), sysroot.join("usr/bin/rustc")),
            // Building the standard library is what a stable compiler needs this for.
            ("RUSTC_BOOTSTRAP".into(), "1".into()),
            ("LD_LIBRARY_PATH".into(), libraries),
            (format!("CARGO_TARGET_{}_LINKER", TARGET.to_uppercase().replace('-', "_")), linker()?),
            ("CARGO_UNSTABLE_BUILD_STD".into(), "std,panic_abort".into()),
        ],
    };
    Ok((toolchain, packages))
}

/// The folder with the unpacked packages, and which those are.
fn unpacked_packages() -> Result<(PathBuf, String)> {
    let folder = folder().join("debian");
    let sysroot = folder.join("root");
    // Written last, and so says that all before it was done.
    let complete = folder.join("packages");
    if let Ok(packages) = fs::read_to_string(&complete) {
        return Ok((sysroot, packages));
    }
    for tool in ["apt-get", "apt-cache", "dpkg"] {
        ensure!(run::has(tool), "{tool} not found, so this is not Debian");
    }
    let packages = packages_to_download()?;
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let downloads = folder.join("downloads");
    fs::create_dir_all(&downloads)?;
    run::step(format_args!("downloading Debian's {} to {} (137 MB)", packages.join(" "), downloads.display()));
    // As root, apt-get would hand the download to a user of its own, who may not be able to write here.
    let mut download = Command::new("apt-get");
    run::run(download.args(["-q", "-o", "APT::Sandbox::User=root", "download"]).args(&packages).current_dir(&downloads))?;
    for file in fs::read_dir(&downloads)? {
        run::run(Command::new("dpkg").arg("-x").arg(file?.path()).arg(&sysroot))?;
    }
    // Three quarters of the source package is the compiler, which nobody builds here, and the downloads are unpacked.
    fs::remove_dir_all(downloads)?;
    for source in fs::read_dir(sysroot.join("usr/src"))? {
        let source = source?.path();
        fs::remove_dir_all(source.join("compiler"))?;
        fs::remove_dir_all(source.join("src"))?;
    }
    let packages = packages.join(" ");
    fs::write(complete, &packages)?;
    Ok((sysroot, packages))
}

/// The packages as tried; if Debian has moved on, the same packages in today's versions.
fn packages_to_download() -> Result<Vec<String>> {
    if available("rustc-web")?.is_empty() {
        run::step("apt-get update, since the package lists do not have rustc-web");
        run::run_for(APT_UPDATE_LIMIT, Command::new("apt-get").arg("update"))?;
    }
    let mut gone = Vec::new();
    for (name, version) in TRIED {
        if !available(name)?.iter().any(|available| available == version) {
            gone.push(format!("{name}={version}"));
        }
    }
    if gone.is_empty() {
        return Ok(TRIED.map(|(name, version)| format!("{name}={version}")).to_vec());
    }
    run::step(format_args!("Debian no longer has {}; taking its present versions, which were not tried", gone.join(" ")));
    let library = dependency("libstd-rust-web-dev", "libstd-rust-web-")?;
    let llvm = dependency(&library, "libllvm")?;
    let mut packages = Vec::new();
    for name in ["rustc-web", "libstd-rust-web-dev", &library, "rust-web-src", &llvm] {
        let versions = available(name)?;
        packages.push(format!("{name}={}", versions.first().with_context(|| format!("Debian has no package {name}"))?));
    }
    Ok(packages)
}

/// The versions of a package that can be downloaded, newest first.
fn available(package: &str) -> Result<Vec<String>> {
    Ok(versions_in_madison(&run::read(Command::new("apt-cache").args(["madison", package]))?))
}

/// Lines such as ` rustc-web | 1.96.0+dfsg1-1~deb12u2 | <archive> Packages`.
fn versions_in_madison(text: &str) -> Vec<String> {
    text.lines().filter_map(|line| line.split('|').nth(1)).map(|version| version.trim().to_owned()).collect()
}

fn dependency(package: &str, prefix: &str) -> Result<String> {
    let text = run::read(Command::new("apt-cache").args(["depends", package]))?;
    dependency_in(&text, prefix).with_context(|| format!("Debian's {package} depends on no {prefix}*"))
}

fn dependency_in(text: &str, prefix: &str) -> Option<String> {
    text.lines().filter_map(|line| line.trim().strip_prefix("Depends: ")).find(|name| name.starts_with(prefix)).map(str::to_owned)
}

/// The linker that comes with the compiler in use; Debian packages none with its own.
fn linker() -> Result<PathBuf> {
    let sysroot = PathBuf::from(run::read(rustc().args(["--print", "sysroot"]))?.trim());
    let version = run::read(rustc().arg("-vV"))?;
    let host = host_in(&version).context("`rustc -vV` names no host")?;
    let linker = sysroot.join("lib/rustlib").join(host).join("bin/rust-lld");
    ensure!(linker.is_file(), "no rust-lld at {}; it comes with rustup's toolchains", linker.display());
    Ok(linker)
}

fn host_in(version: &str) -> Option<&str> {
    version.lines().find_map(|line| line.strip_prefix("host: "))
}

fn rustc() -> Command {
    Command::new(std::env::var_os("RUSTC").unwrap_or("rustc".into()))
}

fn folder() -> PathBuf {
    run::target().join("guest-toolchain")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_ways_are_tried_in_order_unless_one_is_asked_for() {
        assert_eq!(ways(None).unwrap(), [Way::Installed, Way::Rustup, Way::Debian]);
        assert_eq!(ways(Some("")).unwrap().len(), 3);
        assert_eq!(ways(Some("debian")).unwrap(), [Way::Debian]);
        assert!(ways(Some("nix")).unwrap_err().to_string().contains("installed, rustup or debian"));
    }

    #[test]
    fn versions_are_read_newest_first() {
        let text = " rustc-web | 1.96.0+dfsg1-1~deb12u2 | archive bookworm-security/main amd64 Packages\n rustc-web | 1.85.0+dfsg3-1~deb12u3 | archive\n";
        assert_eq!(versions_in_madison(text), ["1.96.0+dfsg1-1~deb12u2", "1.85.0+dfsg3-1~deb12u3"]);
        assert!(versions_in_madison("").is_empty());
    }

    #[test]
    fn dependencies_are_found_by_prefix_among_other_relations() {
        let text = "libstd-rust-web-1.96\n  Depends: libc6\n  Conflicts: <libllvm-mozilla>\n  Depends: libllvm22\n  Depends: libstdc++6\n";
        assert_eq!(dependency_in(text, "libllvm").as_deref(), Some("libllvm22"));
        assert_eq!(dependency_in(text, "libstd-rust"), None);
    }

    #[test]
    fn the_host_is_read_from_the_verbose_version() {
        assert_eq!(host_in("rustc 1.95.0\nbinary: rustc\nhost: x86_64-unknown-linux-gnu\n"), Some("x86_64-unknown-linux-gnu"));
        assert_eq!(host_in("rustc 1.95.0"), None);
    }

    #[test]
    fn a_refusal_is_remembered_for_a_day() {
        let file = std::env::temp_dir().join(format!("xtask-refusal-{}", std::process::id()));
        assert_eq!(remembered(&file), None);
        fs::write(&file, "refused").unwrap();
        assert_eq!(remembered(&file).as_deref(), Some("refused"));
        let yesterday = std::time::SystemTime::now() - RUSTUP_RETRY_AFTER - Duration::from_secs(1);
        fs::File::options().write(true).open(&file).unwrap().set_modified(yesterday).unwrap();
        assert_eq!(remembered(&file), None);
        fs::remove_file(file).unwrap();
    }
}
