//! The steps of a hold: the switch, the rule, and the live run of a swept dump.

use chrono::{DateTime, Utc};

use super::{Acted, Actor, enable_held, run_started};
use crate::domain::{ErrorClass, FailureReason, PassOutcome, RuleState, RunOutcome, Stage};
use crate::ledger::{Appended, Event, HoldStep, LedgerError, Repeat};
use crate::plan::{Begin, HoldPlan, Step, Swept};
use crate::platform::{Answer, Created, DeadMan, PlatformError, TaskRequest, TaskStart};

impl Actor<'_> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "only the steps of the trigger come here")]
    pub(super) async fn act_on_trigger(&mut self, step: Step) -> Result<Acted, LedgerError> {
        match step {
            Step::Hold(plan) => self.intend_hold(*plan).await,
            Step::ArmDeadMan { hold, switch } => self.arm(hold, &switch).await,
            Step::DisarmDeadMan { group, name } => {
                let gone = self.world.platform.disarm_dead_man(&group, &name).await;
                Ok(done(gone, format!("the dead man's switch {name} is deleted")))
            }
            Step::DisableRule { hold, rule, event_bus } => {
                self.disable(hold, &rule, &event_bus).await
            }
            Step::EnableRule { hold, rule, why, .. } => self.enable(hold, &rule, &why).await,
            Step::ReleaseProven { switch } => Ok(self.release_proven(&switch).await),
            Step::MoveHold { hold, step, detail } => {
                let event = Event::HoldMoved { hold, step };
                self.note(vec![event], PassOutcome::Started, format!("the hold: {detail}")).await
            }
            Step::StageDump { hold, rule, bucket, from, to, begin } => {
                let copy = Copy { bucket: &bucket, from: &from, to: &to };
                self.stage_dump(hold, &rule, &copy, &begin).await
            }
            Step::WriteUpload { hold, rule, upload } => {
                self.write_upload(hold, &rule, &upload).await
            }
            Step::EndUpload { upload, outcome, detail } => {
                self.end_upload(&upload, outcome, detail).await
            }
            Step::CloseHold { hold, dataset, detail, swept, fired } => {
                let words = format!("the hold is closed: {detail}");
                if !fired.is_empty() {
                    tracing::error!(
                        dataset,
                        tasks = fired.join(" "),
                        "a live task began after our write, although the rule was held"
                    );
                }
                let mut events = vec![Event::HoldClosed { hold, detail, fired, refused: false }];
                events.extend(swept.into_iter().map(|dump| Event::LiveDumpSwept {
                    dataset: dataset.clone(),
                    date: dump.date,
                    key: dump.key,
                    etag: dump.etag,
                    missed: dump.missed,
                }));
                self.note(events, PassOutcome::Started, words).await
            }
            Step::SweepHurt { dataset, dump, detail } => {
                tracing::error!(dataset, "{detail}; it is driven again once");
                let Swept { date, key, etag, missed } = dump;
                let event = Event::LiveDumpSwept { dataset, date, key, etag, missed };
                self.note(vec![event], PassOutcome::Started, detail).await
            }
            Step::DriveLive { dataset, date, task } => self.drive_live(dataset, date, task).await,
            Step::MissLiveDump { dataset, date, key, etag } => {
                let words = format!("the live dump of {date} was not driven on its day");
                let event = Event::LiveDumpSwept { dataset, date, key, etag, missed: true };
                self.note(vec![event], PassOutcome::Error, words).await
            }
            _ => Ok(Acted::DecideAgain),
        }
    }

    async fn intend_hold(&mut self, plan: HoldPlan) -> Result<Acted, LedgerError> {
        let words = format!("rule {} is about to be held until {}", plan.rule, plan.until);
        let name = format!("{}-{}", plan.dataset, uuid::Uuid::new_v4().simple());
        let event = Event::HoldIntended {
            hold: name,
            dataset: plan.dataset,
            rule: plan.rule,
            event_bus: plan.event_bus,
            prior_state: "ENABLED".to_owned(),
            why: plan.why,
            until: plan.until,
            dead_man: plan.dead_man,
        };
        self.note(vec![event], PassOutcome::Started, words).await
    }

    /// The hold's own entry is the intent; the next look reads the switch back.
    ///
    /// A refusal that would only be repeated ends the hold, before anything was done to the rule.
    async fn arm(&mut self, hold: String, switch: &DeadMan) -> Result<Acted, LedgerError> {
        self.ledger.refresh().await?;
        if !self.ledger.is_acting() {
            return Ok(Acted::DecideAgain);
        }
        let armed = self.world.platform.arm_dead_man(switch).await;
        if let Err(error) = &armed
            && !error.class.is_transient()
        {
            let detail = format!("the dead man's switch {} was refused: {error}", switch.name);
            let words = format!("the rule is not held: {detail}");
            let closed = Event::HoldClosed { hold, detail, fired: Vec::new(), refused: true };
            return self.note(vec![closed], PassOutcome::Error, words).await;
        }
        Ok(done(armed, format!("the dead man's switch fires at {}", switch.fires_at)))
    }

    async fn disable(
        &mut self,
        hold: String,
        rule: &str,
        event_bus: &str,
    ) -> Result<Acted, LedgerError> {
        let first = self.step_at(&hold, HoldStep::Armed).is_none();
        if first || self.notes.was_refused(&hold) {
            match self.world.platform.rule(rule, event_bus).await {
                Err(error) => return Ok(Acted::Unanswered(error)),
                // Nothing of ours was done to it: whoever disabled it now is at work.
                Ok(read) if read.state == RuleState::Disabled => return Ok(Acted::DecideAgain),
                Ok(_) => {}
            }
        }
        let intent = Event::HoldMoved { hold: hold.clone(), step: HoldStep::Armed };
        if self.ledger.append(vec![intent]).await? == Appended::Behind
            || !self.ledger.clear_for_effect().await?
        {
            return Ok(Acted::DecideAgain);
        }
        let answer = self.world.platform.disable_rule(rule, event_bus).await;
        let nothing_done = first || self.notes.was_refused(&hold);
        let refused = answer.as_ref().is_err_and(|error| error.class == ErrorClass::Conflict);
        self.notes.note_refusal(&hold, nothing_done && refused);
        match answer {
            Ok(()) => self.is_disabled(&hold, rule, event_bus).await,
            Err(error) if first && error.class == ErrorClass::Denied => {
                self.may_not_disable(hold, rule, &error).await
            }
            Err(error) => Ok(Acted::Unanswered(error)),
        }
    }

    fn step_at(&self, hold: &str, step: HoldStep) -> Option<DateTime<Utc>> {
        self.ledger.state().holds.get(hold).and_then(|hold| hold.step_at(step))
    }

    /// The request was answered; mostly it is seen at once, too.
    async fn is_disabled(
        &mut self,
        hold: &str,
        rule: &str,
        event_bus: &str,
    ) -> Result<Acted, LedgerError> {
        let moved = |step| Event::HoldMoved { hold: hold.to_owned(), step };
        let read = self.world.platform.rule(rule, event_bus).await;
        let seen = read.is_ok_and(|read| read.state == RuleState::Disabled);
        let mut events = vec![moved(HoldStep::Answered)];
        events.extend(seen.then(|| moved(HoldStep::Disabled)));
        self.note(events, PassOutcome::Started, format!("rule {rule} is disabled")).await
    }

    /// Nothing was done to the rule, and asking again would be refused again: the hold ends at
    /// once, its switch first. A switch that cannot be deleted now is left to the next passes.
    async fn may_not_disable(
        &mut self,
        hold: String,
        rule: &str,
        error: &PlatformError,
    ) -> Result<Acted, LedgerError> {
        let known = self.ledger.state().holds.get(&hold);
        let gone = match known.and_then(|hold| hold.dead_man.clone()) {
            Some(switch) => self.world.platform.disarm_dead_man(&switch.group, &switch.name).await,
            None => Ok(()),
        };
        let hint = error.class.hint();
        let detail = format!("rule {rule} may not be disabled: {error}; {hint}");
        let words = format!("the rule is not held: {detail}");
        let event = match gone {
            Ok(()) => Event::HoldClosed { hold, detail, fired: Vec::new(), refused: true },
            Err(_) => Event::HoldMoved { hold, step: HoldStep::Enabled },
        };
        self.note(vec![event], PassOutcome::Error, words).await
    }

    async fn enable(&mut self, hold: String, rule: &str, why: &str) -> Result<Acted, LedgerError> {
        let words = format!("rule {rule} is enabled: {why}");
        let Some(known) = self.ledger.state().holds.get(&hold).cloned() else {
            return Ok(Acted::DecideAgain);
        };
        match enable_held(self.world, self.notes, &known).await {
            Ok(true) => {
                let event = Event::HoldMoved { hold, step: HoldStep::Enabled };
                self.note(vec![event], PassOutcome::Started, words).await
            }
            Ok(false) => Ok(Acted::Done(PassOutcome::Started, words)),
            Err(error) => Ok(Acted::Unanswered(error)),
        }
    }

    /// The switch outlives the release until the rule was seen enabled: it is the only proof.
    async fn release_proven(&mut self, switch: &DeadMan) -> Acted {
        let released = async {
            self.world.platform.enable_rule(&switch.rule, &switch.event_bus).await?;
            let rule = self.world.platform.rule(&switch.rule, &switch.event_bus).await?;
            if rule.state == RuleState::Enabled {
                self.world.platform.disarm_dead_man(&switch.group, &switch.name).await?;
            }
            Ok(())
        };
        let words = format!(
            "rule {} is enabled: the switch {} proves that gapmend had held it",
            switch.rule, switch.name
        );
        done(released.await, words)
    }

    /// The hold's entry is the intent. Written or found there, its work is done.
    async fn stage_dump(
        &mut self,
        hold: String,
        (rule, event_bus): &(String, String),
        copy: &Copy<'_>,
        begin: &Begin,
    ) -> Result<Acted, LedgerError> {
        self.ledger.refresh().await?;
        let rule = match self.world.platform.rule(rule, event_bus).await {
            Ok(rule) => rule,
            Err(error) => return Ok(Acted::Unanswered(error)),
        };
        if !self.ledger.is_acting() || rule.state != RuleState::Disabled {
            return Ok(Acted::DecideAgain);
        }
        let done = Event::HoldMoved { hold, step: HoldStep::WorkDone };
        match self.world.platform.copy_object(copy.bucket, copy.from, copy.to).await {
            Ok(Created::Created | Created::Exists) => {
                let words = format!("{} is copied to {}", copy.from, copy.to);
                self.note(vec![done], PassOutcome::Started, words).await
            }
            Err(error) => {
                let Some(reason) = refused_copy(&error) else {
                    return Ok(Acted::Unanswered(error));
                };
                let words = format!("{} was not copied to {}: {error}", copy.from, copy.to);
                let ended = Event::RunEnded {
                    run: begin.run.clone(),
                    outcome: RunOutcome::Failed,
                    stage: Stage::StageDump,
                    reason: Some(reason),
                    detail: words.clone(),
                    log_tail: Vec::new(),
                    repeat: Repeat::FromTheTop,
                    tables_present: None,
                };
                let events = vec![run_started(begin, self.config), ended, done];
                self.note(events, PassOutcome::Error, words).await
            }
        }
    }

    /// Once: the token is made from the dump, and the same request is sent after a lost answer.
    async fn drive_live(
        &mut self,
        dataset: String,
        date: chrono::NaiveDate,
        task: TaskRequest,
    ) -> Result<Acted, LedgerError> {
        let intent =
            Event::LiveDriveIntended { dataset: dataset.clone(), date, task: task.clone() };
        if self.ledger.append(vec![intent]).await? == Appended::Behind
            || !self.ledger.clear_for_effect().await?
        {
            return Ok(Acted::DecideAgain);
        }
        match self.world.platform.run_task(&task).await {
            Ok(TaskStart::Started(task_arn)) => {
                let words = format!("the live run of {date} was driven: task {task_arn}");
                let event = Event::LiveDriveSubmitted { dataset, date, task_arn };
                self.note(vec![event], PassOutcome::Started, words).await
            }
            Ok(TaskStart::Refused(why)) => Ok(Acted::Done(
                PassOutcome::Error,
                format!("ECS refused the live run of {date}: {why}; it is tried again"),
            )),
            Err(error) => Ok(Acted::Unanswered(error)),
        }
    }
}

/// A copy within the landing bucket.
struct Copy<'a> {
    bucket: &'a str,
    from: &'a str,
    to: &'a str,
}

/// Why a copy would be refused again; `None` when it may have been made, or may be soon.
fn refused_copy(error: &PlatformError) -> Option<FailureReason> {
    match error.class {
        ErrorClass::Denied => Some(FailureReason::Denied),
        ErrorClass::NotFound => Some(FailureReason::SourceChanged),
        ErrorClass::Invalid => Some(FailureReason::Failed),
        ErrorClass::Conflict
        | ErrorClass::Throttled
        | ErrorClass::Server
        | ErrorClass::Timeout
        | ErrorClass::Transport => None,
    }
}

fn done(answer: Answer<()>, words: String) -> Acted {
    match answer {
        Ok(()) => Acted::Done(PassOutcome::Started, words),
        Err(error) => Acted::Unanswered(error),
    }
}
