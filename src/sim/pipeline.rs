//! The pipeline after the load.
