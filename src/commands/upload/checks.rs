//! What is refused before anything is sent, wherever that can be known.

use chrono::{Duration, NaiveDate};
use gapmend::config::{self, DatasetSettings, Mode, Verify};
use gapmend::domain::{Dump, RuleState, Seen, Stage};
use gapmend::expose::cli::Out;
use gapmend::expose::cli::args::UploadArgs;
use gapmend::ledger::{Hold, State};
use gapmend::observe::{self, LandingView, Watch};
use gapmend::plan::{self, Rest};
use gapmend::platform::World;

use super::file::LocalFile;
use crate::commands::failure::Failure;

/// Where the dump goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// The key that the task reads.
    pub(super) key: String,
    /// The `ETag` of what is written over.
    pub(super) replaces: Option<String>,
}

/// What needs no look at AWS.
pub(super) fn refuse_by_date(
    world: &World,
    dataset: &DatasetSettings,
    args: &UploadArgs,
) -> Result<(), Failure> {
    let (date, today) = (args.date, world.today_utc());
    if dataset.mode == Mode::Observe {
        return Err(Failure::refused(format!(
            "mode is observe: nothing is written, whoever asks; set datasets.{}.mode to \"allowlist\" or \"auto\"",
            dataset.name
        )));
    }
    if args.live && date != today {
        return Err(Failure::refused(format!(
            "--live is for today's own dump, and today is {today} in UTC; without it {date} is uploaded with the trigger held"
        )));
    }
    if !args.live && date == today {
        return Err(Failure::refused(format!(
            "{date} is today: its dump is to fire the live run; say so with --live"
        )));
    }
    Ok(())
}

/// The file against the dumps that are there.
pub(super) async fn judge(
    dataset: &DatasetSettings,
    landing: &LandingView,
    file: &LocalFile,
    args: &UploadArgs,
) -> Result<Target, Failure> {
    let date = args.date;
    let key = format!("{}{}", dataset.landing.prefix, dataset.load.dump_key.render(date));
    if dataset.landing.verify == Verify::Zip
        && let Some(fault) = file.zip_fault().await?
    {
        return Err(Failure::refused(fault));
    }
    let there = landing.dumps.get(&date).map_or(&[][..], |dumps| dumps.as_slice());
    if let Some(dump) = there.first().filter(|_| !args.replace) {
        return Err(Failure::refused(format!(
            "a dump of {date} is there: {}, {} bytes, since {}; --replace writes over it",
            dump.key,
            dump.size,
            dump.last_modified.format("%Y-%m-%d %H:%M UTC")
        )));
    }
    if !args.force_size
        && let Some(fault) = observe::judge_size(landing, dataset, date, file.size)
    {
        return Err(Failure::refused(format!("{fault}; --force-size uploads it all the same")));
    }
    if let Some(fault) = observe::same_as_another(landing, date, &file.etags) {
        return Err(Failure::refused(fault));
    }
    let replaces = there.iter().find(|dump| dump.key == key).map(|dump: &Dump| dump.etag.clone());
    Ok(Target { key, replaces })
}

/// Whether the write could be made under a hold.
pub(super) fn refuse_hold(
    state: &State,
    watch: &Watch,
    landing: &LandingView,
    dataset: &DatasetSettings,
    world: &World,
    out: &mut Out,
) -> Result<(), Failure> {
    match plan::would_hold(state, watch, landing, dataset, world.now()) {
        Ok(()) => Ok(()),
        Err(Rest::HoldRefused { why }) => {
            Err(Failure::refused(format!("the trigger may not be held: {why}")))
        }
        Err(rest @ Rest::Blind(_)) => Err(Failure::other(rest)),
        Err(rest) => {
            out.remark(&format!("the parts are sent now, the write waits: {rest}"))?;
            Ok(())
        }
    }
}

/// Today's own dump fires the live run at once: the rule must be there for it, and nothing in
/// its way.
pub(super) fn refuse_live(
    state: &State,
    watch: &Watch,
    dataset: &DatasetSettings,
) -> Result<(), Failure> {
    let rule = match &watch.rule {
        None => return Err(Failure::refused("no trigger is configured: nothing would be fired")),
        Some(Seen::Blind(causes)) => {
            return Err(Failure::other(Rest::Blind(causes.clone())));
        }
        Some(Seen::Known(rule)) => rule,
    };
    if let Some(hold) = state.hold_of(&dataset.name).filter(|hold| keeps_away(hold)) {
        return Err(Failure::refused(format!(
            "the trigger is held until {} at the latest; ask again then",
            hold.until.format("%Y-%m-%d %H:%M UTC")
        )));
    }
    if rule.state == RuleState::Disabled {
        return Err(Failure::refused(format!(
            "rule {} is disabled: the dump would fire nothing; whoever disabled it should enable it first",
            rule.name
        )));
    }
    let loading = |stage: Stage| stage < Stage::Export;
    if let Some(run) = state.active_run().filter(|run| loading(run.stage)) {
        return Err(Failure::refused(format!(
            "run {} is in stage {}: a live run now would hurt it; ask again after its snapshot, or `gapmend cancel`",
            run.id,
            run.stage.label()
        )));
    }
    match &watch.tasks {
        Seen::Blind(causes) => Err(Failure::other(Rest::Blind(causes.clone()))),
        Seen::Known(tasks) => match tasks.iter().find(|task| task.is_alive()) {
            None => Ok(()),
            Some(task) => Err(Failure::refused(format!(
                "a load is alive ({}): two at once would mix their data; ask again when it is over",
                task.arn
            ))),
        },
    }
}

fn keeps_away(hold: &Hold) -> bool {
    hold.steps.is_empty() || hold.keeps_rule_disabled()
}

/// From when on the date may be healed, in words.
pub(super) fn healable_words(
    dataset: &DatasetSettings,
    date: NaiveDate,
    today: NaiveDate,
) -> (NaiveDate, String) {
    let from = (date + Duration::days(i64::from(dataset.window.min_age_days))).max(date);
    let when = if from <= today {
        format!("{date} is healable from the next pass on")
    } else {
        let days = dataset.window.min_age_days;
        format!("{date} is healable from {from} on: younger than {days} days it is the nightly's")
    };
    let allowed = config::entry_for(&dataset.backfill.allow, date, today).is_some();
    if dataset.mode == Mode::Allowlist && !allowed {
        let ask =
            format!("backfill.allow does not name it: `gapmend heal --date {date}` asks for it");
        return (from, format!("{when}; {ask}"));
    }
    (from, when)
}
