//! Carrying out: exactly one [`Step`], and no choices.
//!
//! Every effect is written to the ledger before it is asked for and after it is known. When
//! an answer is lost nothing is guessed: the next look sees what there is. An append that
//! finds itself behind does nothing else; the pass then decides again.
//!
//! What this layer never does: decide, wait, or repeat an effect.

mod enabling;
mod notes;
mod trigger;
mod upload;

use chrono::{DateTime, Utc};

use crate::domain::{ErrorClass, FailureReason, PassOutcome, RunOutcome, Stage};
use crate::ledger::{Appended, Event, Ledger, LedgerError, Repeat, Run};
use crate::plan::{Begin, EndRun, Step};
use crate::platform::{PlatformError, TaskRequest, TaskStart, World};

pub use self::enabling::enable_held;
pub use self::notes::HoldNotes;

/// What carrying out a step came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Acted {
    /// It was done.
    Done(PassOutcome, String),
    /// Others wrote first: nothing was done, decide again.
    DecideAgain,
    /// The service did not do it, or it is not known whether it did: look again.
    Unanswered(PlatformError),
}

/// The hands of one pass.
pub struct Actor<'a> {
    /// Where effects are asked for.
    pub world: &'a World,
    /// Where they are written down.
    pub ledger: &'a mut Ledger,
    /// What was seen done to held rules, and may not be written down yet.
    pub notes: &'a HoldNotes,
    /// The effective configuration's hash, for the audit.
    pub config: &'a str,
}

impl Actor<'_> {
    /// Carries out one step.
    ///
    /// # Errors
    /// The ledger could not be written: nothing was asked for after that.
    pub async fn act(&mut self, step: Step) -> Result<Acted, LedgerError> {
        match step {
            Step::Survey => Ok(Acted::Done(
                PassOutcome::Waiting,
                "what is in the way is looked at once more".to_owned(),
            )),
            Step::Confirm { date } => {
                Ok(Acted::Done(PassOutcome::Waiting, format!("{date} is looked at once more")))
            }
            Step::Begin(begin) => self.begin(*begin).await,
            Step::TakeUp(begin) => {
                let detail = format!("{} is taken up at {}", begin.run, begin.stage.label());
                let started = run_started(&begin, self.config);
                self.note(vec![started], PassOutcome::Started, detail).await
            }
            Step::Resubmit { run, task } => self.resubmit(run, task).await,
            Step::NoteTask { run, task_arn } => {
                let detail = format!("{run} goes on with task {task_arn}");
                let event = Event::LoadSubmitted { run, task_arn };
                self.note(vec![event], PassOutcome::Started, detail).await
            }
            Step::StopTask { run, cluster, task_arn, why, detail } => {
                let event = Event::StopIntended {
                    run,
                    task_arn: task_arn.clone(),
                    why,
                    detail: detail.clone(),
                };
                self.stop_task(event, &cluster, &task_arn, detail).await
            }
            Step::EndStage { run, stage, next, detail } => {
                let words = format!("{run}: {} is over: {detail}", stage.label());
                let event = Event::StageEnded { run, stage, next, detail };
                self.note(vec![event], PassOutcome::Started, words).await
            }
            Step::NoteWorkflow { run, workflow_run, ours } => {
                let detail = format!("{run} goes on with workflow run {workflow_run}");
                let event = Event::PublishFound { run, workflow_run, ours };
                self.note(vec![event], PassOutcome::Started, detail).await
            }
            Step::StartWorkflow { run, workflow, properties } => {
                self.start_workflow(run, workflow, properties).await
            }
            Step::EndRun(end) => self.end_run(*end).await,
            step @ (Step::Hold(_)
            | Step::ArmDeadMan { .. }
            | Step::DisarmDeadMan { .. }
            | Step::DisableRule { .. }
            | Step::EnableRule { .. }
            | Step::ReleaseProven { .. }
            | Step::MoveHold { .. }
            | Step::StageDump { .. }
            | Step::WriteUpload { .. }
            | Step::EndUpload { .. }
            | Step::SweepHurt { .. }
            | Step::CloseHold { .. }
            | Step::DriveLive { .. }
            | Step::MissLiveDump { .. }) => self.act_on_trigger(step).await,
        }
    }

    async fn begin(&mut self, begin: Begin) -> Result<Acted, LedgerError> {
        let Some(mut task) = begin.load.clone() else {
            return Ok(Acted::DecideAgain);
        };
        (task.client_token, task.started_by) = names_of(&begin);
        let run = begin.run.clone();
        let intent = Event::LoadIntended { run: run.clone(), task: task.clone() };
        let events = vec![run_started(&begin, self.config), intent];
        if self.ledger.append(events).await? == Appended::Behind {
            return Ok(Acted::DecideAgain);
        }
        if !self.ledger.clear_for_effect().await? {
            return Ok(Acted::DecideAgain);
        }
        match self.world.platform.run_task(&task).await {
            Err(error) => self.refused_or_unanswered(run, Stage::Load, error).await,
            Ok(start) => self.submitted(run, start).await,
        }
    }

    /// The same request again, token included: a task that exists already is only found again.
    async fn resubmit(&mut self, run: String, task: TaskRequest) -> Result<Acted, LedgerError> {
        self.ledger.refresh().await?;
        let unanswered = |active: &Run| {
            active.id == run && active.load.as_ref().is_some_and(|load| load.task_arn.is_none())
        };
        let ours = self.ledger.is_acting();
        if !(ours && self.ledger.state().active_run().is_some_and(unanswered)) {
            return Ok(Acted::DecideAgain);
        }
        match self.world.platform.run_task(&task).await {
            // A refusal of the repetition says nothing about the first request.
            Err(error) => Ok(Acted::Unanswered(error)),
            Ok(start) => self.submitted(run, start).await,
        }
    }

    async fn submitted(&mut self, run: String, start: TaskStart) -> Result<Acted, LedgerError> {
        match start {
            TaskStart::Started(task_arn) => {
                let detail = format!("{run}: task {task_arn} was started");
                let event = Event::LoadSubmitted { run, task_arn };
                self.note(vec![event], PassOutcome::Started, detail).await
            }
            TaskStart::Refused(why) => {
                let (reason, why) = (FailureReason::NotStarted, format!("ECS refused: {why}"));
                self.end_run(refused(run, Stage::Load, reason, why)).await
            }
        }
    }

    async fn stop_task(
        &mut self,
        intent: Event,
        cluster: &str,
        task_arn: &str,
        detail: String,
    ) -> Result<Acted, LedgerError> {
        if self.ledger.append(vec![intent]).await? == Appended::Behind {
            return Ok(Acted::DecideAgain);
        }
        match self.world.platform.stop_task(cluster, task_arn, &format!("gapmend: {detail}")).await
        {
            Ok(()) => Ok(Acted::Done(PassOutcome::Started, format!("stopping our task: {detail}"))),
            Err(error) => Ok(Acted::Unanswered(error)),
        }
    }

    async fn start_workflow(
        &mut self,
        run: String,
        workflow: String,
        properties: std::collections::BTreeMap<String, String>,
    ) -> Result<Acted, LedgerError> {
        let intent = Event::PublishIntended {
            run: run.clone(),
            workflow: workflow.clone(),
            properties: properties.clone(),
        };
        if self.ledger.append(vec![intent]).await? == Appended::Behind {
            return Ok(Acted::DecideAgain);
        }
        if !self.ledger.clear_for_effect().await? {
            return Ok(Acted::DecideAgain);
        }
        match self.world.platform.start_workflow_run(&workflow, &properties).await {
            Ok(workflow_run) => {
                let detail = format!("{run}: workflow {workflow} was started by us");
                let event = Event::PublishFound { run, workflow_run, ours: true };
                self.note(vec![event], PassOutcome::Started, detail).await
            }
            // A conflict passes: another run of the workflow ends.
            Err(error) if error.class == ErrorClass::Conflict => Ok(Acted::Unanswered(error)),
            Err(error) => self.refused_or_unanswered(run, Stage::Publish, error).await,
        }
    }

    /// What would only be refused again ends the run; anything else may have been carried out.
    async fn refused_or_unanswered(
        &mut self,
        run: String,
        stage: Stage,
        error: PlatformError,
    ) -> Result<Acted, LedgerError> {
        match final_reason(&error) {
            Some(reason) => self.end_run(refused(run, stage, reason, error.to_string())).await,
            None => Ok(Acted::Unanswered(error)),
        }
    }

    async fn end_run(&mut self, end: EndRun) -> Result<Acted, LedgerError> {
        let outcome = match end.outcome {
            RunOutcome::Succeeded => PassOutcome::Healed,
            RunOutcome::Failed => PassOutcome::Error,
            RunOutcome::Cancelled | RunOutcome::Void => PassOutcome::Waiting,
        };
        let words = format!("{} {}: {}", end.run, end.outcome.label(), end.detail);
        let event = Event::RunEnded {
            run: end.run,
            outcome: end.outcome,
            stage: end.stage,
            reason: end.reason,
            detail: end.detail,
            log_tail: end.log_tail,
            repeat: end.repeat,
            tables_present: end.tables_present,
        };
        self.note(vec![event], outcome, words).await
    }

    /// Writes down what is known. Behind means that somebody else acts by now: decide again.
    async fn note(
        &mut self,
        events: Vec<Event>,
        outcome: PassOutcome,
        detail: String,
    ) -> Result<Acted, LedgerError> {
        for event in &events {
            if let Event::HoldMoved { hold, step } = event {
                self.notes.remember(hold, *step, self.world.now());
            }
        }
        match self.ledger.append(events).await? {
            Appended::Recorded(_) => Ok(Acted::Done(outcome, detail)),
            Appended::Behind => Ok(Acted::DecideAgain),
        }
    }
}

/// A failure that a repetition of the same request would only meet again; `None` when the
/// request may have been carried out, or may be soon.
fn final_reason(error: &PlatformError) -> Option<FailureReason> {
    match error.class {
        ErrorClass::Denied => Some(FailureReason::Denied),
        ErrorClass::NotFound | ErrorClass::Invalid | ErrorClass::Conflict => {
            Some(FailureReason::NotStarted)
        }
        ErrorClass::Throttled
        | ErrorClass::Server
        | ErrorClass::Timeout
        | ErrorClass::Transport => None,
    }
}

fn refused(run: String, stage: Stage, reason: FailureReason, detail: String) -> EndRun {
    EndRun {
        run,
        outcome: RunOutcome::Failed,
        stage,
        reason: Some(reason),
        detail,
        log_tail: Vec::new(),
        repeat: Repeat::FromTheTop,
        tables_present: None,
    }
}

/// Our own token and name for a load: they say whose it is, and are never used again.
fn names_of(begin: &Begin) -> (String, String) {
    let random = uuid::Uuid::new_v4().simple().to_string();
    let nonce = &random[..8];
    let (date, attempt) = (begin.candidate.date, begin.candidate.attempt);
    let token = format!("gapmend-{date}-{attempt}-{random}");
    let token = token[..token.len().min(CLIENT_TOKEN_CHARACTERS)].to_owned();
    (token, format!("gapmend/{}-{nonce}", begin.run))
}

/// ECS takes no longer client token.
const CLIENT_TOKEN_CHARACTERS: usize = 64;

fn run_started(begin: &Begin, config: &str) -> Event {
    Event::RunStarted {
        run: begin.run.clone(),
        dataset: dataset_of(&begin.run),
        date: begin.candidate.date,
        attempt: begin.candidate.attempt,
        stage: begin.stage,
        dump: Some(begin.candidate.dump.clone()),
        asked: begin.candidate.asked.clone(),
        permitted_by: begin.candidate.permitted_by.clone(),
        tables_expected: begin.tables_expected,
        tables_before: Some(begin.tables_before),
        config: config.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        preflight_at: begin.preflight_at,
    }
}

fn dataset_of(run: &str) -> String {
    run.split('/').next().unwrap_or(run).to_owned()
}

/// How long a recorded stage took.
#[must_use]
pub fn seconds_between(from: DateTime<Utc>, to: DateTime<Utc>) -> f64 {
    (to - from).as_seconds_f64()
}
