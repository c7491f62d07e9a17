//! A run's progress while `heal` waits: one line a stage on a terminal, else one line a change.
//!
//! Everything goes to stderr, for stdout is for the result.

use std::io::Write;

use chrono::{DateTime, Utc};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::domain::Stage;
use crate::expose::json::outcome_label;
use crate::expose::limits::StageLimits;
use crate::expose::words::{between, span};
use crate::ledger::Run;
use crate::plan::Rest;

/// A bar's length when nothing says how far a stage is.
const BAR_STEPS: u64 = 100;

/// The progress of the runs of one `heal`.
pub struct HealProgress {
    limits: StageLimits,
    /// The run that is shown.
    run: Option<String>,
    /// Whether its end was told.
    ended: bool,
    shown: Shown,
    resting: Option<&'static str>,
}

enum Shown {
    /// A line for each stage that began, the last one live.
    Bars { all: MultiProgress, stages: Vec<ProgressBar> },
    /// Lines, and how many of the run's were written.
    Lines { to: Box<dyn Write + Send>, written: usize },
}

impl std::fmt::Debug for HealProgress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HealProgress").field("run", &self.run).finish_non_exhaustive()
    }
}

impl HealProgress {
    /// On stderr: live on a terminal, plain lines otherwise.
    #[must_use]
    pub fn standard(limits: StageLimits) -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        if all.is_hidden() {
            return Self::lines(limits, Box::new(anstream::stderr()));
        }
        let shown = Shown::Bars { all, stages: Vec::new() };
        Self { limits, run: None, ended: false, shown, resting: None }
    }

    /// Plain lines, wherever they go.
    #[must_use]
    pub fn lines(limits: StageLimits, to: Box<dyn Write + Send>) -> Self {
        let shown = Shown::Lines { to, written: 0 };
        Self { limits, run: None, ended: false, shown, resting: None }
    }

    /// Shows where the run is now. Cheap when nothing changed.
    pub fn show(&mut self, run: &Run, percent: Option<u8>, now: DateTime<Utc>) {
        self.resting = None;
        if self.run.as_deref() != Some(run.id.as_str()) {
            self.run = Some(run.id.clone());
            self.begin(run);
        }
        let limits = self.limits;
        if run.end.is_some() && std::mem::replace(&mut self.ended, true) {
            return;
        }
        match &mut self.shown {
            Shown::Lines { to, written } => {
                let lines = run_lines(run, limits);
                for line in lines.iter().skip(*written) {
                    // Progress that nobody reads must not end a run.
                    let _ = writeln!(to, "{line}");
                }
                *written = lines.len();
            }
            Shown::Bars { all, stages } => show_bars(all, stages, run, limits, percent, now),
        }
    }

    /// Says why nothing is being started, once for each reason.
    pub fn rest(&mut self, rest: &Rest) {
        if matches!(rest, Rest::InProgress { .. }) {
            return; // `show` says more of it.
        }
        if self.resting.replace(rest.label()) == Some(rest.label()) {
            return;
        }
        let line = format!("waiting: {rest}");
        match &mut self.shown {
            Shown::Lines { to, .. } => {
                let _ = writeln!(to, "{line}");
            }
            Shown::Bars { all, .. } => {
                let _ = all.println(line);
            }
        }
    }

    fn begin(&mut self, run: &Run) {
        self.ended = false;
        match &mut self.shown {
            Shown::Lines { written, .. } => *written = 0,
            Shown::Bars { all, stages } => {
                stages.clear();
                let _ =
                    all.println(format!("{} {} attempt {}", run.dataset, run.date, run.attempt));
            }
        }
    }
}

/// Everything that there is to say of a run; a run that moves on only adds lines.
fn run_lines(run: &Run, limits: StageLimits) -> Vec<String> {
    let who = format!("{} {} attempt {}", run.dataset, run.date, run.attempt);
    let began = |stage: Stage, at: DateTime<Utc>| {
        let limit = limits
            .seconds(stage)
            .map_or_else(String::new, |limit| format!(", at most {}", span(limit)));
        format!("{} {who}: {} began{limit}", at.format("%H:%M:%S"), stage.label())
    };
    let mut lines = Vec::new();
    for record in &run.stages {
        let took = between(record.started_at, record.ended_at);
        lines.push(began(record.stage, record.started_at));
        let stage = record.stage.label();
        let at = record.ended_at.format("%H:%M:%S");
        lines.push(format!("{at} {who}: {stage} took {took}: {}", record.detail));
    }
    match &run.end {
        None => lines.push(began(run.stage, run.stage_since)),
        Some(end) => {
            let at = end.at.format("%H:%M:%S");
            lines.push(format!("{at} {who}: {}: {}", outcome_label(run), end.detail));
        }
    }
    lines
}

fn show_bars(
    all: &MultiProgress,
    bars: &mut Vec<ProgressBar>,
    run: &Run,
    limits: StageLimits,
    percent: Option<u8>,
    now: DateTime<Utc>,
) {
    let live = usize::from(run.is_active());
    while bars.len() < run.stages.len() + live {
        bars.push(all.add(ProgressBar::new(BAR_STEPS).with_style(bar_style())));
    }
    for (bar, record) in bars.iter().zip(&run.stages).filter(|(bar, _)| !bar.is_finished()) {
        let took = between(record.started_at, record.ended_at);
        bar.set_prefix(record.stage.label());
        bar.set_position(BAR_STEPS);
        bar.finish_with_message(format!("{took}  {}", record.detail));
    }
    match (&run.end, bars.last()) {
        (None, Some(bar)) => {
            let limit = limits.seconds(run.stage);
            bar.set_prefix(run.stage.label());
            bar.set_position(position(run, percent, limit, now));
            bar.set_message(live_message(run, percent, limit, now));
        }
        (Some(_), _) => {
            bars.clear();
            let _ = all.clear();
            let _ = all.println(last_word(run));
        }
        (None, None) => {}
    }
}

/// What stays on the terminal of a run that is over: its stages, and how it ended.
fn last_word(run: &Run) -> String {
    let mut lines: Vec<String> = run
        .stages
        .iter()
        .map(|record| {
            let took = between(record.started_at, record.ended_at);
            format!("  {:11} {took:>8}", record.stage.label())
        })
        .collect();
    let detail = run.end.as_ref().map_or("", |end| end.detail.as_str());
    lines.push(format!("{}: {detail}", outcome_label(run)));
    lines.join("\n")
}

/// The service's own percentage; else the share of the deadline that is gone.
fn position(run: &Run, percent: Option<u8>, limit: Option<i64>, now: DateTime<Utc>) -> u64 {
    let elapsed = (now - run.stage_since).num_seconds().max(0);
    let share = limit.map_or(0, |limit| elapsed * 100 / limit.max(1));
    percent.map_or_else(|| u64::try_from(share).unwrap_or(0), u64::from).min(BAR_STEPS)
}

fn live_message(run: &Run, percent: Option<u8>, limit: Option<i64>, now: DateTime<Utc>) -> String {
    let limit = limit.map_or_else(String::new, |limit| format!(" of at most {}", span(limit)));
    let percent = percent.map_or_else(String::new, |percent| format!("  {percent} % done"));
    format!("{}{limit}{percent}", between(run.stage_since, now))
}

/// The template is ours and right; were it not, indicatif's own bar would do.
fn bar_style() -> ProgressStyle {
    ProgressStyle::with_template("  {prefix:11} {bar:20} {msg}")
        .map_or_else(|_| ProgressStyle::default_bar(), |style| style.progress_chars("━╸ "))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use super::*;
    use crate::expose::sample;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn limits() -> StageLimits {
        let hours = |hours: u64| Some(Duration::from_secs(hours * 3600));
        StageLimits { load: hours(4), export: hours(4), copy: hours(1), publish: hours(6) }
    }

    #[test]
    fn each_change_is_one_line_and_is_written_once() {
        let written = Written::default();
        let mut progress = HealProgress::lines(limits(), Box::new(written.clone()));
        let mut run = sample::active_run();
        let (third, stage, since) = (run.stages.pop().unwrap(), run.stage, run.stage_since);
        (run.stage, run.stage_since) = (Stage::Snapshot, third.started_at);
        for _ in 0..2 {
            progress.show(&run, None, sample::now());
            progress.rest(&Rest::NothingToDo);
        }
        run.stages.push(third);
        (run.stage, run.stage_since) = (stage, since);
        progress.show(&run, Some(42), sample::now());
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        insta::assert_snapshot!(text, @r#"
        04:00:40 liberator 2026-03-05 attempt 1: preflight began
        04:01:00 liberator 2026-03-05 attempt 1: preflight took 20s: clear
        04:01:00 liberator 2026-03-05 attempt 1: load began, at most 4h 00m
        05:58:00 liberator 2026-03-05 attempt 1: load took 1h 57m: task exited 0
        05:58:00 liberator 2026-03-05 attempt 1: snapshot began, at most 4h 00m
        waiting: no date is healable
        waiting: no date is healable
        06:08:00 liberator 2026-03-05 attempt 1: snapshot took 10m 00s: available
        06:08:00 liberator 2026-03-05 attempt 1: export began, at most 4h 00m
        "#);
    }

    #[test]
    fn a_bar_follows_the_service_and_else_the_deadline() {
        let run = sample::active_run();
        assert_eq!(position(&run, Some(42), Some(14400), sample::now()), 42);
        assert_eq!(position(&run, None, Some(2640), sample::now()), 50);
        assert_eq!(position(&run, None, Some(60), sample::now()), 100);
        assert_eq!(position(&run, None, None, sample::now()), 0);
        let message = live_message(&run, Some(42), Some(14400), sample::now());
        assert_eq!(message, "22m 00s of at most 4h 00m  42 % done");
    }
}
