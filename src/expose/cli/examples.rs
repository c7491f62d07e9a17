//! The examples under each command's help. A test parses every one of them.

/// Under `gapmend --help`.
pub(super) const EXAMPLES: &str = "\
Examples:
  gapmend check                            can everything be seen and done?
  gapmend scan                             what is missing, and why
  gapmend explain 2022-06-01               everything that is known of one date
  gapmend plan                             what would run next, and what waits for what
  gapmend heal --date 2022-06-01           ingest one date again, now, watching
  gapmend run                              the daemon: scans nightly, heals one date at a time
  gapmend demo                             all of it on this machine, without an account

Exit codes: 0 done, 1 failed or refused, 2 usage or configuration, 3 gaps (scan --exit-code).";

pub(super) const RUN_EXAMPLES: &str = "\
Examples:
  gapmend run                                        until SIGTERM or Ctrl-C
  gapmend --config /etc/gapmend/gapmend.toml run     as a service does
  gapmend run --log-format json                      for a log collector

SIGHUP, or a changed file, reads the configuration again; a bad one is refused and told.";

pub(super) const SCAN_EXAMPLES: &str = "\
Examples:
  gapmend scan                             the calendar, every gap, and what to do
  gapmend scan --calendar                  only the calendar
  gapmend scan --exit-code                 3 when there are gaps, for scripts
  gapmend scan --output json               every date with its evidence
  gapmend scan --request --reason \"the supplier sent last week\"   the daemon looks now";

pub(super) const PLAN_EXAMPLES: &str = "\
Examples:
  gapmend plan
  gapmend plan --output json --dataset liberator";

pub(super) const HEAL_EXAMPLES: &str = "\
Examples:
  gapmend heal --date 2022-06-01 --reason \"parking asked for it\" --ticket DP-123
  gapmend heal --date 2022-06-10..2022-06-20 --dry-run
  gapmend heal --max 2                     the queue's first two";

pub(super) const STATUS_EXAMPLES: &str = "\
Examples:
  gapmend status
  gapmend status --watch                   until Ctrl-C
  gapmend status --watch --every 30s
  gapmend status --output json";

pub(super) const HISTORY_EXAMPLES: &str = "\
Examples:
  gapmend history --limit 10
  gapmend history --date 2022-06-01                   stages, ids, log
  gapmend history --date 2022-06-01 --output json     for an auditor";

pub(super) const EXPLAIN_EXAMPLES: &str = "\
Examples:
  gapmend explain 2022-06-01
  gapmend explain 2022-06-01 --output json";

pub(super) const CHECK_EXAMPLES: &str = "\
Examples:
  gapmend check
  gapmend --config candidate.toml check    before a change goes live";

pub(super) const HEALTHCHECK_EXAMPLES: &str = "\
Examples:
  gapmend healthcheck                      0 when the loop turns, else 1";

pub(super) const UPLOAD_EXAMPLES: &str = "\
Examples:
  gapmend upload liberator_dump_20220601.zip --date 2022-06-01 --reason \"sent by mail\"
  gapmend upload tonight.zip --date 2026-11-10 --live   today's own dump: fires the live run";

pub(super) const RETRY_EXAMPLES: &str = "\
Examples:
  gapmend retry 2022-06-01 --reason \"the supplier sent it again\" --ticket DP-123";

pub(super) const CANCEL_EXAMPLES: &str = "\
Examples:
  gapmend cancel --reason \"the database is being moved\"";

pub(super) const PAUSE_EXAMPLES: &str = "\
Examples:
  gapmend pause --for 3d --reason \"year end\"
  gapmend pause --for 12h --dataset liberator";

pub(super) const RESUME_EXAMPLES: &str = "\
Examples:
  gapmend resume --reason \"the cluster has capacity again\"";

pub(super) const EXPORT_EXAMPLES: &str = "\
Examples:
  gapmend ledger export                    every entry as it stands, a line each
  gapmend ledger export --csv
  gapmend ledger export --csv --after 1200";

pub(super) const LEDGER_CHECK_EXAMPLES: &str = "\
Examples:
  gapmend ledger check
  gapmend --output json ledger check";

pub(super) const ACKNOWLEDGE_EXAMPLES: &str = "\
Examples:
  gapmend ledger acknowledge --entry 812 --reason \"disk failure, no backup\" --ticket OPS-41";

pub(super) const RETIRE_EXAMPLES: &str = "\
Examples:
  gapmend retire --reason \"replaced by the new platform\"
  gapmend retire --cancel --reason \"replaced by the new platform\"";

pub(super) const TRIGGER_EXAMPLES: &str = "\
Examples:
  gapmend trigger status
  gapmend trigger release";

pub(super) const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  gapmend completions bash
  gapmend completions zsh";

pub(super) const MAN_EXAMPLES: &str = "\
Examples:
  gapmend man";

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use crate::expose::cli::Cli;

    /// Splits as a shell does, as far as the examples need it.
    fn words(line: &str) -> Vec<String> {
        let mut words = Vec::new();
        for (index, part) in line.split('"').enumerate() {
            if index % 2 == 1 {
                words.push(part.to_owned());
            } else {
                words.extend(part.split_whitespace().map(str::to_owned));
            }
        }
        words
    }

    #[test]
    fn every_command_has_examples_and_each_of_them_parses() {
        fn of(command: &clap::Command, found: &mut Vec<String>) {
            let subs: Vec<_> =
                command.get_subcommands().filter(|sub| sub.get_name() != "help").collect();
            let exempt = ["config", "demo", "schema", "show", "reference", "upload"];
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let quiet = !subs.is_empty() || exempt.contains(&command.get_name());
            assert!(quiet || help.contains("Examples:"), "{} has no example", command.get_name());
            found.extend(
                help.lines().filter(|line| line.starts_with("  gapmend")).map(str::to_owned),
            );
            for sub in subs {
                of(sub, found);
            }
        }
        let mut lines = Vec::new();
        of(&Cli::command(), &mut lines);
        assert!(lines.len() > 30, "{}", lines.len());
        for line in lines {
            // What stands behind three blanks is a remark.
            let command = line.trim().split("   ").next().unwrap_or_default();
            let parsed = Cli::try_parse_from(words(command));
            assert!(parsed.is_ok(), "{command}: {}", parsed.unwrap_err());
        }
    }
}
