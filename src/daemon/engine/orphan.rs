//! A run whose dataset has left the configuration.

use super::Engine;
use crate::act::Acted;
use crate::domain::{RunOutcome, Stage};
use crate::ledger::{Event, LedgerError, Repeat, Run, StopWhy};
use crate::plan::Step;

/// Why it ends.
const GONE: &str = "its dataset is no longer in the configuration";

impl Engine {
    /// A run whose dataset is no longer configured would keep every other dataset from starting,
    /// and its load would meet the live one unwatched (H1): that is stopped first.
    /// What else it left in AWS is seen by the gates of whoever shares it.
    pub(super) async fn end_orphan(&mut self) -> Result<(), LedgerError> {
        let run = self.ledger.state().active_run();
        let gone = |run: &&Run| !self.settings.datasets.contains_key(&run.dataset);
        let Some(run) = run.filter(gone).filter(|_| self.ledger.is_acting()) else { return Ok(()) };
        let run = run.clone();
        if !self.stops_orphan(&run).await? {
            return Ok(());
        }
        let event = Event::RunEnded {
            run: run.id.clone(),
            outcome: RunOutcome::Cancelled,
            stage: run.stage,
            reason: None,
            detail: GONE.to_owned(),
            log_tail: Vec::new(),
            repeat: Repeat::FromTheTop,
            tables_present: None,
        };
        tracing::warn!(run = run.id, "a run is given up: its dataset is no longer configured");
        self.ledger.append(vec![event]).await.map(|_| ())
    }

    /// Stops the load of a run that nobody watches any more. Answers whether it may be given up:
    /// there is nothing to stop, it was stopped, or a repetition would only be refused again.
    async fn stops_orphan(&mut self, run: &Run) -> Result<bool, LedgerError> {
        let load = run.load.as_ref().filter(|_| run.stage <= Stage::Load);
        let Some((task, task_arn)) =
            load.and_then(|load| Some((&load.task, load.task_arn.clone()?)))
        else {
            return Ok(true);
        };
        let step = Step::StopTask {
            run: run.id.clone(),
            cluster: task.cluster.clone(),
            task_arn,
            why: StopWhy::Cancelled,
            detail: GONE.to_owned(),
        };
        Ok(match self.act(step).await? {
            Acted::Done(..) => true,
            Acted::DecideAgain => false,
            Acted::Unanswered(error) => !error.class.is_transient(),
        })
    }
}
