//! Laws of the data in the raw zones.

use chrono::NaiveDate;
use gapmend::sim::{DumpKind, TaskRecord};

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
        let unlike_itself = evidence
            .our_loads()
            .filter(|task| day_of(task) == date)
            .any(|task| only_its_content_is_wrong(evidence, task));
        (dates.contains(&date) && !by_hand && !mixed && !unlike_itself)
            .then(|| format!("{table} has {what} of {date}"))
    })
}

/// The supplier sent another day's dump under this date's name, and that day's own was not there
/// when we loaded it: nothing short of reading the rows could tell. Where it was there, its `ETag`
/// tells, and the law holds.
pub(super) fn only_its_content_is_wrong(evidence: &Evidence<'_>, load: &TaskRecord) -> bool {
    let world = evidence.world;
    let (date, bucket) = (day_of(load), world.names.dump_bucket.as_str());
    let Some(DumpKind::CopyOf(twin)) = world.profiles.get(&date).map(|profile| profile.dump) else {
        return false;
    };
    let dump = |key: String| world.object(bucket, &key, None).ok();
    let Some(ours) = dump(world.names.dump_key_of(date)) else { return false };
    let twins = [world.names.dump_key_of(twin), world.names.old_dump_key_of(twin)];
    !twins
        .into_iter()
        .filter_map(dump)
        .any(|twin| twin.etag == ours.etag && twin.last_modified <= load.created_at)
}
