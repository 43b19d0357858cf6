# The command line and the web page, run by an ordinary user.
#
#     docker build -t stresnet .                                                       # processor
#     docker build -t stresnet --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu130 .
#     docker run -p 127.0.0.1:8000:8000 stresnet                                  # serve fight
#     docker run -v "$PWD:/videos:ro" stresnet predict fight clip.mp4
FROM python:3.12-slim AS build
WORKDIR /source
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.12-slim
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    --mount=type=bind,source=requirements.lock,target=/requirements.lock \
    pip install --no-cache-dir --index-url "$TORCH_INDEX" torch==2.13.0 \
    && pip install --no-cache-dir --constraint /requirements.lock \
    "stresnet[web] @ file://$(echo /wheels/*.whl)" \
    && useradd --create-home --uid 1000 stresnet
USER 1000
# Compile the flow's loops now rather than at each start.
RUN stresnet demo --out /tmp/demo && rm -r /tmp/demo
WORKDIR /videos
EXPOSE 8000
ENTRYPOINT ["stresnet"]
CMD ["serve", "fight", "--host", "0.0.0.0"]
