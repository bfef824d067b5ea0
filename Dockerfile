# One image for every program: `make image`. What is installed is what requirements.lock names, by version and hash, as
# wheels: nothing is compiled, so it is built for linux/arm64 as for linux/amd64.

ARG PYTHON_IMAGE=python:3.13-slim

# pip and what builds our own wheel live here only.
FROM ${PYTHON_IMAGE} AS tools
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY requirements-build.lock ./
RUN python3 -m venv /tools \
    && /tools/bin/python -m pip install --require-hashes --only-binary :all: -r requirements-build.lock

FROM tools AS dependencies
COPY requirements.lock ./
RUN python3 -m venv --without-pip /opt/coder-logstream \
    && /tools/bin/python -m pip --python /opt/coder-logstream/bin/python install --no-compile \
    --require-hashes --only-binary :all: -r requirements.lock \
    && /opt/coder-logstream/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/coder-logstream/lib

# Our own part is laid over the dependencies: a release that changes no lock file is a small layer.
FROM dependencies AS ours
COPY pyproject.toml README.md LICENSE ./
COPY common common
COPY console console
COPY shipper shipper
COPY watcher watcher
RUN /tools/bin/python -m pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && /tools/bin/python -m pip --python /opt/coder-logstream/bin/python install --no-compile --no-index --no-deps \
    --root /ours /wheels/*.whl \
    && /opt/coder-logstream/bin/python -m compileall -q --invalidation-mode unchecked-hash -s /ours /ours
COPY image/init.py /ours/coder-logstream
# The name under which manifests of coder-logstream-kube start it. Data may be written by the group, as clusters that
# choose the user themselves leave it group 0.
RUN ln -s coder-logstream /ours/coder-logstream-kube \
    && install -d -o 65532 -g 0 -m 0770 /ours/var/lib/coder-logstream

# The base without pip and without files that lend rights, its library compiled: a read-only root cannot keep what each
# start would compile anew.
FROM ${PYTHON_IMAGE} AS base
RUN library=$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))') \
    && packages=$(python3 -c 'import sysconfig; print(sysconfig.get_path("purelib"))') \
    && rm -rf "$library/ensurepip" "$library/idlelib" "$packages"/pip "$packages"/pip-* /usr/local/bin/pip* \
    /usr/share/python-wheels /var/cache/* /var/log/* \
    && python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash "$library" \
    && find / -xdev -type f -perm /6000 -exec chmod a-s {} + \
    && echo 'logstream:x:65532:' >> /etc/group \
    && echo 'logstream:x:65532:65532::/var/lib/coder-logstream:/usr/sbin/nologin' >> /etc/passwd

# Copied, not inherited: what was removed is in no layer.
FROM scratch
COPY --from=base / /
COPY --from=dependencies /opt/coder-logstream /opt/coder-logstream
COPY --from=ours /ours /

ENV PATH=/opt/coder-logstream/bin:/usr/local/bin:/usr/bin:/bin \
    LANG=C.UTF-8 \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/var/lib/coder-logstream \
    CODER_LOGSTREAM_DATA_DIR=/var/lib/coder-logstream/data
# `run` works with a read-only root as it is: its data, and its temporary files where /tmp cannot be written, lie here.
VOLUME /var/lib/coder-logstream
WORKDIR /var/lib/coder-logstream
USER 65532:65532
ENTRYPOINT ["/coder-logstream"]

ARG VERSION=0+checkout
ARG REVISION=unknown
ARG SOURCE=unknown
LABEL org.opencontainers.image.title="coder-logstream" \
    org.opencontainers.image.description="Shows what Kubernetes does with a Coder workspace in the workspace's own start-up logs." \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}" \
    org.opencontainers.image.source="${SOURCE}"
