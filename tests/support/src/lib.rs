//! Small worlds for tests. Nothing here leaves the machine: every server listens on loopback, on a
//! port that the system picks, and ends when its handle is dropped.
//!
//! - [`FakeTeacher`] answers as an OpenAI-compatible server does, by a function of the prompt, and
//!   misbehaves on demand. It remembers every request, so that a test can say what was *not* asked.
//! - [`FakeHub`] serves model and data set files in the layout of the Hugging Face hub.
//! - [`FakeBucket`] is an object server that speaks S3, whose objects a test can read and forge.
//! - [`FaultyProxy`] stands in front of any HTTP server and cuts, delays, refuses, shortens, alters and
//!   replays, by a seed.

mod fake_bucket;
mod fake_hub;
mod fake_teacher;
mod faulty_proxy;
mod loopback;

pub use fake_bucket::{BucketRequest, FakeBucket, Refuse, Traffic};
pub use fake_hub::FakeHub;
pub use fake_teacher::{FakeTeacher, Fault, Question, Said};
pub use faulty_proxy::{Ask, Exchange, FaultyProxy, Moved, Rule, WireFault};
