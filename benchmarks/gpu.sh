#!/usr/bin/env bash
# Everything that only a GPU can show, in under 8 minutes and without a network:
#
#     PYTHON=python3 OUT=figures bash benchmarks/gpu.sh
#
# PYTHON has PyTorch with CUDA, videozoo's dependencies and pytest; figures are left in OUT.
set -u
cd "$(dirname "$0")/.."
python=${PYTHON:-python3} out=${OUT:-figures} failed=0
export PYTHONPATH=$PWD/src${PYTHONPATH:+:$PYTHONPATH}
mkdir -p "$out"
step() { # seconds, name, command: one that fails leaves the others their turn
    local limit=$1 name=$2
    shift 2
    timeout "$limit" "$@" 2>&1 | tee "$out/$name.txt"
    [ "${PIPESTATUS[0]}" = 0 ] || { echo "$name: failed"; failed=1; }
}
step 210 tests make test-gpu GPU_PYTHON="$python"
step 60 machine "$python" benchmarks/gpu.py --seconds 3 --json "$out/machine.json"
step 180 models "$python" benchmarks/models.py --device cuda --precision bf16 --seconds 2 --json "$out/models.json"
exit $failed
