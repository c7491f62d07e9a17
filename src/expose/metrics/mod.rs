//! Metrics: what is counted as it happens, and what is shown of the last report.
//!
//! ```text
//!   Happening ──► counted   counters and histograms, they live as long as the process
//!   Report    ──► shown     gauges, made anew for every scrape: a stale series cannot exist
//! ```
//!
//! Every label set of a configured dataset exists from the start, and goes when the dataset
//! goes. Labels are closed enums or configured names; never dates, ids or error text.
//! Instants are exported as they are, 0 for never, so that ages keep growing when we are stuck.

mod counted;
mod failures;
mod shown;

use prometheus::proto::MetricFamily;
use prometheus::{Encoder, TextEncoder};

use self::counted::Counted;
use crate::daemon::{Happening, Recorder, Report};
use crate::platform::{CallObserver, CallResult};

/// What every name begins with.
const PREFIX: &str = "gapmend_";

/// The revision that the binary was built from, when the build says it.
pub const REVISION: &str = match option_env!("GAPMEND_REVISION") {
    Some(revision) => revision,
    None => "unknown",
};

/// The version of the package.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// All metrics of one process. Two values share nothing.
#[derive(Debug)]
pub struct Metrics {
    counted: Counted,
}

impl Metrics {
    /// Metrics with every label set of these datasets at zero, and of these operations of AWS,
    /// named as `service:Operation`.
    ///
    /// # Errors
    /// A name is malformed or taken twice: a fault of this file, seen by any test.
    pub fn new<'a>(
        datasets: impl IntoIterator<Item = &'a str>,
        operations: &[&str],
    ) -> prometheus::Result<Self> {
        let counted = Counted::new(operations)?;
        for dataset in datasets {
            counted.know(dataset);
        }
        Ok(Self { counted })
    }

    /// Everything in the text format, the gauges as the report has them.
    ///
    /// # Errors
    /// Encoding failed.
    pub fn render(&self, report: &Report) -> prometheus::Result<String> {
        TextEncoder::new().encode_to_string(&self.families(report)?)
    }

    /// Everything by name, the gauges as the report has them.
    fn families(&self, report: &Report) -> prometheus::Result<Vec<MetricFamily>> {
        self.counted.keep_only(&report.datasets);
        let mut families = self.counted.gather();
        families.extend(shown::show(report)?.gather());
        families.sort_by(|a, b| a.name().cmp(b.name()));
        Ok(families)
    }

    /// The content type of [`Self::render`], with the format's version.
    #[must_use]
    pub fn content_type() -> String {
        TextEncoder::new().format_type().to_owned()
    }
}

impl Recorder for Metrics {
    fn record(&self, happening: &Happening) {
        self.counted.record(happening);
    }
}

impl CallObserver for Metrics {
    fn called(
        &self,
        service: &'static str,
        operation: &'static str,
        result: CallResult,
        seconds: f64,
    ) {
        self.counted.api_called(service, operation, result.label(), seconds);
    }
}

#[cfg(test)]
mod page;
#[cfg(test)]
mod tests;
