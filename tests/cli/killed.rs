//! `kill -9` at any moment: the cache stays whole, no row that was answered is asked again, and the
//! result is that of a run which nobody disturbed, digest for digest.
//!
//! Twenty kills by default. The long form, ten times that:
//!
//! ```text
//! DAG_KILLS=200 cargo test -p dag --test cli killed -- --nocapture
//! ```

use std::time::{Duration, Instant};

use crate::world::World;

const STAGES: [&str; 5] = ["problems", "traces", "accepted", "formatted", "student"];
const PROBLEMS: usize = 60;
const REPLICATES: usize = 2;
const CONCURRENCY: usize = 4;
/// Every answer takes so long, so that sampling alone takes most of a second.
const DELAY: Duration = Duration::from_millis(20);

/// With a small model that writes a checkpoint a second.
const STUDENT: &str = r#"
[stage.student]
kind               = "sft"
from               = "formatted"
init               = { layers = 1, hidden = 32, heads = 2, positions = 320 }
cutoff             = 320
world              = 1
batch              = 4
steps              = 24
learning_rate      = 1e-3
checkpoint_seconds = 1
"#;

fn dress(world: World) -> World {
    world.append(STUDENT);
    world.edit("concurrency = 8", &format!("concurrency = {CONCURRENCY}"));
    world
}

/// A number below `below` from a seed: SplitMix64, so that a failure can be repeated.
fn draw(seed: &mut u64, below: u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *seed;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)) % below
}

#[test]
#[expect(clippy::print_stderr, reason = "a long test says how far it came")]
fn a_run_killed_at_any_moment_goes_on_and_ends_where_an_undisturbed_one_ends() {
    let kills: usize = std::env::var("DAG_KILLS")
        .ok()
        .and_then(|kills| kills.parse().ok())
        .unwrap_or(20);
    let undisturbed = dress(World::with_problems(PROBLEMS));
    undisturbed.teacher().delay(DELAY);
    let began = Instant::now();
    undisturbed.run().succeeded();
    let whole = began.elapsed();
    assert_eq!(undisturbed.calls(), PROBLEMS * REPLICATES);
    let expected = undisturbed.contents(&STAGES);

    // A life is one cache, killed until its run is done; then the next begins from nothing. Half of
    // the moments lie in the first third, where rows are paid for; the others anywhere.
    let mut seed = 20;
    let (mut killed, mut lives) = (0, 0);
    while killed < kills {
        let world = dress(undisturbed.beside(PROBLEMS));
        let mut here = 0;
        while killed < kills {
            let within = if draw(&mut seed, 2) == 0 {
                whole / 3
            } else {
                whole + Duration::from_millis(300)
            };
            let moment =
                Duration::from_millis(draw(&mut seed, u64::try_from(within.as_millis()).unwrap()));
            let mut child = world.command(&["run", "--quiet"]).spawn().unwrap();
            std::thread::sleep(moment);
            child.kill().unwrap();
            let status = child.wait().unwrap();
            if status.success() {
                break;
            }
            assert_eq!(status.code(), None, "the run failed by itself");
            killed += 1;
            here += 1;
            world.dag(&["cache", "verify"]).succeeded();
        }
        world.run().succeeded();
        assert_eq!(
            world.contents(&STAGES),
            expected,
            "life {lives}, after {here} kills"
        );
        let calls = world.calls();
        let most = PROBLEMS * REPLICATES + CONCURRENCY * here;
        assert!(
            calls <= most,
            "{calls} questions in life {lives}, {most} with every one in flight lost"
        );
        lives += 1;
        eprintln!(
            "{killed} kills in {lives} lives, {calls} questions in the last one, {:.0?}",
            began.elapsed()
        );
    }
    assert_eq!(killed, kills);
}
