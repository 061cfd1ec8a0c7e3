# Two images of one build: `docker build --target issuer .` and `docker build --target introspector .`
#
# What they run on has no shell, no package manager and no root. Both have `tessera` too: their health checks are its, and in
# the issuer's it makes the first administrator. docs/operations/compose.md says how they are run.
FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --locked --profile dist \
        --package tessera-cli --package tessera-issuer --package tessera-introspector \
    && mkdir -p /out/bin /out/empty \
    && cp target/dist/tessera target/dist/tessera-issuer target/dist/tessera-introspector /out/bin/

# glibc and certificates, as Debian 12 has them, where the build links against the same.
FROM gcr.io/distroless/cc-debian12:nonroot AS runtime
# These folders belong to the user, so that volumes mounted there do too. There is no `mkdir` here to make them with.
COPY --from=build --chown=65532:65532 /out/empty/ /var/lib/tessera/
COPY --from=build --chown=65532:65532 /out/empty/ /secrets/
COPY --from=build /out/bin/tessera /usr/local/bin/
ENV XDG_DATA_HOME=/var/lib
USER 65532:65532
WORKDIR /var/lib/tessera

FROM runtime AS introspector
COPY --from=build /out/bin/tessera-introspector /usr/local/bin/
EXPOSE 6500 6501 6509
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=6 CMD ["tessera", "health", "--only", "introspector"]
CMD ["tessera-introspector"]

FROM runtime AS issuer
COPY --from=build /out/bin/tessera-issuer /usr/local/bin/
EXPOSE 6400 6401 6409
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=6 CMD ["tessera", "health", "--only", "issuer"]
CMD ["tessera-issuer"]
