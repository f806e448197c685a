//! Components for the tests: core modules in text form, made into components with the contract itself.

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// As much of WASI as the guests import.
const WASI: &str = r#"
package wasi:io@0.2.0;
interface error { resource error; }
interface poll { resource pollable { block: func(); } }
interface streams {
    use error.{error};
    variant stream-error { last-operation-failed(error), closed }
    resource output-stream { blocking-write-and-flush: func(contents: list<u8>) -> result<_, stream-error>; }
}
"#;

const WASI_CLOCKS: &str = r#"
package wasi:clocks@0.2.0;
interface monotonic-clock {
    use wasi:io/poll@0.2.0.{pollable};
    now: func() -> u64;
    subscribe-duration: func(when: u64) -> pollable;
}
"#;

const WASI_RANDOM: &str = "package wasi:random@0.2.0; interface random { get-random-u64: func() -> u64; }";

const WASI_CLI: &str = r#"
package wasi:cli@0.2.0;
interface exit { exit: func(status: result); }
interface stdout { use wasi:io/streams@0.2.0.{output-stream}; get-stdout: func() -> output-stream; }
"#;

const WASI_KEYVALUE: &str = "package wasi:keyvalue@0.2.0; interface store { f: func(); }";

const WORLDS: &str = r#"
package test:guests;
world guest {
    include pelton:processor/stream-processor@0.1.0;
    import wasi:io/poll@0.2.0;
    import wasi:io/streams@0.2.0;
    import wasi:clocks/monotonic-clock@0.2.0;
    import wasi:random/random@0.2.0;
    import wasi:cli/stdout@0.2.0;
    import wasi:cli/exit@0.2.0;
}
world greedy {
    include pelton:processor/stream-processor@0.1.0;
    import wasi:keyvalue/store@0.2.0;
}
world caller {
    include pelton:processor/stream-processor@0.1.0;
    import wasi:http/outgoing-handler@0.2.12;
}
world other { export greet: func(); }
"#;

/// The guest of `guest.wat`.
pub fn guest() -> Vec<u8> {
    component(include_str!("guest.wat"), "guest")
}

/// A component of one of the worlds above.
pub fn component(text: &str, world: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    resolve.push_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit")).expect("the contract parses");
    for (name, text) in [("io", WASI), ("clocks", WASI_CLOCKS), ("random", WASI_RANDOM), ("cli", WASI_CLI), ("keyvalue", WASI_KEYVALUE)] {
        resolve.push_str(format!("{name}.wit"), text).expect("the WASI of the tests parses");
    }
    let package = resolve.push_str("worlds.wit", WORLDS).expect("the worlds of the tests parse");
    let world = resolve.select_world(&[package], Some(world)).expect("the world exists");
    let mut module = wat::parse_str(text).expect("the text is a module");
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("the module takes its type");
    let mut encoder = ComponentEncoder::default().validate(true).module(&module).expect("the module fits its type");
    encoder.encode().expect("the module becomes a component")
}
