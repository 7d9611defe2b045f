//! The webhook's listening socket: so many connections at a time, and none that says nothing for long.
//! Whoever is not Auth0 can keep messages from coming (the tenant log finds what they said), and
//! nothing else.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep_until};

/// Connections at a time; others wait to be accepted.
const CONNECTIONS: usize = 512;
/// A connection may be silent for so long: the service of an Action keeps it for the next message.
const SILENCE: Duration = Duration::from_secs(30);
/// No connection lasts longer, whatever it says.
const LIFETIME: Duration = Duration::from_secs(900);

/// A TCP listener with these limits.
pub(super) struct Socket {
    listener: TcpListener,
    free: Arc<Semaphore>,
}

/// A connection.
pub(super) struct Line {
    stream: TcpStream,
    /// When it is closed unless something is read.
    silent: Pin<Box<Sleep>>,
    end: Instant,
    _place: Option<OwnedSemaphorePermit>,
}

impl Socket {
    pub(super) fn new(listener: TcpListener) -> Socket {
        Socket { listener, free: Arc::new(Semaphore::new(CONNECTIONS)) }
    }
}

impl Listener for Socket {
    type Io = Line;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Line, SocketAddr) {
        let place = Arc::clone(&self.free).acquire_owned().await.ok();
        let (stream, address) = Listener::accept(&mut self.listener).await;
        let _ = stream.set_nodelay(true);
        let now = Instant::now();
        let silent = Box::pin(sleep_until(now + SILENCE));
        (Line { stream, silent, end: now + LIFETIME, _place: place }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if read.is_ready() {
            let until = (Instant::now() + SILENCE).min(self.end);
            self.silent.as_mut().reset(until);
            return read;
        }
        match self.silent.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
