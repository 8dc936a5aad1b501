//! The page says what the code does.

use std::collections::BTreeSet;
use std::path::Path;

use dag_grade::Verdict;
use dag_grade::answer::{ExtractRule, Policy};

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/grading.md");
    fs_err::read_to_string(path).unwrap()
}

/// The first cells of the rows of the table under a heading, without their backticks.
fn first_cells(page: &str, heading: &str) -> BTreeSet<String> {
    let (_, section) = page
        .split_once(heading)
        .unwrap_or_else(|| panic!("no {heading}"));
    let section = section.split("\n## ").next().unwrap_or_default();
    section
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|line| Some(line.split_once('`')?.0.to_owned()))
        .collect()
}

#[test]
fn the_policy_table_has_every_field_with_its_default_and_no_other() {
    let schema = serde_json::to_value(schemars::schema_for!(Policy)).unwrap();
    let fields: BTreeSet<String> = schema["properties"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    let page = page();
    assert_eq!(first_cells(&page, "\n## Policies"), fields);
    let (_, section) = page.split_once("\n## Policies").unwrap();
    let defaults = serde_json::to_value(Policy::default()).unwrap();
    for (name, default) in defaults.as_object().unwrap() {
        let default = match default.as_str() {
            Some(word) => word.to_owned(),
            None => default.to_string(),
        };
        let row = section
            .lines()
            .find(|line| line.starts_with(&format!("| `{name}` |")))
            .unwrap();
        let cell = row.split('|').nth(2).unwrap().trim().trim_matches('`');
        assert_eq!(cell, default, "{name}");
    }
}

#[test]
fn the_table_of_presets_says_what_each_sets() {
    let page = page();
    let (_, section) = page.split_once("\n## Presets").unwrap();
    let cell = |name: &str| {
        let row = section
            .lines()
            .find(|line| line.starts_with(&format!("| `{name}` |")))
            .unwrap();
        row.split('|').nth(2).unwrap().trim().to_owned()
    };
    let settings = |policy: &Policy| match serde_json::to_value(policy).unwrap() {
        serde_json::Value::Object(settings) => settings,
        other => panic!("{other}"),
    };
    let defaults = settings(&Policy::default());
    for name in Policy::PRESETS {
        let said = match cell(name).as_str() {
            "the same" => cell("math-verify"),
            said => said.to_owned(),
        };
        let said: BTreeSet<String> = said
            .split(", ")
            .filter(|setting| !setting.is_empty())
            .map(|setting| setting.replace('`', ""))
            .collect();
        let differs: BTreeSet<String> = settings(&Policy::preset(name).unwrap())
            .into_iter()
            .filter(|(setting, value)| defaults[setting] != *value)
            .map(|(setting, value)| {
                let value = match value.as_f64() {
                    Some(number) if number < 1.0 => format!("{number:e}"),
                    _ => value.to_string().replace('"', ""),
                };
                format!("{setting} {value}")
            })
            .collect();
        assert_eq!(said, differs, "{name}");
    }
}

#[test]
fn the_page_names_every_preset_rule_and_verdict() {
    let page = page();
    let presets: BTreeSet<String> = Policy::PRESETS
        .iter()
        .map(|name| (*name).to_owned())
        .collect();
    assert_eq!(first_cells(&page, "\n## Presets"), presets);
    let rules: BTreeSet<String> = ExtractRule::ALL
        .iter()
        .map(|rule| rule.as_str().to_owned())
        .collect();
    assert_eq!(first_cells(&page, "\n## Where the answer stands"), rules);
    for verdict in Verdict::ALL {
        assert!(page.contains(&format!("`{verdict}`")), "{verdict}");
    }
}
