//! Chat templates in the Hugging Face dialect of Jinja.

use crate::error::ModelError;
use minijinja::{Environment, Error, ErrorKind, Value, syntax::SyntaxConfig};
use serde::{Deserialize, Serialize};

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// What was said.
    pub content: String,
}

impl Message {
    /// A turn of somebody's.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        Self {
            role: role.into(),
            content: content.into(),
        }
    }
}

/// A model's chat template with the special tokens that it may name.
#[derive(Debug, Clone)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    tokens: serde_json::Map<String, serde_json::Value>,
}

impl ChatTemplate {
    /// Compiles a template; `tokens` are `bos_token`, `eos_token` and the like.
    ///
    /// # Errors
    /// When it does not parse.
    pub fn new(
        source: String,
        tokens: serde_json::Map<String, serde_json::Value>,
    ) -> Result<Self, ModelError> {
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build()
            .map_err(fault)?;
        environment.set_syntax(syntax);
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function(
            "raise_exception",
            |message: String| -> Result<Value, Error> {
                Err(Error::new(ErrorKind::InvalidOperation, message))
            },
        );
        environment.add_function("strftime_now", |format: String| {
            jiff::Timestamp::now().strftime(&format).to_string()
        });
        environment.add_filter("tojson", |value: &Value| -> Result<Value, Error> {
            let value = serde_json::to_value(value)
                .map_err(|fault| Error::new(ErrorKind::BadSerialization, fault.to_string()))?;
            let mut text = String::new();
            python_json(&value, &mut text);
            Ok(Value::from_safe_string(text))
        });
        environment
            .add_template_owned("chat", source)
            .map_err(fault)?;
        Ok(Self {
            environment,
            tokens,
        })
    }

    /// The conversation as the model was trained to read it; `open` asks for the start of the assistant's turn.
    ///
    /// # Errors
    /// When the template raises, or names something that is not there.
    pub fn render(&self, messages: &[Message], open: bool) -> Result<String, ModelError> {
        self.render_with(&serde_json::json!(messages), None, open)
    }

    /// As [`ChatTemplate::render`], for messages with further fields and for `tools`.
    ///
    /// # Errors
    /// When the template raises, or names something that is not there.
    pub fn render_with(
        &self,
        messages: &serde_json::Value,
        tools: Option<&serde_json::Value>,
        open: bool,
    ) -> Result<String, ModelError> {
        let mut context = self.tokens.clone();
        context.insert("messages".into(), messages.clone());
        context.insert("add_generation_prompt".into(), open.into());
        if let Some(tools) = tools {
            context.insert("tools".into(), tools.clone());
        }
        let template = self.environment.get_template("chat").map_err(fault)?;
        template
            .render(Value::from(minijinja::value::Serde(&context)))
            .map_err(fault)
    }
}

fn fault(error: Error) -> ModelError {
    ModelError::Template {
        message: error.to_string(),
    }
}

/// JSON as Python's `json.dumps(…, ensure_ascii=False)` writes it: blanks after comma and colon.
fn python_json(value: &serde_json::Value, into: &mut String) {
    match value {
        serde_json::Value::Array(list) => {
            into.push('[');
            for (index, value) in list.iter().enumerate() {
                into.push_str(if index > 0 { ", " } else { "" });
                python_json(value, into);
            }
            into.push(']');
        }
        serde_json::Value::Object(map) => {
            into.push('{');
            for (index, (key, value)) in map.iter().enumerate() {
                into.push_str(if index > 0 { ", " } else { "" });
                into.push_str(&serde_json::Value::from(key.as_str()).to_string());
                into.push_str(": ");
                python_json(value, into);
            }
            into.push('}');
        }
        other => into.push_str(&other.to_string()),
    }
}
