//! `gapmend check`: the configuration, the ledger, and a read-only preflight against AWS.

use gapmend::daemon::{self, Finding, Verdict};
use gapmend::expose::Exit;
use gapmend::expose::cli::args::{GlobalArgs, Output};
use gapmend::expose::cli::{Out, check_text};
use gapmend::expose::json;

use super::Outcome;
use super::session::Session;

/// Checks.
pub(super) async fn check(global: &GlobalArgs, out: &mut Out) -> Outcome {
    let session = Session::open(global).await?;
    let checking = daemon::check(&session.world, &session.settings, ledger(&session));
    let findings = session.while_waiting("checking", checking).await;
    match global.output {
        Output::Json => out.json(&json::check_json(&findings))?,
        Output::Table => {
            let text = check_text(&findings, out.paper());
            out.text(&text)?;
        }
    }
    Ok(if findings.iter().any(Finding::stops) { Exit::Failed } else { Exit::Done })
}

async fn ledger(session: &Session) -> Finding {
    let subject = format!("ledger {}", session.settings.ledger);
    let ledger = match session.ledger("check").await {
        Ok(ledger) => ledger,
        Err(failure) => {
            let detail = failure.to_string();
            return Finding { subject, verdict: Verdict::Wrong, detail, hint: None };
        }
    };
    let entries = ledger.state().seq;
    let trouble = match ledger.refusal() {
        Some(refusal) => Some(refusal.clone()),
        None => ledger.try_writing().await.err(),
    };
    match trouble {
        None if entries == 0 => {
            let detail = "empty, so whether it can be written shows with its first entry";
            Finding { subject, verdict: Verdict::Right, detail: detail.to_owned(), hint: None }
        }
        None => {
            let detail = format!("{entries} entries, and more can be written");
            Finding { subject, verdict: Verdict::Right, detail, hint: None }
        }
        Some(error) => Finding {
            subject,
            // Whoever checks may be somebody else than who runs it.
            verdict: if error.is_denied() { Verdict::Doubtful } else { Verdict::Wrong },
            detail: format!("{entries} entries: {}", error.in_words()),
            hint: Some(error.hint().to_owned()),
        },
    }
}
