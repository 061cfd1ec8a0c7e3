//! Bodies that do not arrive.
//!
//! The head of a request has a time of its own; without one for the body, a caller that sends a byte a minute holds a handler, and
//! with it a connection, for as long as a connection may live. HTTP alone: a gRPC stream may be silent for as long as it likes.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::BoxError;
use axum::body::{Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio::time::Sleep;

/// How long a body may take altogether. The longest one is 64 KiB.
const WITHIN: Duration = Duration::from_secs(30);

/// A body that fails when it takes too long.
pub(super) struct Timed<B> {
    body: B,
    /// From the first time there was nothing to read.
    late: Option<Pin<Box<Sleep>>>,
}

/// The body took too long.
#[derive(Debug, thiserror::Error)]
#[error("the body did not arrive within {} s", WITHIN.as_secs())]
struct Late;

impl<B> Timed<B> {
    pub(super) fn new(body: B) -> Self {
        Self { body, late: None }
    }
}

impl<B> HttpBody for Timed<B>
where
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(frame) => Poll::Ready(frame.map(|frame| frame.map_err(Into::into))),
            Poll::Pending => {
                let late = self.late.get_or_insert_with(|| Box::pin(tokio::time::sleep(WITHIN)));
                late.as_mut().poll(cx).map(|()| Some(Err(Late.into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http_body_util::BodyExt as _;
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_body_that_trickles_fails_in_time() {
        let trickle = futures::stream::unfold((), async |()| {
            tokio::time::sleep(Duration::from_secs(7)).await;
            Some((Ok::<_, std::io::Error>("x"), ()))
        });
        let began = Instant::now();
        let body = Timed::new(Body::from_stream(trickle));
        let error = body.collect().await.expect_err("it never ends");
        assert!(error.to_string().contains("30 s"), "{error}");
        assert_eq!(began.elapsed(), WITHIN);
    }

    #[tokio::test]
    async fn a_body_that_is_there_is_read() {
        let body = Timed::new(Body::from("hello"));
        assert_eq!(body.collect().await.expect("read").to_bytes(), "hello");
    }
}
