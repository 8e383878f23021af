#!/bin/sh
# The image's entry point: its argument says which process runs. `exec` makes Node PID 1, so that SIGTERM reaches it.
case "${1:-all}" in
  all) exec node tools/launch.ts ;;
  web | converter) exec node "services/$1/main.ts" ;;
  logs) exec node services/logs/main.ts serve ;;
  slo) exec node slo/main.ts serve ;;
  *) exec "$@" ;;
esac
