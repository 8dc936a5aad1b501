//! One HTTP server on loopback, on a thread and a runtime of its own, so that a synchronous test can
//! hold it. It is reachable when `start` returns and gone when the handle is dropped.

use std::net::SocketAddr;
use std::thread::JoinHandle;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// A running server. Dropping it closes every connection.
pub(crate) struct Loopback {
    address: SocketAddr,
    close: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Loopback {
    pub(crate) fn start(router: Router) -> Self {
        let (tell, told) = std::sync::mpsc::channel();
        let (close, closed) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime needs nothing but threads and an epoll handle");
            runtime.block_on(async move {
                let listener = TcpListener::bind(("127.0.0.1", 0))
                    .await
                    .expect("loopback has a free port");
                let address = listener
                    .local_addr()
                    .expect("a bound listener has an address");
                tell.send(address)
                    .expect("the starter waits for the address");
                // Not a graceful end: a request that sleeps must not hold up the test that dropped us.
                tokio::select! {
                    served = axum::serve(listener, router) => {
                        served.expect("axum::serve ends with its listener only");
                    }
                    _ = closed => {}
                }
            });
        });
        let address = told
            .recv()
            .expect("the server thread tells its address first");
        Self {
            address,
            close: Some(close),
            thread: Some(thread),
        }
    }

    /// `http://127.0.0.1:PORT`, without a slash at the end.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        if let Some(close) = self.close.take() {
            // The receiver is gone only if the thread has ended already.
            let _closed = close.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}
