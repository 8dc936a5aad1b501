//! HTTP by hand, to send what a good client would not and to see what came, byte by byte.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::{BackoffConfig, ClientOptions, RetryConfig};

/// Bytes among which every place can be told from its neighbours.
pub(crate) fn bytes(length: usize) -> Vec<u8> {
    (0..=250).cycle().take(length).collect()
}

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Got {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

pub(crate) fn connect(url: &str) -> TcpStream {
    let stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream
}

/// One request on a connection of its own; everything that comes until the other side ends.
pub(crate) fn ask(url: &str, head: &str, body: &[u8]) -> io::Result<Got> {
    let mut stream = connect(url);
    let (line, fields) = head.split_once('\n').unwrap_or((head, ""));
    let mut request = format!("{line} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n");
    if !body.is_empty() {
        request += &format!("content-length: {}\r\n", body.len());
    }
    for field in fields.lines() {
        request += &format!("{}\r\n", field.trim());
    }
    request += "\r\n";
    stream.write_all(request.as_bytes())?;
    stream.write_all(body)?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    parsed(&bytes).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

fn parsed(bytes: &[u8]) -> Option<Got> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    Some(Got {
        status: head.split(' ').nth(1)?.parse().ok()?,
        head,
        body: bytes[end + 4..].to_vec(),
    })
}

/// A server for one connection: reads until `enough` says so, answers these very bytes, closes. Joined, it
/// gives what it read.
pub(crate) fn canned(
    enough: impl Fn(&[u8]) -> bool + Send + 'static,
    answer: impl Into<Vec<u8>>,
) -> (String, JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = answer.into();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut read = Vec::new();
        let mut piece = [0; 4096];
        while !enough(&read) {
            let count = stream.read(&mut piece).unwrap();
            if count == 0 {
                return read;
            }
            read.extend_from_slice(&piece[..count]);
        }
        stream.write_all(&answer).unwrap();
        read
    });
    (url, thread)
}

/// A client of the bucket that tries each request so often again.
pub(crate) fn client(url: &str, retries: usize) -> AmazonS3 {
    AmazonS3Builder::new()
        .with_endpoint(url)
        .with_bucket_name("bucket")
        .with_region("us-east-1")
        .with_access_key_id("key")
        .with_secret_access_key("secret")
        .with_client_options(
            ClientOptions::new()
                .with_allow_http(true)
                .with_timeout(Duration::from_secs(10)),
        )
        .with_retry(RetryConfig {
            backoff: BackoffConfig {
                init_backoff: Duration::from_millis(1),
                max_backoff: Duration::from_millis(10),
                base: 2.0,
            },
            max_retries: retries,
            retry_timeout: Duration::from_secs(20),
        })
        .build()
        .unwrap()
}

/// Waits for a future on a runtime of its own.
pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}
