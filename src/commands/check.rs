//! `gapmend check`: the configuration, the ledger, and a read-only preflight against AWS.

use gapmend::daemon::{self, Finding, Verdict};
use gapmend::expose::Exit;
use gapmend::expose::cli::args::{GlobalArgs, Output};
use gapmend::expose::cli::{Out, check_text};
use gapmend::expose::json;
use gapmend::ledger::Ledger;

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
    let (verdict, detail, hint) = match session.ledger("check").await {
        Ok(ledger) => writable(&ledger).await,
        Err(failure) => (Verdict::Wrong, failure.to_string(), None),
    };
    Finding { subject, verdict, detail, hint: hint.map(str::to_owned) }
}

async fn writable(ledger: &Ledger) -> (Verdict, String, Option<&'static str>) {
    let entries = ledger.state().seq;
    let trouble = match ledger.refusal() {
        Some(refusal) => Some(refusal.clone()),
        None => ledger.try_writing().await.err(),
    };
    let Some(error) = trouble else {
        let detail = match entries {
            0 => "empty, and it can be written".to_owned(),
            _ => format!("{entries} entries, and more can be written"),
        };
        return (Verdict::Right, detail, None);
    };
    // Whoever checks may be somebody else than who runs it.
    let verdict = if error.is_denied() { Verdict::Doubtful } else { Verdict::Wrong };
    (verdict, format!("{entries} entries: {}", error.in_words()), Some(error.hint()))
}
