#!/usr/bin/env bash
# The evidence of docs/evidence.md on one GPU that can be had for minutes. OUT is the folder that is kept.
#
#     tests/bench/evidence_gpu.sh recipe     seconds a run and the recipe's tuning, on people of its own
#     tests/bench/evidence_gpu.sh answer     the table, a search beside it, the candidates, the runs that decide
#
# Everything goes on where it stood while OUT, FACES and the cache are kept. WORKERS processes share the GPU,
# through NVIDIA's multi-process service where it can be started. MINUTES, SEARCH_MINUTES and CONFIRM_MINUTES
# bound the parts. PYTHON names the interpreter (python3).
set -euo pipefail
cd "$(dirname "$0")/../.."
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1 OMP_NUM_THREADS=1
PYTHON=${PYTHON:-python3} OUT=${OUT:-evidence} FACES=${FACES:-/tmp/evidence-faces} DEVICE=${DEVICE:-cuda}
WORKERS=${WORKERS:-12} TABLE=${TABLE:-gpu-5.1G} SUBJECTS=${SUBJECTS:-1800} TEST_SUBJECTS=${TEST_SUBJECTS:-400}
SIZE=${SIZE:-256} TRIALS=${TRIALS:-48} SLICE=${SLICE-1/6} BUDGET=${BUDGET:-5.1GFLOPs}
mkdir -p "$OUT"

say() { echo "[$(date +%T)] $*"; }

faces() { # NAME SUBJECTS FRAMES SEED
    [ -d "$FACES/$1" ] || "$PYTHON" -m proxy_tasks.synthesize --out "$FACES/$1" --subjects "$2" --frames "$3" \
        --size "$SIZE" --seed "$4" >"$OUT/faces-$1.log" 2>&1
    "$PYTHON" - "$FACES/$1" "$TABLE" >>"$OUT/faces-$1.log" 2>&1 <<'PY'
import sys
from proxy_tasks.bench.plan import TABLES
from proxy_tasks.jmlr.task import JmlrTask
JmlrTask.open(sys.argv[1], TABLES[sys.argv[2]].proxy, "cpu")
PY
}

share() { # one scheduler for the kernels of all processes, or else they take turns
    [ "$DEVICE" = cuda ] && command -v nvidia-cuda-mps-control >/dev/null || { say "no MPS here"; return 0; }
    export CUDA_MPS_PIPE_DIRECTORY=/tmp/evidence-mps CUDA_MPS_LOG_DIRECTORY=/tmp/evidence-mps-log
    mkdir -p "$CUDA_MPS_PIPE_DIRECTORY" "$CUDA_MPS_LOG_DIRECTORY"
    nvidia-cuda-mps-control -d || true
    if timeout 60 "$PYTHON" -c "import torch; torch.ones(1, device='cuda').item()"; then
        say "MPS is on"
        trap 'echo quit | nvidia-cuda-mps-control || true' EXIT
    else
        say "MPS does not work here: the processes take turns"
        cat "$CUDA_MPS_LOG_DIRECTORY"/* || true
        echo quit | nvidia-cuda-mps-control || true
        unset CUDA_MPS_PIPE_DIRECTORY CUDA_MPS_LOG_DIRECTORY
    fi
}

build() { # TABLE DATA TEST MINUTES ...
    "$PYTHON" -m proxy_tasks.bench build --table "$1" --data "$FACES/$2" ${3:+--test "$FACES/$3"} \
        --out "$OUT/$1.jsonl" --device "$DEVICE" --workers "$WORKERS" --minutes "$4" "${@:5}" \
        >"$OUT/$1.log" 2>&1 || say "$1 ended with $?"
    say "$1: $(wc -l <"$OUT/$1.jsonl") rows"
}

search() {
    timeout "$SEARCH_SECONDS" "$PYTHON" -m nas.search --budget "$BUDGET" --data "$FACES/table" \
        --proxy "$OUT/proxy.json" --strategy tpe --trials "$TRIALS" --finalists 2 --repeats 3 --race-epochs 1 \
        ${SLICE:+--gpus-per-trial "$SLICE"} --cpus-per-trial 1 --max-hours "$SEARCH_HOURS" --out "$RUN" \
        >"$OUT/search.log" 2>&1 || say "the search ended with $?"
}

case ${1:-} in
recipe)
    faces tuning "$SUBJECTS" 8 100
    say "faces are made"
    share
    build "$TABLE-tuning" tuning "" "${MINUTES:-1.5}"
    ;;
answer)
    RUN=${RUN:-/tmp/evidence-search} SEARCH_SECONDS=${SEARCH_SECONDS:-240} SEARCH_HOURS=${SEARCH_HOURS:-0.05}
    "$PYTHON" - "$TABLE" "$OUT/proxy.json" <<'PY'
import json, sys
from proxy_tasks.bench.plan import TABLES
open(sys.argv[2], "w").write(json.dumps(TABLES[sys.argv[1]].proxy.to_dict()))
PY
    faces test "$TEST_SUBJECTS" 4 3 &
    TEST=$!
    faces table "$SUBJECTS" 8 1
    wait "$TEST"
    say "faces are made"
    share
    search &
    SEARCH=$!
    build "$TABLE" table test "${MINUTES:-4}"
    wait "$SEARCH"
    if [ -d "$OUT/named" ]; then
        say "the candidates of $OUT/named stay who they are"
    else
        mkdir -p "$OUT/named"
        "$PYTHON" -m proxy_tasks.bench name --table "$TABLE" --rows "$OUT/$TABLE.jsonl" --out "$OUT/named" \
            >"$OUT/named.log" 2>&1 || say "naming ended with $?"
        cp "$RUN"/best/best.json "$OUT/named/searched.json" 2>/dev/null || say "the search has no best"
    fi
    tar czf "$OUT/search.tar.gz" -C "$(dirname "$RUN")" "$(basename "$RUN")" || true
    cat "$OUT/named.log"
    build "$TABLE-confirm" table test "${CONFIRM_MINUTES:-3}" --candidates "$OUT"/named/*.json
    tail -n 6 "$OUT/$TABLE-confirm.log"
    ;;
*)
    sed -n '2,9p' "$0"
    exit 2
    ;;
esac
