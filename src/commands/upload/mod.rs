//! `gapmend upload`: a missing dump is put into the landing bucket.
//!
//! ```text
//!   check the file ─► check the world ─► send the parts ─► (hold) write (settle) release
//!     no AWS            reads only         fires nothing     by whoever acts, see daemon/upload
//! ```
//!
//! Every step is in the ledger before and after it. What this never does: write the object
//! itself, unless it is today's own dump.

mod checks;
mod file;

use std::collections::BTreeSet;
use std::sync::Arc;

use gapmend::config::DatasetSettings;
use gapmend::daemon::{self, Engine, Errand, NoRecorder, Sending};
use gapmend::domain::Seen;
use gapmend::expose::cli::args::{GlobalArgs, Output, UploadArgs};
use gapmend::expose::cli::{Out, PartsProgress, upload_text};
use gapmend::expose::{Exit, json};
use gapmend::ledger::{Asked, Ledger, SweptDump, Upload, UploadOutcome};
use gapmend::observe;
use gapmend::plan::Rest;
use tokio::sync::Notify;

use self::checks::Target;
use self::file::LocalFile;
use super::Outcome;
use super::failure::Failure;
use super::session::Session;
use super::signals::Signals;

/// Uploads.
pub(super) async fn upload(global: &GlobalArgs, args: &UploadArgs, out: &mut Out) -> Outcome {
    let session = Session::open(global).await?;
    let name = session.one_dataset(global)?;
    let dataset = Arc::clone(&session.settings.datasets[&name]);
    session.refuse_future(args.date)?;
    checks::refuse_by_date(&session.world, &dataset, args)?;
    let signals = Signals::listen(&Arc::new(Notify::new()))?;
    let file = LocalFile::read(&args.file).await?;
    let by = session.identify().await?;
    let mut engine = engine(&session).await?;
    let swept_before = swept(&engine, &name);
    let again = taken_up(&mut engine, &dataset, &file, args, out).await?;
    let id = match again {
        Some(id) => id,
        None => {
            let target = look(&session, &engine, &dataset, &file, args, out).await?;
            let asked = Session::asked(by, &args.asked);
            send(&mut engine, &dataset, &file, args, target, asked, &signals).await?
        }
    };
    let upload = tokio::select! {
        upload = finish(&mut engine, &id, &dataset, args, &signals, out) => upload?,
        () = signals.at_once.cancelled() => {
            return Err(Failure::other(
                "ended at once; the next pass of a daemon ends what is held, and so does `gapmend trigger release`",
            ));
        }
    };
    let told = tell(&session, global, &dataset, &upload, out)?;
    let missed = tell_swept(&engine, &name, &swept_before, out)?;
    Ok(if missed { Exit::Failed } else { told })
}

/// Live dumps that landed in a hold, so far.
fn swept(engine: &Engine, name: &str) -> Vec<SweptDump> {
    let state = engine.ledger().state().datasets.get(name);
    state.map(|state| state.swept.clone()).unwrap_or_default()
}

/// Says what landed in the hold and fired nothing; answers whether its live run was not started.
fn tell_swept(
    engine: &Engine,
    name: &str,
    before: &[SweptDump],
    out: &mut Out,
) -> Result<bool, Failure> {
    let mut lost = false;
    for dump in swept(engine, name) {
        if before.iter().any(|known| known.key == dump.key && known.etag == dump.etag) {
            continue;
        }
        let landed = format!("the live dump {} landed while the rule was disabled", dump.key);
        let became = match &dump.task_arn {
            Some(task) => format!("its live run was started as task {task}"),
            None => {
                lost = true;
                "its live run was NOT started: start it by hand before midnight UTC, see the runbook GapmendLiveDumpMissed".to_owned()
            }
        };
        out.remark(&format!("{landed}; {became}"))?;
    }
    Ok(lost)
}

/// One that serves nothing but holds and uploads, and a run that is in progress already.
async fn engine(session: &Session) -> Result<Engine, Failure> {
    let errand = Errand { only: Some(BTreeSet::new()), serves_uploads: true, ..Errand::default() };
    session.engine("upload", errand, Arc::new(NoRecorder)).await
}

/// The same upload, if somebody began it and was interrupted after its parts were sent.
async fn taken_up(
    engine: &mut Engine,
    dataset: &DatasetSettings,
    file: &LocalFile,
    args: &UploadArgs,
    out: &mut Out,
) -> Result<Option<String>, Failure> {
    let state = engine.ledger().state();
    let is_same = |upload: &Upload| {
        upload.date == args.date && upload.sha256 == file.sha256 && upload.live == args.live
    };
    let Some(open) = state.open_upload(&dataset.name).cloned() else {
        let held = state.hold_of(&dataset.name).and_then(|hold| state.upload_of(hold));
        let is_written = |upload: &&Upload| {
            upload.end.as_ref().is_some_and(|end| end.outcome == UploadOutcome::Written)
        };
        let written = held.filter(|upload| is_same(upload)).filter(is_written);
        let Some(written) = written else { return Ok(None) };
        let id = written.id.clone();
        out.remark("the same upload was made before; its hold is seen to its end")?;
        return Ok(Some(id));
    };
    let same = is_same(&open);
    let gone = open.process.is_certainly_dead();
    if same && open.ready.is_some() && !open.live {
        out.remark("the same upload was begun before; it is taken up where it is")?;
        return Ok(Some(open.id));
    }
    if gone && open.ready.is_none() {
        let why = "whoever sent its parts is gone";
        daemon::end_upload(engine, &open, UploadOutcome::Cancelled, why).await?;
        return Ok(None);
    }
    Err(Failure::refused(format!(
        "an upload of {} is under way, begun {} by {}; one at a time",
        open.date,
        open.intended_at.format("%Y-%m-%d %H:%M UTC"),
        open.asked.by
    )))
}

/// The world as it is, before anything is sent.
async fn look(
    session: &Session,
    engine: &Engine,
    dataset: &DatasetSettings,
    file: &LocalFile,
    args: &UploadArgs,
    out: &mut Out,
) -> Result<Target, Failure> {
    let landing = match observe::landing(&session.world, dataset).await {
        Seen::Known(landing) => landing,
        Seen::Blind(causes) => return Err(Failure::other(Rest::Blind(causes))),
    };
    let target = checks::judge(dataset, &landing, file, args).await?;
    let state = engine.ledger().state();
    let mut watch = observe::watch(&session.world, dataset, state).await;
    if args.live {
        checks::refuse_live(state, &watch, dataset)?;
    } else {
        watch.trigger.clock_skew = Some(observe::clock_skew(&session.world).await);
        checks::refuse_hold(state, &watch, &landing, dataset, &session.world, out)?;
    }
    Ok(target)
}

/// Sends the parts; answers the upload's name.
async fn send(
    engine: &mut Engine,
    dataset: &DatasetSettings,
    file: &LocalFile,
    args: &UploadArgs,
    target: Target,
    asked: Asked,
    signals: &Signals,
) -> Result<String, Failure> {
    let sending = Sending {
        date: args.date,
        key: target.key,
        replaces: target.replaces,
        live: args.live,
        size: file.size,
        sha256: file.sha256.clone(),
        parts: file.parts(),
        asked,
    };
    let progress = &PartsProgress::standard(file.size);
    let part = |number| async move {
        let bytes = file.part(number).await?;
        progress.sent(bytes.len() as u64);
        Ok(bytes)
    };
    let sent = daemon::send_parts(engine, dataset, &sending, part, &signals.shutdown).await;
    progress.finish();
    Ok(sent?)
}

/// Sees the upload to its end.
async fn finish(
    engine: &mut Engine,
    id: &str,
    dataset: &DatasetSettings,
    args: &UploadArgs,
    signals: &Signals,
    out: &mut Out,
) -> Result<Upload, Failure> {
    if args.live {
        return write_live(engine, id, dataset).await;
    }
    let mut said = String::new();
    let mut unheard = Ok(());
    let upload = daemon::see_upload_through(
        engine,
        id,
        &mut |news| {
            if news.words != said {
                let until =
                    news.held_until.map(|at| at.format(" (held until %H:%M UTC at the latest)"));
                let until = until.map(|until| until.to_string()).unwrap_or_default();
                if let Err(error) = out.remark(&format!("{}{until}", news.words)) {
                    unheard = Err(error);
                }
                said = news.words;
            }
        },
        &signals.shutdown,
    )
    .await?;
    unheard?;
    Ok(upload)
}

async fn write_live(
    engine: &mut Engine,
    id: &str,
    dataset: &DatasetSettings,
) -> Result<Upload, Failure> {
    let upload = known(engine.ledger(), id)?;
    let Some(trigger) = &dataset.trigger else {
        return Err(Failure::refused("no trigger is configured: nothing would be fired"));
    };
    let rule = (trigger.rule.as_str(), trigger.event_bus.as_str());
    let (_, config) = engine.world_and_config();
    engine.actor(&config).write_live(&upload, rule).await??;
    known(engine.ledger(), id)
}

fn known(ledger: &Ledger, id: &str) -> Result<Upload, Failure> {
    let upload = ledger.state().upload(id).cloned();
    upload.ok_or_else(|| Failure::other(format!("upload {id} is not in the ledger")))
}

fn tell(
    session: &Session,
    global: &GlobalArgs,
    dataset: &DatasetSettings,
    upload: &Upload,
    out: &mut Out,
) -> Outcome {
    let today = session.world.today_utc();
    let (from, healable) = checks::healable_words(dataset, upload.date, today);
    let written = upload.end.as_ref().is_some_and(|end| end.outcome == UploadOutcome::Written);
    let fired = upload.hold.as_ref().is_some_and(|hold| !hold.fired.is_empty());
    match global.output {
        Output::Json => out.json(&json::upload_json(upload, from))?,
        Output::Table => out.text(&upload_text(upload, &healable))?,
    }
    Ok(if written && !fired { Exit::Done } else { Exit::Failed })
}
