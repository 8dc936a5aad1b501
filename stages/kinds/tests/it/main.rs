//! The kinds as the engine sees them.

use std::collections::BTreeSet;

#[test]
fn every_kind_has_a_name_and_a_verb_of_its_own() {
    let registry = dag_kinds::registry();
    let names: Vec<&str> = registry.kinds().map(|kind| kind.name()).collect();
    let distinct: BTreeSet<&str> = names.iter().copied().collect();
    assert_eq!(names.len(), distinct.len(), "{names:?}");
    for name in [
        "problems", "mix", "query", "sample", "reformat", "report", "command",
    ] {
        let kind = registry.get(name).unwrap();
        assert!(
            kind.version() >= 1 && !kind.summary().is_empty() && !kind.verb().is_empty(),
            "{name}"
        );
    }
}

#[test]
fn every_kind_refuses_a_setting_it_does_not_know() {
    for kind in dag_kinds::registry().kinds() {
        let fault = kind
            .settings_from_json(&serde_json::json!({ "no_such_setting": 1 }))
            .unwrap_err();
        let told = fault.to_string();
        assert!(
            told.contains("unknown field `no_such_setting`"),
            "{}: {told}",
            kind.name()
        );
    }
}

#[test]
fn a_report_reads_every_output_of_the_stages_it_names() {
    let registry = dag_kinds::registry();
    let report = registry.get("report").unwrap();
    let settings = report
        .settings_from_json(&serde_json::json!({ "from": ["scores", "student.metrics"] }))
        .unwrap();
    let declaration = report.declare(&settings);
    assert!(declaration.inputs.iter().all(|input| input.every));
    assert!(!declaration.seeded, "a new seed makes no new page");
}
