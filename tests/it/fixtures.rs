//! No fixture without a test: this does not compile where a test is gone, and fails where a fixture has none.

use std::collections::BTreeSet;

use crate::support::repository;

macro_rules! tested {
    ($($fixture:literal by $test:path,)*) => {
        $(const _: fn() = $test;)*
        const TESTED: &[&str] = &[$($fixture,)*];
    };
}

tested! {
    "core-module" by crate::rejected::a_core_module,
    "counter-v2" by crate::replaced::a_new_version_folds_the_whole_history_repeats_no_effect_and_goes_on,
    "effects" by crate::effects::what_an_event_asks_for_is_recorded_as_asked,
    "http-client" by crate::egress::a_request_that_operator_and_processor_allow_arrives_and_is_answered,
    "grow-memory" by crate::parked::memory_without_end,
    "huge-state" by crate::parked::a_state_over_the_limit,
    "other-contract" by crate::rejected::a_component_of_another_version_of_the_contract,
    "remembers" by crate::plugin_test::a_state_that_depends_on_how_events_are_split_into_calls_is_found,
    "spin-in-after-append" by crate::parked::an_endless_loop_in_after_append_runs_out_of_time,
    "spin-in-describe" by crate::rejected::a_component_that_never_returns_from_describe,
    "spin-in-reduce" by crate::parked::an_endless_loop_in_reduce,
    "trap-in-after-append" by crate::parked::a_trap_in_after_append,
    "trap-in-describe" by crate::rejected::a_component_that_traps_in_describe,
    "trap-in-reduce" by crate::parked::a_trap_in_reduce,
    "undeclared-import" by crate::rejected::a_component_that_imports_what_is_not_granted,
    "wrong-world" by crate::rejected::a_component_of_another_world,
}

#[test]
fn every_fixture_has_a_test() {
    let folders = std::fs::read_dir(repository().join("plugins/fixtures")).unwrap().map(Result::unwrap);
    let names = folders.filter(|entry| entry.path().is_dir()).map(|entry| entry.file_name().into_string().unwrap());
    assert_eq!(names.collect::<BTreeSet<_>>(), TESTED.iter().map(ToString::to_string).collect());
}
