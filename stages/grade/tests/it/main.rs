//! The tests of this crate from outside.

mod attacks;
mod code;
mod load;
mod rows;
mod warm;
