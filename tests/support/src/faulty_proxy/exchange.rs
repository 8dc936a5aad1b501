//! One connection of a client: request by request it is decided what goes wrong, and it does.

use std::io;
use std::sync::Arc;

use tokio::net::TcpStream;

use super::answered::{Damage, Keeper, forward, pass, replay};
use super::faults::WireFault;
use super::memory::Key;
use super::wire::{Body, Framing, Head, Wire, malformed};
use super::{Exchange, Proxy};

/// What becomes of the client's connection after an exchange.
enum Then {
    KeepOn,
    Close,
    Cut { reset: bool },
}

/// Serves a client until one side ends. A server that cannot be reached, or ends too early, is passed on
/// as a connection that is reset.
pub(crate) async fn serve(proxy: Arc<Proxy>, stream: TcpStream) {
    let mut client = Wire::new(
        stream,
        Arc::clone(&proxy.from_clients),
        Arc::clone(&proxy.to_clients),
    );
    let mut server = None;
    while let Ok(Some(head)) = client.read.head().await {
        match exchange(&proxy, &mut client, &mut server, head).await {
            Ok(Then::KeepOn) => {}
            Ok(Then::Close) => return,
            Ok(Then::Cut { reset }) => return client.cut(reset),
            Err(_) => return client.cut(true),
        }
    }
}

async fn exchange(
    proxy: &Proxy,
    client: &mut Wire,
    server: &mut Option<Wire>,
    mut head: Head,
) -> io::Result<Then> {
    let mut words = head.line.split(' ');
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Err(malformed("a request without method and target"));
    };
    let (method, target) = (method.to_owned(), target.to_owned());
    let framing = head.request_framing()?;
    let (ask, decision) = proxy.decide(&method, &target);
    let note = |change: &dyn Fn(&mut Exchange)| proxy.note(&ask, change);
    let (fault, lot) = (decision.fault, decision.lot);
    let reset = lot & 1 == 0;
    if !decision.delay.is_zero() {
        tokio::time::sleep(decision.delay).await;
    }
    if head
        .field("expect")
        .is_some_and(|what| what.eq_ignore_ascii_case("100-continue"))
    {
        // The client waits for this word, the server need not be asked for it.
        client.write.bytes(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        head.without("expect");
    }
    let mut body = Body::new(framing);
    match fault {
        Some(WireFault::CutBefore) => {
            note(&|exchange| exchange.fault = fault);
            return Ok(Then::Cut { reset });
        }
        Some(WireFault::CutDuring) if !matches!(framing, Framing::Empty | Framing::Length(0)) => {
            let server = connected(proxy, server.take()).await?;
            let at = half_a_request(client, server, &head, framing, lot).await?;
            note(&|exchange| (exchange.fault, exchange.at) = (fault, Some(at)));
            return Ok(Then::Cut { reset });
        }
        Some(WireFault::Unavailable) => {
            body.drain(&mut client.read).await?;
            note(&|exchange| exchange.fault = fault);
            client.write.bytes(&unavailable(&method)).await?;
            return Ok(then(&[&head]));
        }
        Some(WireFault::BlackHole) => {
            note(&|exchange| exchange.fault = fault);
            client.read.swallow().await;
            return Ok(Then::Close);
        }
        _ => {}
    }

    let mut wire = connected(proxy, server.take()).await?;
    let mut answered = forward(&mut wire, client, &head, framing, &mut body, &method).await?;
    let (status, took_all) = (answered.head.status(), answered.took_all);
    note(&|exchange| (exchange.reached, exchange.status) = (took_all, status));
    let key = Key::of(&method, &target, &head);
    let mut damage = None;
    match fault {
        Some(WireFault::CutAfter) => {
            while answered.body.piece(&mut wire.read).await?.is_some() {}
            note(&|exchange| exchange.fault = fault);
            return Ok(Then::Cut { reset });
        }
        Some(which @ (WireFault::ReplayOlder | WireFault::ReplayOther)) => {
            if let Some(answer) =
                replay(proxy, which, key.as_ref(), &mut wire, &mut answered, lot).await?
            {
                // What is left of the true answer is left on its connection, which ends here.
                note(&|exchange| exchange.fault = fault);
                body.drain(&mut client.read).await?;
                client.write.head(&answer.head).await?;
                client.write.bytes(&answer.body).await?;
                return Ok(then(&[&head]));
            }
        }
        Some(which @ (WireFault::Truncate | WireFault::TruncateQuietly | WireFault::Flip)) => {
            let length = match answered.framing {
                Framing::Empty => 0,
                Framing::Length(length) => length,
                Framing::Chunked | Framing::UntilClose => {
                    answered.body.read_ahead(&mut wire.read, usize::MAX).await?;
                    answered.body.ahead().len() as u64
                }
            };
            damage = (lot >> 8)
                .checked_rem(length)
                .map(|at| Damage { which, at, lot });
        }
        _ => {}
    }
    match &damage {
        Some(damage) => note(&|exchange| (exchange.fault, exchange.at) = (fault, Some(damage.at))),
        None => note(&|exchange| exchange.spared = fault),
    }
    let damage = damage.as_ref();
    let mut keeper = Keeper { proxy, key };
    pass(&mut wire, client, &mut answered, damage, &mut keeper).await?;
    if damage.is_some_and(Damage::breaks_off) || answered.framing == Framing::UntilClose {
        return Ok(Then::Close);
    }
    if !answered.took_all {
        body.drain(&mut client.read).await?;
    } else if answered.head.keeps_alive() {
        *server = Some(wire);
    }
    Ok(then(&[&head, &answered.head]))
}

/// The connection to the server: the one at hand if it is still there, else a new one.
async fn connected(proxy: &Proxy, at_hand: Option<Wire>) -> io::Result<Wire> {
    if let Some(wire) = at_hand
        && wire.read.idle()
    {
        return Ok(wire);
    }
    let stream = TcpStream::connect(&proxy.upstream).await?;
    Ok(Wire::new(stream, Arc::default(), Arc::default()))
}

fn then(heads: &[&Head]) -> Then {
    match heads.iter().all(|head| head.keeps_alive()) {
        true => Then::KeepOn,
        false => Then::Close,
    }
}

fn unavailable(method: &str) -> Vec<u8> {
    let text = "the proxy was told to say this\n";
    let body = if method == "HEAD" { "" } else { text };
    format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n{body}",
        text.len()
    )
    .into_bytes()
}

/// Sends a request and a part of its body, then ends the connection to the server. Gives the bytes of the
/// body that were sent.
async fn half_a_request(
    client: &mut Wire,
    mut server: Wire,
    head: &Head,
    framing: Framing,
    lot: u64,
) -> io::Result<u64> {
    let mut body = Body::new(framing);
    let mut left = match framing {
        Framing::Length(length) => (lot >> 8).checked_rem(length).unwrap_or(0),
        Framing::Empty | Framing::Chunked | Framing::UntilClose => 1,
    };
    let at = left;
    server.write.head(head).await?;
    while left > 0
        && let Some(piece) = body.piece(&mut client.read).await?
    {
        let count = usize::try_from(left).map_or(piece.len(), |left| left.min(piece.len()));
        server.write.piece(framing, &piece[..count]).await?;
        left -= count as u64;
    }
    server.cut(false);
    Ok(at)
}
