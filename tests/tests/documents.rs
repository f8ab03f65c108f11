//! The tables of faults and threats name tests: those have to exist, so that the documents stay true.

use std::fs;
use std::path::{Path, PathBuf};

use tachograph_tests::Failure;

const FAULTS: &str = "docs/reliability.md";
const THREATS: &str = "SECURITY.md";
/// Says where tests are whose file a table does not name.
const ELSEWHERE: &str = "Those without a file are in `";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The cells of the last column of those tables whose last column is named `test`, with the line's number.
fn test_cells(document: &str) -> Vec<(usize, &str)> {
    let (mut cells, mut is_wanted) = (Vec::new(), false);
    for (number, line) in document.lines().enumerate() {
        let Some(row) = line.strip_prefix('|').and_then(|row| row.trim_end().strip_suffix('|')) else {
            is_wanted = false;
            continue;
        };
        let last = row.rsplit(" | ").next().unwrap_or_default().trim();
        match last {
            "test" => is_wanted = true,
            rule if rule.chars().all(|character| "-: |".contains(character)) => {}
            cell if is_wanted => cells.push((number + 1, cell)),
            _ => {}
        }
    }
    cells
}

/// Whether a file, or one in a folder, has a test of this name: a function that is one, or, of another language, what a
/// test is called.
fn has_test(file: &Path, name: &str) -> Result<bool, Failure> {
    if file.is_dir() {
        let within = fs::read_dir(file)?.map(|entry| has_test(&entry?.path(), name));
        return Ok(within.collect::<Result<Vec<bool>, _>>()?.contains(&true));
    }
    let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    if file.extension().is_some_and(|extension| extension == "mjs") {
        return Ok(["test('", "test(`", "test(\""].iter().any(|call| text.contains(&format!("{call}{name}"))));
    }
    let Some((before, _)) = text.split_once(&format!("fn {name}(")) else { return Ok(false) };
    let before = before.trim_end().trim_end_matches("async").trim_end();
    let attributes = before.lines().rev().take_while(|line| !line.trim().is_empty() && line.trim() != "}");
    Ok(attributes.map(str::trim).any(|line| line.starts_with("#[test") || line.starts_with("#[tokio::test")))
}

/// `module::part` of the server, whose own tests are meant.
fn has_tests_of_its_own(module: &str) -> bool {
    let path = root().join("server/src").join(module.replace("::", "/"));
    [path.with_extension("rs"), path.join("mod.rs"), path.join("tests.rs")]
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok())
        .any(|text| text.contains("#[test]") || text.contains("#[tokio::test"))
}

/// What a cell names that does not exist.
fn missing(cell: &str, elsewhere: Option<&str>) -> Result<Vec<String>, Failure> {
    let files: Vec<&str> = quoted(cell).filter(|quoted| quoted.contains('/') && !quoted.contains("::")).collect();
    let candidates = || files.iter().copied().chain(elsewhere);
    let mut missing = Vec::new();
    for name in quoted(cell) {
        let exists = match name.split_once("::") {
            Some((file, test)) if file.contains('/') => has_test(&root().join(file), test)?,
            Some(_) => has_tests_of_its_own(name),
            None if name.contains('/') => root().join(name).exists(),
            None => {
                let found: Vec<bool> =
                    candidates().map(|file| has_test(&root().join(file), name)).collect::<Result<_, _>>()?;
                found.contains(&true)
            }
        };
        if !exists {
            missing.push(name.to_owned());
        }
    }
    Ok(missing)
}

/// Every row names at least one test, and each that is named exists.
fn check(document: &str, rows_min: usize) -> Result<(), Failure> {
    let text = fs::read_to_string(root().join(document)).map_err(|error| format!("{document}: {error}"))?;
    let elsewhere = text.split_once(ELSEWHERE).and_then(|(_, rest)| rest.split('`').next());
    let cells = test_cells(&text);
    assert!(cells.len() >= rows_min, "{document} has {} rows with tests", cells.len());
    let mut wrong = Vec::new();
    for (line, cell) in cells {
        if quoted(cell).next().is_none() {
            wrong.push(format!("{document}:{line} names no test"));
        }
        match missing(cell, elsewhere) {
            Ok(missing) => wrong.extend(missing.iter().map(|name| format!("{document}:{line}: no {name}"))),
            Err(error) => wrong.push(format!("{document}:{line}: {error}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn every_fault_has_a_test_that_exists() -> Result<(), Failure> {
    check(FAULTS, 30)
}

#[test]
fn every_threat_has_a_test_that_exists() -> Result<(), Failure> {
    check(THREATS, 15)
}

#[test]
fn a_test_that_is_not_there_is_missed() -> Result<(), Failure> {
    let own = "tests/tests/documents.rs";
    assert!(missing(&format!("`{own}::a_test_that_is_not_there_is_missed`, `{own}`"), None)?.is_empty());
    assert_eq!(missing(&format!("`{own}::has_test`"), None)?, [format!("{own}::has_test")]);
    assert_eq!(missing("`every_fault_has_a_test`, `nothing::of_it`", Some(own))?.len(), 2);
    assert!(missing("`every_fault_has_a_test_that_exists`", Some(own))?.is_empty());
    assert_eq!(test_cells("| a | test |\n| --- | --- |\n| b | `c` |\n\n| a | b |\n| c | d |"), [(3, "`c`")]);
    Ok(())
}
