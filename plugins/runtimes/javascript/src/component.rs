//! The exports of the component, each a call of the one program that an instance holds.

use std::cell::RefCell;
use std::rc::Rc;

use crate::bindings::exports::pelton::processor::processor::{Event as WitEvent, Guest};
use crate::bindings::pelton::processor::context;
use crate::bindings::wasi::cli::environment::get_environment;
use crate::bindings::wasi::random::random::get_random_bytes;
use crate::failure::Failure;
use crate::host::Host;
use crate::runtime::Runtime;
use crate::world::{Event, World};

struct Component;

crate::bindings::export!(Component with_types_in crate::bindings);

thread_local! {
    static RUNTIME: RefCell<Option<Runtime>> = const { RefCell::new(None) };
}

impl Guest for Component {
    fn describe() -> String {
        match with_runtime(|runtime| runtime.describe(&context::slug())) {
            Ok(manifest) => manifest,
            Err(Failure { message, location, .. }) => {
                serde_json::json!({ "error": { "message": message, "location": location } }).to_string()
            }
        }
    }

    fn reduce(state: String, events: Vec<WitEvent>) -> Result<String, String> {
        let events: Vec<Event> = events.into_iter().map(Event::from).collect();
        with_runtime(|runtime| runtime.reduce(state, &events)).map_err(|failure| failure.to_string())
    }

    fn after_append(event: WitEvent, state: String) -> Result<(), String> {
        with_runtime(|runtime| runtime.after_append(&event.into(), &state)).map_err(|failure| failure.to_string())
    }
}

/// The program of this instance, loaded by its first call.
fn with_runtime<T>(call: impl FnOnce(&mut Runtime) -> Result<T, Failure>) -> Result<T, Failure> {
    RUNTIME.with_borrow_mut(|loaded| {
        let runtime = match loaded.take() {
            Some(runtime) => runtime,
            None => {
                std::panic::set_hook(Box::new(|panic| context::log(context::Level::Error, &panic.to_string())));
                let world: Rc<dyn World> = Rc::new(Host::default());
                Runtime::load(&world, &context::slug(), &context::config(), &get_environment())?
            }
        };
        call(loaded.insert(runtime))
    })
}

/// The engine's randomness, of which nothing that a program sees is made.
#[unsafe(no_mangle)]
unsafe extern "Rust" fn __getrandom_v03_custom(dest: *mut u8, len: usize) -> Result<(), getrandom::Error> {
    let bytes = get_random_bytes(len as u64);
    // SAFETY: the caller gives a buffer of `len` bytes, and the host that many.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), dest, bytes.len().min(len)) };
    Ok(())
}
