//! The load task.
