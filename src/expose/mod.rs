//! Views of what the daemon last reported: CLI tables, metrics, HTTP.
