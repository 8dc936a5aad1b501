//! JSON Schema (draft-07, which every TOML editor reads) of a whole pipeline file, from the
//! settings structs and their doc comments.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value as Json, json};

use super::header::Header;
use crate::kind::Kind;
use crate::model_ref::ModelSpec;
use crate::registry::Registry;

fn generator() -> SchemaGenerator {
    SchemaSettings::draft07().into_generator()
}

/// The schema of one type, with its definitions inside.
pub(crate) fn schema_of<T: JsonSchema>() -> Json {
    generator().into_root_schema_for::<T>().to_value()
}

/// The schema of a kind's settings in draft 07. The generator brings only whole documents and
/// definitions there by itself.
fn transformed(kind: &Kind, generator: &mut SchemaGenerator) -> Json {
    let mut schema = kind.settings_schema(generator);
    for transform in generator.transforms_mut() {
        transform.transform(&mut schema);
    }
    schema.to_value()
}

/// The schema of a kind's settings, with its definitions inside.
pub(crate) fn settings_schema(kind: &Kind) -> Json {
    let mut generator = generator();
    let mut schema = transformed(kind, &mut generator);
    if let Some(schema) = schema.as_object_mut() {
        schema.insert(
            "definitions".to_owned(),
            Json::Object(generator.take_definitions(true)),
        );
    }
    schema
}

/// The setting that every kind has.
fn share_schema() -> Json {
    json!({
        "type": "boolean",
        "description": "Whether the result and its rows may go to shared caches. Without it: yes, unless the stage takes \
            anything from one that says no. Operational.",
    })
}

/// The JSON Schema of a pipeline file: a stage is one of the kinds, told apart by `kind`.
#[must_use]
pub fn schema(registry: &Registry) -> Json {
    let mut generator = generator();
    let name = json!({ "pattern": "^[A-Za-z][A-Za-z0-9_-]{0,63}$" });
    let mut stages: Vec<Json> = Vec::new();
    let mut defaults: Map<String, Json> = Map::new();
    for kind in registry.kinds() {
        let mut stage = transformed(kind, &mut generator);
        let Some(object) = stage.as_object_mut() else {
            continue;
        };
        object.insert("title".to_owned(), json!(kind.name()));
        object.entry("description").or_insert(json!(kind.summary()));
        object.entry("type").or_insert(json!("object"));
        let mut default = object.clone();
        if let Some(properties) = default.get_mut("properties").and_then(Json::as_object_mut) {
            properties.insert("share".to_owned(), share_schema());
        }
        default.remove("required");
        default.insert(
            "title".to_owned(),
            json!(format!("defaults of `{}`", kind.name())),
        );
        defaults.insert(kind.name().to_owned(), Json::Object(default));

        let properties = object.entry("properties").or_insert(json!({}));
        if let Some(properties) = properties.as_object_mut() {
            // first, so that editors offer it first
            let mut with_kind = Map::new();
            with_kind.insert(
                "kind".to_owned(),
                json!({ "const": kind.name(), "description": kind.summary() }),
            );
            with_kind.append(properties);
            with_kind.insert("share".to_owned(), share_schema());
            *properties = with_kind;
        }
        let required = object.entry("required").or_insert(json!([]));
        if let Some(required) = required.as_array_mut() {
            required.insert(0, json!("kind"));
        }
        object.insert("additionalProperties".to_owned(), json!(false));
        stages.push(stage);
    }
    let header = generator.subschema_for::<Header>().to_value();
    let model = generator.subschema_for::<ModelSpec>().to_value();
    let definitions = generator.take_definitions(true);
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "a dag pipeline",
        "type": "object",
        "additionalProperties": false,
        "required": ["stage"],
        "properties": {
            "pipeline": header,
            "models": {
                "description": "models by name: a hub id, a local folder or a server",
                "type": "object",
                "propertyNames": name,
                "additionalProperties": model,
            },
            "stage": {
                "description": "stages by name",
                "type": "object",
                "minProperties": 1,
                "propertyNames": name,
                "additionalProperties": { "oneOf": stages },
            },
            "defaults": {
                "description": "settings by kind, for every stage of that kind that does not set them",
                "type": "object",
                "additionalProperties": false,
                "properties": defaults,
            },
            "sweep": {
                "description": "\"stage.field\" = [values]: every combination is a variant, and what variants share runs once",
                "type": "object",
                "additionalProperties": {
                    "anyOf": [{ "type": "array", "minItems": 1 }, { "type": "object" }],
                },
            },
            "limits": {
                "description": "how much of a named limit stages may hold at once",
                "type": "object",
                "additionalProperties": { "type": "integer", "minimum": 1 },
            },
        },
        "definitions": definitions,
    })
}
