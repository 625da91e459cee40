# The image: `docker build -t plumbline .` for the CPU build of torch, `--build-arg TORCH=cuda` for the CUDA build.
# The first stage installs, leaves out what nothing needs at run time and compiles to bytecode; the second stage is what runs.

FROM python:3.11-slim-bookworm AS build
ARG TORCH=cpu
ENV PIP_PYTHON=/opt/venv/bin/python PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN apt-get update && apt-get install -y --no-install-recommends binutils && python -m venv --without-pip /opt/venv
COPY requirements.txt deploy/torch-${TORCH}.txt deploy/prune.py /build/
# torch first and alone, from the index that offers the build asked for; the pin in requirements.txt is satisfied by either build.
RUN pip install --no-compile --no-deps -r /build/torch-${TORCH}.txt \
    && pip install --no-compile -r /build/requirements.txt \
    && python /build/prune.py /opt/venv/lib/python3.11/site-packages \
    && strip --strip-unneeded /opt/venv/lib/python3.11/site-packages/torch/lib/libtorch_cpu.so \
       /opt/venv/lib/python3.11/site-packages/torch/lib/libtorch_python.so \
       /opt/venv/lib/python3.11/site-packages/_polars_runtime_32/*.so \
    && python -m compileall -q -j 0 -x py312 --invalidation-mode unchecked-hash /opt/venv/lib
# The compiler of the kernels stays in this stage.
COPY deploy/compiler.txt /build/
RUN pip install --no-compile --target /build/compiler -r /build/compiler.txt
COPY gunicorn.conf.py deploy/health.py /opt/plumbline/
COPY model_store /opt/plumbline/model_store
COPY service /opt/plumbline/service
COPY deploy/compile.py /opt/plumbline/deploy/
RUN python /opt/plumbline/deploy/compile.py /build/compiler && rm -r /opt/plumbline/deploy
RUN python -m compileall -q --invalidation-mode unchecked-hash /opt/plumbline \
    && chmod -R go=rX /opt/plumbline

FROM python:3.11-slim-bookworm
LABEL org.opencontainers.image.title="Plumbline" \
      org.opencontainers.image.description="Trains exact linear regressions and serves them."
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    TMPDIR=/dev/shm \
    PLUMBLINE_BIND=0.0.0.0:8080 \
    PLUMBLINE_STORE=/var/lib/plumbline \
    PLUMBLINE_CACHE=/var/lib/plumbline/cache
COPY --from=build /opt/venv /opt/venv
COPY --from=build /opt/plumbline /opt/plumbline
# Group 0 may write the store's directory, so that any user id works: one without an entry in /etc/passwd gets that group.
RUN install -d -o 10001 -g 0 -m 775 /var/lib/plumbline
WORKDIR /opt/plumbline
USER 10001:0
VOLUME /var/lib/plumbline
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["python", "-I", "/opt/plumbline/health.py"]
ENTRYPOINT ["python", "-m", "service"]
CMD ["serve"]
