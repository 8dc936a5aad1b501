//! One server on loopback, on a thread and a runtime of its own, so that a synchronous test can hold
//! it. It is reachable when `start` returns and gone when the handle is dropped. It can be stopped in
//! between: its port then refuses connections, and stays its own.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

use axum::Router;
use axum::serve::ListenerExt as _;
use futures::future::BoxFuture;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::oneshot;

type Serve = dyn Fn(TcpListener) -> BoxFuture<'static, ()> + Send + Sync;

/// A server. Dropping it closes every connection.
pub(crate) struct Loopback {
    address: SocketAddr,
    serve: Arc<Serve>,
    state: Mutex<State>,
}

enum State {
    Running {
        close: oneshot::Sender<()>,
        thread: JoinHandle<()>,
    },
    /// A socket that is bound and does not listen: connections are refused, and nobody else gets the
    /// port.
    Stopped(TcpSocket),
    /// Only while one of the others becomes the other.
    Between,
}

impl Loopback {
    /// Serves HTTP by a router.
    pub(crate) fn start(router: Router) -> Self {
        Self::serving(move |listener| {
            let router = router.clone();
            let listener = listener.tap_io(|connection| {
                // An answer in two writes would wait for the client's acknowledgement. A connection
                // that is gone already needs no option.
                let _set = connection.set_nodelay(true);
            });
            Box::pin(async move {
                axum::serve(listener, router)
                    .await
                    .expect("axum::serve ends with its listener only");
            })
        })
    }

    /// Serves whatever comes to the listener. Tasks that `serve` spawns end with the server.
    pub(crate) fn serving(
        serve: impl Fn(TcpListener) -> BoxFuture<'static, ()> + Send + Sync + 'static,
    ) -> Self {
        let socket = bound(SocketAddr::from(([127, 0, 0, 1], 0)));
        let address = socket.local_addr().expect("a bound socket has an address");
        let server = Self {
            address,
            serve: Arc::new(serve),
            state: Mutex::new(State::Stopped(socket)),
        };
        server.resume();
        server
    }

    /// `http://127.0.0.1:PORT`, without a slash at the end.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Closes every connection and refuses new ones. Does nothing if it is stopped.
    pub(crate) fn stop(&self) {
        let mut state = self.state();
        *state = match std::mem::replace(&mut *state, State::Between) {
            State::Running { close, thread } => {
                end(close, thread);
                State::Stopped(bound(self.address))
            }
            stopped => stopped,
        };
    }

    /// Listens again on the same port. Does nothing if it runs.
    pub(crate) fn resume(&self) {
        let mut state = self.state();
        *state = match std::mem::replace(&mut *state, State::Between) {
            State::Stopped(socket) => self.running(socket),
            running => running,
        };
    }

    fn running(&self, socket: TcpSocket) -> State {
        let (tell, told) = std::sync::mpsc::channel();
        let (close, closed) = oneshot::channel::<()>();
        let serve = Arc::clone(&self.serve);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime needs nothing but threads and an epoll handle");
            runtime.block_on(async move {
                let listener = socket
                    .listen(1024)
                    .expect("nobody else listens on a port that we hold");
                tell.send(()).expect("the starter waits until we listen");
                // Not a graceful end: a request that sleeps must not hold up the test that dropped us.
                tokio::select! {
                    () = serve(listener) => {}
                    _ = closed => {}
                }
            });
        });
        told.recv().expect("the server thread listens first");
        State::Running { close, thread }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("nobody panics while the state changes")
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        // A poisoned state belongs to a test that has failed already.
        if let Ok(mut state) = self.state.lock()
            && let State::Running { close, thread } = std::mem::replace(&mut *state, State::Between)
        {
            end(close, thread);
        }
    }
}

fn end(close: oneshot::Sender<()>, thread: JoinHandle<()>) {
    // The receiver is gone only if the thread has ended already.
    let _closed = close.send(());
    let _ended = thread.join();
}

fn bound(address: SocketAddr) -> TcpSocket {
    let mut tries = 0;
    loop {
        let socket = TcpSocket::new_v4().expect("the system has sockets left");
        // Connections of the server before may still be winding up on this port.
        socket
            .set_reuseaddr(true)
            .expect("a fresh socket takes options");
        match socket.bind(address) {
            Ok(()) => return socket,
            // Somebody's client got the port for a moment; until it ends, connections are refused as well.
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse && tries < 400 => {
                tries += 1;
                std::thread::sleep(std::time::Duration::from_millis(25));
            }
            Err(error) => panic!("loopback has no port {address}: {error}"),
        }
    }
}
