//! What a command works with: the settings, the world and the ledger.

use std::pin::Pin;
use std::sync::Arc;

use chrono::NaiveDate;
use gapmend::aws;
use gapmend::config::{self, Environment, Settings};
use gapmend::daemon::{Engine, Errand, NoRecorder, Recorder};
use gapmend::expose::cli::args::GlobalArgs;
use gapmend::expose::cli::{self, CallCount};
use gapmend::ledger::{Asked, Ledger, Process, refuse_directory_on_ecs};
use gapmend::platform::{CallObserver, Clock, SystemClock, World};

use super::failure::Failure;

/// The settings and the world, before anything was asked of it.
pub(super) struct Session {
    /// The checked configuration.
    pub(super) settings: Arc<Settings>,
    /// AWS and the clock.
    pub(super) world: World,
    /// Whether the disk dies with the process (an ECS task).
    pub(super) on_ecs: bool,
    /// The answers of AWS so far.
    calls: Arc<CallCount>,
}

impl Session {
    /// Reads the configuration and prepares to talk to AWS; does no call.
    pub(super) async fn open(global: &GlobalArgs) -> Result<Self, Failure> {
        let (settings, on_ecs) = read_settings(global)?;
        let calls = Arc::new(CallCount::default());
        let session = Self::over(settings, on_ecs, Arc::clone(&calls) as Arc<dyn CallObserver>);
        Ok(Self { calls, ..session.await })
    }

    /// A session over settings that were read already.
    pub(super) async fn over(
        settings: Settings,
        on_ecs: bool,
        observer: Arc<dyn CallObserver>,
    ) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let platform = aws::connect(&settings.aws, Arc::clone(&clock), observer).await;
        let world = World { platform: Arc::new(platform), clock };
        Self { settings: Arc::new(settings), world, on_ecs, calls: Arc::default() }
    }

    /// Does the work, with a sign of life when it takes long.
    pub(super) fn while_waiting<'a, T: 'a>(
        &'a self,
        what: &'a str,
        work: impl Future<Output = T> + 'a,
    ) -> Pin<Box<dyn Future<Output = T> + 'a>> {
        Box::pin(cli::while_waiting(what, &self.calls, work))
    }

    /// A request for a day to come would stand until then.
    pub(super) fn refuse_future(&self, date: NaiveDate) -> Result<(), Failure> {
        let today = self.world.today_utc();
        if date > today {
            return Err(Failure::refused(format!(
                "{date} is in the future: today is {today} in UTC"
            )));
        }
        Ok(())
    }

    /// Makes sure that this is the account of the configuration; answers who we are in it.
    pub(super) async fn identify(&self) -> Result<String, Failure> {
        let caller = self.world.platform.caller().await?;
        let ours = &self.settings.aws.account_id;
        if caller.account != *ours {
            return Err(Failure::refused(format!(
                "these credentials belong to account {}, the configuration is for {ours} (aws.account_id); nothing was done",
                caller.account
            )));
        }
        Ok(caller.arn)
    }

    /// Opens the ledger, as far as it is sound, and says at once where it is not.
    pub(super) async fn ledger(&self, command: &str) -> Result<Ledger, Failure> {
        let ledger = self.ledger_as_it_is(command).await?;
        if let Some(refusal) = ledger.refusal() {
            tracing::error!(
                entries = ledger.state().seq,
                "failed to {}; what follows knows the entries before it only, and nothing is written. {}",
                refusal.in_words(),
                refusal.hint()
            );
        }
        Ok(ledger)
    }

    /// Opens the ledger for a command that is about its faults.
    pub(super) async fn ledger_as_it_is(&self, command: &str) -> Result<Ledger, Failure> {
        let holds = self.settings.datasets.values().map(|dataset| {
            let hold = dataset.trigger.as_ref().map_or(config::HoldPolicy::Never, |t| t.hold);
            (dataset.name.as_str(), hold)
        });
        refuse_directory_on_ecs(&self.settings.ledger, self.on_ecs, holds)?;
        let ledger = Ledger::open_url(
            &self.settings.ledger,
            Arc::clone(&self.world.platform),
            Arc::clone(&self.world.clock),
            Process::this().writer(command),
        );
        Ok(ledger.await?)
    }

    /// An engine that only looks.
    pub(super) async fn looking_engine(
        &self,
        command: &str,
        errand: Errand,
    ) -> Result<Engine, Failure> {
        Ok(self.engine(command, errand, Arc::new(NoRecorder)).await?.looking())
    }

    /// An engine that only tells what each date is.
    pub(super) async fn scanning_engine(&self, command: &str) -> Result<Engine, Failure> {
        let engine = self.engine(command, Errand::default(), Arc::new(NoRecorder)).await?;
        Ok(engine.looking_at_dates())
    }

    /// An engine over a freshly opened ledger.
    pub(super) async fn engine(
        &self,
        command: &str,
        errand: Errand,
        recorder: Arc<dyn Recorder>,
    ) -> Result<Engine, Failure> {
        let ledger = self.ledger(command).await?;
        Ok(Engine::new(self.world.clone(), ledger, Arc::clone(&self.settings), recorder, errand))
    }

    /// The names of the datasets that a command is about.
    pub(super) fn dataset_names(&self, global: &GlobalArgs) -> Result<Vec<String>, Failure> {
        match &global.dataset {
            None => Ok(self.settings.datasets.keys().cloned().collect()),
            Some(name) => {
                let found = self.settings.dataset(Some(name)).map_err(Failure::usage)?;
                Ok(vec![found.name.clone()])
            }
        }
    }

    /// The one dataset that a command is about.
    pub(super) fn one_dataset(&self, global: &GlobalArgs) -> Result<String, Failure> {
        let found = self.settings.dataset(global.dataset.as_deref()).map_err(Failure::usage)?;
        Ok(found.name.clone())
    }

    /// Who asks, for the ledger.
    pub(super) fn asked(by: String, args: &gapmend::expose::cli::args::AskedArgs) -> Asked {
        Asked { by, reason: args.reason.clone(), ticket: args.ticket.clone() }
    }
}

/// Reads and checks the configuration, and says what deserves a look.
pub(super) fn read_settings(global: &GlobalArgs) -> Result<(Settings, bool), Failure> {
    let environment = Environment::of_process();
    let on_ecs = environment.is_on_ecs();
    let now = SystemClock.now();
    let loaded = config::load(&global.config_path(), &environment, now)?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    Ok((loaded.settings, on_ecs))
}
