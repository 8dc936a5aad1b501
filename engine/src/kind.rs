//! What a stage kind is: the trait it implements, and the same thing with its settings type erased.
//!
//! A kind is a settings struct and a few functions over it. The engine knows kinds only through
//! [`Kind`], which carries the functions, and [`AnySettings`], which carries the settings.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::context::StageContext;
use crate::declaration::Declaration;
use crate::error::StageError;
use crate::estimate::{Estimate, EstimateContext};
pub use crate::shape::{Fault, InputShape, Inputs, OutputDecl, extend_schema, open_schema};

/// A kind of stage. Everything but `run` is pure: no clock, no file, no network.
pub trait StageKind: Send + Sync + 'static {
    /// The settings; `deny_unknown_fields`, and doc comments that make the reference page.
    type Settings: DeserializeOwned + Serialize + JsonSchema + Send + Sync + 'static;

    /// The value of `kind = "…"`.
    const NAME: &'static str;
    /// Part of every key: a change of behaviour is a new version.
    const VERSION: u32;
    /// One line for lists.
    const SUMMARY: &'static str;
    /// What the terminal says when a stage of this kind is done: `Sampled`.
    const VERB: &'static str;

    /// What the settings name outside themselves, and which of them are semantic.
    fn declare(settings: &Self::Settings) -> Declaration;

    /// The outputs and their columns, given those of the inputs; the first is the main one.
    ///
    /// # Errors
    /// The columns or artifacts of the inputs are not what the kind needs.
    fn outputs(settings: &Self::Settings, inputs: &Inputs) -> Result<Vec<OutputDecl>, Vec<Fault>>;

    /// Settings that deserialise but make no sense, alone or together.
    fn check(_settings: &Self::Settings) -> Vec<Fault> {
        Vec::new()
    }

    /// What a run would take, from what is known before it.
    fn estimate(_settings: &Self::Settings, _cx: &EstimateContext<'_>) -> Estimate {
        Estimate::default()
    }

    /// Does the work. Every declared output must be written through `cx`.
    ///
    /// # Errors
    /// See [`StageError`]; a bad row is no error, it is kept aside and counted.
    fn run(settings: &Self::Settings, cx: &mut StageContext) -> Result<(), StageError>;
}

/// Settings of some kind, with the type erased. Cheap to clone.
#[derive(Clone)]
pub struct AnySettings(Arc<dyn Any + Send + Sync>);

impl AnySettings {
    /// The settings, if they are of type `T`.
    #[must_use]
    pub fn downcast_ref<T: 'static>(&self) -> Option<&T> {
        self.0.downcast_ref()
    }
}

impl fmt::Debug for AnySettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnySettings")
    }
}

/// A stage kind as the engine holds it. Cheap to clone.
#[derive(Clone)]
pub struct Kind(Arc<dyn ErasedKind>);

impl Kind {
    /// Erases `K`.
    #[must_use]
    pub fn of<K: StageKind>() -> Self {
        Self(Arc::new(Erased::<K>(std::marker::PhantomData)))
    }

    /// [`StageKind::NAME`].
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.0.name()
    }

    /// [`StageKind::VERSION`].
    #[must_use]
    pub fn version(&self) -> u32 {
        self.0.version()
    }

    /// [`StageKind::SUMMARY`].
    #[must_use]
    pub fn summary(&self) -> &'static str {
        self.0.summary()
    }

    /// [`StageKind::VERB`].
    #[must_use]
    pub fn verb(&self) -> &'static str {
        self.0.verb()
    }

    /// The JSON Schema of the settings.
    #[must_use]
    pub fn settings_schema(&self, generator: &mut SchemaGenerator) -> Schema {
        self.0.settings_schema(generator)
    }

    /// Reads settings from a TOML table (without `kind`); the error carries the span.
    ///
    /// # Errors
    /// A field is unknown, missing or of another type.
    pub fn settings_from_toml(
        &self,
        table: toml::Spanned<toml::de::DeValue<'_>>,
    ) -> Result<AnySettings, toml::de::Error> {
        self.0.settings_from_toml(table)
    }

    /// Reads settings from JSON, as tasks carry them.
    ///
    /// # Errors
    /// A field is unknown, missing or of another type.
    pub fn settings_from_json(
        &self,
        json: &serde_json::Value,
    ) -> Result<AnySettings, serde_json::Error> {
        self.0.settings_from_json(json)
    }

    /// Erases settings made in code; `None` if they belong to another kind.
    #[must_use]
    pub fn settings<T: Send + Sync + 'static>(&self, settings: T) -> Option<AnySettings> {
        let settings = AnySettings(Arc::new(settings));
        self.0.owns(&settings).then_some(settings)
    }

    /// The settings as JSON, defaults filled in.
    #[must_use]
    pub fn settings_to_json(&self, settings: &AnySettings) -> serde_json::Value {
        self.0.settings_to_json(settings)
    }

    /// [`StageKind::declare`].
    #[must_use]
    pub fn declare(&self, settings: &AnySettings) -> Declaration {
        self.0.declare(settings)
    }

    /// [`StageKind::check`].
    #[must_use]
    pub fn check(&self, settings: &AnySettings) -> Vec<Fault> {
        self.0.check(settings)
    }

    /// [`StageKind::outputs`].
    ///
    /// # Errors
    /// The inputs are not what the kind needs.
    pub fn outputs(
        &self,
        settings: &AnySettings,
        inputs: &Inputs,
    ) -> Result<Vec<OutputDecl>, Vec<Fault>> {
        self.0.outputs(settings, inputs)
    }

    /// [`StageKind::estimate`].
    #[must_use]
    pub fn estimate(&self, settings: &AnySettings, cx: &EstimateContext<'_>) -> Estimate {
        self.0.estimate(settings, cx)
    }

    /// [`StageKind::run`].
    ///
    /// # Errors
    /// What the kind reports.
    pub fn run(&self, settings: &AnySettings, cx: &mut StageContext) -> Result<(), StageError> {
        self.0.run(settings, cx)
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kind({} v{})", self.name(), self.version())
    }
}

/// The functions of a [`StageKind`] over erased settings.
trait ErasedKind: Send + Sync {
    fn name(&self) -> &'static str;
    fn version(&self) -> u32;
    fn summary(&self) -> &'static str;
    fn verb(&self) -> &'static str;
    fn owns(&self, settings: &AnySettings) -> bool;
    fn settings_schema(&self, generator: &mut SchemaGenerator) -> Schema;
    fn settings_from_toml(
        &self,
        table: toml::Spanned<toml::de::DeValue<'_>>,
    ) -> Result<AnySettings, toml::de::Error>;
    fn settings_from_json(
        &self,
        json: &serde_json::Value,
    ) -> Result<AnySettings, serde_json::Error>;
    fn settings_to_json(&self, settings: &AnySettings) -> serde_json::Value;
    fn declare(&self, settings: &AnySettings) -> Declaration;
    fn check(&self, settings: &AnySettings) -> Vec<Fault>;
    fn outputs(
        &self,
        settings: &AnySettings,
        inputs: &Inputs,
    ) -> Result<Vec<OutputDecl>, Vec<Fault>>;
    fn estimate(&self, settings: &AnySettings, cx: &EstimateContext<'_>) -> Estimate;
    fn run(&self, settings: &AnySettings, cx: &mut StageContext) -> Result<(), StageError>;
}

struct Erased<K>(std::marker::PhantomData<fn() -> K>);

impl<K: StageKind> Erased<K> {
    fn open(settings: &AnySettings) -> &K::Settings {
        settings
            .downcast_ref()
            .expect("settings are only made by the kind they are stored beside")
    }
}

impl<K: StageKind> ErasedKind for Erased<K> {
    fn name(&self) -> &'static str {
        K::NAME
    }

    fn version(&self) -> u32 {
        K::VERSION
    }

    fn summary(&self) -> &'static str {
        K::SUMMARY
    }

    fn verb(&self) -> &'static str {
        K::VERB
    }

    fn owns(&self, settings: &AnySettings) -> bool {
        settings.downcast_ref::<K::Settings>().is_some()
    }

    fn settings_schema(&self, generator: &mut SchemaGenerator) -> Schema {
        K::Settings::json_schema(generator)
    }

    fn settings_from_toml(
        &self,
        table: toml::Spanned<toml::de::DeValue<'_>>,
    ) -> Result<AnySettings, toml::de::Error> {
        let settings = K::Settings::deserialize(toml::de::ValueDeserializer::from(table))?;
        Ok(AnySettings(Arc::new(settings)))
    }

    fn settings_from_json(
        &self,
        json: &serde_json::Value,
    ) -> Result<AnySettings, serde_json::Error> {
        Ok(AnySettings(Arc::new(K::Settings::deserialize(json)?)))
    }

    fn settings_to_json(&self, settings: &AnySettings) -> serde_json::Value {
        // A settings struct is plain data with string keys: only a map with other keys could fail.
        serde_json::to_value(Self::open(settings)).unwrap_or(serde_json::Value::Null)
    }

    fn declare(&self, settings: &AnySettings) -> Declaration {
        K::declare(Self::open(settings))
    }

    fn check(&self, settings: &AnySettings) -> Vec<Fault> {
        K::check(Self::open(settings))
    }

    fn outputs(
        &self,
        settings: &AnySettings,
        inputs: &Inputs,
    ) -> Result<Vec<OutputDecl>, Vec<Fault>> {
        K::outputs(Self::open(settings), inputs)
    }

    fn estimate(&self, settings: &AnySettings, cx: &EstimateContext<'_>) -> Estimate {
        K::estimate(Self::open(settings), cx)
    }

    fn run(&self, settings: &AnySettings, cx: &mut StageContext) -> Result<(), StageError> {
        K::run(Self::open(settings), cx)
    }
}
