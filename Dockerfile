# One image for every process: the command says which. The embedded default runs them all by the launcher.
FROM node:26.10.0-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY lib/package.json lib/
COPY services/web/package.json services/web/
COPY services/converter/package.json services/converter/
COPY services/logs/package.json services/logs/
COPY slo/package.json slo/
RUN npm ci --omit=dev
COPY lib lib
COPY services services
COPY slo slo
COPY tools tools
COPY docs/runbooks docs/runbooks

FROM node:26.10.0-bookworm-slim
ENV NODE_ENV=production DATA_DIR=/data HOST=0.0.0.0 ADMIN_HOST=0.0.0.0
WORKDIR /app
COPY --from=build /app /app
RUN mkdir /data && chown node:node /data
USER 1000:1000
VOLUME /data
EXPOSE 8080 8084
CMD ["node", "tools/launch.ts"]
