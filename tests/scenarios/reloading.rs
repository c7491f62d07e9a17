//! A configuration that is read again: what takes effect at once, and what needs a restart.

use gapmend::config::{LedgerUrl, Mode};
use std::sync::Arc;

use super::bed::{Bed, world};

#[tokio::test]
async fn a_new_value_that_needs_a_restart_is_told_until_it_is_taken_back_and_not_half_used() {
    let bed = Bed::new(world(), "");
    let mut engine = bed.acting_engine().await;
    let mut changed = (*bed.settings).clone();
    changed.aws.max_in_flight = 3;
    changed.aws.region = "eu-west-1".to_owned();
    changed.ledger = LedgerUrl::Directory("/elsewhere".into());
    changed.listen = "0.0.0.0:80".to_owned();
    Arc::make_mut(changed.datasets.get_mut("liberator").unwrap()).mode = Mode::Observe;
    engine.reconfigure(changed.clone());
    engine.pass("liberator").await;
    let report = engine.reports().borrow().clone();
    assert_eq!(report.config.needs_restart, ["aws", "ledger.url", "http.listen"]);
    let words = report.config.in_words().unwrap();
    assert!(words.contains("needs a restart") && words.contains("ledger.url"), "{words}");
    assert_eq!(report.datasets["liberator"].mode, Mode::Observe, "the rest is in use");
    assert_eq!(report.region, "eu-west-2", "the clients are still those of the start");
    // Read again, it still differs from what the process began with; taken back, it does not.
    engine.reconfigure(changed);
    engine.pass("liberator").await;
    assert_eq!(engine.reports().borrow().config.needs_restart.len(), 3);
    engine.reconfigure((*bed.settings).clone());
    engine.pass("liberator").await;
    assert_eq!(engine.reports().borrow().config.in_words(), None);
}
