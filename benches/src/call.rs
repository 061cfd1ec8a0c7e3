//! The one call that is made again and again.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost::Message as _;
use tessera_api::introspection::v1::introspection_service_client::IntrospectionServiceClient;
use tessera_api::introspection::v1::{IntrospectRequest, IntrospectResponse};
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::{Channel, Endpoint};

/// The path of the call.
pub const PATH: &str = "/tessera.introspection.v1.IntrospectionService/Introspect";

/// The bytes gRPC puts before a message: whether it is compressed, and its length.
pub const PREFIX: usize = 5;

/// An Introspect request with its caller's credential.
#[derive(Clone)]
pub struct Call {
    /// The message.
    pub request: IntrospectRequest,
    /// The value of the `authorization` metadata.
    pub authorization: String,
}

impl Call {
    /// A call for a token by a caller that authenticates with its secret.
    #[must_use]
    pub fn new(token: String, client_id: &str, client_secret: &str) -> Self {
        let request = IntrospectRequest { token, ..IntrospectRequest::default() };
        let authorization = format!("Basic {}", STANDARD.encode(format!("{client_id}:{client_secret}")));
        Self { request, authorization }
    }

    /// The message as gRPC frames it.
    #[must_use]
    pub fn framed(&self) -> Vec<u8> {
        frame(&self.request.encode_to_vec())
    }

    /// Writes the message for a load generator in a process of its own.
    pub fn write(&self, path: &Path) -> Result<()> {
        std::fs::write(path, self.request.encode_to_vec()).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Reads what `write` wrote.
    pub fn read(path: &Path, authorization: String) -> Result<Self> {
        let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Self { request: IntrospectRequest::decode(bytes.as_slice())?, authorization })
    }

    /// Makes the call once over a connection of its own. The answer must be active: anything else is not worth measuring.
    pub async fn make_once(&self, port: u16) -> Result<IntrospectResponse> {
        let mut client = IntrospectionServiceClient::new(connect(port).await?);
        let response = client.introspect(self.to_request()?).await?.into_inner();
        ensure!(response.active, "the token is not active");
        Ok(response)
    }

    /// The request with its metadata.
    pub fn to_request(&self) -> Result<tonic::Request<IntrospectRequest>> {
        let mut request = tonic::Request::new(self.request.clone());
        let authorization = AsciiMetadataValue::try_from(self.authorization.as_str())?;
        request.metadata_mut().insert("authorization", authorization);
        Ok(request)
    }
}

/// A message as gRPC frames it, uncompressed.
fn frame(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut framed = Vec::with_capacity(PREFIX + message.len());
    framed.push(0);
    framed.extend_from_slice(&length.to_be_bytes());
    framed.extend_from_slice(message);
    framed
}

/// A connection to a server of this machine.
pub async fn connect(port: u16) -> Result<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{port}"))?;
    let endpoint = endpoint.tcp_nodelay(true).connect_timeout(Duration::from_secs(5));
    endpoint.connect().await.with_context(|| format!("cannot connect to port {port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_framed_with_its_length() {
        assert_eq!(frame(b"abc"), [0, 0, 0, 0, 3, b'a', b'b', b'c']);
        assert_eq!(frame(&[7; 300])[..PREFIX], [0, 0, 0, 1, 44]);
    }

    #[test]
    fn a_call_reads_back_as_written() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        let call = Call::new("a.b.c".to_owned(), "demo", "secret");
        call.write(file.path()).expect("the file can be written");
        let read = Call::read(file.path(), call.authorization.clone()).expect("the file can be read");
        assert_eq!(read.request.token, "a.b.c");
        assert_eq!(read.authorization, "Basic ZGVtbzpzZWNyZXQ=");
    }
}
