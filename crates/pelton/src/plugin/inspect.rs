//! `pelton plugin inspect`

use std::path::PathBuf;

use clap::Args;
use pelton_model::{JsonObject, Quotas};
use pelton_wasm::Interfaces;
use serde_json::json;
use serde_json::value::to_raw_value;

use super::build::{list, shown, size};
use super::target::{Plugin, told};
use crate::cli::{Failure, Format, Shape, print};

#[derive(Args)]
pub struct Options {
    /// A project's folder, or a component.
    #[arg(default_value = ".")]
    plugin: PathBuf,
}

pub fn run(format: Format, options: &Options) -> Result<(), Failure> {
    let quotas = Quotas::default();
    let plugin = Plugin::compile(&options.plugin, &quotas)?;
    let manifest = plugin.manifest(None, &JsonObject::empty(), &quotas)?.json;
    let Interfaces { imports, exports } =
        pelton_wasm::verify(&plugin.bytes, &quotas).map_err(|error| Failure::new(3, told(&error.reason())))?;
    let compile_ms = plugin.load_time.as_secs_f64() * 1000.0;
    if format.shape != Shape::Line {
        let shown = json!({
            "path": plugin.path, "size": plugin.bytes.len(), "digest": plugin.digest.to_string(), "imports": imports, "exports": exports,
            "compileMs": (compile_ms * 1000.0).round() / 1000.0, "quotas": quotas,
        });
        // The manifest as it was written.
        let manifest = to_raw_value(&manifest).map_err(super::host_failed)?;
        let text = format!(r#"{{"manifest":{},{}"#, manifest.get(), &shown.to_string()[1..]);
        return print(&format.document(&text));
    }
    let mut text = format!("{}  {}\n  {}\n", shown(&plugin.path).display(), size(plugin.bytes.len()), plugin.digest);
    text.push_str(&format!("  compiled in {compile_ms:.1} ms\n"));
    text.push_str(&list("imports", &imports));
    text.push_str(&list("exports", &exports));
    text.push_str("\nmanifest\n");
    for line in super::pretty::pretty(manifest.as_str()).lines() {
        text.push_str(&format!("  {}\n", crate::cli::printable(line)));
    }
    text.push_str("\nat most, with default quotas\n");
    for (what, most) in worst_case(&quotas) {
        text.push_str(&format!("  {what:14} {most}\n"));
    }
    print(&text)
}

/// What one call may use before the host stops it.
fn worst_case(quotas: &Quotas) -> [(&'static str, String); 6] {
    let fuel = |units: u64| format!("{} units of fuel, about one an instruction", thousands(units));
    [
        ("memory", format!("{} an instance", binary(quotas.memory_bytes_max))),
        ("state", binary(quotas.state_bytes_max)),
        ("describe", fuel(quotas.describe_fuel_max)),
        ("reduce", fuel(quotas.reduce_fuel_max) + ", for an event"),
        ("after-append", format!("{}, and {} ms", fuel(quotas.after_append_fuel_max), thousands(quotas.after_append_millis_max))),
        (
            "appends",
            format!(
                "{} an event, {} together; {} attempts",
                thousands(quotas.appends_max as u64),
                binary(quotas.append_bytes_max),
                quotas.attempts_max
            ),
        ),
    ]
}

fn binary(bytes: usize) -> String {
    bytesize::ByteSize(bytes as u64).display().iec().to_string()
}

/// `12,345,678`.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (nth, digit) in digits.chars().enumerate() {
        if nth > 0 && (digits.len() - nth).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
