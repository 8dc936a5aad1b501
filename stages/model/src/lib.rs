//! The decoder: load a Hugging Face folder, tokenize, template, generate, save.
//!
//! A [`Model`] is a folder in memory. [`Generator`] answers prompts with it on the CPU, [`Decoder`] is the same
//! network as a burn module, for devices and as the plain twin of the fused arithmetic in [`cpu`]. Nothing here
//! knows of stages or pipelines.
//!
//! Legend of shapes: rows are tokens; a weight is `[out, in]` as in the checkpoint.
#![expect(
    clippy::cast_possible_truncation,
    reason = "arithmetic on f32: the narrowing is the point"
)]

pub mod cpu;

mod config;
mod decoder;
mod error;
mod folder;
mod generate;
/// Models from nothing.
pub mod init;
mod runner;
mod template;
mod tokenizer;
mod weights;

pub use config::{Architecture, Config, RopeScaling};
pub use decoder::{Attention, Block, Decoder, Parameter};
pub use error::ModelError;
pub use folder::{Model, load, load_template, load_tokenizer};
pub use generate::{Completion, FinishReason, Generator, Request, Sampling};
pub use runner::Rotary;
pub use template::{ChatTemplate, Message};
pub use tokenizer::Tokenizer;
pub use weights::{LayerPlaces, Layout, Stored, TensorPlace, Weights};
