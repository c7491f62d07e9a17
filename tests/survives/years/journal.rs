//! The history of a year, told so that a person can follow it: one line an event.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use gapmend::ledger::{Entry, Event};
use gapmend::sim::World;

/// What people, processes and the weather did, as it happens.
#[derive(Clone, Default)]
pub(super) struct Journal {
    lines: Arc<Mutex<Vec<Line>>>,
}

/// When, and what.
type Line = (DateTime<Utc>, String);

impl Journal {
    pub(super) fn say(&self, at: DateTime<Utc>, who: &str, what: impl AsRef<str>) {
        self.lines.lock().unwrap().push((at, format!("{who:<11} {}", masked(what.as_ref()))));
    }

    /// Takes over what went wrong with calls, before the world forgets them.
    pub(super) fn keep_faults(&self, world: &World) {
        self.lines.lock().unwrap().extend(of_calls(world));
    }

    /// Everything, with what the world did by itself, in order.
    pub(super) fn told(&self, world: &World) -> Vec<String> {
        let mut lines = self.lines.lock().unwrap().clone();
        lines.extend(of_tasks(world));
        lines.extend(of_pipeline(world));
        lines.extend(of_calls(world));
        lines.sort_by_key(|(at, _)| *at);
        lines
            .into_iter()
            .map(|(at, line)| format!("{} {line}", at.format("%Y-%m-%d %H:%M:%S")))
            .collect()
    }
}

fn line(at: DateTime<Utc>, who: &str, what: impl AsRef<str>) -> Line {
    (at, format!("{who:<11} {}", masked(what.as_ref())))
}

fn of_tasks(world: &World) -> Vec<Line> {
    let mut lines = Vec::new();
    for task in world.tasks() {
        let id = &task.id()[..6];
        let what =
            task.date.map_or("the live run".to_owned(), |date| format!("the load of {date}"));
        let who = task.started_by.as_deref().unwrap_or("a person");
        lines.push(line(task.created_at, "ecs", format!("task {id}: {what}, started by {who}")));
        if let Some(at) = task.stopped_at {
            let end = format!(
                "task {id} is over: {}, exit code {:?}",
                task.stop_code.unwrap_or("no code"),
                task.exit_code
            );
            lines.push(line(at, "ecs", end));
        }
    }
    for load in world.loads() {
        let id = load.task.rsplit('/').next().unwrap_or_default();
        let what = format!("task {} drops the database and loads {}", &id[..6], load.date);
        lines.push(line(load.from, "database", what));
    }
    for overlap in world.overlaps() {
        lines.push(line(overlap.at, "database", "TWO LOADS AT ONCE"));
    }
    lines
}

fn of_pipeline(world: &World) -> Vec<Line> {
    let mut lines = Vec::new();
    for event in world.trail() {
        let name = event.key.rsplit('/').next().unwrap_or_default();
        let came = match (event.arrived, event.matched) {
            (true, true) => "fires the rule",
            (true, false) => "comes while the rule is off",
            (false, _) => "never comes",
        };
        let what =
            format!("{:?} writes {name}; its event {came} at {}", event.writer, event.arrives_at);
        lines.push(line(event.written_at, "bucket", what));
    }
    for change in world.rule_history() {
        let what = format!("{} by {}", change.state.as_str(), change.who);
        lines.push(line(change.at, "rule", what));
    }
    for export in world.export_tasks(None, None).unwrap_or_default() {
        let ended = export.ended_at.unwrap_or(export.snapshot_time);
        lines.push(line(ended, "rds", format!("export {} is {}", export.id, export.status)));
    }
    for name in [&world.names.live_workflow, &world.names.backdated_workflow] {
        for run in world.workflow_runs(name).unwrap_or_default() {
            let date = run.properties.get("import_date").cloned().unwrap_or_default();
            let what = format!("{name} begins for {date}");
            lines.push(line(run.started_at, "glue", what));
            if let Some(at) = run.completed_at {
                let what = format!("{name} for {date} is {:?}: {:?}", run.status, run.statistics());
                lines.push(line(at, "glue", what));
            }
        }
    }
    for incident in world.incidents() {
        lines.push(line(incident.at, "unnoticed", &incident.what));
    }
    lines
}

/// Only calls that went wrong: effects are told by those who ask for them.
fn of_calls(world: &World) -> Vec<Line> {
    let wrong = world.calls().iter().filter_map(|call| call.fault.map(|fault| (call, fault)));
    wrong
        .map(|(call, fault)| {
            let what =
                format!("{}: {:?} {:?} its effect", call.operation, fault.kind, fault.moment);
            line(call.at, "fault", what)
        })
        .collect()
}

/// An entry of the ledger in words.
pub(super) fn entry_in_words(bytes: &Bytes) -> String {
    let Ok(entry) = serde_json::from_slice::<Entry>(bytes) else {
        return "an entry that cannot be read".to_owned();
    };
    let events: Vec<String> = entry.events.iter().map(event_in_words).collect();
    format!("#{} e{} {}", entry.seq, entry.epoch, events.join("; "))
}

fn event_in_words(event: &Event) -> String {
    let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(event) else {
        return "?".to_owned();
    };
    if let Event::Scanned { scan, .. } = event {
        let counts: Vec<String> = scan.counts.iter().map(|(k, n)| format!("{k} {n}")).collect();
        let queue: Vec<String> = scan.queue.iter().map(ToString::to_string).collect();
        return format!(
            "scanned ({:?}, slot {:?}): {}; queue [{}] {}",
            scan.cause,
            scan.slot.map(|slot| slot.to_string()),
            counts.join(", "),
            queue.join(" "),
            scan.blind.join("; ")
        );
    }
    let told = [
        "run", "stage", "next", "outcome", "repeat", "why", "step", "until", "request", "date",
        "missed", "detail",
    ];
    let words =
        told.iter().filter_map(|name| fields.get(*name).map(|value| format!("{name}={value}")));
    let kind = fields["kind"].as_str().unwrap_or_default().to_owned();
    std::iter::once(kind).chain(words).collect::<Vec<_>>().join(" ").replace('"', "")
}

/// The random part of our names is another one whenever the history is played again.
fn masked(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("gapmend/liberator/") {
        let (before, name) = rest.split_at(at);
        masked.push_str(before);
        let end = name.find([' ', ',', ';', '"', ')']).unwrap_or(name.len());
        let kept = name[..end].rsplit_once('-').filter(|(_, nonce)| nonce.len() == 8);
        masked.push_str(kept.map_or(&name[..end], |(kept, _)| kept));
        rest = &name[end..];
    }
    masked.push_str(rest);
    masked
}
