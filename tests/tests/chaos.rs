//! The short form of `make chaos`: what it is about is in `impetus_tests::chaos`.

use impetus_tests::chaos::{Extent, Plan, SCENARIOS};

/// Another seed for what is drawn.
const SEED: &str = "IMPETUS_CHAOS_SEED";

/// Runs a scenario, which must find nothing.
async fn check(name: &str) {
    let seed = std::env::var(SEED).map_or(7, |seed| seed.parse().expect("a seed is a number"));
    let scenario = SCENARIOS.iter().find(|scenario| scenario.name == name).expect("there is this scenario");
    let report = scenario.run(Plan { extent: Extent::Short, seed }).await;
    let complaints = report.complaints.join("\n");
    assert!(complaints.is_empty(), "with {SEED}={seed}:\n{complaints}\n{report:?}");
}

macro_rules! scenarios {
    ($($test:ident: $name:literal,)*) => {
        $(#[tokio::test]
        async fn $test() {
            check($name).await;
        })*

        #[test]
        fn every_scenario_is_tested() {
            let names: Vec<&str> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
            assert_eq!(names, [$($name),*]);
        }
    };
}

scenarios! {
    workers_killed_two_hundred_times_cost_nobody_anything: "kill-9",
    stopped_workers_are_replaced: "stop",
    a_worker_that_eats_memory_is_killed_alone: "memory",
    a_poison_fails_alone_and_is_remembered: "poison",
    a_model_that_cannot_fit_is_refused_with_the_numbers: "too-large",
    three_models_that_fit_two_at_a_time_take_turns: "two-of-three",
    swaps_and_reloads_are_not_noticed: "swap-and-reload",
    upgrades_and_reloads_are_not_noticed: "upgrade",
    a_killed_supervisors_successor_takes_over: "supervisor-killed",
    without_a_supervisor_everything_ends: "supervisor-gone",
    the_catalogue_survives_kills_at_any_moment: "catalogue",
    a_worker_cannot_leave_its_sandbox: "sandbox",
    requests_are_served_while_another_model_loads: "head-of-line",
    what_hangs_is_replaced: "hang",
    workers_that_do_everything_wrong_harm_nobody: "misfits",
    requests_that_make_no_sense_harm_nobody: "mutants",
}
