//! Uploads that people asked for: their one write is a step of the pass like any other, so it
//! does not matter which process acts.

use chrono::Duration;

use super::tending::READ_BACK_SECONDS;
use super::{Engine, Pass};
use crate::act::Acted;
use crate::config::DatasetSettings;
use crate::domain::{PassOutcome, Seen};
use crate::ledger::LedgerError;
use crate::observe::{self, LandingView, Watch};
use crate::plan::{self, Rest};

impl Engine {
    /// One step for the dataset's open upload, when one is due. While it waits, the rest of the
    /// pass goes on: yielding and deadlines do not wait for it.
    pub(super) async fn serve_upload(
        &mut self,
        dataset: &DatasetSettings,
        watch: &mut Watch,
    ) -> Result<Option<Pass>, LedgerError> {
        let Some(upload) = self.ledger.state().open_upload(&dataset.name) else {
            return Ok(None);
        };
        if !self.ledger.is_acting() {
            return Ok(None);
        }
        let gone = upload.process.is_certainly_dead();
        let begins = upload.ready.is_some() && self.ledger.state().hold_of(&dataset.name).is_none();
        let landing = if begins { Some(self.look_before_hold(dataset, watch).await) } else { None };
        let (now, state) = (self.world.now(), self.ledger.state());
        let next = plan::serve_upload(state, watch, landing.as_ref(), dataset, gone, now);
        let pass = match next {
            None => return Ok(None),
            Some(Err(rest)) => {
                tracing::debug!(dataset = dataset.name, %rest, "the upload waits");
                return Ok(self.errand.serves_uploads.then(|| self.upload_waits(dataset, rest)));
            }
            Some(Ok(step)) => self.acted_on_upload(dataset, step).await?,
        };
        self.keep_tended(&dataset.name, watch, &pass);
        Ok(Some(pass))
    }

    /// What a hold for a write of ours must know before it begins.
    async fn look_before_hold(
        &self,
        dataset: &DatasetSettings,
        watch: &mut Watch,
    ) -> Seen<LandingView> {
        watch.trigger.clock_skew = Some(observe::clock_skew(&self.world).await);
        observe::landing(&self.world, dataset).await
    }

    async fn acted_on_upload(
        &mut self,
        dataset: &DatasetSettings,
        step: plan::Step,
    ) -> Result<Pass, LedgerError> {
        let acted = self.act_on_trigger(&dataset.name, step).await?;
        let soon = self.world.now() + Duration::seconds(READ_BACK_SECONDS);
        let poll = Duration::from_std(dataset.load.poll).unwrap_or_default();
        Ok(match acted {
            Acted::Done(outcome, detail) => {
                Pass { outcome, detail, rest: None, wake_at: self.world.now() }
            }
            Acted::DecideAgain => Pass {
                outcome: PassOutcome::Waiting,
                detail: "the ledger or the rule has changed; deciding again".to_owned(),
                rest: None,
                wake_at: soon,
            },
            Acted::Unanswered(error) => Pass {
                outcome: PassOutcome::Error,
                detail: error.to_string(),
                rest: None,
                wake_at: self.world.now() + poll,
            },
        })
    }

    fn upload_waits(&self, dataset: &DatasetSettings, rest: Rest) -> Pass {
        let poll = Duration::from_std(dataset.load.poll).unwrap_or_default();
        Pass {
            outcome: rest.outcome(),
            detail: rest.to_string(),
            rest: Some(rest),
            wake_at: self.world.now() + poll,
        }
    }
}
