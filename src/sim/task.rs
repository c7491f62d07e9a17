//! A task's life: `PROVISIONING`, `PENDING`, `RUNNING`, `DEPROVISIONING`, `STOPPED`.

use chrono::NaiveDate;

use super::ecs::{DesiredStatus, TaskRecord, TaskStatus, TaskStep};
use super::world::{Happening, World};

impl World {
    pub(super) fn task_moves(&mut self, arn: &str, step: TaskStep) {
        let Some(status) = self.ecs.tasks.get(arn).map(|task| task.last_status) else { return };
        match (step, status) {
            (TaskStep::Pending, TaskStatus::Provisioning) => self.task_is_pending(arn),
            (TaskStep::Run, TaskStatus::Pending) => self.task_runs(arn),
            (TaskStep::Fetched, TaskStatus::Running) => self.dump_is_fetched(arn),
            (TaskStep::Loaded, TaskStatus::Running) => self.load_ends(arn),
            (TaskStep::Exits, TaskStatus::Running) => self.container_ends(arn, 0),
            (TaskStep::Killed, TaskStatus::Running) => self.container_ends(arn, 137),
            (TaskStep::Stopped, _) => self.task_stops(arn),
            // A step of a container that is no longer there.
            (_, _) => {}
        }
    }

    fn task_is_pending(&mut self, arn: &str) {
        let day = self.task_day(arn);
        if self.script(day, |profile| profile.fails_to_start.take()) {
            return self.task_fails_to_start(arn);
        }
        self.change_task(arn, |task| task.last_status = TaskStatus::Pending);
        let step = Happening::Task { arn: arn.to_owned(), step: TaskStep::Run };
        self.after(self.timing.pending, step);
    }

    fn task_fails_to_start(&mut self, arn: &str) {
        let now = self.now;
        self.change_task(arn, |task| {
            task.last_status = TaskStatus::Deprovisioning;
            task.desired_status = DesiredStatus::Stopped;
            task.stopping_at = Some(now);
            task.stop_code = Some("TaskFailedToStart");
            task.stopped_reason =
                Some("CannotPullContainerError: pull image manifest has been retried".to_owned());
        });
        let step = Happening::Task { arn: arn.to_owned(), step: TaskStep::Stopped };
        self.after(self.timing.deprovisioning, step);
    }

    fn task_runs(&mut self, arn: &str) {
        let now = self.now;
        self.change_task(arn, |task| {
            task.last_status = TaskStatus::Running;
            task.started_at = Some(now);
            task.date = task.date.or(Some(now.date_naive()));
        });
        self.load_begins(arn);
    }

    /// The container is over: by itself, or killed.
    pub(super) fn container_ends(&mut self, arn: &str, exit_code: i32) {
        let now = self.now;
        self.change_task(arn, |task| {
            task.last_status = TaskStatus::Deprovisioning;
            task.desired_status = DesiredStatus::Stopped;
            task.exit_code = Some(exit_code);
            task.stopping_at.get_or_insert(now);
            task.stop_code.get_or_insert("EssentialContainerExited");
            task.stopped_reason
                .get_or_insert_with(|| "Essential container in task exited".to_owned());
        });
        self.leave_database(arn);
        let step = Happening::Task { arn: arn.to_owned(), step: TaskStep::Stopped };
        self.after(self.timing.deprovisioning, step);
    }

    fn task_stops(&mut self, arn: &str) {
        let now = self.now;
        self.change_task(arn, |task| {
            task.last_status = TaskStatus::Stopped;
            task.stopped_at = Some(now);
        });
    }

    pub(super) fn change_task(&mut self, arn: &str, change: impl FnOnce(&mut TaskRecord)) {
        if let Some(task) = self.ecs.tasks.get_mut(arn) {
            change(task);
        }
    }

    /// The date that a task is about, before its container has looked at the clock.
    pub(super) fn task_day(&self, arn: &str) -> NaiveDate {
        let date = self.ecs.tasks.get(arn).and_then(|task| task.date);
        date.unwrap_or_else(|| self.now.date_naive())
    }
}
