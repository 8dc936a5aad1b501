//! The answer of the server, on its way to the client: as it is, damaged, or another in its place.

use std::io;

use axum::body::Bytes;

use super::Proxy;
use super::faults::WireFault;
use super::memory::{Answer, Key, LONGEST_KEPT};
use super::wire::{Body, Framing, Head, Reading, Wire, malformed};

/// What the server says to a request.
pub(super) struct Answered {
    pub(super) head: Head,
    pub(super) framing: Framing,
    pub(super) body: Incoming,
    /// The server took the request in whole before it spoke.
    pub(super) took_all: bool,
}

/// A body, some of which may have been read ahead.
pub(super) struct Incoming {
    ahead: Option<Bytes>,
    body: Body,
}

impl Incoming {
    pub(super) async fn piece(&mut self, from: &mut Reading) -> io::Result<Option<Bytes>> {
        match self.ahead.take() {
            Some(ahead) if !ahead.is_empty() => Ok(Some(ahead)),
            _ => self.body.piece(from).await,
        }
    }

    /// Reads ahead at most about so many bytes. Says whether that is all of the body.
    pub(super) async fn read_ahead(&mut self, from: &mut Reading, most: usize) -> io::Result<bool> {
        let mut ahead = Vec::new();
        let mut whole = true;
        while let Some(piece) = self.piece(from).await? {
            ahead.extend_from_slice(&piece);
            if ahead.len() > most {
                whole = false;
                break;
            }
        }
        self.ahead = Some(ahead.into());
        Ok(whole)
    }

    pub(super) fn ahead(&self) -> &[u8] {
        self.ahead.as_deref().unwrap_or_default()
    }
}

/// Hands a request over and waits for the head of the answer, which may come before all is sent.
pub(super) async fn forward(
    server: &mut Wire,
    client: &mut Wire,
    head: &Head,
    framing: Framing,
    body: &mut Body,
    method: &str,
) -> io::Result<Answered> {
    /// Whose connection failed while the request was sent.
    enum Failed {
        Client(io::Error),
        Server,
    }
    let (read, write) = (&mut server.read, &mut server.write);
    let sending = async {
        write.head(head).await.map_err(|_| Failed::Server)?;
        while let Some(piece) = body.piece(&mut client.read).await.map_err(Failed::Client)? {
            write
                .piece(framing, &piece)
                .await
                .map_err(|_| Failed::Server)?;
        }
        write.end(framing).await.map_err(|_| Failed::Server)
    };
    let (head, took_all) = tokio::select! {
        biased;
        sent = sending => match sent {
            Ok(()) => (answer_head(read).await?, true),
            Err(Failed::Client(error)) => return Err(error),
            // It may have said why before it closed.
            Err(Failed::Server) => (answer_head(read).await?, false),
        },
        head = answer_head(read) => (head?, false),
    };
    let framing = head.answer_framing(method)?;
    Ok(Answered {
        head,
        framing,
        body: Incoming {
            ahead: None,
            body: Body::new(framing),
        },
        took_all,
    })
}

/// The head of the answer itself, after those that only say that it will come.
async fn answer_head(read: &mut Reading) -> io::Result<Head> {
    loop {
        let head = read.head().await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        match head.status() {
            Some(101) => return Err(malformed("a protocol that is not HTTP/1.1")),
            Some(100..=199) => {}
            Some(_) => return Ok(head),
            None => return Err(malformed("an answer without a status")),
        }
    }
}

/// The answer to be given in place of the true one, if there is any.
pub(super) async fn replay(
    proxy: &Proxy,
    which: WireFault,
    key: Option<&Key>,
    server: &mut Wire,
    answered: &mut Answered,
    lot: u64,
) -> io::Result<Option<Answer>> {
    let Some(key) = key else {
        return Ok(None);
    };
    let whole = answered
        .body
        .read_ahead(&mut server.read, LONGEST_KEPT)
        .await?;
    let present = whole.then(|| {
        Answer::new(
            &answered.head,
            answered.framing,
            answered.body.ahead().to_vec(),
        )
    });
    let mut state = proxy.state();
    let found = match which {
        WireFault::ReplayOlder => state.memory.older(key, present.as_ref(), lot >> 8),
        _ => state.memory.other(key, present.as_ref(), lot >> 8),
    };
    if let Some(present) = present {
        state.memory.keep(key.clone(), present);
    }
    Ok(found)
}

/// What is done to the body of an answer.
pub(super) struct Damage {
    pub(super) which: WireFault,
    /// The byte that is flipped, or the first that is missing.
    pub(super) at: u64,
    pub(super) lot: u64,
}

impl Damage {
    /// How many bytes of the body the client is sent; the greatest number for all of them.
    fn end(&self) -> u64 {
        match self.which {
            WireFault::Truncate | WireFault::TruncateQuietly => self.at,
            _ => u64::MAX,
        }
    }

    /// The client waits for more than will come.
    pub(super) fn breaks_off(&self) -> bool {
        self.which == WireFault::Truncate
    }
}

/// Keeps an answer whose body has come in whole, if it may be replayed to requests of this key.
pub(super) struct Keeper<'a> {
    pub(super) proxy: &'a Proxy,
    pub(super) key: Option<Key>,
}

impl Keeper<'_> {
    fn keep(&mut self, answered: &Answered, body: &mut Option<Vec<u8>>) {
        if let Some((key, body)) = self.key.take().zip(body.take()) {
            let answer = Answer::new(&answered.head, answered.framing, body);
            self.proxy.keep(key, answer);
        }
    }
}

/// Passes an answer on, damaged or not. It is kept before the client can have all of it: whoever asks
/// again after an answer finds it kept.
pub(super) async fn pass(
    server: &mut Wire,
    client: &mut Wire,
    answered: &mut Answered,
    damage: Option<&Damage>,
    keeper: &mut Keeper<'_>,
) -> io::Result<()> {
    let framing = answered.framing;
    let end = damage.map_or(u64::MAX, Damage::end);
    let quietly = damage.is_some_and(|damage| damage.which == WireFault::TruncateQuietly);
    let mut head = answered.head.clone();
    if quietly && matches!(framing, Framing::Length(_)) {
        head.set_length(end);
    }
    // The client has all of a shortened answer before we have all of the whole one: not kept.
    let mut kept = (end == u64::MAX).then(Vec::new);
    if matches!(framing, Framing::Empty | Framing::Length(0)) {
        keeper.keep(answered, &mut kept);
    }
    client.write.head(&head).await?;
    let mut at = 0;
    while let Some(piece) = answered.body.piece(&mut server.read).await? {
        match &mut kept {
            Some(bytes) if bytes.len() + piece.len() <= LONGEST_KEPT => {
                bytes.extend_from_slice(&piece);
            }
            _ => kept = None,
        }
        let begin = at;
        at += piece.len() as u64;
        if framing == Framing::Length(at) {
            keeper.keep(answered, &mut kept);
        }
        let room = usize::try_from(end.saturating_sub(begin)).unwrap_or(usize::MAX);
        let sent = piece.slice(..piece.len().min(room));
        match damage {
            Some(damage) if damage.which == WireFault::Flip => {
                let sent = flipped(&sent, damage.at.checked_sub(begin), damage.lot);
                client.write.piece(framing, &sent).await?;
            }
            _ => client.write.piece(framing, &sent).await?,
        }
    }
    keeper.keep(answered, &mut kept);
    if damage.is_some_and(Damage::breaks_off) {
        return Ok(());
    }
    client.write.end(framing).await
}

/// The piece with one bit changed, if the place is within it.
fn flipped(piece: &[u8], at: Option<u64>, lot: u64) -> Vec<u8> {
    let mut piece = piece.to_vec();
    let place = at.and_then(|at| usize::try_from(at).ok());
    if let Some(byte) = place.and_then(|place| piece.get_mut(place)) {
        *byte ^= 1 << (lot & 7);
    }
    piece
}
