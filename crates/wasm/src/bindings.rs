//! What `bindgen!` makes of `wit/processor.wit`, alone in its module since generated code follows nobody's lints. Parameters are borrowed, so
//! that events are lowered into the guest straight from the host's own strings.
#![allow(clippy::all, clippy::pedantic, missing_docs, unused_qualifications, reason = "generated")]

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "stream-processor",
    ownership: Borrowing { duplicate_if_necessary: true },
    imports: {
        // The one import that waits for something: the tenant's writer.
        "pelton:processor/appender.append": async | trappable,
        default: trappable,
    },
    exports: {
        // It may sleep and is stopped by a clock, hence runs on a fiber. The others run on the caller's stack, which is cheaper.
        "pelton:processor/processor.after-append": async,
    },
});
