//! What the documents say is held against the sources, where it can be.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const FOLDERS: [&str; 5] = ["crates", "migrations", "tests", "benches", "xtask"];

/// Every function that could be a test, in the whole workspace.
fn functions(root: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for folder in FOLDERS {
        collect(&root.join(folder), &mut found);
    }
    found
}

fn collect(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the entry can be read").path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("the source can be read");
            found.extend(text.lines().filter_map(function_name).map(str::to_owned));
        }
    }
}

fn function_name(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let line = line.strip_prefix("async ").unwrap_or(line);
    let name = line.strip_prefix("fn ")?;
    Some(&name[..name.find(['(', '<'])?])
}

/// The names in backticks in the last column of a document's tables.
fn tests_named_in(document: &str) -> impl Iterator<Item = &str> {
    let rows = document.lines().filter(|line| line.starts_with('|'));
    let last = rows.filter_map(|row| row.trim_end_matches('|').rsplit('|').next());
    last.flat_map(|cell| cell.split('`').skip(1).step_by(2)).filter(|name| name.contains('_'))
}

/// The workspace, and a document in it.
fn read(document: &str) -> (&'static Path, String) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is in the workspace");
    (root, fs::read_to_string(root.join(document)).expect("it can be read"))
}

fn assert_names_tests_that_exist(document: &str) {
    let (root, text) = read(document);
    let functions = functions(root);
    let named: Vec<_> = tests_named_in(&text).collect();
    assert!(named.len() > 20, "only {} tests are named", named.len());
    let missing: Vec<_> = named.into_iter().filter(|name| !functions.contains(*name)).collect();
    assert!(missing.is_empty(), "{document} names tests that do not exist: {missing:#?}");
}

#[test]
fn every_test_that_the_security_document_names_exists() {
    assert_names_tests_that_exist("SECURITY.md");
}

#[test]
fn every_test_that_the_operators_index_names_exists_and_every_page_stands_in_it() {
    const INDEX: &str = "docs/operations/README.md";
    assert_names_tests_that_exist(INDEX);
    let (root, text) = read(INDEX);
    let pages = fs::read_dir(root.join("docs/operations")).expect("the folder can be read");
    let names = pages.map(|page| page.expect("the entry can be read").file_name().to_string_lossy().into_owned());
    let missing: Vec<_> = names.filter(|name| name != "README.md" && !text.contains(&format!("({name})"))).collect();
    assert!(missing.is_empty(), "{INDEX} does not lead to {missing:?}");
}

#[test]
fn every_sentence_of_the_seeds_names_a_test_that_exists_or_the_console() {
    assert_names_tests_that_exist("docs/seeds.md");
    let (_, document) = read("docs/seeds.md");
    let rows = document.lines().filter(|line| line.starts_with("| ") && *line != "| Sentence | Test |");
    let rows = rows.filter(|line| !line.starts_with("| ---"));
    let bare: Vec<_> = rows.filter(|row| tests_named_in(row).next().is_none() && !row.contains("console:")).collect();
    assert!(bare.is_empty(), "sentences without a test: {bare:#?}");
}

#[test]
fn names_are_read_from_the_last_column_alone() {
    let document = "| a `not_this` | b | `one_test`, `another_test` |\n| --- | --- | --- |\n`nor_this`\n";
    assert_eq!(tests_named_in(document).collect::<Vec<_>>(), ["one_test", "another_test"]);
}

#[test]
fn function_names_are_read_from_their_line() {
    assert_eq!(function_name("    async fn it_works() {"), Some("it_works"));
    assert_eq!(function_name("fn any<T: Copy>(value: T)"), Some("any"));
    assert_eq!(function_name("// fn"), None);
}
