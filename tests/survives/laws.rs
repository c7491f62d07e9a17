//! What must hold in the end, whatever happened on the way.

use std::collections::BTreeMap;

use chrono::{Duration, NaiveDate};
use gapmend::ledger::Run;
use gapmend::sim::TaskRecord;

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

    /// The laws of safety: nothing was hurt, whether or not the gaps were healed.
    pub(super) async fn assert_sound(
        &self,
        before: &Copies,
        may_change: &[NaiveDate],
        about: &str,
    ) {
        {
            let world = self.sim.lock();
            assert_eq!(world.overlaps(), [], "{about}: two loads at once");
            assert_eq!(world.wrong_data(), [], "{about}: wrong data");
            assert!(world.our_dump_writes().is_empty(), "{about}: a dump was written");
            let by_us = world.rule_history().iter().filter(|change| change.who == "caller").count();
            assert_eq!(by_us, 0, "{about}: the rule was changed");
            assert_none_began_beside_another(&world.tasks(), about);
        }
        for (date, copies) in self.copies() {
            if !may_change.contains(&date) {
                assert_eq!(copies, before[&date], "{about}: {date} was touched");
            }
        }
        self.assert_rests(about).await;
    }

    /// A fresh process over the same world and ledger changes nothing.
    async fn assert_rests(&self, about: &str) {
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

/// No task of ours began while another one was alive.
fn assert_none_began_beside_another(tasks: &[&TaskRecord], about: &str) {
    let ours = |task: &&&TaskRecord| {
        task.started_by.as_ref().is_some_and(|who| who.starts_with("gapmend"))
    };
    for task in tasks.iter().filter(ours) {
        let beside = tasks.iter().find(|other| {
            other.arn != task.arn
                && other.created_at <= task.created_at
                && other.stopped_at.is_none_or(|at| at > task.created_at)
        });
        assert!(beside.is_none(), "{about}: {task:#?}\nbegan beside {beside:#?}");
    }
}
