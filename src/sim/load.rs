//! The load task: what its script does between the start of its container and its end.
//!
//! 1. It deletes every snapshot of the instance that AWS Backup did not make; one that is still
//!    being made stops it there (H2).
//! 2. It fetches the dump of its date; an absent one stops it, the snapshots gone all the same.
//! 3. It drops and loads the one database that all tasks share (H1).
//! 4. It asks for a snapshot and ends, the snapshot not yet made (H23).

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

use super::ecs::TaskStep;
use super::inspect::{LoadInterval, Overlap};
use super::s3::Body;
use super::world::{Happening, World};
use super::zip;

/// The shared database, and who is at it.
#[derive(Clone, Debug, Default)]
pub(super) struct Database {
    /// The dates whose rows are in it.
    rows_of: BTreeSet<NaiveDate>,
    /// Tasks that are loading, with the date whose rows they bring.
    loading: BTreeMap<String, NaiveDate>,
    /// Dumps that tasks have fetched.
    fetched: BTreeMap<String, Body>,
}

impl World {
    /// The dates whose rows are in the shared database now.
    pub fn database_rows(&self) -> Vec<NaiveDate> {
        self.database.rows_of.iter().copied().collect()
    }

    /// The container begins: snapshots are deleted, then the dump is looked for.
    pub(super) fn load_begins(&mut self, arn: &str) {
        self.say(arn, "Deleting snapshots of the database");
        if let Err(id) = self.delete_settled_snapshots() {
            self.incident(format!("{arn} could not delete the snapshot {id}: it is being made"));
            self.say(arn, format!(
                "An error occurred (InvalidDBSnapshotState) when calling the DeleteDBSnapshot \
                 operation: Cannot delete the snapshot {id} because it is not in the available state"
            ));
            return self.container_ends(arn, 1);
        }
        let key = self.names.dump_key_of(self.task_day(arn));
        self.say(arn, format!("download: s3://{}/{key}", self.names.dump_bucket));
        let bucket = self.names.dump_bucket.clone();
        let Ok(body) = self.body(&bucket, &key, None).cloned() else {
            self.say(
                arn,
                format!(
                    "fatal error: An error occurred (404) when calling the HeadObject operation: \
                 Key \"{key}\" does not exist"
                ),
            );
            return self.container_ends(arn, 1);
        };
        self.database.fetched.insert(arn.to_owned(), body);
        self.task_step_after(arn, self.timing.fetch, TaskStep::Fetched);
    }

    /// The dump is here: unzip, connect, drop, and begin to load.
    pub(super) fn dump_is_fetched(&mut self, arn: &str) {
        let body = self.database.fetched.remove(arn).unwrap_or_else(|| Body::from(""));
        let contents = match zip::read(&body) {
            Ok(contents) => contents,
            Err(why) => {
                self.say(arn, format!("unzip: {why}"));
                return self.container_ends(arn, 9);
            }
        };
        if !self.can_connect(arn) {
            self.say(arn, "ERROR 2002 (HY000): Can't connect to MySQL server (110)");
            return self.container_ends(arn, 1);
        }
        self.drop_database(arn);
        if contents.sql_files != 1 {
            self.say(arn, "./entrypoint.sh: line 68: *.sql: ambiguous redirect");
            return self.container_ends(arn, 1);
        }
        let day = self.task_day(arn);
        self.enter_database(arn, contents.date.unwrap_or(day));
        if !self.script(day, |profile| profile.hangs.take()) {
            let slower = self.script(day, |profile| profile.load_slower);
            self.task_step_after(arn, self.timing.load + slower, TaskStep::Loaded);
        }
    }

    /// The last row is in: a snapshot is asked for.
    pub(super) fn load_ends(&mut self, arn: &str) {
        let day = self.task_day(arn);
        if self.script(day, |profile| profile.exits_1.take()) {
            for line in self.script(day, |profile| profile.log_lines.clone()) {
                self.say(arn, line);
            }
            return self.container_ends(arn, 1);
        }
        let live = self.ecs.tasks.get(arn).is_some_and(|task| task.live);
        let id = if live { self.live_id(day) } else { self.names.backdated_id(day) };
        self.say(arn, format!("Creating snapshot {id}"));
        if let Err(error) = self.create_snapshot(&id, self.database.rows_of.clone()) {
            self.say(arn, format!("An error occurred ({}): {}", error.code, error.message));
            return self.container_ends(arn, 1);
        }
        self.say(arn, "Done");
        let lingers = self.script(day, |profile| profile.lingers);
        if lingers.is_zero() {
            return self.container_ends(arn, 0);
        }
        self.leave_database(arn);
        self.task_step_after(arn, lingers, TaskStep::Exits);
    }

    /// The container is over: it writes no more rows. The server may have mixed them already.
    pub(super) fn leave_database(&mut self, arn: &str) {
        self.database.fetched.remove(arn);
        self.database.loading.remove(arn);
        let now = self.now;
        let mut loads = self.record.loads.iter_mut();
        if let Some(load) = loads.find(|load| load.task == arn && load.to.is_none()) {
            load.to = Some(now);
        }
    }

    /// DROP and CREATE: what other tasks are still bringing goes into the new database too.
    fn drop_database(&mut self, arn: &str) {
        self.say(arn, "Dropping and recreating RDS database");
        let others: Vec<_> = self.database.loading.clone().into_iter().collect();
        self.database.rows_of = others.iter().map(|(_, date)| *date).collect();
        for (first, _) in others {
            self.record.overlaps.push(Overlap { at: self.now, first, second: arn.to_owned() });
        }
    }

    fn enter_database(&mut self, arn: &str, rows: NaiveDate) {
        self.say(arn, "Importing the dump");
        self.database.rows_of.insert(rows);
        self.database.loading.insert(arn.to_owned(), rows);
        self.record.loads.push(LoadInterval {
            task: arn.to_owned(),
            date: self.task_day(arn),
            live: self.ecs.tasks.get(arn).is_some_and(|task| task.live),
            from: self.now,
            to: None,
        });
    }

    /// Only with a security group does the task reach the database (H25).
    fn can_connect(&self, arn: &str) -> bool {
        let network = self.ecs.tasks.get(arn).and_then(|task| task.network.as_ref());
        network.is_some_and(|network| !network.security_groups.is_empty())
    }

    /// A live snapshot's id is unique: it has the time in it.
    fn live_id(&self, date: NaiveDate) -> String {
        self.names.live_id(date, &self.now.format("%H%M%S").to_string())
    }

    fn task_step_after(&mut self, arn: &str, delay: std::time::Duration, step: TaskStep) {
        self.after(delay, Happening::Task { arn: arn.to_owned(), step });
    }

    fn say(&mut self, arn: &str, line: impl Into<String>) {
        let id = arn.rsplit('/').next().unwrap_or(arn);
        let stream = format!("{}/{}/{id}", self.names.log_stream_prefix, self.names.family);
        self.log(&stream, line);
    }
}
