//! What must hold in the end, whatever happened on the way.

use std::collections::BTreeMap;

use chrono::{Duration, NaiveDate};
use gapmend::ledger::Run;
use gapmend::sim::{RuleSetting, TaskRecord, World};

use super::bed::{Bed, noon};
use super::mortal::Fate;

/// How many copies each date of the history has, over all tables.
pub(super) type Copies = BTreeMap<NaiveDate, usize>;

impl Bed {
    pub(super) fn copies(&self) -> Copies {
        let world = self.sim.lock();
        let first = noon().date_naive() - Duration::days(16);
        let dates = (0..16).map(|day| first + Duration::days(day));
        dates.map(|date| (date, world.copies(date).values().sum())).collect()
    }

    /// Nothing was hurt, and nothing more is done.
    pub(super) async fn assert_sound(
        &self,
        before: &Copies,
        may_change: &[NaiveDate],
        about: &str,
    ) {
        self.assert_safe(before, may_change, about);
        self.assert_rests(about).await;
    }

    /// The laws of safety: nothing was hurt, whether or not the gaps were healed.
    pub(super) fn assert_safe(&self, before: &Copies, may_change: &[NaiveDate], about: &str) {
        {
            let world = self.sim.lock();
            let tasks = world.tasks();
            let is_ours =
                |arn: &String| tasks.iter().any(|task| task.arn == *arn && was_begun_by_us(task));
            let overlaps = world.overlaps();
            let mut ours = overlaps.iter().filter(|it| is_ours(&it.first) || is_ours(&it.second));
            assert_eq!(ours.next(), None, "{about}: two loads at once");
            if overlaps.is_empty() {
                assert_eq!(world.wrong_data(), [], "{about}: wrong data"); // else others did it
            }
            if self.may_hold() {
                assert_released(&world, about);
            } else {
                assert!(world.our_dump_writes().is_empty(), "{about}: a dump was written");
                let mut by_us = world.rule_history().iter().filter(|it| it.who == "caller");
                assert_eq!(by_us.next(), None, "{about}: the rule was changed");
            }
            assert_none_began_beside_another(&world.tasks(), about);
        }
        for (date, copies) in self.copies() {
            if !may_change.contains(&date) {
                assert_eq!(copies, before[&date], "{about}: {date} was touched");
            }
        }
    }

    /// Whether the configuration allows to hold the trigger.
    fn may_hold(&self) -> bool {
        let trigger = self.settings.datasets["liberator"].trigger.as_ref();
        trigger.is_some_and(|trigger| trigger.dead_man.is_some())
    }

    /// Whether any table has the date.
    pub(super) fn has_data(&self, date: NaiveDate) -> bool {
        self.sim.lock().copies(date).values().any(|copies| *copies > 0)
    }

    /// A fresh process over the same world and ledger changes nothing.
    pub(super) async fn assert_rests(&self, about: &str) {
        let counts = |bed: &Self| {
            let world = bed.sim.lock();
            let workflows = [&world.names.backdated_workflow, &world.names.live_workflow];
            let runs = workflows.map(|name| world.workflow_runs(name).unwrap().len());
            (world.tasks().len(), runs, world.rule_history().len())
        };
        let before = counts(self);
        let mut engine = self.engine(&Fate::immortal(&self.sim)).await;
        engine.pass("liberator").await;
        engine.pass("liberator").await;
        assert_eq!(counts(self), before, "{about}: a pass over a healed world did something");
    }

    pub(super) async fn runs(&self) -> Vec<Run> {
        self.ledger(&Fate::immortal(&self.sim)).await.state().runs.clone()
    }

    /// Exactly one copy of the date in every table, and rows of no other.
    pub(super) fn assert_healed(&self, date: NaiveDate, about: &str) {
        let world = self.sim.lock();
        assert!(world.is_whole(date), "{about}: {date} has {:?}", world.copies(date));
    }
}

/// The rule is on again, its switch is gone, what we wrote fired nothing, and every live dump
/// had its run.
fn assert_released(world: &World, about: &str) {
    let rule = world.rule(&world.names.rule, &world.names.event_bus).unwrap();
    assert_eq!(rule.state, RuleSetting::Enabled, "{about}: {:?}", world.rule_history());
    assert!(world.schedules(Some("gapmend")).is_empty(), "{about}: a switch is left");
    for write in world.our_dump_writes() {
        assert_eq!(write.fired, Vec::<String>::new(), "{about}: our write fired the rule");
    }
    for lost in world.lost_live_dumps() {
        let after = |task: &&&TaskRecord| task.live && task.created_at >= lost.written_at;
        let runs = world.tasks().iter().filter(after).count();
        assert_eq!(runs, 1, "{about}: the live run of {lost:?}");
    }
}

/// No task of ours began while another one was seen alive.
fn assert_none_began_beside_another(tasks: &[&TaskRecord], about: &str) {
    for task in tasks.iter().filter(|task| was_begun_by_us(task)) {
        let beside = tasks.iter().find(|other| {
            other.arn != task.arn
                && other.visible_from <= task.created_at
                && other.stopped_at.is_none_or(|at| at > task.created_at)
        });
        assert!(beside.is_none(), "{about}: {task:#?}\nbegan beside {beside:#?}");
    }
}

fn was_begun_by_us(task: &TaskRecord) -> bool {
    task.started_by.as_ref().is_some_and(|who| who.starts_with("gapmend"))
}
