#!/bin/bash
# Infer a list on many machines of a Slurm cluster, then put the results together and check them:
#
#   export LIST=videos.list WEIGHTS=LINEAR_best.safetensors RESULTS=/shared/found SHARDS=64
#   examples/cluster/infer_array.sh
#
# All paths must be the same on every machine. A job that was killed goes on where it was when it is
# submitted again; a share that is done already ends at once.
#SBATCH --cpus-per-task=8
#SBATCH --time=04:00:00
set -euo pipefail

infer=(videozoo infer --filelist "${LIST:?}" --weights "${WEIGHTS:?}" --save-dir "${RESULTS:?}")
if [[ -n "${SLURM_ARRAY_TASK_ID:-}" ]]; then
    "${infer[@]}" --shard "$SLURM_ARRAY_TASK_ID/${SHARDS:?}"
elif [[ "${1:-}" == together ]]; then
    "${infer[@]}" || [[ $? == 2 ]] # 2: some videos cannot be read, and the summary names them
    videozoo verify "$RESULTS" --weights "$WEIGHTS" --filelist "$LIST"
else
    job=$(sbatch --parsable --export=ALL --array="1-${SHARDS:?}" "$0")
    # after any end of them: where a share is missing, the command says which
    sbatch --export=ALL --dependency="afterany:$job" "$0" together
fi
