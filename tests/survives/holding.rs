//! Every crash point of an upload: the command dies right before its k-th call, for every k, and
//! a daemon takes over. Runs under a hold and copies of ours are stories of `crash_points`.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{Duration, NaiveDate};
use gapmend::daemon::{Errand, SendError, Sending, see_upload_through, send_parts};
use gapmend::ledger::{Asked, State, Upload};
use gapmend::sim::{DumpKind, RuleSetting, zip};
use tokio_util::sync::CancellationToken;

use super::bed::{Bed, Happening, block_on, date, world};
use super::mortal::{Call, Fate};

pub(super) const MISSING: &str = "2026-06-19";

/// Holds last so long at most, and the dead man comes so long after their beginning.
const HOLD: &str = r#"
hold = "HOLD"
max_hold = "4h"
dead_man = { group = "gapmend", role_arn = "arn:aws:iam::111122223333:role/dead-man", after = "5h" }
"#;
const DEAD_MAN_MINUTES: i64 = 5 * 60;
/// A schedule fires within a minute, and its change is felt within another.
const SLACK_MINUTES: i64 = 3;

struct Story {
    bed: fn() -> Bed,
    /// Minutes after noon.
    happenings: &'static [(i64, Happening)],
    down_minutes: &'static [i64],
}

impl Story {
    fn check(&self) {
        let points = block_on(self.live_whole());
        assert!(points.len() > 20, "{} points", points.len());
        for (number, call) in &points {
            for down in self.down_minutes {
                let about = format!("died at call {number}, {call:?}, back after {down} min");
                block_on(self.live_twice(*number, Duration::minutes(*down), &about));
            }
        }
    }

    fn bed(&self) -> Bed {
        let bed = (self.bed)();
        bed.at_minutes(self.happenings);
        bed
    }

    async fn live_whole(&self) -> Vec<(u64, Call)> {
        let bed = self.bed();
        let fate = Fate::immortal(&bed.sim);
        bed.upload(&fate, date(MISSING)).await;
        bed.live(&Fate::immortal(&bed.sim)).await;
        self.assert_ends_well(&bed, "nobody died").await;
        fate.points()
    }

    async fn live_twice(&self, dies_at: u64, down: Duration, about: &str) {
        let bed = self.bed();
        let fate = Fate::dies_at(&bed.sim, dies_at);
        tokio::select! {
            () = bed.upload(&fate, date(MISSING)) => {}
            () = fate.death() => {}
        }
        bed.pass_time(down);
        bed.live(&Fate::immortal(&bed.sim)).await;
        // Parts that were not all sent are given up after a day.
        bed.pass_time(Duration::hours(25));
        bed.live(&Fate::immortal(&bed.sim)).await;
        self.assert_ends_well(&bed, about).await;
    }

    async fn assert_ends_well(&self, bed: &Bed, about: &str) {
        let state = bed.ledger(&Fate::immortal(&bed.sim)).await.state().clone();
        assert!(state.holds.is_empty(), "{about}: {:#?}", state.holds);
        assert!(state.uploads.iter().all(|upload| !upload.is_open()), "{about}");
        assert_trigger_is_safe(bed, &state, about);
        {
            let world = bed.sim.lock();
            let writes = world.our_dump_writes();
            assert!(writes.len() <= 1, "{about}: {writes:#?}");
            assert!(world.overlaps().is_empty(), "{about}: {:?}", world.overlaps());
            assert_eq!(world.wrong_data(), [], "{about}");
        }
        bed.assert_rests(about).await;
    }
}

/// The laws of the trigger: it is itself again, it was held by us no longer than the dead man
/// allows, no write of ours fired anything, and every live dump that landed while we held it was
/// driven, or counted.
pub(super) fn assert_trigger_is_safe(bed: &Bed, state: &State, about: &str) {
    let world = bed.sim.lock();
    let (history, names) = (world.rule_history(), &world.names);
    let rule = world.rule(&names.rule, &names.event_bus).unwrap();
    assert_eq!(rule.state, RuleSetting::Enabled, "{about}: {history:#?}");
    assert_eq!(world.schedules(Some("gapmend")), [], "{about}");
    assert_eq!(world.uploads(&names.dump_bucket), [], "{about}: parts are left");
    let settle = bed.settings.datasets["liberator"].trigger.as_ref().unwrap().settle;
    let settle = Duration::from_std(settle).unwrap();
    for write in world.our_dump_writes().iter().filter(|write| write.matched) {
        if write.arrives_at - write.written_at >= settle {
            continue; // its event came later than any settle allows for; what it fired is told
        }
        // Only when somebody else enabled the rule under our hands (H15).
        let by_others = history.iter().any(|it| {
            it.state == RuleSetting::Enabled
                && it.who != "caller"
                && it.effective_at <= write.arrives_at
                && it.at >= write.written_at - Duration::minutes(SLACK_MINUTES)
        });
        assert!(by_others, "{about}: {write:#?} {history:#?}");
    }
    let limit = Duration::minutes(DEAD_MAN_MINUTES + SLACK_MINUTES);
    for (index, change) in history.iter().enumerate() {
        let ends = history[index..].iter().find(|it| it.state == RuleSetting::Enabled);
        let ends = ends.map_or(world.now(), |it| it.at);
        let ours = change.state == RuleSetting::Disabled && change.who == "caller";
        assert!(!ours || ends - change.at <= limit, "{about}: {history:#?}");
    }
    let swept = &state.datasets["liberator"].swept;
    for lost in world.lost_live_dumps() {
        let felt = history.iter().rfind(|it| it.effective_at <= lost.arrives_at);
        let by_us = felt.is_some_and(|it| it.who == "caller");
        let known = swept.iter().find(|dump| dump.key == lost.key);
        let accounted = known.is_some_and(|dump| dump.task_arn.is_some() || dump.missed);
        assert!(!by_us || accounted, "{about}: {lost:#?} {swept:#?} {history:#?}");
    }
}

impl Bed {
    /// The bed with a trigger that is held, for runs or only for uploads.
    pub(super) fn held(world: gapmend::sim::WorldBuilder, poll: &str, hold: &str) -> Self {
        Self::with(world, poll, &HOLD.replace("HOLD", hold), "refuse")
    }

    /// The command to its end, which may be a failure.
    pub(super) async fn try_upload(&self, fate: &Arc<Fate>, day: NaiveDate) {
        // What failed is written down, and judged by the laws.
        let _ = self.send_and_see(fate, day).await;
    }

    async fn upload(&self, fate: &Arc<Fate>, day: NaiveDate) {
        self.send_and_see(fate, day).await.unwrap();
    }

    async fn send_and_see(&self, fate: &Arc<Fate>, day: NaiveDate) -> Result<Upload, SendError> {
        let errand =
            Errand { only: Some(BTreeSet::new()), serves_uploads: true, ..Errand::default() };
        let ledger = self.ledger(fate).await;
        let mut engine = self.engine_over(fate, ledger, errand);
        let body = zip::dump(DumpKind::Whole, day, 4096).unwrap().bytes();
        let sending = Sending {
            date: day,
            key: self.sim.lock().names.dump_key_of(day),
            replaces: None,
            live: false,
            size: body.len() as u64,
            sha256: "00".to_owned(),
            parts: 1,
            asked: Asked { by: "tester".to_owned(), reason: None, ticket: None },
        };
        let dataset = Arc::clone(&self.settings.datasets["liberator"]);
        let token = CancellationToken::new();
        let part = |_| std::future::ready(Ok(body.clone()));
        let id = send_parts(&mut engine, &dataset, &sending, part, &token).await?;
        Ok(see_upload_through(&mut engine, &id, &mut |_| {}, &token).await?)
    }
}

/// The supplier comes in the middle of it, hours before his time.
const EARLY: Happening = |world| world.write_dump(date("2026-06-30"));

#[test]
fn an_upload_is_safe_wherever_the_process_dies() {
    Story {
        bed: || Bed::held(world().no_dump(date(MISSING)), "6m", "upload"),
        happenings: &[],
        down_minutes: &[1, 16, 400],
    }
    .check();
}

#[test]
fn an_upload_in_which_the_live_dump_lands_is_safe_wherever_the_process_dies() {
    Story {
        bed: || Bed::held(world().no_supplier().no_dump(date(MISSING)), "6m", "upload"),
        happenings: &[(8, EARLY)],
        down_minutes: &[1, 60],
    }
    .check();
}
