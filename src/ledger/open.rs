//! Opening the ledger that the configuration names.

use std::sync::Arc;

use super::bounded::Bounded;
use super::directory::DirectoryStore;
use super::error::LedgerError;
use super::log::Ledger;
use super::s3::S3Store;
use super::store::Store;
use crate::config::{HoldPolicy, LedgerUrl};
use crate::platform::{Clock, Platform};

impl Ledger {
    /// Opens the ledger at `url`.
    ///
    /// # Errors
    /// As for [`Ledger::open`].
    pub async fn open_url(
        url: &LedgerUrl,
        platform: Arc<dyn Platform>,
        clock: Arc<dyn Clock>,
        writer: impl Into<String>,
    ) -> Result<Self, LedgerError> {
        let store: Arc<dyn Store> = match url {
            LedgerUrl::Directory(path) => Arc::new(DirectoryStore::new(path)),
            LedgerUrl::S3 { bucket, prefix } => Arc::new(S3Store::new(platform, bucket, prefix)),
        };
        let store = Arc::new(Bounded::new(store, Arc::clone(&clock)));
        Self::open(store, clock, writer).await
    }
}

/// Refuses a directory on ECS unless no dataset ever holds its trigger: the disk dies with
/// the task, and with it the only word that the trigger must be enabled again.
///
/// # Errors
/// [`LedgerError::LosesHolds`] with the first dataset that may hold.
pub fn refuse_directory_on_ecs<'a>(
    url: &LedgerUrl,
    on_ecs: bool,
    holds: impl IntoIterator<Item = (&'a str, HoldPolicy)>,
) -> Result<(), LedgerError> {
    let LedgerUrl::Directory(_) = url else { return Ok(()) };
    let mut holding = holds.into_iter().filter(|(_, hold)| *hold != HoldPolicy::Never);
    match holding.next() {
        Some((dataset, _)) if on_ecs => {
            Err(LedgerError::LosesHolds { place: url.to_string(), dataset: dataset.to_owned() })
        }
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &LedgerUrl, on_ecs: bool, holds: &[(&'static str, HoldPolicy)]) -> bool {
        refuse_directory_on_ecs(url, on_ecs, holds.iter().copied()).is_ok()
    }

    #[test]
    fn a_directory_on_ecs_is_refused_unless_nothing_is_ever_held() {
        let directory = LedgerUrl::Directory("/var/lib/gapmend".into());
        let bucket = LedgerUrl::S3 { bucket: "b".to_owned(), prefix: "p".to_owned() };
        let never = [("a", HoldPolicy::Never), ("b", HoldPolicy::Never)];
        let upload = [("a", HoldPolicy::Never), ("b", HoldPolicy::Upload)];
        let run = [("a", HoldPolicy::Run)];
        for (url, on_ecs, holds, fine) in [
            (&directory, true, &never[..], true),
            (&directory, true, &[], true),
            (&directory, true, &upload, false),
            (&directory, true, &run, false),
            (&directory, false, &run, true),
            (&bucket, true, &run, true),
        ] {
            assert_eq!(check(url, on_ecs, holds), fine, "{url} {on_ecs} {holds:?}");
        }
    }

    #[test]
    fn the_refusal_names_the_dataset() {
        let directory = LedgerUrl::Directory("/d".into());
        let error = refuse_directory_on_ecs(&directory, true, [("liberator", HoldPolicy::Upload)])
            .unwrap_err();
        assert!(error.to_string().contains("liberator"), "{error}");
    }
}
