//! What property tests of every room share.

use proptest::test_runner::Config;

/// So many cases, or as many as `PROPTEST_CASES` says: `just fuzz N`.
pub(crate) fn cases(usual: u32) -> Config {
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    if asked { Config::default() } else { Config::with_cases(usual) }
}
