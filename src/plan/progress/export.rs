//! The snapshot that the load left, and its export: only watched, for the pipeline makes them.

use super::{Progress, waits};
use crate::domain::{Export, ExportStatus, FailureReason, Snapshot, Stage};
use crate::ledger::Repeat;
use crate::plan::rest::Rest;
use crate::plan::{Step, census};

impl Progress<'_> {
    pub(super) fn snapshot(&self) -> Result<Step, Rest> {
        let Some(export) = &self.dataset.export else {
            return Ok(self.end_stage(self.stage_after_export(), "no export is configured"));
        };
        if self.view.export.is_some() {
            return Ok(self.end_stage(Stage::Export, "its export has begun"));
        }
        match &self.view.snapshot {
            Some(snapshot) if snapshot.is_available() => self.export_is_pending(snapshot),
            Some(snapshot) if snapshot.status == "failed" => {
                let detail = format!("snapshot {} failed", snapshot.id);
                Ok(self.fail(FailureReason::Failed, detail, Repeat::FromTheTop))
            }
            Some(_) | None if self.stage_took_longer_than(export.deadline) => {
                let detail = "the snapshot did not become available in time";
                Ok(self.fail(FailureReason::Deadline, detail, Repeat::FromTheTop))
            }
            Some(snapshot) => {
                let percent = snapshot.percent.map(|p| format!(", {p}%")).unwrap_or_default();
                Err(waits(
                    self.run,
                    format!("snapshot {} is {}{percent}", snapshot.id, snapshot.status),
                ))
            }
            None => Err(waits(self.run, "waiting for the snapshot to show itself")),
        }
    }

    /// The snapshot only waits for its export: loading the date again would cost hours and spend
    /// nothing less.
    fn export_is_pending(&self, snapshot: &Snapshot) -> Result<Step, Rest> {
        let export = self.dataset.export.as_ref();
        if export.is_some_and(|export| self.stage_took_longer_than(export.deadline)) {
            let detail = format!(
                "snapshot {} is available and its export was never asked for; to ask for it, invoke the exporter's function with {}",
                snapshot.id,
                export_request(snapshot),
            );
            return Ok(self.fail(FailureReason::NotExported, detail, Repeat::Unsafe));
        }
        let id = &snapshot.id;
        Err(waits(self.run, format!("snapshot {id} is available; waiting for its export to begin")))
    }

    pub(super) fn export(&self) -> Result<Step, Rest> {
        let late = self
            .dataset
            .export
            .as_ref()
            .is_some_and(|export| self.stage_took_longer_than(export.deadline));
        match &self.view.export {
            None if late => {
                let detail = "its export is gone; it began and cannot be found any more";
                Ok(self.fail(FailureReason::Lost, detail, Repeat::Unsafe))
            }
            None => Err(waits(self.run, "waiting for the export to show itself again")),
            Some(export) => self.export_found(export, late),
        }
    }

    fn export_found(&self, export: &Export, late: bool) -> Result<Step, Rest> {
        if let Some(reason) = census::spent_reason(export, false) {
            return Ok(self.fail(FailureReason::Failed, reason, Repeat::Unsafe));
        }
        match &export.status {
            ExportStatus::Complete => {
                let detail = format!("export {} is complete", export.id);
                Ok(self.end_stage(self.stage_after_export(), detail))
            }
            ExportStatus::Starting | ExportStatus::InProgress | ExportStatus::Ended(_) if late => {
                let detail = format!("export {} is past its deadline; its id is spent", export.id);
                Ok(self.fail(FailureReason::Deadline, detail, Repeat::Unsafe))
            }
            ExportStatus::Starting | ExportStatus::InProgress | ExportStatus::Ended(_) => {
                let percent = export.percent.unwrap_or(0);
                Err(waits(self.run, format!("export {} is at {percent}%", export.id)))
            }
        }
    }

    fn stage_after_export(&self) -> Stage {
        if self.dataset.copy.is_some() {
            return Stage::Copy;
        }
        if self.dataset.publish.is_some() { Stage::Publish } else { Stage::Verify }
    }
}

/// What the exporter's function reads: the snapshot's id and its ARN.
fn export_request(snapshot: &Snapshot) -> String {
    serde_json::json!({
        "detail": { "SourceIdentifier": snapshot.id, "SourceArn": snapshot.arn }
    })
    .to_string()
}
