//! What to do about a date, as commands that can be pasted.
//!
//! The verdict says it in words (`next`); here are the commands that go with them. What a
//! command may do is decided where it is carried out, never here.

use std::collections::BTreeSet;

use chrono::NaiveDate;

use crate::config::{self, Mode};
use crate::daemon::{DatasetReport, Report};
use crate::domain::{DateStatus, TableId};
use crate::plan::DateVerdict;

/// Who moves a date on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hands {
    /// gapmend, without being asked.
    Gapmend,
    /// A person: gapmend will not do it.
    Person,
    /// Nobody has to.
    Nobody,
}

/// Who moves a date of that status on.
pub(super) fn hands(status: DateStatus) -> Hands {
    match status {
        DateStatus::Missing
        | DateStatus::BackingOff
        | DateStatus::TooYoung
        | DateStatus::Running => Hands::Gapmend,
        DateStatus::Partial
        | DateStatus::Empty
        | DateStatus::Unregistered
        | DateStatus::Unpublished
        | DateStatus::NoDump
        | DateStatus::NotAllowed
        | DateStatus::Quarantined
        | DateStatus::BadDump => Hands::Person,
        DateStatus::Available
        | DateStatus::Waived
        | DateStatus::NotExpected
        | DateStatus::NotDue => Hands::Nobody,
    }
}

/// The commands to go on with, the first one first.
pub(super) fn commands(name: &str, verdict: &DateVerdict, report: &Report) -> Vec<String> {
    let Some(dataset) = report.datasets.get(name) else { return Vec::new() };
    let date = verdict.date;
    let heal = format!("gapmend heal --date {date} --reason \"…\"");
    let upload = format!("gapmend upload FILE --date {date}");
    let commands = match verdict.status {
        DateStatus::Running => {
            vec!["gapmend status --watch".to_owned(), "gapmend cancel --reason \"…\"".to_owned()]
        }
        DateStatus::Missing if dataset.settings.mode == Mode::Observe => {
            vec!["gapmend plan".to_owned()]
        }
        DateStatus::Missing => vec![heal],
        DateStatus::NotAllowed if may_be_asked_for(dataset, date) => vec![heal],
        DateStatus::BackingOff => vec![format!("gapmend retry {date} --reason \"…\"")],
        DateStatus::Quarantined => vec![
            format!("gapmend history --date {date}"),
            format!("gapmend retry {date} --reason \"…\""),
        ],
        DateStatus::NoDump => vec![upload],
        DateStatus::BadDump => vec![format!("{upload} --replace")],
        DateStatus::Unpublished if verdict.takes_up => vec![heal],
        DateStatus::Partial
        | DateStatus::Empty
        | DateStatus::Unregistered
        | DateStatus::Unpublished => {
            vec![format!("gapmend heal --date {date} --dry-run")]
        }
        DateStatus::NotAllowed
        | DateStatus::TooYoung
        | DateStatus::Available
        | DateStatus::Waived
        | DateStatus::NotExpected
        | DateStatus::NotDue => Vec::new(),
    };
    let several = report.datasets.len() > 1;
    commands
        .into_iter()
        .map(|command| if several { format!("{command} --dataset {name}") } else { command })
        .collect()
}

/// How a person puts right what gapmend never touches: half a date, in words.
pub(super) fn repair(name: &str, verdict: &DateVerdict, report: &Report) -> Option<String> {
    let settings = &report.datasets.get(name)?.settings;
    let partitions: BTreeSet<String> = settings
        .raw
        .values()
        .filter(|source| {
            let selects =
                |table: &TableId| table.database == source.database && source.selects(&table.table);
            verdict.tables_having.iter().any(selects)
        })
        .map(|source| {
            let (key, value) = (&source.partition_key, &source.partition_format);
            format!("{key}={}", value.render(verdict.date))
        })
        .collect();
    let partitions = partitions.into_iter().collect::<Vec<_>>().join(" or ");
    match verdict.status {
        DateStatus::Partial => Some(format!(
            "purge the whole of it: drop the partition {partitions} of each table that has it, delete its objects in raw, and delete its files in the zone between export and raw, or the next load writes those rows twice. Check its export id first: an id can be used once, and a date whose export exists is not loaded again. Or write it by hand into the tables that lack it."
        )),
        DateStatus::Empty => Some(format!(
            "put the objects of the partition {partitions} back; a versioned bucket may still have them. Or drop the partition of each table that has it: then it is missing."
        )),
        DateStatus::Unregistered => Some(format!(
            "run the raw zone's crawler, or add the partition {partitions} to each table that has its objects."
        )),
        DateStatus::Available
        | DateStatus::Waived
        | DateStatus::NotExpected
        | DateStatus::NotDue
        | DateStatus::Running
        | DateStatus::Missing
        | DateStatus::NotAllowed
        | DateStatus::TooYoung
        | DateStatus::Quarantined
        | DateStatus::Unpublished
        | DateStatus::NoDump
        | DateStatus::BadDump
        | DateStatus::BackingOff => None,
    }
}

/// A date outside the allowlist may be asked for by name; a denied one may not.
fn may_be_asked_for(dataset: &DatasetReport, date: NaiveDate) -> bool {
    let today = dataset.census.as_ref().map_or(date, |census| census.today);
    config::entry_for(&dataset.settings.backfill.deny, date, today).is_none()
}

/// Why a date is, or is not, in the queue.
pub(super) fn queue_words(name: &str, verdict: &DateVerdict, report: &Report) -> String {
    let Some(dataset) = report.datasets.get(name) else { return "not looked at".to_owned() };
    let place = dataset.queue.iter().position(|candidate| candidate.date == verdict.date);
    match (place, &dataset.rest) {
        (Some(place), Some(rest)) => {
            format!("number {} of {}; nothing starts now: {rest}", place + 1, dataset.queue.len())
        }
        (Some(place), None) => format!("number {} of {}", place + 1, dataset.queue.len()),
        (None, _) => match hands(verdict.status) {
            Hands::Gapmend if verdict.status == DateStatus::Running => "it is running".to_owned(),
            Hands::Gapmend => "not yet: it comes into the queue by itself".to_owned(),
            Hands::Person => "no: only a person can move it on".to_owned(),
            Hands::Nobody => "no: there is nothing to heal".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::expose::cli::Cli;
    use crate::expose::sample;

    #[test]
    fn what_is_advised_is_a_command_of_ours_and_about_the_date() {
        let report = sample::report();
        let census = sample::census();
        let mut advised = 0;
        for verdict in &census.dates {
            for command in commands(sample::NAME, verdict, &report) {
                let words = command.replace("\"…\"", "why");
                assert!(Cli::try_parse_from(words.split(' ')).is_ok(), "{command}");
                let about = [verdict.date.to_string(), "status".to_owned(), "cancel".to_owned()];
                assert!(about.iter().any(|word| command.contains(word)), "{command}");
                advised += 1;
            }
        }
        assert!(advised > 8, "{advised}");
    }

    #[test]
    fn half_a_date_is_told_how_to_be_purged() {
        let report = sample::report();
        let census = sample::census();
        let repairs = census
            .dates
            .iter()
            .filter_map(|verdict| Some((verdict.status, repair(sample::NAME, verdict, &report)?)));
        let partial: Vec<_> =
            repairs.filter(|(status, _)| *status == DateStatus::Partial).collect();
        assert!(partial[0].1.contains("import_date=20260120"), "{partial:?}");
    }

    #[test]
    fn whatever_waits_for_a_person_has_an_advice_unless_it_is_denied() {
        let report = sample::report();
        for verdict in &sample::census().dates {
            let waits = hands(verdict.status) == Hands::Person;
            let silent = commands(sample::NAME, verdict, &report).is_empty();
            assert!(!(waits && silent), "{}: {:?}", verdict.date, verdict.status);
        }
    }
}
