# The image of the service: two stages from the same base, so that what was compiled in the first runs in the second.
FROM python:3.13-slim-trixie AS build
WORKDIR /build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv --without-pip /opt/httpserver
# dependencies before the source: they change less often, and the layer stays
COPY requirements/runtime.txt .
RUN python -m pip --python /opt/httpserver/bin/python install --require-hashes -r runtime.txt
COPY service /opt/httpserver/app/service
# The command of the documents, for `kubectl exec`. All is readable to any user, whatever the umask of the checkout, and
# compiled here, because the root file system is read-only where it runs.
RUN printf '#!/bin/sh\nexec /opt/httpserver/bin/python -m service "$@"\n' >/opt/httpserver/bin/httpserver && \
    chmod -R a+rX /opt/httpserver/app && chmod 755 /opt/httpserver/bin/httpserver && \
    python -m compileall -q --invalidation-mode unchecked-hash /opt/httpserver/app /opt/httpserver/lib

FROM python:3.13-slim-trixie
ARG VERSION=0.1.0 REVISION=unknown
LABEL org.opencontainers.image.title="httpserver" \
      org.opencontainers.image.description="The reference cloud-native HTTP service in Python" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.licenses="Apache-2.0"
# Nothing is installed in what runs: no installer, and none of the wheels from which ensurepip would bring it back.
RUN find /usr \( -path '*-packages/pip' -o -path '*-packages/pip-*' -o -path '*-packages/setuptools*' \
      -o -path '*-packages/wheel*' -o -path '*/python3*/ensurepip' -o -name python-wheels -o -path '*/bin/pip*' \) \
      -prune -exec rm -rf {} +
COPY --from=build /opt/httpserver /opt/httpserver
# The base has the standard library without its bytecode: compiling what the service imports, once and here, halves
# the processor time of each start.
RUN PYTHONPATH=/opt/httpserver/app /opt/httpserver/bin/python -c "import service.app, service.cli, urllib.request"
ENV PATH=/opt/httpserver/bin:$PATH PYTHONPATH=/opt/httpserver/app PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
WORKDIR /opt/httpserver/app
USER 10001:10001
EXPOSE 8099 9090
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:9090/livez', timeout=2)"]
ENTRYPOINT ["python", "-m", "service"]
CMD ["serve", "--port", "8099"]
