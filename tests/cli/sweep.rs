//! Sweeps: variants share what they have in common, and have results of their own beyond it.

use crate::world::World;

fn swept() -> World {
    let world = World::with_problems(8);
    world.append(
        "[sweep]\n\"traces.n\" = [1, 3]\n\"accepted.strategy\" = [\"none\", \"rejection\"]\n",
    );
    world
}

#[test]
fn a_sweep_asks_each_row_once() {
    let world = swept();
    let ran = world.run().succeeded();
    // problems; traces for each n; accepted and formatted for each n and strategy
    assert_eq!(ran.stages("ran").len(), 1 + 2 + 4 + 4);
    // three replicates of each problem hold the one
    assert_eq!(world.calls(), 8 * 3);

    let again = world.run().succeeded();
    assert_eq!(again.stages("cached").len(), 11);
    assert_eq!(world.calls(), 0);
}

#[test]
fn variants_have_results_of_their_own() {
    let world = swept();
    world.run().succeeded();
    let shown = world.dag(&["sweep", "--json"]).succeeded();
    assert_eq!(shown.json["shared"], 1);
    let stages = shown.json["stages"].as_array().unwrap();
    assert_eq!(stages.len(), 10);
    assert!(
        stages.iter().all(|stage| stage["state"] == "cached"),
        "{stages:#?}"
    );

    // of the first numbers 2 to 9, 3 and 7 are added wrongly
    let mut rows: Vec<_> = stages
        .iter()
        .map(|stage| stage["stage"].as_str().unwrap())
        .filter(|name| name.starts_with("accepted"))
        .map(|name| {
            let shown = world.dag(&["show", name, "--json", "-n", "0"]).succeeded();
            shown.json["artifact"]["rows"].as_u64().unwrap()
        })
        .collect();
    rows.sort_unstable();
    assert_eq!(rows, [6, 8, 18, 24]);
}

#[test]
fn a_value_added_to_a_sweep_runs_only_its_own_stages() {
    let world = swept();
    world.run().succeeded();
    world.calls();
    world.edit("[\"none\", ", "[\"none\", \"parsable\", ");
    let ran = world.run().succeeded();
    // every answer can be parsed: `parsable` keeps what `none` keeps, and its `formatted` is there
    assert_eq!(ran.stages("cached").len(), 11 + 2);
    assert_eq!(world.calls(), 0);
    let accepted = ran
        .stages("ran")
        .iter()
        .filter(|name| name.starts_with("accepted"))
        .count();
    assert_eq!(accepted, 2, "one for each n: {:?}", ran.stages("ran"));
}
