//! Servers of a test's own on loopback: one that answers as it is told, and one between a client and a real
//! server that cuts connections.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A server that answers every request with the same bytes, then closes the connection or keeps silent.
pub(super) struct Answering {
    pub(super) port: u16,
    pub(super) asked: Arc<AtomicUsize>,
}

/// What comes after the answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    Close,
    Silence,
}

impl Answering {
    pub(super) fn with(answer: &str, then: Then) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(AtomicUsize::new(0));
        let (answer, counted) = (answer.to_owned(), Arc::clone(&asked));
        thread::spawn(move || {
            let mut silent = Vec::new();
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let mut request = [0; 16 << 10];
                // The request's end is not looked for: every request of these tests comes at once.
                if stream.read(&mut request).is_err() {
                    continue;
                }
                counted.fetch_add(1, Ordering::Relaxed);
                stream.write_all(answer.as_bytes()).ok();
                if then == Then::Silence {
                    silent.push(stream);
                }
            }
        });
        Self { port, asked }
    }

    /// Takes connections and says nothing.
    pub(super) fn silent() -> Self {
        Self::with("", Then::Silence)
    }
}

/// A port at which nobody listens.
pub(super) fn dead_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// What is done to the connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// Nothing.
    Pass,
    /// So many answers to what decides a race are lost, after the server gave them: to conditional puts, and
    /// to renames of WebDAV.
    LoseAnswers(usize),
    /// Answers to what decides a race come a second and a half late.
    DelayAnswers,
    /// After so many bytes to the server every connection ends, and no new one is taken.
    CutAfter(u64),
}

/// Stands between a client and a real server.
#[derive(Clone)]
pub(super) struct Between {
    pub(super) port: u16,
    server: String,
    /// Requests whose answers are lost or late.
    hit: Arc<AtomicUsize>,
    rule: Arc<Mutex<Rule>>,
    /// Bytes that went to the server.
    sent: Arc<AtomicU64>,
}

impl Between {
    pub(super) fn before(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let between = Self {
            port: listener.local_addr().unwrap().port(),
            server: server.clone(),
            hit: Arc::default(),
            rule: Arc::new(Mutex::new(Rule::Pass)),
            sent: Arc::default(),
        };
        let serving = between.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { return };
                if serving.over() {
                    continue;
                }
                let Ok(server) = TcpStream::connect(&server) else {
                    continue;
                };
                serving.connect(client, server);
            }
        });
        between
    }

    /// From now on; counts from zero.
    pub(super) fn set(&self, rule: Rule) {
        self.sent.store(0, Ordering::Relaxed);
        self.hit.store(0, Ordering::Relaxed);
        *self.rule.lock().unwrap() = rule;
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    pub(super) fn server_port(&self) -> String {
        self.server.rsplit(':').next().unwrap().to_owned()
    }

    /// Waits until a request was hit and had time to reach the server.
    pub(super) fn wait_for_hit(&self) {
        while self.hit.load(Ordering::Relaxed) == 0 {
            thread::sleep(Duration::from_millis(2));
        }
        thread::sleep(Duration::from_millis(150));
    }

    pub(super) fn rule(&self) -> Rule {
        *self.rule.lock().unwrap()
    }

    fn over(&self) -> bool {
        matches!(self.rule(), Rule::CutAfter(bytes) if self.sent() >= bytes)
    }

    /// Whether the answer to this request is to be lost, or to come late.
    fn loses(&self, request: &[u8]) -> bool {
        let head = String::from_utf8_lossy(&request[..request.len().min(4096)]).to_lowercase();
        let conditional = head.starts_with("put ") && head.contains("if-none-match");
        if !conditional && !head.starts_with("move ") {
            return false;
        }
        let mut rule = self.rule.lock().unwrap();
        let hit = match &mut *rule {
            Rule::LoseAnswers(left) if *left > 0 => {
                *left -= 1;
                true
            }
            Rule::DelayAnswers => true,
            _ => false,
        };
        self.hit.fetch_add(usize::from(hit), Ordering::Relaxed);
        hit
    }

    fn connect(&self, client: TcpStream, server: TcpStream) {
        let lose = Arc::new(AtomicBool::new(false));
        let end = |one: &TcpStream, other: &TcpStream| {
            one.shutdown(Shutdown::Both).ok();
            other.shutdown(Shutdown::Both).ok();
        };
        let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        let (this, losing) = (self.clone(), Arc::clone(&lose));
        thread::spawn(move || {
            let mut piece = [0; 64 << 10];
            while let Ok(count @ 1..) = from.read(&mut piece) {
                if this.loses(&piece[..count]) {
                    losing.store(true, Ordering::Relaxed);
                }
                if this.over() || to.write_all(&piece[..count]).is_err() {
                    break;
                }
                this.sent.fetch_add(count as u64, Ordering::Relaxed);
            }
            end(&from, &to);
        });
        let (mut from, mut to) = (server, client);
        let rule = self.clone();
        thread::spawn(move || {
            let mut piece = [0; 64 << 10];
            while let Ok(count @ 1..) = from.read(&mut piece) {
                if lose.swap(false, Ordering::Relaxed) {
                    if rule.rule() != Rule::DelayAnswers {
                        break;
                    }
                    thread::sleep(Duration::from_millis(1500));
                }
                if to.write_all(&piece[..count]).is_err() {
                    break;
                }
            }
            end(&from, &to);
        });
    }
}
