//! A receiver of traces: the OTLP service, over gRPC, that keeps what it is sent.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

use crate::eventually;

/// The receiver. It listens until its runtime ends.
#[derive(Clone)]
pub struct Receiver {
    /// Where it listens.
    pub address: SocketAddr,
    kept: Kept,
}

/// A span that arrived.
#[derive(Clone, Debug)]
pub struct Arrived {
    /// Which service sent it.
    pub service: String,
    /// The span.
    pub span: Span,
}

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<Arrived>>>);

#[tonic::async_trait]
impl TraceService for Kept {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for resource in request.into_inner().resource_spans {
            let attributes = resource.resource.unwrap_or_default().attributes;
            let service = value(&attributes, "service.name").unwrap_or_default();
            let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            kept.extend(spans.map(|span| Arrived { service: service.clone(), span }));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Receiver {
    /// Starts to listen on a free port.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let (address, kept) = (listener.local_addr()?, Kept::default());
        let service = TraceServiceServer::new(kept.clone());
        let server = tonic::transport::Server::builder().add_service(service);
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        Ok(Self { address, kept })
    }

    /// The lines of a configuration that send traces here.
    #[must_use]
    pub fn configured(&self, more: &str) -> String {
        format!("[telemetry]\notlp_endpoint = \"http://{}\"\n{more}\n", self.address)
    }

    /// What has arrived.
    #[must_use]
    pub fn arrived(&self) -> Vec<Arrived> {
        self.kept.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for a span of a trace.
    pub async fn span(&self, trace: &str, service: &str, name: &str) -> Result<Arrived> {
        let wanted = format!("{name} of {service} in {trace}");
        let found = eventually(&wanted, async || {
            Ok(self.arrived().into_iter().find(|a| a.trace() == trace && a.service == service && a.span.name == name))
        });
        let seen = || {
            self.arrived().iter().map(|a| format!("{} {} {}", a.trace(), a.service, a.span.name)).collect::<Vec<_>>()
        };
        found.await.with_context(|| format!("{:#?}", seen()))
    }
}

impl Arrived {
    /// Its trace, in hexadecimal.
    #[must_use]
    pub fn trace(&self) -> String {
        hex(&self.span.trace_id)
    }

    /// Its own identifier.
    #[must_use]
    pub fn id(&self) -> String {
        hex(&self.span.span_id)
    }

    /// The span it is below; empty where there is none.
    #[must_use]
    pub fn parent(&self) -> String {
        hex(&self.span.parent_span_id)
    }

    /// An attribute, as text.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<String> {
        value(&self.span.attributes, name)
    }
}

fn value(attributes: &[KeyValue], name: &str) -> Option<String> {
    let AnyValue { value } = attributes.iter().find(|attribute| attribute.key == name)?.value.as_ref()?;
    match value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        Value::BoolValue(truth) => Some(truth.to_string()),
        other => Some(format!("{other:?}")),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
