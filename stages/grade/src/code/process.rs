//! Watching one process: its input is fed, its output read up to a bound, its time counted.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::confine;

/// What became of a process.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) status: ExitStatus,
    /// It was killed because the clock ran out.
    pub(super) late: bool,
    /// It was killed because it wrote too much.
    pub(super) flood: bool,
    pub(super) cpu: Duration,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
    /// What came through the extra pipe.
    pub(super) report: Vec<u8>,
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
pub(super) fn watch(
    mut command: Command,
    input: &[u8],
    report: Option<OwnedFd>,
    wall: Duration,
    most: usize,
) -> io::Result<Finished> {
    let started = Instant::now();
    command.stdin(if input.is_empty() {
        Stdio::null()
    } else {
        Stdio::piped()
    });
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    // The command holds our copies of the descriptors that only the child should have.
    drop(command);
    let pid = child.id();
    let watched = attend(&mut child, input, report, started, wall, most);
    confine::kill_session(pid);
    let (status, cpu) = confine::reap(pid)?;
    let (late, flood, streams) = watched?;
    let [stdout, stderr, report] = streams.map(|stream| stream.bytes);
    Ok(Finished {
        status: ExitStatus::from_raw(status),
        late,
        flood,
        cpu,
        stdout,
        stderr,
        report,
    })
}

fn attend(
    child: &mut std::process::Child,
    input: &[u8],
    report: Option<OwnedFd>,
    started: Instant,
    wall: Duration,
    most: usize,
) -> io::Result<(bool, bool, [Stream; 3])> {
    let nothing = || io::Error::from(io::ErrorKind::InvalidInput);
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?)
        .ok_or_else(nothing)?;
    let end = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())?;
    let mut stdin = child.stdin.take().map(OwnedFd::from);
    let mut streams = [
        child.stdout.take().map(OwnedFd::from),
        child.stderr.take().map(OwnedFd::from),
        report,
    ]
    .map(|pipe| Stream {
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
    let mut fed = 0;
    loop {
        let Some(left) = wall
            .checked_sub(started.elapsed())
            .filter(|left| !left.is_zero())
        else {
            return Ok((true, false, streams));
        };
        let (ended, ready) = {
            let mut places: Vec<(usize, BorrowedFd<'_>, PollFlags)> =
                vec![(9, end.as_fd(), PollFlags::IN)];
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
                return Ok((false, true, streams));
            }
        }
        if ended {
            return Ok((false, false, streams));
        }
    }
}
