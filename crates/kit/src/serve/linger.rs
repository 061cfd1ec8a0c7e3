//! Hearing a caller out before answering.
//!
//! A server that closes an HTTP/1 connection with bytes unread resets it, and the reset overtakes the answer: whoever was
//! still sending sees a broken connection instead of what was wrong with the request. So what a handler left of a body is
//! read and thrown away first, within bounds. HTTP/2 has no such problem: its streams end one by one.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use http::{Request, Version, header};
use http_body_util::BodyExt as _;
use hyper::body::{Frame, SizeHint};

/// The most that is thrown away, in bytes.
const MOST: usize = 4 * 1024 * 1024;

/// The longest that is waited for it.
const LONGEST: Duration = Duration::from_secs(1);

/// What a handler leaves of a body.
pub(super) struct Rest<B>(Shared<B>);

/// A body that can still be read when its request is gone.
struct Shared<B>(Arc<Mutex<B>>);

impl<B> Clone for Shared<B> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// Prepares a request for its handler; the rest is there where something may remain unread.
pub(super) fn listen<B>(request: Request<B>) -> (Request<Body>, Option<Rest<B>>)
where
    B: HttpBody<Data = Bytes, Error: Into<axum::BoxError>> + Send + Unpin + 'static,
{
    let resets = request.version() < Version::HTTP_2;
    // Who asks first whether to send has sent nothing.
    let asks = request.headers().contains_key(header::EXPECT);
    if request.body().is_end_stream() || !resets || asks {
        return (request.map(Body::new), None);
    }
    let (parts, body) = request.into_parts();
    let shared = Shared(Arc::new(Mutex::new(body)));
    (Request::from_parts(parts, Body::new(shared.clone())), Some(Rest(shared)))
}

impl<B: HttpBody<Data = Bytes> + Unpin> Rest<B> {
    /// Reads it and throws it away, within bounds.
    pub(super) async fn drain(self) {
        self.drain_within(LONGEST).await;
    }

    async fn drain_within(self, longest: Duration) {
        let mut body = self.0;
        let reading = async {
            let mut read = 0;
            while let Some(Ok(frame)) = body.frame().await {
                read += frame.data_ref().map_or(0, Bytes::len);
                if read > MOST {
                    return;
                }
            }
        };
        // Late or not, the answer goes out now.
        let _ = tokio::time::timeout(longest, reading).await;
    }
}

impl<B: HttpBody + Unpin> HttpBody for Shared<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::StreamExt as _;

    use super::*;

    /// A body of 1 KiB pieces that counts how many were taken.
    fn counted(pieces: usize) -> (Body, Arc<AtomicUsize>) {
        let taken = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&taken);
        let stream = futures::stream::iter(0..pieces).map(move |_| {
            counter.fetch_add(1, Ordering::Relaxed);
            Ok::<_, std::io::Error>("x".repeat(1024))
        });
        (Body::from_stream(stream), taken)
    }

    #[tokio::test]
    async fn what_the_handler_left_is_read() {
        let (body, taken) = counted(100);
        let (request, rest) = listen(Request::new(body));
        let mut body = request.into_body();
        body.frame().await.expect("a piece").expect("sent");
        drop(body);
        rest.expect("something may remain").drain().await;
        assert_eq!(taken.load(Ordering::Relaxed), 100);
    }

    #[tokio::test]
    async fn no_more_is_read_than_the_bound() {
        let (body, taken) = counted(100_000);
        listen(Request::new(body)).1.expect("something may remain").drain().await;
        assert_eq!(taken.load(Ordering::Relaxed), MOST / 1024 + 1);
    }

    #[tokio::test]
    async fn a_body_that_never_ends_is_not_waited_for() {
        let endless = Body::from_stream(futures::stream::pending::<Result<String, std::io::Error>>());
        let (_, rest) = listen(Request::new(endless));
        rest.expect("something may remain").drain_within(Duration::from_millis(1)).await;
    }

    #[test]
    fn nothing_remains_of_no_body_nor_of_one_that_was_not_sent_yet() {
        assert!(listen(Request::new(Body::empty())).1.is_none());
        let asking = Request::builder().header(header::EXPECT, "100-continue").body(Body::from("a=1"));
        assert!(listen(asking.expect("a request")).1.is_none());
        let http2 = Request::builder().version(Version::HTTP_2).body(Body::from("a=1"));
        assert!(listen(http2.expect("a request")).1.is_none());
    }
}
