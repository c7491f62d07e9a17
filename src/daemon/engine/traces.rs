//! The ids that a run leaves in AWS, written down as soon as they are seen: for the audit.
//!
//! Nothing depends on them, so that a ledger which cannot be written now does not keep the
//! pass from its work; the next pass sees them again.

use super::Engine;
use crate::config::DatasetSettings;
use crate::domain::{Seen, Stage};
use crate::ledger::{Event, Run, Trace};
use crate::observe::{RunView, Watch};

impl Engine {
    /// Writes down the snapshot and the export of the run in progress, each once.
    pub(super) async fn note_traces(&mut self, dataset: &DatasetSettings, watch: &Watch) {
        let view = watch.run.as_ref().and_then(Seen::known);
        let run = self.active_run_of(&dataset.name);
        let (Some(view), Some(run), true) = (view, run, self.ledger.is_acting()) else { return };
        let news = untold(run, view);
        if news.is_empty() {
            return;
        }
        if let Err(error) = self.write(news).await {
            tracing::warn!(dataset = dataset.name, %error, "what the run left could not be written down");
        }
    }
}

/// What is seen of the run and was not told yet. A snapshot may be an older run's under the
/// same id until the load is over.
fn untold(run: &Run, view: &RunView) -> Vec<Event> {
    let snapshot = view.snapshot.as_ref().filter(|_| run.stage >= Stage::Snapshot);
    let seen = [
        (Trace::Snapshot, snapshot.map(|snapshot| &snapshot.id)),
        (Trace::Export, view.export.as_ref().map(|export| &export.id)),
    ];
    let news = seen.into_iter().filter_map(|(trace, id)| {
        let id = id.filter(|id| run.traces.get(&trace) != Some(*id))?;
        Some(Event::RunTraced { run: run.id.clone(), trace, id: id.clone() })
    });
    news.collect()
}
