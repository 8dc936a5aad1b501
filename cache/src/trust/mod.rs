//! Whom a remote is believed: keys of writers, who holds which, and the seal on what a remote keeps.
//!
//! - A [`WriterKey`] is a secret; its [`Writer`] is the public half that others put in their [`Keyring`].
//! - [`seal`] puts one line before a payload: its purpose, its writer and a signature. [`open`] takes it off
//!   again, and gives the payload only to who may believe it under a [`Trust`].
//! - A signature covers purpose, name and payload, so nothing can be moved to another key or be taken for
//!   something else.
//!
//! Everything here is a function of its arguments: no file, no clock. What is refused has a [`Refusal`], a reason in
//! words. The bytes are described in `docs/format.md`.

mod key;
mod keyring;
mod seal;

pub use key::{BadKey, NotAWriter, Writer, WriterKey};
pub use keyring::{BadTrust, Keyring, KeyringError, Revocation, Trust};
pub use seal::{Opened, Purpose, Refusal, open, seal};
