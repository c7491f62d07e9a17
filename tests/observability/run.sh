#!/usr/bin/env bash
# The dashboard, the alerts and the runbooks, held against all that can be had of what reads them:
#
#   tests/observability/run.sh PATH-OF-GAPMEND
#
# Debian's Prometheus and Alertmanager, Grafana's published schema packages from npm, and a
# running gapmend. Installs what is missing; a Grafana server cannot be had this way.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

export PYTHONDONTWRITEBYTECODE=1
gapmend=$(realpath "$1")
here=$PWD/tests/observability
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }

if ! command -v promtool >/dev/null || ! command -v prometheus-alertmanager >/dev/null; then
    as_root apt-get update -qq
    # Debian would start them as services; they are only wanted as programs. What says so is
    # taken away again, unless somebody else had put one there.
    policy=/usr/sbin/policy-rc.d
    [ -e "$policy" ] && ours=no || ours=yes
    [ "$ours" = no ] || printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    [ "$ours" = no ] || as_root chmod +x "$policy"
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends prometheus prometheus-alertmanager >/dev/null
    [ "$ours" = no ] || as_root rm "$policy"
fi

echo "-- generated files"
python3 dashboards/make.py --check

echo "-- texts, panels, runbooks, commands"
python3 "$here/lint.py" "$gapmend"

echo "-- promtool and amtool"
promtool check rules --lint=all --lint-fatal dashboards/prometheus/gapmend.rules.yaml
promtool check config dashboards/prometheus/prometheus.example.yaml >/dev/null
amtool check-config dashboards/prometheus/alertmanager.example.yaml >/dev/null
python3 dashboards/make.py --tests "$work"
# Two at once, for promtool uses one core.
find "$work" -name '*.yaml' -print0 | GOGC=800 xargs -0 -n 1 -P 2 promtool test rules

echo "-- Grafana's schemas"
cp "$here"/schema/{package.json,package-lock.json,types.ts,validate.mjs} "$work"
(cd "$work" && npm ci --silent --no-audit --no-fund)
(
    kit=$PWD/dashboards
    cd "$work" && node validate.mjs "$kit/gapmend.json" "$kit/prometheus/gapmend.rules.yaml" \
        "$kit/grafana/provisioning/alerting/gapmend-rules.yaml" "$kit"/grafana/provisioning/*/*.yaml*
)

echo "-- everything wrong at once"
python3 "$here/worst.py"

echo "-- a running gapmend"
python3 "$here/live.py" "$gapmend"
