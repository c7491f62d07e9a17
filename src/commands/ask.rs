//! Requests: written to the ledger with who and why; the process that acts answers them.
//!
//! A request never stands above safety. So each one says at once what it comes to, as far as
//! that can be seen, and who is going to see it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::{NaiveDate, TimeDelta};
use gapmend::config::Mode;
use gapmend::daemon::{self, Errand, NoRecorder};
use gapmend::domain::Stage;
use gapmend::expose::Exit;
use gapmend::expose::cli::args::{AskedArgs, GlobalArgs, Output, PauseArgs, RetryArgs};
use gapmend::expose::cli::{Out, answer_text};
use gapmend::ledger::{Ledger, Request, Run, Upload, UploadOutcome};

use super::Outcome;
use super::failure::Failure;
use super::session::Session;

/// The ledger is read this often for the answer to a request.
const FOLLOW_EVERY: Duration = Duration::from_secs(1);
/// A scan that was asked for is through by then, or something is wrong with the daemon.
const SCAN_ANSWERED_WITHIN: Duration = Duration::from_mins(10);

/// `gapmend retry DATE`.
pub(super) async fn retry(global: &GlobalArgs, args: RetryArgs, out: &mut Out) -> Outcome {
    let session = Session::open(global).await?;
    session.refuse_future(args.date)?;
    let mut request = Asking::begin(&session, global).await?;
    let attempts = request.ledger.state().runs_of(&request.name, args.date).count();
    let words = match attempts {
        0 => format!("{} has no attempts to forgive; the next pass judges it anew", args.date),
        1 => format!("{}'s attempt is forgiven; the next pass judges it anew", args.date),
        _ => format!(
            "{}'s {attempts} attempts are forgiven; the next pass judges it anew",
            args.date
        ),
    };
    request.send(Request::Retry { date: args.date }, &args.asked).await?;
    let comes_to = request.comes_to(args.date).await;
    request.finish("retry", &words, comes_to.as_deref(), global, out)
}

/// `gapmend cancel`.
pub(super) async fn cancel(global: &GlobalArgs, args: AskedArgs, out: &mut Out) -> Outcome {
    let session = Session::open(global).await?;
    let mut request = Asking::begin(&session, global).await?;
    let name = request.name.clone();
    let run = request.ledger.state().active_run().filter(|run| run.dataset == name).cloned();
    let Some(run) = run else {
        if let Some(upload) = request.ledger.state().open_upload(&name) {
            return cancel_upload(&session, upload, &args, out).await;
        }
        return Err(Failure::refused(format!(
            "{name} has no run in progress; `gapmend pause --for 1d` keeps one from being started"
        )));
    };
    request.send(Request::Cancel, &args).await?;
    let words = format!("{} (stage {}) is asked to end", run.id, run.stage.label());
    request.finish("cancel", &words, Some(&what_goes_on(&run)), global, out)
}

/// What a cancelled run leaves behind, by its stage.
fn what_goes_on(run: &Run) -> String {
    let date = run.date;
    if run.stage <= Stage::Load {
        return format!(
            "Its task is stopped; {date} waits for the next slot, or `gapmend heal --date {date}`."
        );
    }
    if run.stage == Stage::Snapshot {
        return format!(
            "Careful: its load is over, and its snapshot and export go on in AWS by themselves. gapmend only stops following; {date} waits for the next slot and is then taken up where it is."
        );
    }
    format!(
        "Careful: its export has begun, so the export id of {date} is spent: the date cannot be begun from the top any more, only taken up where it is. What runs in AWS goes on by itself; gapmend only stops following, and {date} waits for the next slot."
    )
}

/// An upload whose object is not about to be made ends here and now; its hold ends by itself.
async fn cancel_upload(
    session: &Session,
    upload: &Upload,
    args: &AskedArgs,
    out: &mut Out,
) -> Outcome {
    if upload.writing_at.is_some() {
        return Err(Failure::refused(format!(
            "the upload of {} is being written; it ends by itself",
            upload.date
        )));
    }
    let by = session.identify().await?;
    let mut engine = session.engine("cancel", Errand::default(), Arc::new(NoRecorder)).await?;
    let why = args.reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    let detail = format!("cancelled by {by}{why}");
    daemon::end_upload(&mut engine, upload, UploadOutcome::Cancelled, &detail).await?;
    out.text(&format!("the upload of {} is cancelled, its parts are removed\n", upload.date))?;
    Ok(Exit::Done)
}

/// `gapmend pause --for LENGTH`.
pub(super) async fn pause(global: &GlobalArgs, args: PauseArgs, out: &mut Out) -> Outcome {
    let session = Session::open(global).await?;
    let mut request = Asking::begin(&session, global).await?;
    let length = TimeDelta::from_std(args.length).map_err(Failure::usage)?;
    let until = session.world.now() + length;
    request.send(Request::Pause { until }, &args.asked).await?;
    let words = format!(
        "nothing is started until {}; a run in progress goes on",
        until.format("%Y-%m-%d %H:%M UTC")
    );
    request.finish("pause", &words, None, global, out)
}

/// `gapmend resume`.
pub(super) async fn resume(global: &GlobalArgs, args: AskedArgs, out: &mut Out) -> Outcome {
    let session = Session::open(global).await?;
    let mut request = Asking::begin(&session, global).await?;
    request.send(Request::Resume, &args).await?;
    let words = "pause and stop are ended; the next pass goes on";
    request.finish("resume", words, None, global, out)
}

/// `gapmend scan --request`: the process that acts looks, and we wait for its answer.
pub(super) async fn scan(global: &GlobalArgs, args: &AskedArgs, out: &mut Out) -> Outcome {
    let session = Session::open(global).await?;
    let mut request = Asking::begin(&session, global).await?;
    if request.acting.is_none() {
        return Err(Failure::refused(
            "no process acts that could look; `gapmend scan` looks from here",
        ));
    }
    request.send(Request::Scan, args).await?;
    let answered = tokio::time::timeout(SCAN_ANSWERED_WITHIN, request.answered()).await;
    let comes_to = answered.map_err(|_| {
        Failure::other("the request was not answered in time; see `gapmend status`")
    })??;
    request.finish("scan", "the daemon was asked to look", Some(&comes_to), global, out)
}

/// A request on its way.
struct Asking<'a> {
    session: &'a Session,
    name: String,
    by: String,
    ledger: Ledger,
    /// Who is going to see it.
    acting: Option<String>,
    seq: u64,
}

impl<'a> Asking<'a> {
    async fn begin(session: &'a Session, global: &GlobalArgs) -> Result<Self, Failure> {
        let name = session.one_dataset(global)?;
        let by = session.identify().await?;
        let mut ledger = session.ledger("ask").await?;
        let acting = ledger.someone_else_acts().await?.map(|other| other.writer);
        Ok(Self { session, name, by, ledger, acting, seq: 0 })
    }

    async fn send(&mut self, request: Request, args: &AskedArgs) -> Result<(), Failure> {
        let asked = Session::asked(self.by.clone(), args);
        self.seq = self.ledger.append_request(&self.name, request, asked).await?;
        Ok(())
    }

    /// What the request changes for a date, and why not more. It stands in the ledger already,
    /// so that a look which fails is no failure.
    async fn comes_to(&self, date: NaiveDate) -> Option<String> {
        let errand = Errand { look_at: BTreeSet::from([date]), ..Errand::default() };
        let mut engine = self.session.looking_engine("ask", errand).await.ok()?;
        self.session.while_waiting("looking at the dates", engine.pass(&self.name)).await;
        let report = engine.reports().borrow().clone();
        let unseen = || format!("{date} could not be looked at now; see `gapmend explain {date}`");
        Some(answer_text(&self.name, date, &report).unwrap_or_else(unseen))
    }

    /// Waits until the request was dealt with.
    async fn answered(&mut self) -> Result<String, Failure> {
        loop {
            self.ledger.refresh().await?;
            let state = self.ledger.state().datasets.get(&self.name);
            let record = state.and_then(|it| it.requests.iter().find(|it| it.seq == self.seq));
            if let Some(answer) = record.and_then(|record| record.answer.clone()) {
                return Ok(format!("{answer}; see `gapmend status`"));
            }
            self.session.world.clock.sleep(FOLLOW_EVERY).await;
        }
    }

    fn finish(
        self,
        request: &str,
        words: &str,
        comes_to: Option<&str>,
        global: &GlobalArgs,
        out: &mut Out,
    ) -> Outcome {
        let who = match &self.acting {
            Some(writer) => format!("{writer} acts and will see it"),
            None => "no process acts: the next `gapmend run` or `heal` sees it".to_owned(),
        };
        let observed = self.session.settings.datasets[&self.name].mode == Mode::Observe;
        let observed = observed.then_some("mode is observe: nothing is started, whoever asks");
        match global.output {
            Output::Json => out.json(&serde_json::json!({
                "dataset": self.name, "request": request, "seq": self.seq, "by": self.by,
                "detail": words, "comes_to": comes_to, "acting": self.acting,
            }))?,
            Output::Table => {
                let mut text =
                    format!("{}: {words} (ledger entry {}; {who})\n", self.name, self.seq);
                for line in comes_to.into_iter().chain(observed) {
                    text += line;
                    text.push('\n');
                }
                out.text(&text)?;
            }
        }
        Ok(Exit::Done)
    }
}
