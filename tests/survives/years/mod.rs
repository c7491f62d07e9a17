//! Simulated years: the real loop over the model of the pipeline, with people, weather, deaths
//! and a second daemon, in virtual time. Everything is drawn from a seed, so a seed that fails
//! fails again: `just sim SEED` prints its history.
//!
//! Two phases. With faults, nothing may ever be hurt; the checkers of [`checks`] know the world
//! and what people did, and nothing of our code. Without faults, everything that can be healed
//! must be, within a stated number of nights, and then nothing more is done.

mod book;
mod breaches;
mod checks;
mod climate;
mod host;
mod journal;
mod people;
mod year;

use std::sync::atomic::{AtomicU64, Ordering};

/// Seeds of an ordinary run of the tests.
const SEEDS: u64 = 500;
/// Lines of a history that are printed before the complaint; `GAPMEND_HISTORY=all` for all.
const LINES_SHOWN: usize = 400;

fn number(name: &str) -> Option<u64> {
    std::env::var_os(name)?.to_string_lossy().parse().ok()
}

/// `GAPMEND_SEED=n` plays one year again, `GAPMEND_SEEDS=n` plays more of them, from
/// `GAPMEND_SEEDS_FROM` on.
#[test]
fn a_year_of_anything_hurts_nothing_and_heals_what_can_be_healed() {
    let (first, count) = match number("GAPMEND_SEED") {
        Some(seed) => (seed, 1),
        None => {
            (number("GAPMEND_SEEDS_FROM").unwrap_or(1), number("GAPMEND_SEEDS").unwrap_or(SEEDS))
        }
    };
    let next = AtomicU64::new(first);
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads.min(usize::try_from(count).unwrap_or(threads)) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        return;
                    }
                    let outcome = year::play(seed);
                    if outcome.complaint.is_some() {
                        next.store(u64::MAX / 2, Ordering::Relaxed);
                    }
                    report(seed, outcome);
                }
            });
        }
    });
}

fn report(seed: u64, outcome: year::Outcome) {
    let Some(complaint) = outcome.complaint else { return };
    let all = std::env::var_os("GAPMEND_HISTORY").is_some();
    let skipped = if all { 0 } else { outcome.history.len().saturating_sub(LINES_SHOWN) };
    let history = outcome.history[skipped..].join("\n");
    panic!(
        "{history}\n({skipped} lines before)\n\nseed {seed}: {complaint}\n\
         play it again: just sim {seed}\n"
    );
}

#[test]
fn the_same_seed_gives_the_same_history_to_the_letter() {
    for seed in [15, 18] {
        let (first, again) = (year::history(seed), year::history(seed));
        assert!(first.len() > 100, "{} lines", first.len());
        assert_eq!(first, again, "seed {seed}");
    }
}
