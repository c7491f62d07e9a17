//! SECURITY.md promises nothing that no test holds: every test that it names is there.

use std::path::Path;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The `path::name` of every test that the page names.
fn named_tests(page: &str) -> Vec<(String, String)> {
    let quoted = page.split('`').skip(1).step_by(2);
    let tests = quoted.filter_map(|word| word.split_once(".rs::"));
    tests.map(|(path, name)| (format!("{path}.rs"), name.to_owned())).collect()
}

/// Whether the file has a function of this name under a test's attribute, or within proptest!.
fn has_test(file: &str, name: &str) -> bool {
    let Some((before, _)) = file.split_once(&format!("fn {name}(")) else { return false };
    let attribute = before.lines().rev().find(|line| line.trim_start().starts_with("#["));
    attribute.is_some_and(|line| ["#[test]", "#[tokio::test"].iter().any(|it| line.contains(it)))
}

#[test]
fn every_claim_has_its_test() {
    let page = std::fs::read_to_string(Path::new(ROOT).join("SECURITY.md")).unwrap();
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| ")).collect();
    let claims = rows.iter().filter(|row| row.trim_end().ends_with(". |") || row.contains(".rs::"));
    for row in claims {
        assert!(row.contains(".rs::"), "a claim without a test: {row}");
    }
    let tests = named_tests(&page);
    assert!(tests.len() > 25, "the page names its tests: {tests:?}");
    for (path, name) in tests {
        let file = std::fs::read_to_string(Path::new(ROOT).join(&path));
        let file = file.unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(has_test(&file, &name), "{path} has no test {name}");
    }
}
