//! HTTP/1.1 as it stands on the wire: heads, and bodies by length, in chunks or up to the end. Just
//! enough to know where a message ends. Heads pass unchanged, letter by letter, because some are signed.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// A head that is longer is no head.
const LONGEST_HEAD: usize = 1 << 20;

/// Bytes read at once.
const PIECE: usize = 1 << 16;

/// One side's connection. Both directions are counted.
pub(crate) struct Wire {
    pub(crate) read: Reading,
    pub(crate) write: Writing,
}

/// The half that is read. Whoever stops waiting for it loses nothing: what has come stays.
pub(crate) struct Reading {
    half: OwnedReadHalf,
    come: Vec<u8>,
    counted: Arc<AtomicU64>,
}

/// The half that is written.
pub(crate) struct Writing {
    half: OwnedWriteHalf,
    counted: Arc<AtomicU64>,
}

/// The first line of a message and its fields, without the empty line. Each byte is one `char`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) line: String,
    pub(crate) fields: Vec<(String, String)>,
}

/// How a body says where it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Empty,
    Length(u64),
    Chunked,
    UntilClose,
}

/// A body while it is read.
pub(crate) struct Body {
    at: At,
}

enum At {
    /// So many bytes more.
    Bytes(u64),
    /// The same, in a chunk: the next chunk follows.
    Chunk(u64),
    ChunkEnd,
    ChunkSize,
    Trailers,
    UntilClose,
    End,
}

pub(crate) fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

impl Wire {
    pub(crate) fn new(stream: TcpStream, read: Arc<AtomicU64>, written: Arc<AtomicU64>) -> Self {
        // Without it an answer in two writes waits; a connection that is gone needs no option.
        let _set = stream.set_nodelay(true);
        let (read_half, write_half) = stream.into_split();
        Self {
            read: Reading {
                half: read_half,
                come: Vec::new(),
                counted: read,
            },
            write: Writing {
                half: write_half,
                counted: written,
            },
        }
    }

    /// Ends the connection at once; `reset` leaves the other side an error, else it sees an end.
    pub(crate) fn cut(self, reset: bool) {
        if reset && let Ok(stream) = self.read.half.reunite(self.write.half) {
            // It fails on a connection that is gone, which is what is wanted.
            let _set = stream.set_zero_linger();
        }
    }
}

impl Reading {
    /// Reads more; `false` at the end.
    async fn more(&mut self) -> io::Result<bool> {
        self.come.reserve(PIECE);
        let count = self.half.read_buf(&mut self.come).await?;
        self.counted.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count > 0)
    }

    /// Whether a connection that waits for its next message is still there.
    pub(crate) fn idle(&self) -> bool {
        let mut byte = [0];
        let read = self.half.try_read(&mut byte);
        self.come.is_empty() && read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// The next message's head; `None` if the other side ended instead.
    pub(crate) async fn head(&mut self) -> io::Result<Option<Head>> {
        loop {
            if let Some(end) = find(&self.come, b"\r\n\r\n") {
                let head = Head::parse(&self.come[..end])?;
                self.come.drain(..end + 4);
                return Ok(Some(head));
            }
            if self.come.len() > LONGEST_HEAD {
                return Err(malformed("a head without an end"));
            }
            if !self.more().await? {
                return match self.come.is_empty() {
                    true => Ok(None),
                    false => Err(io::ErrorKind::UnexpectedEof.into()),
                };
            }
        }
    }

    /// Takes everything until the other side ends.
    pub(crate) async fn swallow(&mut self) {
        while self.more().await.unwrap_or(false) {
            self.come.clear();
        }
    }
}

impl Writing {
    pub(crate) async fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        // Before, so that whoever has read them finds them counted.
        self.counted
            .fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.half.write_all(bytes).await
    }

    pub(crate) async fn head(&mut self, head: &Head) -> io::Result<()> {
        self.bytes(&head.to_bytes()).await
    }

    /// A piece of a body.
    pub(crate) async fn piece(&mut self, framing: Framing, piece: &[u8]) -> io::Result<()> {
        if framing == Framing::Chunked && !piece.is_empty() {
            self.bytes(format!("{:x}\r\n", piece.len()).as_bytes())
                .await?;
            self.bytes(piece).await?;
            return self.bytes(b"\r\n").await;
        }
        self.bytes(piece).await
    }

    /// The end of a body.
    pub(crate) async fn end(&mut self, framing: Framing) -> io::Result<()> {
        match framing {
            Framing::Chunked => self.bytes(b"0\r\n\r\n").await,
            Framing::Empty | Framing::Length(_) | Framing::UntilClose => Ok(()),
        }
    }
}

impl Head {
    fn parse(bytes: &[u8]) -> io::Result<Self> {
        let text: String = bytes.iter().copied().map(char::from).collect();
        let mut lines = text.split("\r\n");
        // Empty lines before a request are to be overlooked (RFC 9112, 2.2).
        let line = lines.find(|line| !line.is_empty()).unwrap_or_default();
        let fields = lines.map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_owned(), value.to_owned()))
        });
        Ok(Self {
            line: line.to_owned(),
            fields: fields
                .collect::<Option<_>>()
                .ok_or_else(|| malformed("a line of a head without a colon"))?,
        })
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut text = format!("{}\r\n", self.line);
        for (name, value) in &self.fields {
            text.extend([name, ":", value, "\r\n"]);
        }
        text.push_str("\r\n");
        // Every `char` came from one byte, or was written by us in ASCII.
        text.chars()
            .filter_map(|char| u8::try_from(char).ok())
            .collect()
    }

    /// A field's value without the blanks around it.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let found = self
            .fields
            .iter()
            .find(|(own, _)| own.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim())
    }

    pub(crate) fn without(&mut self, name: &str) {
        self.fields
            .retain(|(own, _)| !own.eq_ignore_ascii_case(name));
    }

    /// Says how long the body is, in place of whatever it said before.
    pub(crate) fn set_length(&mut self, length: u64) {
        self.without("transfer-encoding");
        self.without("content-length");
        self.fields
            .push(("content-length".to_owned(), format!(" {length}")));
    }

    /// The status of an answer.
    pub(crate) fn status(&self) -> Option<u16> {
        self.line.split(' ').nth(1)?.parse().ok()
    }

    /// Whether another message may follow on the connection.
    pub(crate) fn keeps_alive(&self) -> bool {
        let said = self.field("connection").unwrap_or_default();
        let says = |word: &str| {
            said.split(',')
                .any(|one| one.trim().eq_ignore_ascii_case(word))
        };
        match self.line.contains("HTTP/1.0") {
            true => says("keep-alive"),
            false => !says("close"),
        }
    }

    /// The framing of a request's body.
    pub(crate) fn request_framing(&self) -> io::Result<Framing> {
        Ok(self.framing()?.unwrap_or(Framing::Empty))
    }

    /// The framing of the body of an answer to this method.
    pub(crate) fn answer_framing(&self, method: &str) -> io::Result<Framing> {
        if method == "HEAD" || matches!(self.status(), Some(100..=199 | 204 | 304)) {
            return Ok(Framing::Empty);
        }
        Ok(self.framing()?.unwrap_or(Framing::UntilClose))
    }

    fn framing(&self) -> io::Result<Option<Framing>> {
        if let Some(coding) = self.field("transfer-encoding") {
            let chunked = coding.to_ascii_lowercase().ends_with("chunked");
            return match chunked {
                true => Ok(Some(Framing::Chunked)),
                false => Err(malformed("a transfer coding that is not chunked")),
            };
        }
        let length = self.field("content-length").map(|length| {
            let length = length
                .parse()
                .map_err(|_| malformed("a length that is no number"))?;
            Ok(Framing::Length(length))
        });
        length.transpose()
    }
}

impl Body {
    pub(crate) fn new(framing: Framing) -> Self {
        Self {
            at: match framing {
                Framing::Empty | Framing::Length(0) => At::End,
                Framing::Length(length) => At::Bytes(length),
                Framing::Chunked => At::ChunkSize,
                Framing::UntilClose => At::UntilClose,
            },
        }
    }

    /// The next piece of the body, without its framing; `None` at its end. Trailers are dropped.
    pub(crate) async fn piece(&mut self, from: &mut Reading) -> io::Result<Option<Bytes>> {
        loop {
            match self.at {
                At::End => return Ok(None),
                At::Bytes(left) | At::Chunk(left) if !from.come.is_empty() => {
                    let have = from.come.len();
                    let count = usize::try_from(left).map_or(have, |left| left.min(have));
                    let rest = from.come.split_off(count);
                    let piece = std::mem::replace(&mut from.come, rest);
                    let left = left - count as u64;
                    self.at = match self.at {
                        At::Chunk(_) if left == 0 => At::ChunkEnd,
                        At::Chunk(_) => At::Chunk(left),
                        _ if left == 0 => At::End,
                        _ => At::Bytes(left),
                    };
                    return Ok(Some(piece.into()));
                }
                At::UntilClose if !from.come.is_empty() => {
                    return Ok(Some(std::mem::take(&mut from.come).into()));
                }
                At::ChunkEnd | At::ChunkSize | At::Trailers => {
                    if let Some(end) = find(&from.come, b"\r\n") {
                        let line: Vec<u8> = from.come.drain(..end + 2).take(end).collect();
                        self.at = self.after_line(&line)?;
                        continue;
                    }
                    if from.come.len() > LONGEST_HEAD {
                        return Err(malformed("a line between chunks without an end"));
                    }
                }
                At::Bytes(_) | At::Chunk(_) | At::UntilClose => {}
            }
            if !from.more().await? {
                if matches!(self.at, At::UntilClose) {
                    self.at = At::End;
                    continue;
                }
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    fn after_line(&self, line: &[u8]) -> io::Result<At> {
        match self.at {
            At::ChunkEnd if line.is_empty() => Ok(At::ChunkSize),
            At::ChunkEnd => Err(malformed("a chunk that is longer than its size")),
            At::Trailers if line.is_empty() => Ok(At::End),
            At::Trailers => Ok(At::Trailers),
            _ => {
                let text = std::str::from_utf8(line).unwrap_or_default();
                let size = text.split(';').next().unwrap_or_default().trim();
                match u64::from_str_radix(size, 16) {
                    Ok(0) => Ok(At::Trailers),
                    Ok(size) => Ok(At::Chunk(size)),
                    Err(_) => Err(malformed("a chunk without a size")),
                }
            }
        }
    }

    /// Reads what is left and forgets it.
    pub(crate) async fn drain(&mut self, from: &mut Reading) -> io::Result<()> {
        while self.piece(from).await?.is_some() {}
        Ok(())
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
