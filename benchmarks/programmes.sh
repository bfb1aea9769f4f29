#!/usr/bin/env bash
# Runs the recipes of the programmes for India and Senegal that need no Hub, in pieces:
#   benchmarks/programmes.sh [MINUTES]    (150) the same command continues where the last one stopped
#   benchmarks/programmes.sh --list       the recipes
# Exit codes: 0 all done; 1 some failed, and are named; 75 stopped or out of time.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
finetune=${FINETUNE:-finetune}

recipes=()
for recipe in recipes/{africa,bengali,india,senegal}-*.yaml; do
  [ "$recipe" = recipes/senegal-health.yaml ] || recipes+=("$recipe") # needs the Hub
done
if [ "${1:-}" = --list ]; then
  printf '%s\n' "${recipes[@]}"
  exit 0
fi

minutes=${1:-150}
failed=()
for recipe in "${recipes[@]}"; do
  for verb in fetch run; do
    left=$((minutes * 60 - SECONDS))
    code=124
    if [ "$left" -gt 0 ]; then
      timeout --signal=TERM --kill-after=300 "$left" "$finetune" "$verb" "$recipe"
      code=$?
    fi
    [ "$code" -eq 0 ] && continue
    case $code in
      75 | 124 | 130 | 137) # stopped on request, or out of time
        echo "stopped within $minutes minutes, at $verb of $recipe; the same command continues"
        exit 75
        ;;
    esac
    failed+=("$recipe ($verb, exit code $code)")
    break
  done
done
[ ${#failed[@]} -eq 0 ] || printf 'failed: %s\n' "${failed[@]}"
[ ${#failed[@]} -eq 0 ]
