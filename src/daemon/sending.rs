//! Sending the parts of an upload: a few at once, each checked by S3, none of which fires
//! anything. Every step is in the ledger before and after it.

use bytes::Bytes;
use chrono::NaiveDate;
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio_util::sync::CancellationToken;

use super::engine::Engine;
use super::upload::end_upload;
use crate::config::DatasetSettings;
use crate::ledger::{Asked, Event, LedgerError, Process, Upload, UploadOutcome};
use crate::platform::PlatformError;

/// Parts in memory at once.
const PARTS_AT_ONCE: usize = 4;

/// A dump that is about to be sent.
#[derive(Clone, Debug)]
pub struct Sending {
    /// Its date.
    pub date: NaiveDate,
    /// The key that is written.
    pub key: String,
    /// The `ETag` of the object that it may replace.
    pub replaces: Option<String>,
    /// Whether it is today's own dump.
    pub live: bool,
    /// Bytes.
    pub size: u64,
    /// Of the whole file, in hex.
    pub sha256: String,
    /// How many parts it has.
    pub parts: u32,
    /// Who, and why.
    pub asked: Asked,
}

/// Why the parts are not all there. What was sent is gone again.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The ledger cannot be written.
    #[error("{0}")]
    Ledger(#[from] LedgerError),
    /// S3 did not take a part.
    #[error("{0}")]
    Platform(#[from] PlatformError),
    /// The file cannot be read, or changed meanwhile.
    #[error("{0}")]
    File(String),
    /// It was told to stop.
    #[error("interrupted; nothing was written")]
    Interrupted,
}

/// Sends every part that `part` reads, counted from 1; answers the upload's name. It is ready
/// to be written then. A failure or a shutdown removes what was sent.
///
/// # Errors
/// See [`SendError`].
pub async fn send_parts<P, R>(
    engine: &mut Engine,
    dataset: &DatasetSettings,
    sending: &Sending,
    part: P,
    shutdown: &CancellationToken,
) -> Result<String, SendError>
where
    P: Fn(u32) -> R + Send + Sync,
    R: Future<Output = Result<Bytes, String>> + Send,
{
    let id = format!("{}-upload-{}", dataset.name, uuid::Uuid::new_v4().simple());
    engine.ledger.record(intent(&id, dataset, sending)).await?;
    let sent = tokio::select! {
        sent = send(engine, &id, sending.parts, part) => sent,
        () = shutdown.cancelled() => Err(SendError::Interrupted),
    };
    let ready = match sent {
        Ok(etags) => {
            let ready = Event::UploadReady { upload: id.clone(), etags };
            engine.ledger.record(ready).await.map_err(SendError::from)
        }
        Err(error) => Err(error),
    };
    let Err(error) = ready else { return Ok(id) };
    if let Some(upload) = engine.ledger.state().upload(&id).cloned() {
        let outcome = match error {
            SendError::Interrupted => UploadOutcome::Cancelled,
            SendError::Ledger(_) | SendError::Platform(_) | SendError::File(_) => {
                UploadOutcome::Failed
            }
        };
        end_upload(engine, &upload, outcome, &error.to_string()).await?;
    }
    Err(error)
}

fn intent(id: &str, dataset: &DatasetSettings, sending: &Sending) -> Event {
    Event::UploadIntended {
        upload: id.to_owned(),
        dataset: dataset.name.clone(),
        date: sending.date,
        bucket: dataset.landing.bucket.clone(),
        key: sending.key.clone(),
        size: sending.size,
        sha256: sending.sha256.clone(),
        replaces: sending.replaces.clone(),
        live: sending.live,
        asked: sending.asked.clone(),
        process: Process::this(),
    }
}

async fn send<P, R>(
    engine: &mut Engine,
    id: &str,
    parts: u32,
    part: P,
) -> Result<Vec<String>, SendError>
where
    P: Fn(u32) -> R + Send + Sync,
    R: Future<Output = Result<Bytes, String>> + Send,
{
    let Some(Upload { bucket, key, .. }) = engine.ledger.state().upload(id).cloned() else {
        return Err(SendError::File(format!("upload {id} is not in the ledger")));
    };
    let platform = engine.world.platform.clone();
    let upload = platform.begin_upload(&bucket, &key, id).await?;
    let begun = Event::UploadBegun { upload: id.to_owned(), parts: upload.clone() };
    engine.ledger.record(begun).await?;
    let (platform, upload, part) = (&platform, &upload, &part);
    let one = |number| async move {
        let bytes = part(number).await.map_err(SendError::File)?;
        Ok::<String, SendError>(platform.upload_part(upload, number, bytes).await?)
    };
    stream::iter(1..=parts).map(one).buffered(PARTS_AT_ONCE).try_collect().await
}
