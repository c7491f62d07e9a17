//! The command line: every command, its options and its help.
//!
//! Nothing is done here; `main` composes what a command needs and calls it.

use std::io::Write;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use chrono::{Datelike, NaiveDate};
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use super::examples as shown;
use crate::domain::DateSpan;
use crate::domain::partition_date::{DateSpanError, YEARS};
use crate::expose::metrics::REVISION;
use crate::expose::telemetry::LogFormat;

/// What `-V` prints: the release, and the revision that it was built from.
fn version() -> &'static str {
    static VERSION: OnceLock<String> = OnceLock::new();
    VERSION.get_or_init(|| format!("{} ({REVISION})", env!("CARGO_PKG_VERSION")))
}

/// Where the configuration is looked for without `--config`.
const CONFIG_PATHS: [&str; 2] = ["gapmend.toml", "/etc/gapmend/gapmend.toml"];

/// The longest pause: longer ones are a change of mode.
const PAUSE_LIMIT: Duration = Duration::from_hours(92 * 24);

/// The shortest time between two looks of `status --watch`.
const WATCH_AT_LEAST: Duration = Duration::from_secs(1);

/// The longest range of `heal --date`: a run takes hours, so a year of them is a slip.
const RANGE_LIMIT_DAYS: i64 = 366;

/// Finds the dates missing from a data lake's raw zone and ingests them again,
/// unattended, one at a time, without ever disturbing the live ingestion.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "gapmend",
    version = version(),
    after_help = shown::EXAMPLES,
    propagate_version = true,
    arg_required_else_help = true
)]
pub struct Cli {
    /// The options that every command takes.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// What to log: what was asked for, else what the command is worth. A daemon tells its
    /// story; a command's story is its result.
    #[must_use]
    pub fn log_filter(&self) -> &str {
        match (&self.global.log, &self.command) {
            (Some(filter), _) => filter,
            (None, Command::Run) => "warn,gapmend=info",
            // Its progress tells what its passes come to.
            (None, Command::Heal(_)) => {
                "warn,aws_config=error,gapmend::daemon::engine=error,gapmend::daemon::engine::tending=warn"
            }
            // Credentials that are not there are told once, in the error.
            (None, _) => "warn,aws_config=error",
        }
    }
}

/// The options that every command takes.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArgs {
    /// The configuration file [default: ./gapmend.toml, else /etc/gapmend/gapmend.toml]
    #[arg(long, global = true, value_name = "FILE", env = "GAPMEND_CONFIG_FILE")]
    pub config: Option<PathBuf>,
    /// Tables for people, or JSON for programs
    #[arg(long, global = true, value_name = "FORMAT", default_value = "table")]
    pub output: Output,
    /// Only this dataset; some commands require it when there are several
    #[arg(long, global = true, value_name = "NAME")]
    pub dataset: Option<String>,
    /// What to log, to stderr: a level, or `target=level,…` [default: info for run, else warn]
    #[arg(long, global = true, value_name = "FILTER", env = "GAPMEND_LOG", hide_env_values = true)]
    pub log: Option<String>,
    /// How to log: text on a terminal and JSON otherwise, or always one of them; emf adds CloudWatch metrics
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        default_value = "auto",
        env = "GAPMEND_LOG_FORMAT"
    )]
    pub log_format: LogFormat,
}

impl GlobalArgs {
    /// The configuration's path: the one given, else the first default that exists, else the
    /// first default, so that the error names it.
    #[must_use]
    pub fn config_path(&self) -> PathBuf {
        self.config.clone().unwrap_or_else(|| {
            let found = CONFIG_PATHS.into_iter().map(Path::new).find(|path| path.exists());
            found.unwrap_or(Path::new(CONFIG_PATHS[0])).to_owned()
        })
    }
}

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    Table,
    /// For programs: one document on stdout.
    Json,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Runs the daemon: scans on schedule and heals the allowed dates, one at a time
    ///
    /// The first start scans at once, and a missed slot is caught up. SIGTERM or Ctrl-C ends the
    /// daemon; the next start continues the run in progress.
    #[command(after_help = shown::RUN_EXAMPLES)]
    Run,
    /// Read-only scan: every date's status, and the gaps
    #[command(after_help = shown::SCAN_EXAMPLES)]
    Scan(ScanArgs),
    /// Read-only plan: what would run next, in order, and what blocks each other date
    #[command(after_help = shown::PLAN_EXAMPLES)]
    Plan,
    /// Heals in the foreground until the queue is done, with progress
    ///
    /// Waits for backoff and for live runs. Ends on a pause, outside the permitted hours, or when
    /// an operator has disabled the trigger rule. If a daemon is the leader, queues the request
    /// with it and follows its progress. Exit code 1 if a run failed or the queue is unfinished.
    #[command(after_help = shown::HEAL_EXAMPLES)]
    Heal(HealArgs),
    /// Shows the trigger, the run in progress, the queue and recent activity
    #[command(after_help = shown::STATUS_EXAMPLES)]
    Status(StatusArgs),
    /// Lists past attempts, with every AWS id, who asked and why
    #[command(after_help = shown::HISTORY_EXAMPLES)]
    History(HistoryArgs),
    /// Shows the evidence for one date, why it is queued or not, and what to do
    #[command(after_help = shown::EXPLAIN_EXAMPLES)]
    Explain(ExplainArgs),
    /// Checks the configuration and, read-only, everything that it names in AWS
    #[command(after_help = shown::CHECK_EXAMPLES)]
    Check,
    /// Asks the local daemon whether its loop is alive; for container health checks
    #[command(after_help = shown::HEALTHCHECK_EXAMPLES)]
    Healthcheck,
    /// Runs everything locally against an embedded AWS: no account, no network
    Demo(DemoArgs),
    /// Prints the configuration in use, or its schema
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Uploads a missing dump into the landing bucket, with the trigger rule disabled meanwhile
    ///
    /// Checks the file and uploads its parts. Then arms a dead man's switch, disables the rule,
    /// completes the upload, waits for its event to settle, and enables the rule again. After a
    /// kill at any moment the leader's next pass continues; `trigger release` ends a hold by hand.
    #[command(after_help = shown::UPLOAD_EXAMPLES)]
    Upload(UploadArgs),
    /// Resets a date's attempt counter and ends its quarantine
    ///
    /// The answer says what that changes: `deny`, the mode and the safety rules still apply.
    #[command(after_help = shown::RETRY_EXAMPLES)]
    Retry(RetryArgs),
    /// Cancels the run in progress, or an upload; the date waits for the next slot
    ///
    /// While the load runs, gapmend stops its task. Later stages go on in AWS by themselves: once
    /// the export has begun, the date can no longer be loaded from the start. Without a run in
    /// progress, an upload that is not yet being completed is cancelled.
    #[command(after_help = shown::CANCEL_EXAMPLES)]
    Cancel(AskedArgs),
    /// Starts no run for a while; a run in progress goes on
    #[command(after_help = shown::PAUSE_EXAMPLES)]
    Pause(PauseArgs),
    /// Ends a pause, or a stop after too many failures
    #[command(after_help = shown::RESUME_EXAMPLES)]
    Resume(AskedArgs),
    /// Reads the ledger, the record of everything that gapmend decided and did
    #[command(subcommand)]
    Ledger(LedgerCommand),
    /// Retires gapmend: pauses, ends the run, releases the trigger, lists what remains
    ///
    /// Finishes the run in progress first, or cancels it with --cancel. Then releases the trigger
    /// if gapmend holds it, deletes its dead man's switch, and lists what remains in AWS and on
    /// disk. Deletes nothing else.
    #[command(after_help = shown::RETIRE_EXAMPLES)]
    Retire(RetireArgs),
    /// Shows or releases the event rule that fires the live run
    #[command(subcommand)]
    Trigger(TriggerCommand),
    /// Prints completions for a shell
    #[command(after_help = shown::COMPLETIONS_EXAMPLES)]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Prints the manual page
    #[command(after_help = shown::MAN_EXAMPLES)]
    Man,
}

/// `gapmend scan`.
#[derive(Clone, Debug, Args)]
pub struct ScanArgs {
    /// Exit with 3 when there are gaps
    #[arg(long)]
    pub exit_code: bool,
    /// Print only the calendar
    #[arg(long, conflicts_with = "request")]
    pub calendar: bool,
    /// Ask the daemon to scan now, instead of scanning here
    #[arg(long, conflicts_with = "exit_code")]
    pub request: bool,
    /// Who asked, and why.
    #[command(flatten)]
    pub asked: AskedArgs,
}

/// `gapmend status`.
#[derive(Clone, Debug, Args)]
pub struct StatusArgs {
    /// Refresh until Ctrl-C
    #[arg(long)]
    pub watch: bool,
    /// With --watch: the time between two refreshes
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = every)]
    pub every: Duration,
}

/// `gapmend heal`.
#[derive(Clone, Debug, Args)]
pub struct HealArgs {
    /// Only this date, or range like 2022-06-10..2022-06-20; may be given again
    ///
    /// A date asked for by name bypasses the allowlist (the ledger records that), but never the
    /// safety rules, `deny` or mode `observe`.
    #[arg(long = "date", value_name = "DATE", value_parser = days)]
    pub dates: Vec<DateSpan>,
    /// Maximum number of runs
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max: Option<u32>,
    /// Print what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Take over from the active daemon, which becomes the standby
    #[arg(long)]
    pub take_over: bool,
    /// Who asked, and why.
    #[command(flatten)]
    pub asked: AskedArgs,
}

impl HealArgs {
    /// Every date that was named, once, oldest first.
    #[must_use]
    pub fn named_dates(&self) -> Vec<NaiveDate> {
        let dates: std::collections::BTreeSet<_> =
            self.dates.iter().flat_map(|span| span.days()).collect();
        dates.into_iter().collect()
    }
}

/// `gapmend upload`.
#[derive(Clone, Debug, Args)]
pub struct UploadArgs {
    /// The dump: a zip with exactly one .sql
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The date that it belongs to
    #[arg(long, value_name = "DATE", value_parser = day)]
    pub date: NaiveDate,
    /// Today's own dump: no hold, because it must fire the live run
    #[arg(long)]
    pub live: bool,
    /// Overwrite the existing dump
    #[arg(long)]
    pub replace: bool,
    /// Accept any size, against `min_size` and the neighbouring dates
    #[arg(long)]
    pub force_size: bool,
    /// Who asked, and why.
    #[command(flatten)]
    pub asked: AskedArgs,
}

/// `gapmend history`.
#[derive(Clone, Debug, Args)]
pub struct HistoryArgs {
    /// Only the attempts at this date, with their stages
    #[arg(long, value_name = "DATE", value_parser = day)]
    pub date: Option<NaiveDate>,
    /// Maximum number of attempts, newest first
    #[arg(long, value_name = "N", default_value = "30")]
    pub limit: NonZeroUsize,
}

/// `gapmend explain`.
#[derive(Clone, Debug, Args)]
pub struct ExplainArgs {
    /// The date
    #[arg(value_parser = day)]
    pub date: NaiveDate,
}

/// `gapmend demo`.
#[derive(Clone, Debug, Args)]
pub struct DemoArgs {
    /// Heal once and end, instead of running until Ctrl-C
    #[arg(long)]
    pub once: bool,
    /// Where the daemon serves its page and metrics [default: a free port on this machine]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<std::net::SocketAddr>,
}

/// `gapmend config`.
#[derive(Clone, Debug, Subcommand)]
pub enum ConfigCommand {
    /// The JSON schema of the configuration, for editors
    Schema,
    /// Every key of the configuration with its default and its meaning, as Markdown
    Reference,
    /// The configuration as it is in use, defaults and overrides included
    Show,
}

/// `gapmend retry`.
#[derive(Clone, Debug, Args)]
pub struct RetryArgs {
    /// The date
    #[arg(value_parser = day)]
    pub date: NaiveDate,
    /// Who asked, and why.
    #[command(flatten)]
    pub asked: AskedArgs,
}

/// `gapmend pause`.
#[derive(Clone, Debug, Args)]
pub struct PauseArgs {
    /// For how long, e.g. 3d or 12h
    #[arg(long = "for", value_name = "DURATION", value_parser = pause)]
    pub length: Duration,
    /// Who asked, and why.
    #[command(flatten)]
    pub asked: AskedArgs,
}

/// `gapmend ledger`.
#[derive(Clone, Debug, Subcommand)]
pub enum LedgerCommand {
    /// Prints every entry, oldest first: JSON lines, or CSV with a line for each event
    #[command(after_help = shown::EXPORT_EXAMPLES)]
    Export(ExportArgs),
    /// Reads every entry and names all that are missing, damaged or make no sense; exit 1 if any
    #[command(after_help = shown::LEDGER_CHECK_EXAMPLES)]
    Check,
    /// Gives up the entries that `ledger check` found lost
    ///
    /// Appends one entry that says so, and deletes nothing. Afterwards gapmend reads the ledger
    /// without them. The run in progress is given up, and no date that is a gap now is run again
    /// before somebody names it with `gapmend retry DATE`: a run of it may be among what is lost.
    #[command(after_help = shown::ACKNOWLEDGE_EXAMPLES)]
    Acknowledge(AcknowledgeArgs),
}

/// `gapmend ledger acknowledge`.
#[derive(Clone, Debug, Args)]
pub struct AcknowledgeArgs {
    /// Number of the first lost entry, as `ledger check` prints it
    #[arg(long, value_name = "NUMBER")]
    pub entry: u64,
    /// Who asked, and why.
    #[command(flatten)]
    pub asked: AskedArgs,
}

/// `gapmend ledger export`.
#[derive(Clone, Debug, Args)]
pub struct ExportArgs {
    /// A line for each event, for spreadsheets
    #[arg(long)]
    pub csv: bool,
    /// Only entries after this one
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub after: u64,
}

/// `gapmend retire`.
#[derive(Clone, Debug, Args)]
pub struct RetireArgs {
    /// Cancel the run in progress instead of finishing it
    #[arg(long)]
    pub cancel: bool,
    /// Who asked, and why.
    #[command(flatten)]
    pub asked: AskedArgs,
}

/// `gapmend trigger`.
#[derive(Clone, Debug, Subcommand)]
pub enum TriggerCommand {
    /// Shows the rule's state, since when, and who caused it
    #[command(after_help = shown::TRIGGER_EXAMPLES)]
    Status,
    /// Enables the rule again if gapmend disabled it
    ///
    /// The ledger's open hold, or gapmend's dead man's switch, proves who disabled it. A rule that
    /// an operator disabled is left alone.
    #[command(after_help = shown::TRIGGER_EXAMPLES)]
    Release,
}

/// Why something is asked for; written to the ledger.
#[derive(Clone, Debug, Default, Args)]
pub struct AskedArgs {
    /// Reason to record
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Ticket ID to record
    #[arg(long, value_name = "ID")]
    pub ticket: Option<String>,
}

/// Writes the completions of a shell.
pub fn completions(shell: Shell, to: &mut dyn Write) {
    clap_complete::generate(shell, &mut Cli::command(), "gapmend", &mut { to });
}

/// Writes the manual page, commands included.
///
/// # Errors
/// The writer failed.
pub fn manual(to: &mut dyn Write) -> std::io::Result<()> {
    let mut command = Cli::command();
    command.build();
    clap_mangen::Man::new(command.clone()).render(to)?;
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        // The global options stand at the top, once.
        let sub = sub.clone().mut_args(|argument| {
            let global = argument.is_global_set();
            argument.hide(global)
        });
        let man = clap_mangen::Man::new(sub.clone());
        writeln!(to, ".SH \"GAPMEND {}\"", sub.get_name().to_uppercase())?;
        man.render_description_section(to)?;
        man.render_options_section(to)?;
    }
    Ok(())
}

/// Exactly an ISO date: `2022-6-1` is refused as a probable slip.
fn day(text: &str) -> Result<NaiveDate, String> {
    match text.parse::<DateSpan>() {
        Ok(span) if span.from == span.to && !text.contains("..") => {
            refuse_slips(span)?;
            Ok(span.from)
        }
        Ok(_) | Err(_) => Err(format!("`{text}` is not a date like 2022-06-01")),
    }
}

/// A year that nobody can mean would stand in the ledger, and in every report, for ever.
fn refuse_slips(span: DateSpan) -> Result<(), String> {
    let (first, last) = (YEARS.start(), YEARS.end());
    if YEARS.contains(&span.from.year()) && YEARS.contains(&span.to.year()) {
        return Ok(());
    }
    Err(format!("`{span}` is outside the years {first} to {last}"))
}

/// A date or a range, of a length that a person can mean.
fn days(text: &str) -> Result<DateSpan, String> {
    let span: DateSpan = text.parse().map_err(|error: DateSpanError| error.to_string())?;
    refuse_slips(span)?;
    if span.len_days() > RANGE_LIMIT_DAYS {
        return Err(format!(
            "`{text}` has {} days, the most is {RANGE_LIMIT_DAYS}",
            span.len_days()
        ));
    }
    Ok(span)
}

fn every(text: &str) -> Result<Duration, String> {
    let length = humantime::parse_duration(text)
        .map_err(|error| format!("{error}; write it like 5s or 1m"))?;
    if length < WATCH_AT_LEAST {
        return Err("a look asks AWS; once a second is the most".to_owned());
    }
    Ok(length)
}

fn pause(text: &str) -> Result<Duration, String> {
    let length = humantime::parse_duration(text)
        .map_err(|error| format!("{error}; write it like 3d or 12h"))?;
    if length.is_zero() || length > PAUSE_LIMIT {
        return Err(
            "a pause lasts between a second and 92 days; for longer, set mode observe".to_owned()
        );
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_options_stand_on_either_side_of_the_command() {
        for line in ["gapmend --output json scan", "gapmend scan --output json"] {
            assert_eq!(parse(line).unwrap().global.output, Output::Json);
        }
    }

    #[test]
    fn dates_are_iso_and_ranges_are_spread() {
        let cli = parse("gapmend heal --date 2022-06-10..2022-06-12 --date 2022-06-11").unwrap();
        let Command::Heal(heal) = cli.command else { panic!("not heal") };
        let dates: Vec<String> = heal.named_dates().iter().map(ToString::to_string).collect();
        assert_eq!(dates, ["2022-06-10", "2022-06-11", "2022-06-12"]);
        assert!(parse("gapmend heal --date 2022-06-10..2032-06-12").is_err());
        for line in [
            "gapmend explain 2022-6-1",
            "gapmend explain 2022-06-01..2022-06-01",
            "gapmend retry yesterday",
        ] {
            let error = parse(line).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains("is not a date like 2022-06-01"), "{error}");
        }
    }

    #[test]
    fn a_daemon_logs_its_story_and_a_command_only_warnings() {
        assert_eq!(parse("gapmend run").unwrap().log_filter(), "warn,gapmend=info");
        assert_eq!(parse("gapmend scan").unwrap().log_filter(), "warn,aws_config=error");
        assert_eq!(parse("gapmend scan --log debug").unwrap().log_filter(), "debug");
    }

    #[test]
    fn a_pause_has_a_length_within_reason() {
        assert!(parse("gapmend pause --for 3d").is_ok());
        for line in ["gapmend pause", "gapmend pause --for 0s", "gapmend pause --for 1y"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn the_manual_and_the_completions_name_every_command() {
        let (mut manual_page, mut script) = (Vec::new(), Vec::new());
        manual(&mut manual_page).unwrap();
        completions(Shell::Bash, &mut script);
        let (manual_page, script) =
            (String::from_utf8(manual_page).unwrap(), String::from_utf8(script).unwrap());
        for command in Cli::command().get_subcommands() {
            let name = command.get_name();
            assert!(script.contains(name), "{name}");
            assert!(manual_page.contains(&name.to_uppercase()), "{name}");
        }
    }

    #[test]
    fn every_option_has_help() {
        for command in Cli::command().get_subcommands() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            for argument in command.get_arguments() {
                assert!(
                    argument.get_help().is_some(),
                    "{} {}",
                    command.get_name(),
                    argument.get_id()
                );
            }
        }
    }
}
