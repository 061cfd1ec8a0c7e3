//! The place of a call in a trace (W3C Trace Context): the header `traceparent`.
//!
//! `tracestate` is neither read nor sent on: it is text of strangers, and no use to us.

use std::fmt;

use http::HeaderMap;
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use tessera_types::random;

use crate::random::SystemRandom;

/// The name of the header, and of the metadata.
pub const TRACEPARENT: &str = "traceparent";

/// The length of version 00: `00-` trace `-` span `-` flags.
const LENGTH: usize = 55;

/// Which trace a call belongs to, and below which span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    trace: TraceId,
    span: SpanId,
    sampled: bool,
}

impl TraceParent {
    /// Reads a header. What is malformed says nothing, and neither does one that comes twice.
    #[must_use]
    pub fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(TRACEPARENT).iter();
        let value = values.next()?;
        if values.next().is_some() {
            return None;
        }
        Self::parse(value.as_bytes())
    }

    /// Reads the header's value. A later version may say more than this one, after another dash (section 3.2.4).
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (known, rest) = text.split_at_checked(LENGTH)?;
        let [v0, v1, b'-', middle @ .., b'-', f0, f1] = known else { return None };
        let (trace, span) = (middle.get(..32)?, middle.get(33..49)?);
        if middle.get(32) != Some(&b'-') || middle.len() != 49 {
            return None;
        }
        let version = byte(*v0, *v1)?;
        let grown = rest.first() == Some(&b'-') && text.len() <= 2 * LENGTH;
        if version == 0xff || !(rest.is_empty() || (version > 0 && grown)) {
            return None;
        }
        let trace = TraceId::from_bytes(bytes::<16>(trace)?);
        let span = SpanId::from_bytes(bytes::<8>(span)?);
        let real = trace != TraceId::INVALID && span != SpanId::INVALID;
        real.then_some(Self { trace, span, sampled: byte(*f0, *f1)? & 1 == 1 })
    }

    /// The place of a span of our own; `None` where it is no real one.
    pub(crate) fn of(context: &SpanContext) -> Option<Self> {
        context.is_valid().then(|| Self {
            trace: context.trace_id(),
            span: context.span_id(),
            sampled: context.is_sampled(),
        })
    }

    /// A place that nobody records: says no more than that.
    pub(crate) fn nowhere() -> Self {
        let (trace, span) = (random::bytes(&SystemRandom), random::bytes(&SystemRandom));
        Self { trace: TraceId::from_bytes(trace), span: SpanId::from_bytes(span), sampled: false }
    }

    /// Whether whoever sends it records its trace.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.sampled
    }

    /// The same place, of a trace that is not recorded.
    pub(crate) fn unsampled(self) -> Self {
        Self { sampled: false, ..self }
    }

    pub(crate) fn trace_id(&self) -> TraceId {
        self.trace
    }

    pub(crate) fn span_id(&self) -> SpanId {
        self.span
    }

    pub(crate) fn remote(&self) -> SpanContext {
        let flags = if self.sampled { TraceFlags::SAMPLED } else { TraceFlags::NOT_SAMPLED };
        SpanContext::new(self.trace, self.span, flags, true, TraceState::NONE)
    }
}

/// The header's value.
impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace, self.span, u8::from(self.sampled))
    }
}

fn bytes<const N: usize>(hex: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    for (into, pair) in bytes.iter_mut().zip(hex.chunks_exact(2)) {
        *into = byte(pair[0], pair[1])?;
    }
    Some(bytes)
}

/// Upper case is malformed (section 3.2).
fn byte(high: u8, low: u8) -> Option<u8> {
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    Some(digit(high)? << 4 | digit(low)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn what_is_read_is_what_is_written() {
        let parent = TraceParent::parse(GOOD.as_bytes()).expect("well-formed");
        assert!(parent.is_sampled());
        assert_eq!(parent.to_string(), GOOD);
        assert_eq!(parent.unsampled().to_string(), GOOD.replace("-01", "-00"));
        assert_eq!(TraceParent::of(&parent.remote()), Some(parent));
    }

    #[test]
    fn later_versions_may_say_more() {
        for good in [GOOD.replacen("00", "01", 1), format!("{}-more", GOOD.replacen("00", "cc", 1))] {
            assert!(TraceParent::parse(good.as_bytes()).is_some(), "{good}");
        }
    }

    #[test]
    fn malformed_values_say_nothing() {
        let zero = "0".repeat(32);
        for bad in [
            String::new(),
            GOOD[..54].to_owned(),
            format!("{GOOD}-"),
            format!("{GOOD}0"),
            GOOD.to_uppercase(),
            GOOD.replacen("00", "ff", 1),
            GOOD.replacen('-', "_", 2),
            GOOD.replace("0af7651916cd43dd8448eb211c80319c", &zero),
            GOOD.replace("b7ad6b7169203331", &zero[..16]),
            GOOD.replace("-01", "-0g"),
            format!("{}-{}", GOOD.replacen("00", "01", 1), "x".repeat(200)),
            "é".repeat(40),
        ] {
            assert_eq!(TraceParent::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn one_that_comes_twice_says_nothing() {
        let mut headers = HeaderMap::new();
        let value = || http::HeaderValue::from_static(GOOD);
        headers.append(TRACEPARENT, value());
        assert!(TraceParent::from_headers(&headers).is_some());
        headers.append(TRACEPARENT, value());
        assert!(TraceParent::from_headers(&headers).is_none());
    }
}
