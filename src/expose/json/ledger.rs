//! The document of `ledger check`.

use serde::Serialize;

use crate::ledger::LedgerCheck;

/// What `ledger check` found.
#[derive(Debug, Serialize)]
pub struct LedgerCheckJson {
    place: String,
    sound: bool,
    entries: u64,
    last: u64,
    faults: Vec<FaultJson>,
    given_up: Vec<[u64; 2]>,
    open: Vec<String>,
}

#[derive(Debug, Serialize)]
struct FaultJson {
    from: u64,
    to: u64,
    fault: &'static str,
    detail: String,
    loss: bool,
}

/// The document.
#[must_use]
pub fn ledger_check_json(check: &LedgerCheck) -> LedgerCheckJson {
    LedgerCheckJson {
        place: check.place.clone(),
        sound: check.faults.is_empty(),
        entries: check.entries,
        last: check.last,
        faults: check
            .faults
            .iter()
            .map(|fault| FaultJson {
                from: fault.entries.from,
                to: fault.entries.to,
                fault: fault.what.label(),
                detail: fault.what.to_string(),
                loss: fault.what.is_loss(),
            })
            .collect(),
        given_up: check.given_up.iter().map(|span| [span.from, span.to]).collect(),
        open: check.open.clone(),
    }
}
