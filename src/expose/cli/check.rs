//! What `check` prints: every finding, and what to do about the bad ones.

use super::style::Paper;
use super::table::{Sheet, cell, toned};
use crate::daemon::{Finding, Verdict};
use crate::expose::words::{Tone, plural};

/// Every finding and a last line that says whether gapmend can work.
#[must_use]
pub fn check_text(findings: &[Finding], paper: Paper) -> String {
    let mut sheet = Sheet::new(paper, &["", "what", "found"]);
    for finding in findings {
        let hint = finding.hint.as_ref().map_or_else(String::new, |hint| format!(" → {hint}"));
        sheet.row(vec![
            toned(tone(finding.verdict), finding.verdict.label()),
            cell(&finding.subject),
            cell(format!("{}{hint}", finding.detail)),
        ]);
    }
    sheet.firm(&[0]);
    let wrong = findings.iter().filter(|finding| finding.stops()).count();
    let last = match wrong {
        0 => "gapmend can work with this.".to_owned(),
        _ => format!("gapmend cannot work with this: {}.", plural(wrong as u64, "error")),
    };
    format!("{}\n{last}\n", sheet.text())
}

fn tone(verdict: Verdict) -> Tone {
    match verdict {
        Verdict::Right => Tone::Good,
        Verdict::Doubtful => Tone::Warn,
        Verdict::Wrong => Tone::Bad,
    }
}
