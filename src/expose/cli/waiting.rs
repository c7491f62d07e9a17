//! A sign of life while AWS is asked: after two seconds, on a terminal, on stderr.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::platform::{CallObserver, CallResult};

/// Whoever gets an answer within this time needs no sign of life.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two turns of the wheel.
const TURN: Duration = Duration::from_millis(120);

/// Counts the answers of AWS, retries included.
#[derive(Debug, Default)]
pub struct CallCount(AtomicU64);

impl CallObserver for CallCount {
    fn called(
        &self,
        _service: &'static str,
        _operation: &'static str,
        _result: CallResult,
        _seconds: f64,
    ) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Does the work; tells what it is, for how long already, and how often AWS has answered.
pub async fn while_waiting<T>(what: &str, calls: &CallCount, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    tokio::select! {
        done = &mut work => return done,
        () = tokio::time::sleep(PATIENCE) => {}
    }
    let wheel = ProgressBar::new_spinner().with_style(wheel_style()).with_elapsed(PATIENCE);
    loop {
        wheel.set_message(format!("{what}: {} answers from AWS", calls.0.load(Ordering::Relaxed)));
        wheel.tick();
        tokio::select! {
            done = &mut work => {
                wheel.finish_and_clear();
                return done;
            }
            () = tokio::time::sleep(TURN) => {}
        }
    }
}

/// The template is ours and right; were it not, indicatif's own would do.
fn wheel_style() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {msg}, {elapsed}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
}
