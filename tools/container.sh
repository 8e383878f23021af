#!/bin/sh
# The image's entry point: its first argument says which process runs, and more arguments are a command of it, such as
# `slo report`. `exec` makes Node PID 1, so that SIGTERM reaches it.
name=${1:-all}
[ $# -eq 0 ] || shift
case "$name" in
  all) exec node tools/launch.ts "$@" ;;
  web) exec node --max-semi-space-size=8 services/web/main.ts "$@" ;; # as in the script `web` of package.json
  converter) exec node services/converter/main.ts "$@" ;;
  logs) exec node services/logs/main.ts "${@:-serve}" ;;
  slo) exec node slo/main.ts "${@:-serve}" ;;
  queue | storage) exec node "tools/$name.ts" "$@" ;;
  *) exec "$name" "$@" ;;
esac
