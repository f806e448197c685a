//! The path of a stream in a URL.

#![no_main]

#[path = "../../crates/pelton/src/http/path.rs"]
mod path;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match path::stream_path(text) {
        Ok(found) => assert_eq!(path::stream_path(found.as_str()).as_ref(), Ok(&found), "a path names itself"),
        Err(error) => assert!(!error.is_empty()),
    }
});
