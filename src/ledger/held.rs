//! What the ledger remembers of open holds, for whoever must release or yield without waiting
//! for the ledger itself.
//!
//! The process that reads and writes entries tells every change; whoever listens has the last
//! known state even while a call of the store hangs.

use std::sync::Arc;

use tokio::sync::watch;

use super::log::Ledger;
use super::state::State;

/// The last known state, as far as holds and the run in progress need it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Held {
    /// Open holds, the runs and the uploads that they are for, and the run in progress.
    pub state: State,
    /// Whether this process may release them: no newer epoch acts.
    pub may_release: bool,
}

impl Held {
    fn of(state: &State, may_release: bool) -> Self {
        let holds = state.holds.clone();
        let runs = state.runs.iter().filter(|run| {
            run.is_active() || holds.values().any(|hold| hold.why.is_of_run(&run.id))
        });
        let uploads = state
            .uploads
            .iter()
            .filter(|upload| holds.values().any(|hold| upload.is_why(&hold.dataset, &hold.why)));
        let state = State {
            seq: state.seq,
            runs: runs.cloned().collect(),
            uploads: uploads.cloned().collect(),
            holds,
            ..State::default()
        };
        Self { state, may_release }
    }
}

impl Ledger {
    /// The last known state of the holds, and every later one.
    pub fn held(&self) -> watch::Receiver<Arc<Held>> {
        self.held.subscribe()
    }

    /// Tells what is held now.
    pub(super) fn tell_held(&self) {
        let held = Held::of(&self.state, self.may_release());
        self.held.send_if_modified(|last| {
            let same = last.state.holds == held.state.holds
                && last.state.runs == held.state.runs
                && last.state.uploads == held.state.uploads
                && last.may_release == held.may_release;
            if !same {
                *last = Arc::new(held);
            }
            !same
        });
    }
}
