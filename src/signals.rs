//! Ctrl-C and SIGTERM. The first asks a run to drain: nothing new is started, what is paid for is
//! finished and kept. The second stops at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::exit_codes;

/// Which signal came, if any.
#[derive(Clone, Default)]
pub(crate) struct Signals(Arc<AtomicU8>);

impl Signals {
    /// The exit code that the signal asks for.
    pub(crate) fn exit_code(&self) -> Option<u8> {
        match self.0.load(Ordering::Acquire) {
            0 => None,
            code => Some(code),
        }
    }
}

/// Listens on a thread of its own until the process ends; `on_signal` is told how many came.
///
/// # Errors
/// The handlers cannot be installed.
pub(crate) fn listen(on_signal: impl Fn(u32) + Send + 'static) -> std::io::Result<Signals> {
    let signals = Signals::default();
    let seen = signals.clone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            runtime.block_on(async move {
                let mut count = 0;
                let Ok(mut terminate) =
                    tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
                else {
                    return;
                };
                loop {
                    let code = tokio::select! {
                        interrupt = tokio::signal::ctrl_c() => match interrupt {
                            Ok(()) => exit_codes::INTERRUPTED,
                            Err(_) => return,
                        },
                        _ = terminate.recv() => exit_codes::TERMINATED,
                    };
                    count += 1;
                    seen.0.store(code, Ordering::Release);
                    on_signal(count);
                }
            });
        })?;
    Ok(signals)
}
