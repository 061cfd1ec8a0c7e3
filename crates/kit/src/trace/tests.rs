use std::sync::{Arc, Mutex};

use opentelemetry::trace::SpanKind;
use opentelemetry_sdk::trace::SpanExporter as Exporter;
use tracing_subscriber::layer::SubscriberExt as _;

use super::*;

/// Keeps what is exported.
#[derive(Clone, Debug, Default)]
struct Kept(Arc<Mutex<Vec<SpanData>>>);

impl Exporter for Kept {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().expect("not poisoned").extend(batch);
        Ok(())
    }
}

fn exported(act: impl FnOnce()) -> Vec<SpanData> {
    let kept = Kept::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(kept.clone()).build();
    let tracing = Tracing { provider };
    tracing::subscriber::with_default(tracing_subscriber::registry().with(tracing.layer()), act);
    drop(tracing);
    let spans = kept.0.lock().expect("not poisoned");
    spans.clone()
}

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[test]
fn what_was_done_joins_the_trace_of_who_asked_for_it() {
    let parent = TraceParent::parse(PARENT.as_bytes()).expect("well-formed");
    let spans = exported(|| {
        done("apply", &parent);
        done("apply", &parent.unsampled());
    });
    assert_eq!(spans.len(), 1, "what is not sampled is not told: {spans:?}");
    assert_eq!((spans[0].name.as_ref(), &spans[0].span_kind), ("apply", &SpanKind::Consumer));
    assert_eq!(spans[0].span_context.trace_id(), parent.trace_id());
    assert_eq!(spans[0].parent_span_id, parent.span_id());
}

#[test]
fn nothing_but_our_own_spans_is_exported() {
    let spans = exported(|| {
        let _other = tracing::error_span!("somebody else's", secret = "hunter2").entered();
        tracing::error!(secret = "hunter2", "an event");
    });
    assert!(spans.is_empty(), "{spans:?}");
}
