//! What lines look like: JSON, one object per line with `ts`, `level`, `msg`, `target`, then the fields of the call that is being
//! answered (`request_id`, `trace_id`, `rpc.method` and so on), of the spans around, and of the event itself; or text, with the same at
//! its end.

use std::fmt::{self, Write as _};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{self, FormatEvent, FormatFields, Full, Writer};
use tracing_subscriber::fmt::time::SystemTime;
use tracing_subscriber::fmt::{FmtContext, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// The format of [`super::Format::Json`].
pub(super) struct Json;

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut line = Map::new();
        line.insert("ts".to_owned(), timestamp().into());
        line.insert("level".to_owned(), event.metadata().level().as_str().to_ascii_lowercase().into());
        let mut fields = Fields(Map::new());
        event.record(&mut fields);
        line.insert("msg".to_owned(), fields.0.remove("message").unwrap_or_default());
        line.insert("target".to_owned(), event.metadata().target().into());
        if let Some(scope) = context.event_scope() {
            let spans: Vec<String> = scope.from_root().map(|span| described::<S, N>(&span)).collect();
            line.insert("spans".to_owned(), spans.into());
        }
        crate::calls::current::fields(&mut |name, value| {
            line.insert(name.to_owned(), value.into());
        });
        line.extend(fields.0);
        writeln!(writer, "{}", Value::Object(line))
    }
}

/// The format of [`super::Format::Text`].
pub(super) struct Text(format::Format<Full, SystemTime>);

impl Text {
    pub(super) fn new(ansi: bool) -> Self {
        Self(format::format().with_ansi(ansi))
    }
}

impl<S, N> FormatEvent<S, N> for Text
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        let mut call = String::new();
        crate::calls::current::fields(&mut |name, value| {
            let _ = write!(call, " {name}={value}");
        });
        writeln!(writer, "{}{call}", line.trim_end_matches('\n'))
    }
}

fn described<S, N>(span: &tracing_subscriber::registry::SpanRef<'_, S>) -> String
where
    S: for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    let mut text = span.name().to_owned();
    if let Some(fields) = span.extensions().get::<FormattedFields<N>>()
        && !fields.is_empty()
    {
        let _ = write!(text, "{{{}}}", fields.fields);
    }
    text
}

/// RFC 3339 with milliseconds.
fn timestamp() -> String {
    let nanos = i128::try_from(crate::clock::wall().as_nanos()).unwrap_or(i128::MAX);
    let moment = time::OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    let (date, clock) = (moment.date(), moment.time());
    format!("{date}T{:02}:{:02}:{:02}.{:03}Z", clock.hour(), clock.minute(), clock.second(), clock.millisecond())
}

struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        self.0.insert(field.name().to_owned(), value);
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::captured::Lines;

    #[test]
    fn a_line_is_one_object_with_the_agreed_names() {
        let lines = Lines::default();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).event_format(Json).with_writer(lines.clone()).finish();
        tracing::subscriber::with_default(subscriber, || {
            let _span = tracing::info_span!("call", client_id = "a\"b").entered();
            tracing::info!(duration_ms = 3, outcome = "ok", "token issued\nreally");
        });
        let text = lines.text();
        assert_eq!(text.lines().count(), 1, "{text}");
        let line: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(line["msg"], "token issued\nreally");
        assert_eq!(line["level"], "info");
        assert_eq!(line["duration_ms"], 3);
        assert_eq!(line["outcome"], "ok");
        assert!(line["ts"].as_str().expect("a text").ends_with('Z'));
        assert!(line["spans"][0].as_str().expect("a text").starts_with("call{client_id="));
    }
}
