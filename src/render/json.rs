//! Events for programs: a JSON object a line, on standard error.

use dag_engine::event::Event;

/// Writes one event. Its shape is that of the recorded run.
pub(crate) fn event_line(event: &Event) {
    if let Ok(text) = serde_json::to_string(event) {
        super::message(&text);
    }
}
