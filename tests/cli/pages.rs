//! The reference pages of the kinds, `docs/kinds/KIND.md`. They are made from the settings' doc comments and from the
//! opening of each kind's file, so that a page cannot say what the program does not know.
//! `UPDATE_PAGES=1 cargo test --test cli pages` writes them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

/// Types that most kinds have in common; `docs/pipelines.md` explains them once.
const COMMON: [(&str, &str); 3] = [
    ("StageRef", "[stage](../pipelines.md#references)"),
    ("ModelRef", "[model](../pipelines.md#models)"),
    ("ModelSpec", "[model](../pipelines.md#models)"),
];
/// A default longer than this is not shown in the table.
const LONGEST_DEFAULT: usize = 60;

#[test]
fn every_kind_has_a_page_and_the_page_is_fresh() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/kinds");
    let pages = pages();
    if std::env::var_os("UPDATE_PAGES").is_some() {
        fs_err::create_dir_all(&folder).unwrap();
        for (name, text) in &pages {
            fs_err::write(folder.join(name), text).unwrap();
        }
    }
    let there: BTreeSet<String> = fs_err::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    let expected: BTreeSet<String> = pages.keys().cloned().collect();
    assert_eq!(
        there, expected,
        "docs/kinds has a page for every kind, and no other"
    );
    let stale: Vec<&String> = pages
        .iter()
        .filter(|(name, text)| fs_err::read_to_string(folder.join(name)).unwrap() != **text)
        .map(|(name, _)| name)
        .collect();
    assert!(
        stale.is_empty(),
        "stale: {stale:?}; UPDATE_PAGES=1 cargo test --test cli pages"
    );
}

#[test]
fn every_setting_says_what_it_is_for() {
    let schema = schema();
    let mut silent = Vec::new();
    for stage in stages(&schema) {
        let kind = text(stage, "title");
        let mut tables = vec![(kind.to_owned(), stage.clone())];
        tables.extend(named(&schema, stage));
        for (table, body) in tables {
            for (field, setting) in properties(&body) {
                if description(&schema, setting).is_empty() {
                    silent.push(format!("{kind}: {table}.{field}"));
                }
            }
        }
    }
    assert!(
        silent.is_empty(),
        "settings without a doc comment: {silent:#?}"
    );
}

fn schema() -> Value {
    dag_engine::pipeline::schema(&dag_kinds::registry())
}

fn stages(schema: &Value) -> &[Value] {
    schema["properties"]["stage"]["additionalProperties"]["oneOf"]
        .as_array()
        .expect("a list of kinds")
}

/// Every page by its file name, and the list of them.
fn pages() -> BTreeMap<String, String> {
    let schema = schema();
    let registry = dag_kinds::registry();
    let mut pages = BTreeMap::new();
    let mut list = String::from(
        "# Kinds of stages\n\nWhat a stage can be. Each page is made from the program: `dag schema` knows the same.\n\n| kind | what it does |\n|---|---|\n",
    );
    for stage in stages(&schema) {
        let kind = registry
            .get(text(stage, "title"))
            .expect("a kind of the schema is registered");
        list.push_str(&format!(
            "| [`{0}`]({0}.md) | {1} |\n",
            kind.name(),
            cell(kind.summary())
        ));
        pages.insert(
            format!("{}.md", kind.name()),
            page(&schema, stage, kind.name(), kind.version()),
        );
    }
    pages.insert("README.md".to_owned(), list);
    pages
}

fn page(schema: &Value, stage: &Value, name: &str, version: u32) -> String {
    let mut page = format!("# {name}\n\n{}\n\n## Settings\n\n", opening(name));
    page.push_str(&settings(schema, stage));
    for (name, body) in named(schema, stage) {
        page.push_str(&format!("\n### {name}\n\n"));
        if let Some(about) = body.get("description").and_then(Value::as_str) {
            page.push_str(&format!("{}\n\n", linked(about)));
        }
        if body.get("properties").is_some() {
            page.push_str(&settings(schema, &body));
        } else {
            for (word, about) in words(&body) {
                page.push_str(&match about {
                    Some(about) => format!("- `{word}`: {}\n", in_one_line(&linked(about))),
                    None => format!("- `{word}`\n"),
                });
            }
        }
    }
    page.push_str(&format!(
        "\nVersion {version} of the kind: part of every key, raised when its behaviour changes.\n"
    ));
    page
}

/// How the kind's file opens: what it does, three rows before and after.
fn opening(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("stages/kinds/src");
    let places: [PathBuf; 2] = [
        folder.join(format!("{name}.rs")),
        folder.join(name).join("mod.rs"),
    ];
    let file = places
        .iter()
        .find(|place| place.is_file())
        .expect("a kind has a file of its name");
    let source = fs_err::read_to_string(file).expect("the file of a kind can be read");
    let lines: Vec<&str> = source
        .lines()
        .map_while(|line| line.strip_prefix("//!"))
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .collect();
    linked(&lines.join("\n"))
}

/// A link of the code's documentation becomes its text.
fn linked(text: &str) -> String {
    text.replace("[`", "`").replace("`]", "`")
}

fn settings(schema: &Value, body: &Value) -> String {
    let required: Vec<&str> = body["required"]
        .as_array()
        .map(|names| names.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    let mut table =
        String::from("| setting | what it takes | default | what it means |\n|---|---|---|---|\n");
    for (name, setting) in properties(body).filter(|(name, _)| *name != "kind") {
        let default = if required.contains(&name.as_str()) {
            "*required*".to_owned()
        } else {
            default(setting)
        };
        table.push_str(&format!(
            "| `{name}` | {} | {default} | {} |\n",
            cell(&shape(schema, setting)),
            cell(&linked(description(schema, setting)))
        ));
    }
    table
}

fn properties(body: &Value) -> impl Iterator<Item = (&String, &Value)> {
    body.get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(Map::iter)
}

/// What a setting is for: its own words, or those of its type.
fn description<'s>(schema: &'s Value, setting: &'s Value) -> &'s str {
    match text(setting, "description") {
        "" => definition(schema, setting).map_or("", |(_, body)| text(body, "description")),
        own => own,
    }
}

fn default(setting: &Value) -> String {
    match setting.get("default") {
        None | Some(Value::Null | Value::Object(_)) => String::new(),
        Some(value) => {
            let shown = value.to_string();
            if shown.chars().count() > LONGEST_DEFAULT {
                "a text; see `dag schema`".to_owned()
            } else {
                format!("`{}`", cell(&shown))
            }
        }
    }
}

/// What a setting takes, in words.
fn shape(schema: &Value, setting: &Value) -> String {
    if let Some((name, body)) = definition(schema, setting) {
        if let Some((_, link)) = COMMON.iter().find(|(common, _)| *common == name) {
            return (*link).to_owned();
        }
        return if body.get("properties").is_some() {
            format!("table [{name}](#{})", name.to_lowercase())
        } else {
            shape(schema, body)
        };
    }
    let choices = words(setting);
    if !choices.is_empty() {
        let choices: Vec<String> = choices
            .iter()
            .map(|(word, _)| format!("`{word}`"))
            .collect();
        return choices.join(", ");
    }
    if let Some(either) = setting
        .get("anyOf")
        .or(setting.get("oneOf"))
        .and_then(Value::as_array)
    {
        let mut shapes: Vec<String> = Vec::new();
        for one in either.iter().filter(|one| one["type"] != "null") {
            let of_such = one
                .get("items")
                .is_some_and(|item| shapes.contains(&shape(schema, item)));
            let one = if of_such {
                "a list of such".to_owned()
            } else {
                shape(schema, one)
            };
            if !shapes.contains(&one) {
                shapes.push(one);
            }
        }
        return shapes.join(" or ");
    }
    let sort = match &setting["type"] {
        Value::Array(sorts) => sorts
            .iter()
            .filter_map(Value::as_str)
            .find(|sort| *sort != "null"),
        other => other.as_str(),
    };
    match sort {
        Some("boolean") => "`true` or `false`".to_owned(),
        Some("integer") => "whole number".to_owned(),
        Some("number") => "number".to_owned(),
        Some("string") => "text".to_owned(),
        Some("array") => match setting.get("prefixItems").unwrap_or(&setting["items"]) {
            Value::Array(items) => {
                let items: Vec<String> = items.iter().map(|item| shape(schema, item)).collect();
                format!("[{}]", items.join(", "))
            }
            item => match (setting["minItems"].as_u64(), setting["maxItems"].as_u64()) {
                (Some(2), Some(2)) => format!("[{0}, {0}]", shape(schema, item)),
                _ => format!("list of {}", many(&shape(schema, item))),
            },
        },
        Some("object") => match setting.get("additionalProperties") {
            Some(value @ Value::Object(_)) => format!("table of {}", many(&shape(schema, value))),
            _ => "table".to_owned(),
        },
        _ => "any value".to_owned(),
    }
}

fn many(shape: &str) -> String {
    match shape {
        "text" | "number" | "whole number" => format!("{shape}s"),
        other => other.to_owned(),
    }
}

/// The definition that a setting refers to, directly or as the only one of a list (which is how draft 07 lets a
/// reference have a description of its own).
fn definition<'s>(schema: &'s Value, setting: &'s Value) -> Option<(&'s str, &'s Value)> {
    let only = setting
        .get("allOf")
        .and_then(Value::as_array)
        .filter(|all| all.len() == 1)
        .and_then(|all| all.first());
    let name = text(only.unwrap_or(setting), "$ref").strip_prefix("#/definitions/")?;
    Some((name, schema["definitions"].get(name)?))
}

/// The words that a setting may be, with what each means; none for a setting that is more than a word.
fn words(setting: &Value) -> Vec<(&str, Option<&str>)> {
    if let Some(one) = setting.get("const").and_then(Value::as_str) {
        return vec![(one, setting.get("description").and_then(Value::as_str))];
    }
    if let Some(list) = setting.get("enum").and_then(Value::as_array) {
        return list
            .iter()
            .filter_map(Value::as_str)
            .map(|word| (word, None))
            .collect();
    }
    let mut found = Vec::new();
    for one in setting
        .get("oneOf")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let some = words(one);
        if some.is_empty() {
            return Vec::new();
        }
        found.extend(some);
    }
    found
}

/// The tables and the lists of words that a kind's settings lead to, in the order in which a reader meets them.
fn named(schema: &Value, stage: &Value) -> Vec<(String, Value)> {
    let mut found: Vec<(String, Value)> = Vec::new();
    let mut open: Vec<&Value> = last_first(stage);
    while let Some(setting) = open.pop() {
        if let Some((name, body)) = definition(schema, setting) {
            let common = COMMON.iter().any(|(common, _)| *common == name);
            if common || found.iter().any(|(known, _)| known == name) {
                continue;
            }
            let explained = words(body).iter().any(|(_, about)| about.is_some());
            if body.get("properties").is_some() || explained {
                found.push((name.to_owned(), body.clone()));
            }
            open.extend(last_first(body));
            open.push(body);
            continue;
        }
        for list in ["anyOf", "oneOf"] {
            open.extend(
                setting
                    .get(list)
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten()
                    .rev(),
            );
        }
        match setting.get("items") {
            Some(Value::Array(items)) => open.extend(items.iter().rev()),
            Some(item) => open.push(item),
            None => {}
        }
        open.extend(
            setting
                .get("additionalProperties")
                .filter(|value| value.is_object()),
        );
    }
    found
}

/// The settings of a table, last first, for a stack.
fn last_first(body: &Value) -> Vec<&Value> {
    let mut settings: Vec<&Value> = properties(body).map(|(_, setting)| setting).collect();
    settings.reverse();
    settings
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// A text as it stands in a cell of a table.
fn cell(text: &str) -> String {
    in_one_line(text).replace('|', "\\|")
}

fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
