//! Our clock against AWS's.
//!
//! Ages of what AWS tells are measured by our clock: which date is too young, which start is
//! overdue, when the live dump comes. A clock that is off makes all of them untrue, and a
//! workflow that the pipeline is about to start would be started twice. The SDK puts its own
//! signatures right silently, so nothing else shows it.

use chrono::TimeDelta;

use super::blind;
use super::watch::seen;
use crate::domain::{Blindness, ErrorClass, Seen};
use crate::platform::World;

/// A clock that is further from AWS's is not trusted.
pub const CLOCK_OFF_AT_MOST_SECONDS: i64 = 60;

/// How far our clock is from AWS's.
pub async fn clock_skew(world: &World) -> Seen<Option<TimeDelta>> {
    seen(skew(world).await)
}

async fn skew(world: &World) -> Result<Option<TimeDelta>, Blindness> {
    let caller = world.platform.caller().await;
    let skew = caller.map(|caller| caller.clock_skew);
    skew.map_err(|error| blind("AWS's clock".to_owned(), &error))
}

/// Whether ages can be told at all. An AWS that tells no time is believed.
pub(super) async fn trusted(world: &World) -> Result<(), Blindness> {
    let off = skew(world).await?.map_or(0, |skew| skew.num_seconds().abs());
    if off <= CLOCK_OFF_AT_MOST_SECONDS {
        return Ok(());
    }
    Err(Blindness {
        what: "how old anything is".to_owned(),
        why: format!(
            "this machine's clock is {off} s off AWS's; let it keep time (chrony, systemd-timesyncd)"
        ),
        class: ErrorClass::Conflict,
    })
}
