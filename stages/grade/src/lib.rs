//! Answer equivalence and the code sandbox: text in, verdict out.
//!
//! [`answer`] decides whether two mathematical or textual answers are the same; [`code`] runs programs against
//! tests, isolated. What both promise: nothing
//! panics or hangs on any input, a doubt is never a pass, and every verdict names the rule that led to it.
//!
//! ```
//! use dag_grade::{Verdict, answer::{Policy, grade}};
//!
//! let graded = grade("1/2", r"so we get \boxed{\frac12}", &Policy::default());
//! assert_eq!(graded.verdict, Verdict::Pass);
//! assert_eq!(graded.rule, "boxed+exact");
//! ```

pub mod answer;
pub mod code;
mod verdict;

pub use verdict::{UnknownVerdict, Verdict};
