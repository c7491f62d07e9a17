//! The log: text on a terminal, JSON lines otherwise; always to stderr, for stdout is for results.

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

/// How lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// Text.
    Text,
    /// One JSON object a line.
    Json,
    /// JSON, and once a minute metrics for CloudWatch in its embedded metric format; `run` only.
    Emf,
}

/// Why the log cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is malformed.
    #[error("understand the log filter `{filter}`; write a level like info, or target=level,…")]
    Filter {
        /// As it was given.
        filter: String,
        /// Where it is malformed.
        source: tracing_subscriber::filter::ParseError,
    },
    /// There is a log already.
    #[error("set up the log a second time")]
    Twice(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Sets up the log of this process, once.
///
/// # Errors
/// The filter is malformed, or there is a log already.
pub fn init(filter: &str, format: LogFormat) -> Result<(), TelemetryError> {
    let terminal = std::io::stderr().is_terminal();
    let log = tracing_subscriber::fmt()
        .with_env_filter(parse(filter)?)
        .with_writer(std::io::stderr)
        .with_span_events(FmtSpan::NONE)
        .with_ansi(terminal);
    let done = if is_json(format, terminal) {
        log.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init()
    } else {
        log.with_target(false).try_init()
    };
    done.map_err(TelemetryError::Twice)
}

fn is_json(format: LogFormat, terminal: bool) -> bool {
    match format {
        LogFormat::Auto => !terminal,
        LogFormat::Text => false,
        LogFormat::Json | LogFormat::Emf => true,
    }
}

fn parse(filter: &str) -> Result<EnvFilter, TelemetryError> {
    EnvFilter::builder()
        .parse(filter)
        .map_err(|source| TelemetryError::Filter { filter: filter.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_a_level_or_targets_with_levels() {
        assert!(parse("info").is_ok());
        assert!(parse("warn,gapmend=debug").is_ok());
        let error = parse("gapmend=loud").unwrap_err();
        assert!(error.to_string().contains("gapmend=loud"), "{error}");
    }

    #[test]
    fn only_a_terminal_gets_text_by_itself() {
        assert!(is_json(LogFormat::Auto, false));
        assert!(!is_json(LogFormat::Auto, true));
        assert!(is_json(LogFormat::Json, true));
    }
}
