//! `gapmend trigger release`: the rule comes back, if gapmend had disabled it.

use gapmend::daemon::{self, Released};
use gapmend::expose::Exit;
use gapmend::expose::cli::Out;
use gapmend::expose::cli::args::{GlobalArgs, Output};

use super::Outcome;
use super::failure::Failure;
use super::session::Session;

/// Releases.
pub(super) async fn release(global: &GlobalArgs, out: &mut Out) -> Outcome {
    let session = Session::open(global).await?;
    let name = session.one_dataset(global)?;
    session.identify().await?;
    let dataset = &session.settings.datasets[&name];
    let Some(trigger) = &dataset.trigger else {
        return Err(Failure::refused(format!("{name} has no trigger")));
    };
    let mut ledger = match session.ledger("trigger").await {
        Ok(ledger) => Some(ledger),
        Err(failure) => {
            // The switch alone can prove the hold ours.
            out.remark(&format!("the ledger cannot be read, its word is missing: {failure}"))?;
            None
        }
    };
    let released = daemon::release(&session.world, ledger.as_mut(), dataset).await?;
    let rule = &trigger.rule;
    let words = match &released {
        Released::NotDisabled => format!("rule {rule} is not disabled: nothing to release"),
        Released::Enabled { proof, left } => {
            if let Some(left) = left {
                out.remark(&format!("{left}; the next pass sees to it"))?;
            }
            format!("rule {rule} is enabled; gapmend had disabled it ({proof})")
        }
        Released::NotSeenEnabled => {
            return Err(Failure::other(format!(
                "rule {rule} was enabled, but is still seen disabled; ask again in a minute"
            )));
        }
        Released::NotOurs => {
            return Err(Failure::refused(format!(
                "rule {rule} is disabled, and nothing says that gapmend did it: neither the ledger nor a dead man's switch; whoever disabled it should enable it"
            )));
        }
    };
    if let Some(upload) = ledger.as_ref().and_then(|it| it.state().open_upload(&name)) {
        out.remark(&format!(
            "an upload of {} is still open (begun {} by {}): the same `gapmend upload` takes it up, a daemon's next pass goes on with it, `gapmend cancel` ends it",
            upload.date,
            upload.intended_at.format("%Y-%m-%d %H:%M UTC"),
            upload.asked.by
        ))?;
    }
    match global.output {
        Output::Json => {
            let changed = matches!(released, Released::Enabled { .. });
            out.json(&serde_json::json!({
                "dataset": name, "rule": rule, "released": changed, "detail": words,
            }))?;
        }
        Output::Table => out.text(&format!("{words}\n"))?,
    }
    Ok(Exit::Done)
}
