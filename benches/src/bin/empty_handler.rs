//! A gRPC server that answers every Introspect with the same message: what the transport costs by itself.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Parser;
use prost::Message as _;
use tessera_api::introspection::v1::introspection_service_server::{IntrospectionService, IntrospectionServiceServer};
use tessera_api::introspection::v1::{
    BatchIntrospectRequest, BatchIntrospectResponse, IntrospectRequest, IntrospectResponse, StreamIntrospectRequest,
    StreamIntrospectResponse,
};
use tonic::{Request, Response, Status, Streaming};

/// The allocator the services have: the difference that is measured is what they do.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Answers every Introspect with the same message.
#[derive(Debug, Parser)]
struct Arguments {
    /// The port of 127.0.0.1 to listen on.
    #[arg(long)]
    port: u16,
    /// A file that holds the answer, an encoded `IntrospectResponse`.
    #[arg(long)]
    response: PathBuf,
}

struct Empty(IntrospectResponse);

#[tonic::async_trait]
impl IntrospectionService for Empty {
    async fn introspect(&self, _: Request<IntrospectRequest>) -> Result<Response<IntrospectResponse>, Status> {
        Ok(Response::new(self.0.clone()))
    }

    async fn batch_introspect(
        &self,
        _: Request<BatchIntrospectRequest>,
    ) -> Result<Response<BatchIntrospectResponse>, Status> {
        Err(Status::unimplemented("only Introspect is measured"))
    }

    type StreamIntrospectStream = tokio_stream::Empty<Result<StreamIntrospectResponse, Status>>;

    async fn stream_introspect(
        &self,
        _: Request<Streaming<StreamIntrospectRequest>>,
    ) -> Result<Response<Self::StreamIntrospectStream>, Status> {
        Err(Status::unimplemented("only Introspect is measured"))
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let bytes =
        std::fs::read(&arguments.response).with_context(|| format!("cannot read {}", arguments.response.display()))?;
    let response = IntrospectResponse::decode(bytes.as_slice()).context("the file holds no IntrospectResponse")?;
    let service = IntrospectionServiceServer::new(Empty(response));
    let address = (Ipv4Addr::LOCALHOST, arguments.port).into();
    tonic::transport::Server::builder().tcp_nodelay(true).add_service(service).serve(address).await?;
    Ok(())
}
