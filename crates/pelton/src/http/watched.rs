//! Bodies that come too slowly: a client that stops in the middle must not hold a request for ever.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use hyper::body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep};

/// Tells afterwards why a body ended early.
#[derive(Clone, Default)]
pub struct Silence(Arc<AtomicBool>);

impl Silence {
    pub fn was_too_long(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// The request with a body that fails once nothing has come for `timeout` while somebody waited for it.
pub fn watched(request: Request, timeout: Duration) -> (Request, Silence) {
    let silence = Silence::default();
    let request = request.map(|body| {
        let sleep = Box::pin(tokio::time::sleep(timeout));
        Body::new(Watched { body, timeout, sleep, waiting: false, silence: silence.clone() })
    });
    (request, silence)
}

struct Watched {
    body: Body,
    timeout: Duration,
    sleep: Pin<Box<Sleep>>,
    /// The clock runs only while the host is ready to read.
    waiting: bool,
    silence: Silence,
}

#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    #[error(transparent)]
    Body(#[from] axum::Error),
    #[error("nothing came for too long")]
    Silence,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            self.waiting = false;
            return Poll::Ready(frame.map(|frame| frame.map_err(BodyError::from)));
        }
        if !self.waiting {
            self.waiting = true;
            let deadline = Instant::now() + self.timeout;
            self.sleep.as_mut().reset(deadline);
        }
        ready!(self.sleep.as_mut().poll(context));
        self.silence.0.store(true, Ordering::Release);
        Poll::Ready(Some(Err(BodyError::Silence)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
