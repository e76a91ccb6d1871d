# Pillarbox as an image: one static binary and an empty /data; no shell, no libc, no user but 65532.
#
#   docker build -t pillarbox .
#   docker run -d --name pillarbox --hostname mail.example.org -v pillarbox:/data \
#       --read-only --cap-drop ALL --security-opt no-new-privileges \
#       -p 25:25 -p 465:465 -p 587:587 -p 143:143 -p 993:993 -p 443:443 pillarbox
#   docker exec pillarbox pillarbox domain put example.org
#
# It listens on ports below 1024 without being root. Docker lets every user of a container do that; where the engine does
# not (Podman, Kubernetes), set net.ipv4.ip_unprivileged_port_start=0 in the container: `--sysctl` there, `sysctls` of the
# pod's security context here. CAP_NET_BIND_SERVICE alone would not do: an engine gives it to root's processes only. Or
# leave the low ports to the engine: `-e PILLARBOX_PORT_OFFSET=3000 -p 25:3025 -p 465:3465` and so on.

# Another image with Rust 1.95 and a C compiler will do.
ARG BASE=rust:1.95-slim-bookworm
FROM ${BASE} AS build
# Where it is built. Cargo uses what is built already when the folder stays the same, and `target` is mounted there.
ARG SOURCE=/src
WORKDIR ${SOURCE}
COPY . .
# glibc goes into the binary: it is not asked for names or users, so that it needs nothing at run time. A target that is
# named keeps the flags away from build scripts and macros, which can't be static; it is the image's own platform.
RUN target=$(rustc -vV | sed -n 's/^host: //p') \
    && RUSTFLAGS="-C target-feature=+crt-static" \
        cargo build --release --locked --bin pillarbox --target "$target" \
    && install -D "target/$target/release/pillarbox" /image/pillarbox \
    && install -d -m 700 /image/volume/data

FROM scratch
COPY --from=build /image/pillarbox /pillarbox
# With the mode that it has there: a new volume takes over owner and mode.
COPY --from=build --chown=65532:65532 /image/volume/ /
# The last is glibc's (mallopt(3)). Where nothing is said it keeps more for itself the larger what was freed: after ten
# messages of 50 MB were read, 107 to 127 MB in place of 89 to 104.
ENV PATH=/ PILLARBOX_DATA=/data/pillarbox.redb MALLOC_TRIM_THRESHOLD_=131072
USER 65532:65532
VOLUME /data
EXPOSE 25 110 143 443 465 587 993 995
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD ["/pillarbox", "health"]
ENTRYPOINT ["/pillarbox"]
CMD ["serve"]
