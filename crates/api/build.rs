//! Compiles `proto/` with protox, so that no protoc is needed, and keeps the descriptors for reflection.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use prost::Message as _;
use prost_types::FileDescriptorSet;
use protox::file::{ChainFileResolver, DescriptorSetFileResolver, GoogleFileResolver, IncludeFileResolver};

fn main() -> io::Result<()> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    println!("cargo::rerun-if-changed={}", root.display());

    let mut files = Vec::new();
    collect(&root, &root, &mut files)?;
    files.sort();

    let mut resolver = ChainFileResolver::new();
    resolver.add(IncludeFileResolver::new(root));
    resolver.add(GoogleFileResolver::new());
    let rpc = google_rpc()?;
    resolver.add(DescriptorSetFileResolver::new(rpc.clone()));
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).include_source_info(true);
    compiler.open_files(files).map_err(|error| io::Error::other(format!("{error:?}")))?;
    let descriptors = compiler.file_descriptor_set();
    let mut reflected = descriptors.clone();
    let present: Vec<_> = reflected.file.iter().map(|f| f.name().to_owned()).collect();
    reflected.file.extend(
        rpc.file.into_iter().filter(|f| f.name().starts_with("google/rpc/") && !present.iter().any(|p| p == f.name())),
    );

    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("OUT_DIR is not set"))?);
    fs::write(out.join("descriptors.bin"), reflected.encode_to_vec())?;
    tonic_prost_build::configure()
        .extern_path(".google.rpc", "::tonic_types::pb")
        // Tokens and secrets must not reach a log through `{:?}` (security.md, item 40).
        .skip_debug([
            "tessera.oauth.v1.IssueTokenRequest",
            "tessera.oauth.v1.IssueTokenResponse",
            "tessera.oauth.v1.RevokeTokenRequest",
            "tessera.oauth.v1.PasswordGrant",
            "tessera.oauth.v1.RefreshTokenGrant",
            "tessera.oauth.v1.AuthorizationCodeGrant",
            "tessera.oauth.v1.AuthenticateUserRequest",
            "tessera.oauth.v1.AuthenticateUserResponse",
            "tessera.oauth.v1.DecideAuthorizationRequest",
            "tessera.oauth.v1.DecideAuthorizationRequest.user",
            "tessera.oauth.v1.DecideAuthorizationResponse",
            "tessera.introspection.v1.IntrospectRequest",
            "tessera.sync.v1.AuthenticateClientRequest",
            "tessera.admin.v1.Password",
            "tessera.admin.v1.Password.value",
            "tessera.admin.v1.CreateClientRequest",
            "tessera.admin.v1.CreateClientResponse",
            "tessera.admin.v1.RotateClientSecretResponse",
        ])
        .compile_fds(descriptors)
}

/// `google.rpc.Status` and the error details as tonic-types carries them, under the paths everybody imports them by.
fn google_rpc() -> io::Result<FileDescriptorSet> {
    let mut set = FileDescriptorSet::decode(tonic_types::pb::FILE_DESCRIPTOR_SET).map_err(io::Error::other)?;
    for file in &mut set.file {
        if let Some(name) = &mut file.name
            && !name.contains('/')
        {
            *name = format!("google/rpc/{name}");
        }
    }
    Ok(set)
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(root, &path, files)?;
        } else if path.extension().is_some_and(|e| e == "proto") {
            files.push(path.strip_prefix(root).map_err(io::Error::other)?.to_path_buf());
        }
    }
    Ok(())
}
