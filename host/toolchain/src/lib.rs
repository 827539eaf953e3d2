//! A compiler for `wasm32-wasip2`.
//!
//! With rustup it is one command. Where rustup can't have the target, as on a
//! machine without its servers, Debian has a Rust compiler with the sources of
//! the standard library and a C library for WASI; Cargo then builds the
//! standard library as well, and the build commands stay the same.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use anyhow::{Error, Result, ensure};

const TARGET: &str = "wasm32-wasip2";

/// Set to `debian`, this variable keeps rustup out.
const CHOICE: &str = "WASM_TOOLCHAIN";

const DEBIAN_PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "wasi-libc"];

/// What those packages bring.
const DEBIAN_FILES: [&str; 4] = [
    "/usr/bin/rustc",
    "/usr/bin/cargo",
    "/usr/lib/rustlib/src/rust/library/std",
    "/usr/lib/wasm32-wasi/libc.a",
];

/// The linker of the target. It comes with rustup's toolchains, even where the
/// target itself does not.
const LINKER: &str = "wasm-component-ld";

/// Environment variables and their values; without one, they must not be set.
pub type Environment = Vec<(&'static str, Option<OsString>)>;

/// Environment variables with which `cargo build --target wasm32-wasip2` works,
/// once everything is there that it needs. The first call installs that, if it must.
///
/// # Errors
/// What is missing, and the command that installs it.
pub fn environment() -> Result<Environment> {
    static FOUND: LazyLock<Result<Environment, String>> =
        LazyLock::new(|| find().map_err(|error| format!("{error:#}")));
    FOUND.clone().map_err(Error::msg)
}

fn find() -> Result<Environment> {
    let with_rustup = env::var_os(CHOICE).is_none_or(|choice| choice != "debian");
    if with_rustup && (has_target() || add_target()) {
        return Ok(Vec::new());
    }
    install_debian_packages()?;
    debian()
}

fn has_target() -> bool {
    let libraries = output("rustc", &["--print", "target-libdir", "--target", TARGET]);
    libraries.is_some_and(|path| Path::new(&path).is_dir())
}

fn add_target() -> bool {
    eprintln!("Installing the compiler's target {TARGET} with rustup");
    let status = Command::new("rustup").args(["target", "add", TARGET]).status();
    status.is_ok_and(|status| status.success()) && has_target()
}

fn install_debian_packages() -> Result<()> {
    if DEBIAN_FILES.iter().all(|file| Path::new(file).exists()) {
        return Ok(());
    }
    let packages = DEBIAN_PACKAGES.join(" ");
    let install =
        format!("apt-get update && apt-get install -y --no-install-recommends {packages}");
    let by_hand = format!(
        "the compiler's target {TARGET} is missing; install it with `rustup target add {TARGET}` \
         or, on Debian, with `sudo sh -c '{install}'`"
    );
    let may_install = output("id", &["-u"]).is_some_and(|user| user == "0");
    ensure!(may_install && Path::new("/usr/bin/apt-get").exists(), by_hand);
    eprintln!("Installing Debian's packages {packages}");
    let status = Command::new("sh").args(["-c", &install]).stdout(Stdio::null()).status()?;
    ensure!(status.success(), by_hand);
    Ok(())
}

fn debian() -> Result<Environment> {
    let path = env::var_os("PATH").unwrap_or_default();
    let linkers = rustup_linkers();
    let folders = [PathBuf::from("/usr/bin")].into_iter().chain(linkers);
    let path = env::join_paths(folders.chain(env::split_paths(&path)))?;
    let has_linker = env::split_paths(&path).any(|folder| folder.join(LINKER).exists());
    ensure!(
        has_linker,
        "the linker {LINKER} is missing; install it with `cargo install {LINKER}` and, on Debian, \
         `sudo apt-get install lld`"
    );
    Ok(vec![
        ("PATH", Some(path)),
        ("RUSTC", Some("/usr/bin/rustc".into())),
        // What lets a stable compiler build its standard library.
        ("RUSTC_BOOTSTRAP", Some("1".into())),
        ("CARGO_UNSTABLE_BUILD_STD", Some("std,panic_abort".into())),
        // These would take the place of those for the target, below.
        ("RUSTFLAGS", None),
        ("CARGO_ENCODED_RUSTFLAGS", None),
        ("CARGO_TARGET_WASM32_WASIP2_LINKER", Some(LINKER.into())),
        (
            "CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS",
            Some("-L native=/usr/lib/wasm32-wasi -C link-self-contained=no".into()),
        ),
    ])
}

/// The folder of the linkers of rustup's toolchain, if there is one.
fn rustup_linkers() -> Option<PathBuf> {
    let sysroot = output("rustc", &["--print", "sysroot"])?;
    let host = output("rustc", &["--print", "host-tuple"])?;
    let folder = Path::new(&sysroot).join("lib/rustlib").join(host).join("bin");
    folder.join(LINKER).exists().then_some(folder)
}

/// What a command prints, if it succeeds.
fn output(command: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(command).args(arguments).output().ok()?;
    let text = output.status.success().then(|| String::from_utf8(output.stdout))?;
    Some(text.ok()?.trim().to_owned())
}
