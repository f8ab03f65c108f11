//! SECURITY.md names a test for each threat: they are there.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by it")]

use std::fs;
use std::path::Path;

/// All code of a folder and those within.
fn code_of(folder: &Path, code: &mut String) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            code_of(&path, code);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            code.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}

/// What a cell says in backticks.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

#[test]
fn each_threat_has_a_test_that_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut code = String::new();
    ["server/src", "server/tests", "tests/tests"].iter().for_each(|folder| code_of(&root.join(folder), &mut code));
    let text = fs::read_to_string(root.join("SECURITY.md")).unwrap();
    let table = text.split("## Threats").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| line.starts_with("| "))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    assert!(rows.len() > 20, "{}", rows.len());
    for row in &rows[2..] {
        let [threat, _, _, tests] = row[..] else { panic!("not four cells: {row:?}") };
        let names: Vec<_> = quoted(tests).collect();
        assert!(!names.is_empty() || tests.contains("see docs/reliability.md") || tests == "the same", "{threat}");
        for name in names {
            let is_there = match name {
                path if path.contains('/') => root.join(path).exists(),
                module if module.contains("::") => {
                    let file = root.join("server/src").join(module.replace("::", "/")).with_extension("rs");
                    fs::read_to_string(file).is_ok_and(|code| code.contains("#[test]"))
                }
                test => code.contains(&format!("fn {test}()")),
            };
            assert!(is_there, "{threat}: there is no {name}");
        }
    }
}
