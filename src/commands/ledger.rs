//! `gapmend ledger export`: every entry, for an auditor or a spreadsheet.

use gapmend::expose::Exit;
use gapmend::expose::cli::args::{ExportArgs, GlobalArgs};
use gapmend::expose::cli::{Out, csv_header, csv_lines};

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
