//! Configuration: figment layers → a raw twin → checked [`Settings`].

pub mod settings;

pub use settings::*;
