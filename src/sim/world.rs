//! The world: everything behind one mutex, moved by being told the time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use chrono::{DateTime, NaiveDate, Utc};

use super::ecs::Ecs;
use super::events::Events;
use super::faults::{Call, Fault, Faults};
use super::glue::Catalog;
use super::inspect::TrailEvent;
use super::logs::LogLine;
use super::names::Names;
use super::profile::Profile;
use super::rds::Rds;
use super::s3::S3;
use super::timing::Timing;
use super::workflow::Workflows;

/// `sts:GetCallerIdentity`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Twelve digits.
    pub account: String,
    /// The caller's ARN.
    pub arn: String,
    /// The caller's unique id.
    pub user_id: String,
}

/// The model.
#[derive(Debug)]
pub struct World {
    pub(super) now: DateTime<Utc>,
    pub(super) rng: fastrand::Rng,
    pub(super) s3: S3,
    pub(super) catalog: Catalog,
    pub(super) workflows: Workflows,
    pub(super) ecs: Ecs,
    pub(super) rds: Rds,
    pub(super) events: Events,
    pub(super) logs: BTreeMap<String, BTreeMap<String, Vec<LogLine>>>,
    pub(super) calls: Vec<Call>,
    pub(super) trail: Vec<TrailEvent>,
    /// What everything is called.
    pub names: Names,
    /// How long everything takes.
    pub timing: Timing,
    /// What goes wrong with which date.
    pub profiles: BTreeMap<NaiveDate, Profile>,
    /// What goes wrong between a caller and a service.
    pub faults: Faults,
}

impl World {
    /// The world's time: that of the last [`World::advance_to`].
    pub fn now(&self) -> DateTime<Utc> {
        self.now
    }

    /// Lets everything happen that is due until then, in order. Going back does nothing.
    pub fn advance_to(&mut self, now: DateTime<Utc>) {
        let _ = now;
        todo!()
    }

    /// `sts:GetCallerIdentity`.
    pub fn caller(&self) -> Caller {
        Caller {
            account: self.names.account.clone(),
            arn: self.names.caller_arn.clone(),
            user_id: "AROAGAPMEND:gapmend".to_owned(),
        }
    }

    /// To be called by a door once per request, before its effect: logs and counts it, and says what goes wrong.
    pub fn receive(&mut self, operation: &'static str, target: &str) -> Option<Fault> {
        let fault = self.faults.next(operation);
        let target = target.to_owned();
        self.calls.push(Call { at: self.now, operation, target, fault });
        fault
    }

    /// Every request so far.
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }

    pub(super) fn random_hex(&mut self, digits: usize) -> String {
        (0..digits).filter_map(|_| char::from_digit(self.rng.u32(0..16), 16)).collect()
    }
}

/// A handle on the world that is cheap to clone.
#[derive(Clone, Debug)]
pub struct Sim {
    world: Arc<Mutex<World>>,
}

impl Sim {
    /// A handle on this world.
    pub fn new(world: World) -> Self {
        Self { world: Arc::new(Mutex::new(world)) }
    }

    /// The world itself. Never held across an await.
    pub fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
