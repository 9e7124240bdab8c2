//! Lives here: one SMPP connection, that is a socket and its session in the caller's task.
//! Never here: protocol decisions (session), reconnecting (the owner), spawned tasks.

mod handle;
mod stream;
mod tls;

#[cfg(test)]
mod tests;

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Buf;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::coop::has_budget_remaining;
use tokio::time::Sleep;

use crate::session::{Action, CloseReason, Input, Refused, Session, SessionConfig, State};

pub use handle::{
    Answer, Driver, Event, Handle, Incoming, Limits, NoAnswer, Orphan, Outcome, PeerRequest,
    Pending, Reply, Responder, SubmitError, Ticket,
};
pub use stream::{Handshake, Stream, TcpOptions};
pub use tls::{Roots, TlsClient, TlsError, TlsServer};

/// Octets read at once, and so the most that one [`Connection::drive`] hands to the session at a time.
const READ_MAX: usize = 64 * 1024;
/// Octets that may wait for a peer who does not read, beside the requests outstanding, which the window limits.
const WRITE_MAX: usize = 1024 * 1024;
/// How long a closed session's last octets (unbind_resp, a bind's refusal) may take to leave.
const FINISH_MAX: Duration = Duration::from_secs(1);
/// Reads that empty the socket before it is closed: unread octets would turn our FIN into a reset, and a reset
/// takes our last answer with it.
const DRAIN_READS_MAX: usize = 16;

/// One SMPP connection: a socket and its [`Session`], owned by the caller's task; spawns nothing.
///
/// Uses the real clock (`std::time::Instant`) and a tokio timer. Dropping it closes the socket at once.
pub struct Connection<T: Clone> {
    stream: Stream,
    session: Session<T>,
    peer: SocketAddr,
    buffer: Box<[u8]>,
    /// What happened and was not yet handed out: `drive` returns it together with being ready, so that a dropped
    /// `drive` loses nothing.
    pending: Vec<Action<T>>,
    /// Never later than the session's deadline; it may be earlier, then it is set anew when it fires. Deadlines
    /// move with every PDU, so setting it each time would cost more than the rare idle wake-up.
    timer: Option<Pin<Box<Sleep>>>,
    unflushed: bool,
    /// Writing failed: only reading is left.
    broken: Option<io::ErrorKind>,
    finish: Finish,
}

/// How far the socket's orderly end has come, once the session is closed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Finish {
    NotYet,
    Running,
    Done,
}

/// What one step of `drive` has come to.
enum Step {
    /// Something happened: look again.
    Moved,
    /// Nothing until the task is woken.
    Waiting,
}

impl<T: Clone> Connection<T> {
    /// A session over a connected stream. The session's bind timer starts now.
    pub fn new(stream: Stream, config: SessionConfig) -> Self {
        // A socket whose peer has vanished between accept and here has no address; its first read tells.
        let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
        Self {
            peer: stream.peer_addr().unwrap_or(unknown),
            stream,
            session: Session::new(config, Instant::now()),
            buffer: vec![0; READ_MAX].into_boxed_slice(),
            pending: Vec::new(),
            timer: None,
            unflushed: false,
            broken: None,
            finish: Finish::NotYet,
        }
    }

    /// The session, to look at it or to give it inputs with the caller's own `now` (one clock reading per batch).
    pub fn session(&mut self) -> &mut Session<T> {
        &mut self.session
    }

    /// The peer's address; `0.0.0.0:0` if the peer was gone before it could be asked.
    pub fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    /// Writes what is pending (all of it in one write), then waits until something happened: octets arrived or a
    /// deadline passed. Appends what that means to `actions`.
    ///
    /// Returns once `actions` is not empty (also when it was not empty before), or when the connection is closed
    /// and its last octets are written (which may take a second at most); each call reads at most 64 KiB that
    /// lead to actions. While a write is blocked it goes on reading; more than 1 MiB blocked, beside the
    /// requests outstanding, closes the connection with [`CloseReason::PeerNotReading`]. After [`Action::Closed`]
    /// it returns at once, for ever.
    ///
    /// Cancel-safe: octets and actions stay in the connection when the future is dropped.
    pub async fn drive(&mut self, actions: &mut Vec<Action<T>>) {
        poll_fn(|cx| self.poll_drive(cx, actions)).await;
    }

    /// Gives the session an input at `Instant::now()`. What is to be sent goes out with the next `drive` or `flush`.
    ///
    /// # Errors
    /// As [`Session::handle`].
    pub fn send(
        &mut self,
        input: Input<'_, T>,
        actions: &mut Vec<Action<T>>,
    ) -> Result<(), Refused> {
        self.session.handle(input, Instant::now(), actions)
    }

    /// Waits until all pending octets are with the kernel, reading nothing meanwhile: [`Connection::drive`] is what
    /// a running session wants. Cancel-safe. Has no timeout of its own.
    ///
    /// # Errors
    /// The socket failed; the next `drive` reports it as [`Action::Closed`].
    pub async fn flush(&mut self) -> io::Result<()> {
        poll_fn(|cx| {
            let written = self.poll_output(cx);
            match self.broken {
                Some(kind) => Poll::Ready(Err(kind.into())),
                None => written.map(Ok),
            }
        })
        .await
    }

    /// Actions for the next `drive`, before any other.
    pub(crate) fn defer(&mut self, mut actions: Vec<Action<T>>) {
        actions.append(&mut self.pending);
        self.pending = actions;
    }

    fn poll_drive(&mut self, cx: &mut Context<'_>, actions: &mut Vec<Action<T>>) -> Poll<()> {
        loop {
            let blocked = self.poll_output(cx).is_pending();
            if self.session.state().is_closed() {
                std::task::ready!(self.poll_finish(cx));
                return self.hand_out(actions);
            }
            if !self.pending.is_empty() || !actions.is_empty() {
                return self.hand_out(actions);
            }
            let waiting = self.session.output().len();
            if blocked && waiting > WRITE_MAX + self.session.in_flight_octets() {
                self.session.output().clear();
                self.broken = Some(io::ErrorKind::TimedOut);
                self.session
                    .abort(CloseReason::PeerNotReading, &mut self.pending);
                continue;
            }
            match self.poll_input(cx) {
                Step::Moved => continue,
                Step::Waiting => {}
            }
            match self.poll_timer(cx) {
                Step::Moved => {}
                Step::Waiting => return Poll::Pending,
            }
        }
    }

    fn hand_out(&mut self, actions: &mut Vec<Action<T>>) -> Poll<()> {
        if actions.is_empty() {
            std::mem::swap(actions, &mut self.pending);
        } else {
            actions.append(&mut self.pending);
        }
        Poll::Ready(())
    }

    /// Ready when nothing is left to write, or writing has failed (`broken`).
    fn poll_output(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let output = self.session.output();
        if self.broken.is_some() {
            output.clear();
            return Poll::Ready(());
        }
        while !output.is_empty() {
            let failed = match Pin::new(&mut self.stream).poll_write(cx, output) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(0)) => io::ErrorKind::WriteZero,
                Poll::Ready(Ok(written)) => {
                    output.advance(written);
                    self.unflushed = true;
                    continue;
                }
                Poll::Ready(Err(error)) => error.kind(),
            };
            self.broken = Some(failed);
            output.clear();
            return Poll::Ready(());
        }
        if self.unflushed {
            match Pin::new(&mut self.stream).poll_flush(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => self.broken = Some(error.kind()),
            }
            self.unflushed = false;
        }
        Poll::Ready(())
    }

    /// Reads once. After a failed write it reads what the peer had sent before, since those may be answers.
    fn poll_input(&mut self, cx: &mut Context<'_>) -> Step {
        let mut read = ReadBuf::new(&mut self.buffer);
        let result = Pin::new(&mut self.stream).poll_read(cx, &mut read);
        let count = read.filled().len();
        let input = match result {
            Poll::Pending => {
                // Out of budget is not out of octets: tokio wakes the task at once and they are read then.
                let Some(kind) = self.broken.filter(|_| has_budget_remaining()) else {
                    return Step::Waiting;
                };
                self.session.abort(CloseReason::Io(kind), &mut self.pending);
                return Step::Moved;
            }
            Poll::Ready(Ok(())) if count == 0 => Input::Eof,
            Poll::Ready(Ok(())) => Input::Received(&self.buffer[..count]),
            Poll::Ready(Err(error)) => {
                let kind = error.kind();
                // TLS peers rarely say close_notify, and after an unbind a reset is as good as a FIN.
                let ended = kind == io::ErrorKind::UnexpectedEof
                    || self.session.state() == State::Unbinding;
                if !ended {
                    self.session.abort(CloseReason::Io(kind), &mut self.pending);
                    return Step::Moved;
                }
                Input::Eof
            }
        };
        let now = Instant::now();
        let taken = self.session.handle(input, now, &mut self.pending);
        debug_assert!(taken.is_ok(), "octets and their end are never refused");
        // A peer that never falls silent never lets the timer be looked at.
        if self
            .session
            .next_deadline()
            .is_some_and(|deadline| deadline <= now)
        {
            self.tick(now);
        }
        Step::Moved
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Step {
        let Some(deadline) = self.session.next_deadline() else {
            return Step::Waiting;
        };
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline.into())));
        if timer.deadline().into_std() > deadline {
            timer.as_mut().reset(deadline.into());
        }
        if timer.as_mut().poll(cx).is_pending() {
            return Step::Waiting;
        }
        self.tick(Instant::now());
        if let (Some(next), Some(timer)) = (self.session.next_deadline(), &mut self.timer) {
            timer.as_mut().reset(next.into());
        }
        Step::Moved
    }

    fn tick(&mut self, now: Instant) {
        let taken = self.session.handle(Input::Tick, now, &mut self.pending);
        debug_assert!(taken.is_ok(), "a tick is never refused");
    }

    /// Writes the last octets and closes our half, within `FINISH_MAX`.
    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.finish == Finish::Done {
            return Poll::Ready(());
        }
        if self.finish == Finish::NotYet {
            self.finish = Finish::Running;
            self.timer = Some(Box::pin(tokio::time::sleep(FINISH_MAX)));
        }
        let mut ended = self.poll_output(cx).is_ready();
        if ended && self.broken.is_none() {
            // Its failure changes nothing any more.
            ended = Pin::new(&mut self.stream).poll_shutdown(cx).is_ready();
        }
        let timer = self.timer.as_mut().map(|timer| timer.as_mut().poll(cx));
        if !ended && timer.is_some_and(|timer| timer.is_pending()) {
            return Poll::Pending;
        }
        for _ in 0..DRAIN_READS_MAX {
            let mut read = ReadBuf::new(&mut self.buffer);
            match Pin::new(&mut self.stream).poll_read(cx, &mut read) {
                Poll::Ready(Ok(())) if !read.filled().is_empty() => {}
                Poll::Ready(_) | Poll::Pending => break,
            }
        }
        self.finish = Finish::Done;
        self.timer = None;
        Poll::Ready(())
    }
}
