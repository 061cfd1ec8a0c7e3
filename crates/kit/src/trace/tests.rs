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
    let tracing = Tracing { provider, drops: Arc::default() };
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

/// A collector that takes nothing.
#[derive(Debug)]
struct Refusing;

impl Exporter for Refusing {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        Err(opentelemetry_sdk::error::OTelSdkError::InternalFailure("no collector".to_owned()))
    }
}

#[test]
fn what_is_dropped_is_counted() {
    let metrics = crate::metrics::Metrics::new("test", "0");
    let drops = Arc::<Drops>::default();
    // Sent at the stop alone.
    let batches = BatchConfigBuilder::default().with_scheduled_delay(Duration::from_secs(600)).build();
    let exporter = Reporting::new(Refusing, Arc::clone(&drops));
    let processor = BatchSpanProcessor::builder(exporter).with_batch_config(batches).build();
    let bounded = Bounded::new(processor, 4, Arc::clone(&drops));
    let provider = SdkTracerProvider::builder().with_span_processor(bounded).build();
    let tracing = Tracing { provider, drops };
    count_drops(Some(&tracing), &metrics);
    let counted = |reason, count| {
        let line = format!("tessera_spans_dropped_total{{reason=\"{reason}\"}} {count}");
        let text = metrics.render();
        assert!(text.contains(&line), "{line} is missing from\n{text}");
    };
    counted("queue", 0);
    let parent = TraceParent::parse(PARENT.as_bytes()).expect("well-formed");
    tracing::subscriber::with_default(tracing_subscriber::registry().with(tracing.layer()), || {
        for _ in 0..10 {
            done("apply", &parent);
        }
    });
    counted("queue", 6);
    counted("collector", 0);
    let _ = tracing.provider.shutdown();
    counted("collector", 4);
    assert!(tracing.drops.enters(4), "what was sent, taken or not, makes room");
}

#[test]
fn nothing_but_our_own_spans_is_exported() {
    let spans = exported(|| {
        let _other = tracing::error_span!("somebody else's", secret = "hunter2").entered();
        tracing::error!(secret = "hunter2", "an event");
    });
    assert!(spans.is_empty(), "{spans:?}");
}
