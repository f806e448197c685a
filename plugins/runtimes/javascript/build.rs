//! The engine calls itself for each nested call into a built-in such as `map`; the linker's default stack of 1 MiB is little for that.
fn main() {
    if std::env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "wasm32") {
        println!("cargo:rustc-link-arg-cdylib=-zstack-size=4194304");
    }
}
