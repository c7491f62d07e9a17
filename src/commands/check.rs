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
    match session.ledger("check").await {
        Ok(ledger) => match ledger.refusal() {
            None => {
                let detail = format!("{} entries", ledger.state().seq);
                Finding { subject, verdict: Verdict::Right, detail, hint: None }
            }
            Some(error) => Finding {
                subject,
                verdict: Verdict::Wrong,
                detail: error.in_words(),
                hint: Some(error.hint().to_owned()),
            },
        },
        Err(failure) => {
            Finding { subject, verdict: Verdict::Wrong, detail: failure.to_string(), hint: None }
        }
    }
}
