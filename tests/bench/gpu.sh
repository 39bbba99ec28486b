#!/usr/bin/env bash
# What has to be measured on a GPU, in under 30 minutes, as one JSON:
#
#     tests/bench/gpu.sh [--out gpu.json] [--minutes 28] [--parts tests,engine,pnp,augment,searches]
#
# tests/bench/gpu.py says what each part is. PYTHON names the interpreter (python3).
set -euo pipefail
cd "$(dirname "$0")/../.."
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
exec "${PYTHON:-python3}" tests/bench/gpu.py "$@"
