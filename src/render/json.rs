//! Events for programs: a JSON object a line, on standard error.

use dag_cache::remote::Notice;
use dag_engine::event::Event;

/// Writes one event. Its shape is that of the recorded run.
pub(crate) fn event_line(event: &Event) {
    if let Ok(text) = serde_json::to_string(event) {
        super::message(&text);
    }
}

/// Writes what a remote has to tell.
pub(crate) fn notice_line(notice: &Notice) {
    if let Ok(text) = serde_json::to_string(notice) {
        super::message(&text);
    }
}
