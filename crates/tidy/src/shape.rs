//! How long a file and a function may be, and what a test looks like (CONVENTIONS.md, "Shape" and "Tests").

use crate::{Finding, Tree};

const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;

/// Finds Rust files that are longer than a reader stays with.
pub fn long_files(tree: &Tree) -> Vec<Finding> {
    tree.rust()
        .map(|file| (file, file.text.lines().count()))
        .filter(|(_, lines)| *lines > FILE_LINES_MAX)
        .map(|(file, lines)| Finding {
            place: file.path.clone(),
            line: 0,
            measure: lines,
            message: format!("{lines} lines, at most {FILE_LINES_MAX}: is it two things?"),
        })
        .collect()
}

/// Finds functions that do not fit on a screen.
pub fn long_functions(tree: &Tree) -> Vec<Finding> {
    tree.rust()
        .flat_map(|file| file.functions().into_iter().map(move |function| (file, function)))
        .filter(|(_, function)| function.lines > FUNCTION_LINES_MAX)
        .map(|(file, function)| Finding {
            place: format!("{}::{}", file.path, function.name),
            line: function.line,
            measure: function.lines,
            message: format!("{} lines, at most {FUNCTION_LINES_MAX}", function.lines),
        })
        .collect()
}

/// Finds tests that somebody switched off.
pub fn ignored_tests(tree: &Tree) -> Vec<Finding> {
    tree.rust()
        .flat_map(|file| {
            file.code_places("#[ignore").map(|at| {
                let message =
                    "assert today's behaviour with FIXME(#issue) and what should happen; never ignore";
                Finding::at(file, file.line_at(at), message)
            })
        })
        .collect()
}

/// Finds tests whose name is not a sentence about behaviour.
pub fn nameless_tests(tree: &Tree) -> Vec<Finding> {
    let is_sentence = |name: &str| {
        name.matches('_').count() >= 2
            && !name.starts_with("test_")
            && !name.ends_with("_works")
            && !name.contains("_works_")
    };
    tree.rust()
        .flat_map(|file| file.functions().into_iter().map(move |function| (file, function)))
        .filter(|(_, function)| function.is_test && !is_sentence(&function.name))
        .map(|(file, function)| {
            Finding::at(
                file,
                function.line,
                format!("`{}` does not say what is true when it passes", function.name),
            )
        })
        .collect()
}

/// Finds tests, and code, that wait for time to pass where time is a number.
pub fn sleepers(tree: &Tree) -> Vec<Finding> {
    const MAY: [&str; 2] = ["net", "gangway"];
    tree.rust()
        .filter(|file| file.crate_name().is_some_and(|name| !MAY.contains(&name)))
        .flat_map(|file| {
            ["sleep(", "sleep_until("]
                .into_iter()
                .flat_map(|word| file.code_places(word))
                .map(|at| Finding::at(file, file.line_at(at), "time is a number here: nobody sleeps"))
                .collect::<Vec<_>>()
        })
        .collect()
}
