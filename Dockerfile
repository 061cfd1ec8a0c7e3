# One image with the three programs, as optimised as they are measured.
FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --locked --profile dist \
        --package tessera-cli --package tessera-issuer --package tessera-introspector \
    && mkdir /out \
    && cp target/dist/tessera target/dist/tessera-issuer target/dist/tessera-introspector /out/

FROM debian:bookworm-slim
# These folders belong to the user, so that volumes mounted there do too.
RUN groupadd --gid 10001 tessera \
    && useradd --uid 10001 --gid tessera --no-create-home --home-dir /var/lib/tessera --shell /usr/sbin/nologin tessera \
    && install -d -o tessera -g tessera -m 0700 /var/lib/tessera /secrets
COPY --from=build /out/ /usr/local/bin/
USER 10001:10001
WORKDIR /var/lib/tessera
# `tessera-issuer`, `tessera-introspector` or `tessera`: the command says which.
CMD ["tessera", "--help"]
