//! Every rule as a sentence. What breaks it is listed with its place; exceptions are in `ratchet.tsv`.

use tidy::{Finding, Tree, physics, settle, shape, specs, supply, words};

#[track_caller]
fn check(rule: &str, find: fn(&Tree) -> Vec<Finding>) {
    let tree = Tree::read();
    settle(&tree, rule, find(&tree));
}

#[test]
fn a_crate_sees_only_what_its_suffix_allows() {
    check("a crate sees only what its suffix allows", physics::forbidden_dependencies);
}

#[test]
fn xmpp_and_sip_do_not_know_each_other() {
    check("xmpp and sip do not know each other", physics::bilingual_crates);
}

#[test]
fn the_runtime_stays_in_the_shells() {
    check("the runtime stays in the shells", physics::strays);
}

#[test]
fn pure_code_touches_nothing() {
    check("pure code touches nothing", physics::impurities);
}

#[test]
fn every_crate_obeys_the_workspace() {
    check("every crate obeys the workspace", physics::loose_manifests);
}

#[test]
fn clippy_guards_every_pure_crate() {
    check("clippy guards every pure crate", physics::unguarded_crates);
}

#[test]
fn a_file_has_at_most_600_lines() {
    check("a file has at most 600 lines", shape::long_files);
}

#[test]
fn a_function_has_at_most_70_lines() {
    check("a function has at most 70 lines", shape::long_functions);
}

#[test]
fn no_test_is_switched_off() {
    check("no test is switched off", shape::ignored_tests);
}

#[test]
fn a_test_is_named_as_a_sentence() {
    check("a test is named as a sentence", shape::nameless_tests);
}

#[test]
fn nobody_sleeps() {
    check("nobody sleeps", shape::sleepers);
}

#[test]
fn a_name_says_what_it_names() {
    check("a name says what it names", words::empty_names);
}

#[test]
fn a_note_has_an_issue() {
    check("a note has an issue", words::forgotten_notes);
}

#[test]
fn a_workaround_names_whose_bug_it_is() {
    check("a workaround names whose bug it is", words::anonymous_workarounds);
}

#[test]
fn no_path_belongs_to_one_machine() {
    check("no path belongs to one machine", words::machine_paths);
}

#[test]
fn dependencies_come_from_the_public_registry() {
    check("dependencies come from the public registry", words::foreign_sources);
}

#[test]
fn a_message_says_what_was_wrong() {
    check("a message says what was wrong", words::vague_messages);
}

#[test]
fn the_index_of_specifications_is_true() {
    check("the index of specifications is true", specs::index_faults);
}

#[test]
fn a_cited_document_is_in_the_index() {
    check("a cited document is in the index", specs::unknown_documents);
}

#[test]
fn a_cited_section_names_its_document() {
    check("a cited section names its document", specs::sections_of_nothing);
}

#[test]
fn no_banned_version_is_locked() {
    check("no banned version is locked", supply::banned_versions);
}

#[test]
fn every_licence_is_allowed() {
    check("every licence is allowed", supply::foreign_licences);
}
