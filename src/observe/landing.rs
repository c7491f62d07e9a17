//! The landing bucket: which dates have a dump, and whether it can be loaded.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{Duration, NaiveDate};

use super::watch::seen;
use super::{LandingView, blind};
use crate::config::{DatasetSettings, OtherName};
use crate::domain::{Blindness, DateFormat, Dump, DumpFault, Seen};
use crate::platform::{Listing, ObjectInfo, Platform, World};

/// The live dump's usual time is learned from so many of the last ones.
const ARRIVALS_LEARNED_FROM: usize = 30;
/// Fewer than this say nothing.
const ARRIVALS_AT_LEAST: usize = 3;
/// No dump is expected earlier than the earliest of them less this margin.
const ARRIVAL_MARGIN_MINUTES: i64 = 30;
/// A dump that landed later than this after its date began was uploaded by hand.
const ARRIVES_WITHIN_HOURS: i64 = 30;
/// A date's size is measured against so many dates on either side.
const NEIGHBOURS_EACH_SIDE: usize = 7;
/// Fewer neighbours say nothing about size.
const NEIGHBOURS_AT_LEAST: usize = 3;

/// Lists the dumps of every date, all pages.
pub(super) async fn list_dumps(
    platform: &dyn Platform,
    dataset: &DatasetSettings,
    prefix: &str,
) -> Result<LandingView, Blindness> {
    let landing = &dataset.landing;
    let mut view = LandingView::default();
    let listing = Listing {
        bucket: landing.bucket.clone(),
        prefix: format!("{}{prefix}", landing.prefix),
        ..Listing::default()
    };
    platform
        .list_objects(&listing, &mut |page| {
            for object in page {
                note_object(&mut view, dataset, object);
            }
        })
        .await
        .map_err(|error| blind(format!("dumps in s3://{}", landing.bucket), &error))?;
    for (date, dumps) in Arc::make_mut(&mut view.dumps) {
        let dumps = Arc::make_mut(dumps);
        let read = format!("{}{}", landing.prefix, dataset.load.dump_key.render(*date));
        dumps.sort_by_key(|dump| (dump.key != read, std::cmp::Reverse(dump.last_modified)));
    }
    view.usual_arrival_seconds = usual_arrival(&view.dumps);
    Ok(view)
}

/// Looks at the dumps alone: what a write of ours needs to know.
pub async fn landing(world: &World, dataset: &DatasetSettings) -> Seen<LandingView> {
    seen(list_dumps(world.platform.as_ref(), dataset, "").await)
}

/// What is wrong with the size that a date's dump has, or would have.
#[must_use]
pub fn judge_size(
    view: &LandingView,
    dataset: &DatasetSettings,
    date: NaiveDate,
    size: u64,
) -> Option<DumpFault> {
    let min = dataset.landing.min_size;
    if size < min {
        return Some(DumpFault::TooSmall { size, min });
    }
    outside_band(view, dataset, date, size)
}

/// Another date's dump with one of these `ETag`s: the bytes are that date's (H29). Where `ETag`s
/// are no digests, the scripts are compared (see [`super::dump_check`]).
#[must_use]
pub fn same_as_another(view: &LandingView, date: NaiveDate, etags: &[String]) -> Option<DumpFault> {
    let other = view
        .dumps
        .iter()
        .filter(|(other_date, _)| **other_date != date)
        .flat_map(|(_, dumps)| dumps.iter())
        // A store without them says nothing.
        .find(|other| !other.etag.is_empty() && etags.contains(&other.etag))?;
    Some(DumpFault::SameAsAnother { other_key: other.key.clone() })
}

fn note_object(view: &mut LandingView, dataset: &DatasetSettings, object: ObjectInfo) {
    let name = object.key.strip_prefix(&dataset.landing.prefix);
    let date = name.and_then(|name| dataset.landing.keys.iter().find_map(|key| key.parse(name)));
    let Some(date) = date else {
        view.noise += 1;
        return;
    };
    let archived = object.storage_class.filter(|class| needs_restore(class));
    let dumps = Arc::make_mut(&mut view.dumps).entry(date).or_default();
    Arc::make_mut(dumps).push(Dump {
        key: object.key,
        size: object.size,
        etag: object.etag,
        last_modified: object.last_modified,
        archived,
    });
}

/// The classes that S3 does not read from before a restore.
fn needs_restore(class: &str) -> bool {
    matches!(class, "GLACIER" | "DEEP_ARCHIVE")
}

/// The text that every spelling of a date's name begins with: a narrow prefix to list.
pub(super) fn common_name_prefix(keys: &[DateFormat], date: NaiveDate) -> String {
    let names: Vec<String> = keys.iter().map(|key| key.render(date)).collect();
    let Some(first) = names.first() else { return String::new() };
    let shared = |end: usize| {
        names.iter().all(|name| name.as_bytes().get(..end) == Some(&first.as_bytes()[..end]))
    };
    let end = (0..=first.len()).rev().find(|end| first.is_char_boundary(*end) && shared(*end));
    first[..end.unwrap_or(0)].to_owned()
}

/// The earliest of the last arrivals, less a margin, in seconds after the date's midnight UTC.
fn usual_arrival(dumps: &BTreeMap<NaiveDate, Arc<Vec<Dump>>>) -> Option<u32> {
    let arrivals: Vec<Duration> = dumps
        .iter()
        .rev()
        .filter_map(|(date, dumps)| {
            let landed = dumps.iter().map(|dump| dump.last_modified).min()?;
            let after = landed.naive_utc() - date.and_time(chrono::NaiveTime::MIN);
            let live = after >= Duration::zero() && after < Duration::hours(ARRIVES_WITHIN_HOURS);
            live.then_some(after)
        })
        .take(ARRIVALS_LEARNED_FROM)
        .collect();
    if arrivals.len() < ARRIVALS_AT_LEAST {
        return None;
    }
    let earliest = *arrivals.iter().min()? - Duration::minutes(ARRIVAL_MARGIN_MINUTES);
    u32::try_from(earliest.num_seconds().max(0)).ok()
}

/// What is wrong with the dump of a date, as far as the listing tells.
pub(super) fn fault_by_listing(
    view: &LandingView,
    dataset: &DatasetSettings,
    date: NaiveDate,
) -> Option<DumpFault> {
    let landing = &dataset.landing;
    let dump = view.dumps.get(&date)?.first()?;
    let expected = format!("{}{}", landing.prefix, dataset.load.dump_key.render(date));
    if dump.key != expected && dataset.load.other_name == OtherName::Refuse {
        return Some(DumpFault::OtherName { found: dump.key.clone(), expected });
    }
    if let Some(class) = &dump.archived {
        return Some(DumpFault::Archived(class.clone()));
    }
    judge_size(view, dataset, date, dump.size)
        .or_else(|| same_as_another(view, date, std::slice::from_ref(&dump.etag)))
}

fn outside_band(
    view: &LandingView,
    dataset: &DatasetSettings,
    date: NaiveDate,
    size: u64,
) -> Option<DumpFault> {
    let band_percent = dataset.landing.size_band_percent?;
    let size_of = |(_, dumps): (&NaiveDate, &Arc<Vec<Dump>>)| dumps.first().map(|dump| dump.size);
    let before = view.dumps.range(..date).rev().filter_map(size_of).take(NEIGHBOURS_EACH_SIDE);
    let after = view.dumps.range(date..).skip(1).filter_map(size_of).take(NEIGHBOURS_EACH_SIDE);
    let mut sizes: Vec<u64> = before.chain(after).collect();
    if sizes.len() < NEIGHBOURS_AT_LEAST {
        return None;
    }
    sizes.sort_unstable();
    let median = sizes[sizes.len() / 2];
    let away = u128::from(size.abs_diff(median)) * 100;
    (away > u128::from(median) * u128::from(band_percent)).then_some(DumpFault::OutsideBand {
        size,
        median,
        band_percent,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_common_prefix_of_both_spellings_is_what_both_begin_with() {
        let keys = ["dump_%y%m%d.zip", "dump_%Y%m%d.zip"].map(|key| DateFormat::new(key).unwrap());
        let date: NaiveDate = "2021-06-04".parse().unwrap();
        assert_eq!(common_name_prefix(&keys, date), "dump_2");
        assert_eq!(common_name_prefix(&keys[..1], date), "dump_210604.zip");
    }

    #[test]
    fn names_that_are_not_exactly_the_pattern_are_noise() {
        let settings = crate::config::load_text(
            include_str!("../../config/liberator.toml"),
            &crate::config::Environment::default(),
            "2026-11-01T00:00:00Z".parse().unwrap(),
        );
        let settings = settings.unwrap().settings;
        let dataset = settings.dataset(None).unwrap();
        let mut view = LandingView::default();
        let names = [
            "liberator_dump_20261110.zip\n",
            "liberator_dump_20261110.zip.exe",
            "<script>liberator_dump_20261110.zip",
            "../liberator_dump_20261110.zip",
            "liberator_dump_20261340.zip",
            "liberator_dump_99999999999.zip",
            "\u{1b}[2J",
            "",
        ];
        for name in names {
            let key = format!("parking/{name}");
            note_object(&mut view, dataset, ObjectInfo { key, ..object() });
        }
        assert!(view.dumps.is_empty(), "{:?}", view.dumps);
        assert_eq!(view.noise, names.len() as u64);
        note_object(&mut view, dataset, object());
        assert_eq!(view.dumps.len(), 1);
    }

    fn object() -> ObjectInfo {
        ObjectInfo {
            key: "parking/liberator_dump_20261110.zip".to_owned(),
            size: u64::MAX,
            etag: "e".to_owned(),
            last_modified: "2026-11-10T23:00:00Z".parse().unwrap(),
            storage_class: None,
        }
    }

    #[test]
    fn the_arrival_is_learned_from_dumps_that_landed_on_their_own_day() {
        let dump = |at: &str| Dump {
            key: "k".to_owned(),
            size: 1,
            etag: at.to_owned(),
            last_modified: at.parse().unwrap(),
            archived: None,
        };
        let dumps = BTreeMap::from([
            ("2026-01-01".parse().unwrap(), Arc::new(vec![dump("2026-01-01T23:10:00Z")])),
            ("2026-01-02".parse().unwrap(), Arc::new(vec![dump("2026-01-02T23:05:00Z")])),
            ("2026-01-03".parse().unwrap(), Arc::new(vec![dump("2026-03-01T10:00:00Z")])),
            ("2026-01-04".parse().unwrap(), Arc::new(vec![dump("2026-01-04T23:20:00Z")])),
        ]);
        assert_eq!(usual_arrival(&dumps), Some((22 * 60 + 35) * 60));
    }
}
