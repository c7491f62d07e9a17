//! STS: the query protocol.

use super::query::reply;
use super::reply::{Refusal, Reply};
use super::route::Incoming;
use super::shape::Service;
use crate::sim::World;

/// What the door knows of STS.
pub(super) const OPERATIONS: &[&str] = &["sts:GetCallerIdentity"];

/// The version that STS's clients state.
pub(super) const VERSION: &str = "2011-06-15";

/// The namespace of STS's documents.
pub(super) const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// Carries out an operation.
pub(super) fn answer(operation: &str, request: &Incoming, world: &World) -> Result<Reply, Refusal> {
    if operation != "GetCallerIdentity" {
        return Err(Service::Sts.unknown_operation(operation));
    }
    let caller = world.caller();
    Ok(reply(operation, NAMESPACE, &request.id, |xml| {
        xml.text("Arn", caller.arn);
        xml.text("UserId", caller.user_id);
        xml.text("Account", caller.account);
    }))
}
