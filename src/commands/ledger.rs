//! `gapmend ledger`: every entry for an auditor or a spreadsheet, what is wrong with them, and the
//! end of what cannot be put right.

use gapmend::expose::Exit;
use gapmend::expose::cli::args::{AcknowledgeArgs, ExportArgs, GlobalArgs, Output};
use gapmend::expose::cli::{Out, csv_header, csv_lines, ledger_check_text};
use gapmend::expose::json;

use super::Outcome;
use super::failure::Failure;
use super::session::Session;

/// Prints the entries as they are read, so that a long ledger needs no memory.
pub(super) async fn export(global: &GlobalArgs, args: &ExportArgs, out: &mut Out) -> Outcome {
    let session = Session::open(global).await?;
    let ledger = session.ledger("export").await?;
    if args.csv {
        out.bytes(csv_header().as_bytes())?;
    }
    let mut printed = Ok(());
    let mut each = |entry: &gapmend::ledger::Entry| {
        let lines = if args.csv {
            csv_lines(entry)
        } else {
            serde_json::to_string(entry).map_err(std::io::Error::other)? + "\n"
        };
        printed = out.bytes(lines.as_bytes());
        printed.as_ref().map_or_else(|error| Err(error.kind().into()), |()| Ok(()))
    };
    ledger.entries(args.after, &mut each).await?;
    printed.map_err(Failure::other)?;
    Ok(Exit::Done)
}

/// Names all that is wrong with the entries.
pub(super) async fn check(global: &GlobalArgs, out: &mut Out) -> Outcome {
    let session = Session::open(global).await?;
    let ledger = session.ledger_as_it_is("check").await?;
    let check = session.while_waiting("reading the ledger", ledger.check()).await?;
    match global.output {
        Output::Json => out.json(&json::ledger_check_json(&check))?,
        Output::Table => out.text(&ledger_check_text(&check))?,
    }
    Ok(if check.faults.is_empty() { Exit::Done } else { Exit::Failed })
}

/// Gives up what is lost.
pub(super) async fn acknowledge(
    global: &GlobalArgs,
    args: &AcknowledgeArgs,
    out: &mut Out,
) -> Outcome {
    let session = Session::open(global).await?;
    let by = session.identify().await?;
    let mut ledger = session.ledger_as_it_is("acknowledge").await?;
    let check = session.while_waiting("reading the ledger", ledger.check()).await?;
    if let Some(fault) = check.no_loss() {
        return Err(Failure::refused(format!(
            "entry {} is no loss: {}; nothing was written",
            fault.entries, fault.what
        )));
    }
    let losses = check.losses();
    let Some(first) = losses.first() else {
        return Err(Failure::refused("no entry is lost; nothing was written"));
    };
    if first.from != args.entry {
        return Err(Failure::refused(format!(
            "the first lost entry is {}, not {}: see `gapmend ledger check`; nothing was written",
            first.from, args.entry
        )));
    }
    let seq = ledger.acknowledge(&check, Session::asked(by.clone(), &args.asked)).await?;
    let lost: Vec<String> = losses.iter().map(ToString::to_string).collect();
    let words = format!(
        "Entry {seq} says that these entries are lost: {}. The run in progress is given up; a date that is a gap now is quarantined until `gapmend retry DATE`.",
        lost.join(", ")
    );
    match global.output {
        Output::Json => {
            let lost = losses.iter().map(|span| serde_json::json!([span.from, span.to]));
            out.json(&serde_json::json!({
                "seq": seq, "lost": lost.collect::<Vec<_>>(), "by": by, "detail": words,
            }))?;
        }
        Output::Table => out.text(&words)?,
    }
    Ok(Exit::Done)
}
