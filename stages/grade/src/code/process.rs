//! Watching one process: its input is fed, its output read up to a bound, its time counted.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::confine;
use super::worker::Worker;

/// How a process ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    pub(super) cpu: Duration,
    /// One of its processes was killed because together they held too much memory.
    pub(super) too_much_memory: bool,
}

/// What became of a process.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) ended: Ended,
    /// It was killed because the clock ran out.
    pub(super) late: bool,
    /// It was killed because it wrote too much.
    pub(super) flood: bool,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
    /// What came through the extra pipe.
    pub(super) report: Vec<u8>,
}

/// What a process reads and may write.
#[derive(Debug)]
pub(super) struct Watch<'a> {
    /// Its standard input.
    pub(super) input: &'a [u8],
    /// The reading end of a pipe it has besides the standard three.
    pub(super) report: Option<OwnedFd>,
    /// Time on the clock.
    pub(super) wall: Duration,
    /// Bytes of each stream.
    pub(super) most: usize,
}

struct Stream {
    pipe: Option<OwnedFd>,
    bytes: Vec<u8>,
}

impl Stream {
    /// Reads what is there. True where there is more than allowed.
    fn pull(&mut self, most: usize) -> bool {
        let mut buffer = [0u8; 1 << 16];
        while let Some(pipe) = &self.pipe {
            match rustix::io::read(pipe, &mut buffer) {
                Ok(0) => self.pipe = None,
                Ok(n) => {
                    let room = most.saturating_sub(self.bytes.len());
                    self.bytes.extend_from_slice(&buffer[..n.min(room)]);
                    if n > room {
                        // The pipe stays open until the program is killed: a broken one would be an answer.
                        return true;
                    }
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => return false,
                Err(_) => self.pipe = None,
            }
        }
        false
    }
}

/// Starts a command and watches it until it ended. Nothing of it is left behind.
pub(super) fn watch(mut command: Command, watch: Watch<'_>) -> io::Result<Finished> {
    let started = Instant::now();
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn()?;
    // The command holds our copies of the descriptors that only the child should have.
    drop(command);
    let pid = child.id();
    let nothing = || io::Error::from(io::ErrorKind::InvalidInput);
    let number = rustix::process::Pid::from_raw(i32::try_from(pid).map_err(io::Error::other)?)
        .ok_or_else(nothing)?;
    let pipes = Pipes {
        stdin: child.stdin.take().map(OwnedFd::from),
        stdout: child.stdout.take().map(OwnedFd::from),
        stderr: child.stderr.take().map(OwnedFd::from),
    };
    let watched = rustix::process::pidfd_open(number, rustix::process::PidfdFlags::empty())
        .map_err(io::Error::from)
        .and_then(|end| attend(end.as_fd(), pipes, watch, started));
    confine::kill_session(pid);
    let (status, cpu) = confine::reap(pid)?;
    Ok(watched?.finished(Ended {
        status: ExitStatus::from_raw(status),
        cpu,
        too_much_memory: false,
    }))
}

/// Starts a program in a warm worker and watches it. `keep` are the descriptors it has besides the standard three.
/// The worker waits for orders afterwards, unless this is an error.
pub(super) fn watch_warm(
    worker: &mut Worker,
    begin: impl FnOnce(&mut Worker, &[BorrowedFd<'_>]) -> io::Result<()>,
    keep: Vec<OwnedFd>,
    watch: Watch<'_>,
) -> io::Result<Finished> {
    let started = Instant::now();
    let (their_stdin, stdin) = io::pipe()?;
    let (stdout, their_stdout) = io::pipe()?;
    let (stderr, their_stderr) = io::pipe()?;
    let mut theirs = vec![
        their_stdin.as_fd(),
        their_stdout.as_fd(),
        their_stderr.as_fd(),
    ];
    theirs.extend(keep.iter().map(AsFd::as_fd));
    begin(worker, &theirs)?;
    drop((their_stdin, their_stdout, their_stderr, keep));
    let pipes = Pipes {
        stdin: Some(stdin.into()),
        stdout: Some(stdout.into()),
        stderr: Some(stderr.into()),
    };
    let watched = attend(worker.end(), pipes, watch, started);
    let ended = worker.finish()?;
    Ok(watched?.finished(ended))
}

/// Our ends of the standard three.
struct Pipes {
    stdin: Option<OwnedFd>,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
}

/// What was seen of a process up to its end.
struct Seen {
    late: bool,
    flood: bool,
    streams: [Stream; 3],
}

impl Seen {
    fn finished(self, ended: Ended) -> Finished {
        let [stdout, stderr, report] = self.streams.map(|stream| stream.bytes);
        Finished {
            ended,
            late: self.late,
            flood: self.flood,
            stdout,
            stderr,
            report,
        }
    }
}

/// `end` becomes readable when the process has ended.
fn attend(
    end: BorrowedFd<'_>,
    pipes: Pipes,
    watch: Watch<'_>,
    started: Instant,
) -> io::Result<Seen> {
    let Watch {
        input,
        report,
        wall,
        most,
    } = watch;
    // Nothing to feed: the program reads the end at once.
    let mut stdin = pipes.stdin.filter(|_| !input.is_empty());
    let mut streams = [pipes.stdout, pipes.stderr, report].map(|pipe| Stream {
        pipe,
        bytes: Vec::new(),
    });
    for pipe in streams
        .iter()
        .filter_map(|stream| stream.pipe.as_ref())
        .chain(&stdin)
    {
        let flags = rustix::fs::fcntl_getfl(pipe)?;
        rustix::fs::fcntl_setfl(pipe, flags | rustix::fs::OFlags::NONBLOCK)?;
    }
    let seen = |late, flood, streams| {
        Ok(Seen {
            late,
            flood,
            streams,
        })
    };
    let mut fed = 0;
    loop {
        let Some(left) = wall
            .checked_sub(started.elapsed())
            .filter(|left| !left.is_zero())
        else {
            return seen(true, false, streams);
        };
        let (ended, ready) = {
            let mut places: Vec<(usize, BorrowedFd<'_>, PollFlags)> = vec![(9, end, PollFlags::IN)];
            for (place, stream) in streams.iter().enumerate() {
                places.extend(
                    stream
                        .pipe
                        .as_ref()
                        .map(|pipe| (place, pipe.as_fd(), PollFlags::IN)),
                );
            }
            places.extend(stdin.as_ref().map(|pipe| (8, pipe.as_fd(), PollFlags::OUT)));
            let mut polled: Vec<PollFd<'_>> = places
                .iter()
                .map(|(_, pipe, flags)| PollFd::from_borrowed_fd(*pipe, *flags))
                .collect();
            let timeout = Timespec::try_from(left.min(Duration::from_secs(3600)))
                .map_err(io::Error::other)?;
            match poll(&mut polled, Some(&timeout)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let ready: Vec<usize> = places
                .iter()
                .zip(&polled)
                .filter(|(_, p)| !p.revents().is_empty())
                .map(|(place, _)| place.0)
                .collect();
            (ready.contains(&9), ready)
        };
        if ready.contains(&8) {
            while let Some(pipe) = &stdin {
                match rustix::io::write(pipe, input.get(fed..).unwrap_or_default()) {
                    Ok(n) => {
                        fed += n;
                        if fed >= input.len() {
                            stdin = None;
                        }
                    }
                    Err(rustix::io::Errno::INTR) => {}
                    Err(rustix::io::Errno::AGAIN) => break,
                    // The program does not read on, which is its right.
                    Err(_) => stdin = None,
                }
            }
        }
        for stream in &mut streams {
            if stream.pull(most) {
                return seen(false, true, streams);
            }
        }
        if ended {
            return seen(false, false, streams);
        }
    }
}
