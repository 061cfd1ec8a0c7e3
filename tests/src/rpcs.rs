//! Every RPC there is, found through the descriptors, and calls of it in raw bytes.

use anyhow::{Context as _, Result, ensure};
use http::{HeaderValue, Request};
use http_body_util::{BodyExt as _, Full};
use prost::Message as _;
use prost::bytes::Bytes;
use prost_types::FileDescriptorSet;
use tonic::Status;
use tonic::transport::Channel;
use tower::{Service as _, ServiceExt as _};

/// A method.
#[derive(Clone, Debug)]
pub struct Method {
    /// Its package, such as `tessera.oauth.v1`.
    pub package: String,
    /// Its path: `/package.Service/Method`.
    pub path: String,
    /// Whether it takes a stream.
    pub streaming: bool,
}

impl Method {
    /// Its name alone.
    #[must_use]
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }
}

/// Every method of both services.
pub fn methods() -> Result<Vec<Method>> {
    let set = FileDescriptorSet::decode(tessera_api::FILE_DESCRIPTOR_SET)?;
    let mut found = Vec::new();
    for file in set.file.iter().filter(|file| file.package().starts_with("tessera.")) {
        for service in &file.service {
            for method in &service.method {
                found.push(Method {
                    package: file.package().to_owned(),
                    path: format!("/{}.{}/{}", file.package(), service.name(), method.name()),
                    streaming: method.client_streaming(),
                });
            }
        }
    }
    ensure!(found.len() >= 20, "only {} methods", found.len());
    Ok(found)
}

/// A gRPC message on the wire: a flag, a length, and the bytes.
#[must_use]
pub fn framed(message: &[u8]) -> Vec<u8> {
    frame(0, u32::try_from(message.len()).unwrap_or(u32::MAX), message)
}

/// As [`framed`], with a flag and a length that may be lies.
#[must_use]
pub fn frame(flag: u8, length: u32, bytes: &[u8]) -> Vec<u8> {
    [&[flag][..], &length.to_be_bytes(), bytes].concat()
}

/// What was answered to raw bytes.
#[derive(Clone, Debug)]
pub struct Told {
    /// The HTTP status.
    pub http: u16,
    /// The gRPC status, where there is one.
    pub status: Option<Status>,
    /// What came before it.
    pub body: Bytes,
}

impl Told {
    /// The gRPC status.
    ///
    /// # Errors
    /// Where there is none, or HTTP says that something else is wrong.
    pub fn status(self) -> Result<Status> {
        ensure!(self.http == 200, "HTTP {}", self.http);
        self.status.context("no gRPC status")
    }
}

/// Calls a path with a body as it is. Headers replace the usual ones.
pub async fn call(
    channel: &Channel,
    path: &str,
    headers: &[(&str, HeaderValue)],
    body: impl Into<Bytes>,
) -> Result<Told> {
    let mut request = Request::post(path).body(tonic::body::Body::new(Full::new(body.into())))?;
    for (name, value) in [("content-type", "application/grpc"), ("te", "trailers")] {
        request.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    for (name, value) in headers {
        request.headers_mut().insert(http::HeaderName::try_from(*name)?, value.clone());
    }
    let mut channel = channel.clone();
    let response = channel.ready().await?.call(request).await?;
    let http = response.status().as_u16();
    let (parts, body) = response.into_parts();
    let collected = body.collect().await?;
    let in_trailers = collected.trailers().and_then(Status::from_header_map);
    let status = Status::from_header_map(&parts.headers).or(in_trailers);
    Ok(Told { http, status, body: collected.to_bytes() })
}
