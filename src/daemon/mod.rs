//! Wake-ups, and the pass: look, plan, at most one step, record.

pub mod report;

pub use report::{
    ConfigReport, DatasetReport, Finding, Happening, NoRecorder, Recorder, Report, Verdict,
};
