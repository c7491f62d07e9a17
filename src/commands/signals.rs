//! SIGTERM, Ctrl-C and SIGHUP.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::failure::Failure;

/// What the signals have asked for.
pub(super) struct Signals {
    /// SIGTERM or Ctrl-C: end in order.
    pub(super) shutdown: CancellationToken,
    /// A second one: end now.
    pub(super) at_once: CancellationToken,
    /// SIGHUP: read the configuration again.
    pub(super) hangup: Arc<AtomicBool>,
    listener: JoinHandle<()>,
}

impl Signals {
    /// Listens from now on; `wake` is told of every signal.
    pub(super) fn listen(wake: &Arc<Notify>) -> Result<Self, Failure> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hangups = signal(SignalKind::hangup())?;
        let (shutdown, at_once) = (CancellationToken::new(), CancellationToken::new());
        let hangup = Arc::new(AtomicBool::new(false));
        let (first, second) = (shutdown.clone(), at_once.clone());
        let (asked, wake) = (Arc::clone(&hangup), Arc::clone(wake));
        #[expect(clippy::disallowed_methods, reason = "the handle is kept, and aborted on drop")]
        let listener = tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                    _ = hangups.recv() => {
                        asked.store(true, Ordering::Relaxed);
                        wake.notify_one();
                        continue;
                    }
                }
                if first.is_cancelled() {
                    second.cancel();
                }
                first.cancel();
                wake.notify_one();
            }
        });
        Ok(Self { shutdown, at_once, hangup, listener })
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.listener.abort();
    }
}
