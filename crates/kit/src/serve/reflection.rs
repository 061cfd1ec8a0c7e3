//! Server reflection, v1 and v1alpha, so that grpcurl and its like need no proto files.

use tonic::service::Routes;
use tonic_reflection::server::{Builder, Error};

/// Adds reflection for exactly the services that are served; types of error details are described too.
///
/// # Errors
/// Where the descriptors, which are compiled in, are broken.
pub fn add(routes: Routes, services: &[&'static str]) -> Result<Routes, Error> {
    Ok(routes.add_service(builder(services).build_v1()?).add_service(builder(services).build_v1alpha()?))
}

fn builder(services: &[&'static str]) -> Builder<'static> {
    let builder = Builder::configure()
        .register_encoded_file_descriptor_set(tessera_api::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        // Each version knows itself; what both list, both must be able to describe.
        .register_encoded_file_descriptor_set(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET);
    let own =
        ["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"];
    services.iter().copied().chain(own).fold(builder, Builder::with_service_name)
}
