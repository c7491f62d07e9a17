//! A run whose dataset has left the configuration.

use chrono::Duration;

use super::Engine;
use crate::act::Acted;
use crate::domain::{RunOutcome, Stage, Task, TaskFamily};
use crate::ledger::state::LoadRecord;
use crate::ledger::{Event, LedgerError, Repeat, Run, StopWhy};
use crate::plan::{Step, TASK_APPEARS_WITHIN_MINUTES};

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
        let Some(load) = run.load.as_ref().filter(|_| run.stage <= Stage::Load) else {
            return Ok(true);
        };
        let task_arn = match &load.task_arn {
            Some(task_arn) => task_arn.clone(),
            None => match self.task_of_lost_answer(load).await {
                Unanswered::Accepted { task_arn } => task_arn,
                Unanswered::MayShowItself => return Ok(false),
                Unanswered::NeverBegan => return Ok(true),
            },
        };
        let step = Step::StopTask {
            run: run.id.clone(),
            cluster: load.task.cluster.clone(),
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

    /// The intent is recorded, the answer is not: the task may be there all the same.
    async fn task_of_lost_answer(&self, load: &LoadRecord) -> Unanswered {
        let asked = &load.task;
        let family = TaskFamily {
            cluster: asked.cluster.clone(),
            family: asked.task_definition.clone(),
            container: asked.container.clone(),
            date_variable: asked.environment.keys().next().cloned().unwrap_or_default(),
        };
        let found = self.world.platform.tasks_started_by(&family, &asked.started_by).await;
        let shown = Duration::minutes(TASK_APPEARS_WITHIN_MINUTES);
        let waited = self.world.now() - load.intended_at >= shown;
        match found {
            Ok(tasks) => match tasks.into_iter().find(Task::is_alive) {
                Some(task) => Unanswered::Accepted { task_arn: task.arn },
                None if waited => Unanswered::NeverBegan,
                None => Unanswered::MayShowItself,
            },
            Err(error) if waited && !error.class.is_transient() => Unanswered::NeverBegan,
            Err(_) => Unanswered::MayShowItself,
        }
    }
}

/// What came of a request whose answer was lost.
enum Unanswered {
    /// It was accepted, and its task is alive.
    Accepted {
        /// The task.
        task_arn: String,
    },
    /// An accepted task may be unknown to ECS for a while, or ECS could not be asked.
    MayShowItself,
    /// It would have shown itself by now, or is over.
    NeverBegan,
}
