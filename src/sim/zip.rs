//! Tiny zips, made by hand.
