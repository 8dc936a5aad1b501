//! The tests of this crate from outside.

mod attacks;
mod code;
mod warm;
