//! What `ledger check` prints: all that is wrong, and how it ends.

use crate::ledger::LedgerCheck;

/// Every fault, what the sound entries leave open, and what to do.
#[must_use]
pub fn ledger_check_text(check: &LedgerCheck) -> String {
    let mut lines =
        vec![format!("{}: {} entries, the last is {}", check.place, check.entries, check.last)];
    if check.faults.is_empty() {
        let given_up: Vec<String> = check.given_up.iter().map(ToString::to_string).collect();
        lines.push(if given_up.is_empty() {
            "Every entry is there and fits.".to_owned()
        } else {
            let given_up = given_up.join(", ");
            format!("Every entry fits, but for those that were given up: {given_up}.")
        });
        return lines.join("\n") + "\n";
    }
    for fault in &check.faults {
        lines.push(format!("  entry {}: {}", fault.entries, fault.what));
    }
    if !check.open.is_empty() {
        lines.push(format!("The sound entries leave open: {}.", check.open.join(", ")));
    }
    lines.push(String::new());
    lines.extend(what_to_do(check));
    lines.join("\n") + "\n"
}

fn what_to_do(check: &LedgerCheck) -> Vec<String> {
    let mut lines = vec![
        "Nothing is started until this is put right; what gapmend holds is still released.".to_owned(),
        "1. Restore these files from a backup, a snapshot or the bucket's versions, unchanged, and check again.".to_owned(),
    ];
    match (check.no_loss(), check.losses().first()) {
        (Some(fault), _) => lines.push(format!(
            "2. Entry {} is no loss: give gapmend the right to read it, or upgrade gapmend. If it is damaged, move its file away, and check again.",
            fault.entries
        )),
        (None, Some(first)) => lines.extend([
            "2. Where there is no backup: see in AWS what runs (ECS, RDS snapshots and exports, Glue, the rule), then give the entries up:".to_owned(),
            format!("     gapmend ledger acknowledge --entry {} --reason \"…\"", first.from),
            "   The run in progress is given up, and every date that is a gap by then waits for `gapmend retry DATE`.".to_owned(),
        ]),
        (None, None) => {}
    }
    lines
}
