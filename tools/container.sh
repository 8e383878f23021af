#!/bin/sh
# The image's entry point: its argument says which process runs. `exec` makes Node PID 1, so that SIGTERM reaches it.
case "${1:-all}" in
  all) exec node tools/launch.ts ;;
  web | converter) exec node --import ./lib/telemetry/preload.ts "services/$1/main.ts" ;;
  logs) exec node --import ./lib/telemetry/preload.ts services/logs/main.ts serve ;;
  slo) exec node --import ./lib/telemetry/preload.ts slo/main.ts serve ;;
  *) exec "$@" ;;
esac
