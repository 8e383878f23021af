# One image for every process: the argument says which (web, converter, logs, slo, all), by default all by the launcher.
#   docker buildx build --platform linux/amd64,linux/arm64 --tag tintype:0.1.0 .
FROM node:26.10.0-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY lib/package.json lib/
COPY services/web/package.json services/web/
COPY services/converter/package.json services/converter/
COPY services/logs/package.json services/logs/
COPY slo/package.json slo/
# Optional dependencies are the clients of PostgreSQL and S3, and Node as a package, which the image has already.
RUN npm ci --omit=dev && rm -rf node_modules/node-linux-* node_modules/.bin/node
COPY lib lib
COPY services services
COPY slo slo
COPY tools tools
COPY docs/runbooks docs/runbooks
COPY docs/ko/runbooks docs/ko/runbooks

FROM node:26.10.0-bookworm-slim
ENV NODE_ENV=production NODE_OPTIONS=--max-semi-space-size=2 MALLOC_ARENA_MAX=2 DATA_DIR=/data HOST=0.0.0.0 ADMIN_HOST=0.0.0.0
WORKDIR /app
COPY --from=build /app /app
# Group 0 may write, too: OpenShift and `docker run --user` give another user and this group.
RUN mkdir -m 775 /data && chown node:root /data
USER 1000:1000
VOLUME /data
EXPOSE 8080 8083 8084 9081 9082 9083 9084
ENTRYPOINT ["sh", "tools/container.sh"]
CMD ["all"]
