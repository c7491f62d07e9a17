//! Builders: worlds with a history, laid out up to a given day.
//!
//! Unless something else is said, every day up to the last delivery is whole: its dump lies in the
//! watched bucket, every raw table has its partition with one object, the last night's
//! snapshot is settled, its export and its workflow run complete, the rule is enabled and the supplier will come again.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};

use super::events::RuleSetting;
use super::names::Names;
use super::profile::{DumpKind, Profile};
use super::timing::Timing;

/// What is wrong with a day of the past.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// The dump is there, the raw zones have nothing.
    Gap(DumpKind),
    /// These tables lack it.
    Partial(BTreeSet<String>),
    /// Objects that the catalog does not know.
    Unregistered,
    /// Partitions without objects.
    Empty,
    /// The nightly's Glue step failed: its export and its copy are there, raw has nothing.
    Unpublished(Left),
}

/// What the nightly's copier left in the landing zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// Every file of its export.
    Whole,
    /// All but one.
    Half,
    /// Those of two exports.
    Twice,
}

/// How a day's dump is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    New,
    Old,
    Both,
}

/// Lays out a world: N days of history up to now, with what is wrong in it.
#[derive(Clone, Debug)]
pub struct WorldBuilder {
    pub(super) now: DateTime<Utc>,
    pub(super) seed: u64,
    pub(super) days: u32,
    pub(super) names: Names,
    pub(super) timing: Timing,
    pub(super) supplied_at: Option<NaiveTime>,
    pub(super) rule: RuleSetting,
    pub(super) managed_by: Option<String>,
    pub(super) flaws: BTreeMap<NaiveDate, Flaw>,
    pub(super) spellings: BTreeMap<NaiveDate, Spelling>,
    pub(super) renamed_on: Option<NaiveDate>,
    pub(super) table_since: BTreeMap<String, NaiveDate>,
    pub(super) spent: BTreeMap<NaiveDate, &'static str>,
    pub(super) profiles: BTreeMap<NaiveDate, Profile>,
    pub(super) noise: Vec<String>,
    pub(super) dump_bytes: usize,
    pub(super) objects_per_partition: u32,
    pub(super) files_per_table: u32,
    pub(super) bookmark_passed: bool,
}

/// When a usual dump lands.
const SUPPLIED_AT: (u32, u32) = (23, 5);

impl WorldBuilder {
    /// A world in which it is now `now`, with 30 whole days of history and the production names.
    #[must_use]
    pub fn at(now: DateTime<Utc>) -> Self {
        Self {
            now,
            seed: 1,
            days: 30,
            names: Names::default(),
            timing: Timing::realistic(),
            supplied_at: NaiveTime::from_hms_opt(SUPPLIED_AT.0, SUPPLIED_AT.1, 0),
            rule: RuleSetting::Enabled,
            managed_by: None,
            flaws: BTreeMap::new(),
            spellings: BTreeMap::new(),
            renamed_on: None,
            table_since: BTreeMap::new(),
            spent: BTreeMap::new(),
            profiles: BTreeMap::new(),
            noise: ["", "README.txt", "liberator_dump_latest.zip", "liberator_dump_20261345.zip"]
                .map(str::to_owned)
                .into(),
            dump_bytes: 4096,
            objects_per_partition: 1,
            files_per_table: 2,
            bookmark_passed: false,
        }
    }

    /// The seed of everything random.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// How many days of history there are.
    #[must_use]
    pub fn days(mut self, days: u32) -> Self {
        self.days = days;
        self
    }

    /// What everything is called, and which tables there are.
    #[must_use]
    pub fn names(mut self, names: Names) -> Self {
        self.names = names;
        self
    }

    /// How long everything takes.
    #[must_use]
    pub fn timing(mut self, timing: Timing) -> Self {
        self.timing = timing;
        self
    }

    /// When the supplier comes every day (UTC).
    #[must_use]
    pub fn supplied_at(mut self, time: NaiveTime) -> Self {
        self.supplied_at = Some(time);
        self
    }

    /// The supplier never comes again.
    #[must_use]
    pub fn no_supplier(mut self) -> Self {
        self.supplied_at = None;
        self
    }

    /// The state in which the rule is found.
    #[must_use]
    pub fn rule(mut self, state: RuleSetting) -> Self {
        self.rule = state;
        self
    }

    /// The rule is managed by an AWS service.
    #[must_use]
    pub fn rule_managed_by(mut self, service: &str) -> Self {
        self.managed_by = Some(service.to_owned());
        self
    }

    /// The dump of this date was never ingested.
    #[must_use]
    pub fn gap(self, date: NaiveDate) -> Self {
        self.dump(date, DumpKind::Whole)
    }

    /// The date was never ingested, and its dump is like this.
    #[must_use]
    pub fn dump(mut self, date: NaiveDate, kind: DumpKind) -> Self {
        self.flaws.insert(date, Flaw::Gap(kind));
        self
    }

    /// The date was never ingested, for its dump never came.
    #[must_use]
    pub fn no_dump(self, date: NaiveDate) -> Self {
        self.dump(date, DumpKind::Missing)
    }

    /// These raw tables lack the date.
    #[must_use]
    pub fn partial(mut self, date: NaiveDate, missing: &[&str]) -> Self {
        let missing = missing.iter().map(|table| (*table).to_owned()).collect();
        self.flaws.insert(date, Flaw::Partial(missing));
        self
    }

    /// The date has objects that the catalog does not know.
    #[must_use]
    pub fn unregistered(mut self, date: NaiveDate) -> Self {
        self.flaws.insert(date, Flaw::Unregistered);
        self
    }

    /// The date is in the catalog and has no objects.
    #[must_use]
    pub fn empty(mut self, date: NaiveDate) -> Self {
        self.flaws.insert(date, Flaw::Empty);
        self
    }

    /// The nightly's Glue step failed: the date's files lie in the landing zone, raw has nothing.
    #[must_use]
    pub fn unpublished(mut self, date: NaiveDate) -> Self {
        self.flaws.insert(date, Flaw::Unpublished(Left::Whole));
        self
    }

    /// The same, and the copier had lost one file.
    #[must_use]
    pub fn unpublished_half(mut self, date: NaiveDate) -> Self {
        self.flaws.insert(date, Flaw::Unpublished(Left::Half));
        self
    }

    /// The same, and the files of a second export lie beside those of the first.
    #[must_use]
    pub fn unpublished_twice(mut self, date: NaiveDate) -> Self {
        self.flaws.insert(date, Flaw::Unpublished(Left::Twice));
        self
    }

    /// The backdated jobs ran a moment ago: their bookmarks passed whatever lies there (H9).
    #[must_use]
    pub fn bookmark_passed(mut self) -> Self {
        self.bookmark_passed = true;
        self
    }

    /// Dumps before this date have the old spelling of their name, `%y%m%d`.
    #[must_use]
    pub fn renamed_on(mut self, date: NaiveDate) -> Self {
        self.renamed_on = Some(date);
        self
    }

    /// The dump of this date has the old spelling of its name.
    #[must_use]
    pub fn old_name(mut self, date: NaiveDate) -> Self {
        self.spellings.insert(date, Spelling::Old);
        self
    }

    /// The dump of this date is there under both spellings.
    #[must_use]
    pub fn both_names(mut self, date: NaiveDate) -> Self {
        self.spellings.insert(date, Spelling::Both);
        self
    }

    /// A raw table has no partitions before this date.
    #[must_use]
    pub fn table_since(mut self, table: &str, date: NaiveDate) -> Self {
        self.table_since.insert(table.to_owned(), date);
        self
    }

    /// The export of this date's backdated id exists already, in this status (H21).
    #[must_use]
    pub fn spent_export(mut self, date: NaiveDate, status: &'static str) -> Self {
        self.spent.insert(date, status);
        self
    }

    /// What will go wrong with a date.
    #[must_use]
    pub fn profile(mut self, date: NaiveDate, profile: Profile) -> Self {
        self.profiles.insert(date, profile);
        self
    }

    /// One more key below the dumps' prefix that is no dump.
    #[must_use]
    pub fn noise(mut self, name: &str) -> Self {
        self.noise.push(name.to_owned());
        self
    }

    /// About how large a dump is.
    #[must_use]
    pub fn dump_bytes(mut self, bytes: usize) -> Self {
        self.dump_bytes = bytes;
        self
    }

    /// How many objects a partition has; none is for worlds in which only the catalog counts.
    #[must_use]
    pub fn objects_per_partition(mut self, count: u32) -> Self {
        self.objects_per_partition = count;
        self
    }

    /// The last date of the history: that of the last delivery before now.
    #[must_use]
    pub fn last_date(&self) -> NaiveDate {
        let today = self.now.date_naive();
        let time = self.supplied_at.or(NaiveTime::from_hms_opt(SUPPLIED_AT.0, SUPPLIED_AT.1, 0));
        let delivered = time.is_some_and(|time| today.and_time(time).and_utc() <= self.now);
        if delivered { today } else { today - Days::new(1) }
    }
}
