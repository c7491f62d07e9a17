//! The wire door: the model of the pipeline behind the AWS protocols, on a loopback port.
//!
//! ```text
//!   SDK, CLI, the built binary
//!        │ HTTP/1.1
//!   listener ─► server ─► route ─► dispatch ─► s3 glue ecs events logs scheduler rds sts
//!   (can be cut)          (who?)   (faults)        │        codecs: xml json query chunked uri paging
//!                                                  ▼
//!                                               World
//! ```
//!
//! For `gapmend demo`, for end-to-end tests of the built binary, and for people with the AWS
//! CLI. It speaks what the SDKs speak, with AWS's limits, defaults and error shapes; any
//! signature will do, but an access key must be named. Faults of the World's plan are made
//! physically: the service's own throttling code, a closed socket, silence.
//!
//! What it never does: hold state of its own beside the log of calls, listen on anything but
//! loopback, or pretend: an operation or argument outside the model is refused by name.

mod calls;
mod chunked;
mod clock;
mod dispatch;
mod ecs;
mod events;
mod glue;
mod glue_workflows;
mod json;
mod listener;
mod logs;
mod paging;
mod query;
mod rds;
mod reply;
mod route;
mod s3;
mod s3_list;
mod s3_objects;
mod s3_uploads;
mod s3_versions;
mod scheduler;
mod server;
mod shape;
mod sts;
mod uri;
mod xml;

pub use calls::WireCall;
pub use clock::WireClock;
pub use server::{WireOptions, WireServer, serve};
