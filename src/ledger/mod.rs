//! Numbered JSON entries, replay, and the two stores.
