//! Chat with a teacher behind an OpenAI-compatible server: vLLM, SGLang, llama.cpp, OpenAI.
//!
//! What a teacher says is paid for, so this crate promises three things. A reply is whole and comes
//! from the model that was asked, or it is an error that says who must act. Nothing a server adds to
//! its reply is thrown away: the thought (`reasoning_content`, `reasoning`) and unknown fields are kept.
//! What may pass (a busy server, a cut connection, a body that is no JSON) is tried again, at the pace
//! the server asks for.
//!
//! It knows nothing of stages, tables or caches: messages in, replies out.
//!
//! - [`Client::chat`] asks one question, with retries.
//! - [`sample_all`] asks many, some at a time, and hands the replies over as they come.
//! - [`wire`] is the format on the network; [`Endpoint`] says where to ask and how patiently.
//!
//! ```no_run
//! # async fn example() -> Result<(), dag_llm::LlmError> {
//! use dag_llm::{Client, Endpoint, Message, Request};
//!
//! let client = Client::new(Endpoint::at("http://localhost:8000/v1"))?;
//! let request = Request::new("Qwen/QwQ-32B-Preview", vec![Message::user("What is 6 times 7?")]);
//! let reply = client.chat(&request).await?;
//! assert!(reply.text.contains("42"));
//! # Ok(())
//! # }
//! ```

mod client;
mod drive;
mod endpoint;
mod error;
mod pace;
mod retry_after;
mod talk;
pub mod wire;

pub use client::Client;
pub use drive::{Ended, Signal, sample_all};
pub use endpoint::{ApiKey, Endpoint};
pub use error::{Actor, LlmError};
pub use talk::{FinishReason, Message, Reply, Request, Role};
