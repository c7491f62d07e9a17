//! Laws of the data in the raw zones.

use chrono::NaiveDate;

use super::{Evidence, day_of};

/// A date that we loaded is in each table once, with its own rows, wherever the backdated jobs
/// wrote it. What the nightly or people do to dates of theirs is not ours to answer for.
pub(super) fn healed_once(evidence: &Evidence<'_>) -> Option<String> {
    let dates: std::collections::BTreeSet<NaiveDate> = evidence.our_loads().map(day_of).collect();
    let overlapped = evidence.world.overlaps();
    evidence.world.wrong_data().into_iter().find_map(|(table, date, what)| {
        let by_hand = evidence.book.by_hand.contains_key(&date);
        let mixed = evidence.our_loads().filter(|task| day_of(task) == date).any(|task| {
            overlapped.iter().any(|overlap| overlap.first == task.arn || overlap.second == task.arn)
        });
        (dates.contains(&date) && !by_hand && !mixed)
            .then(|| format!("{table} has {what} of {date}"))
    })
}
