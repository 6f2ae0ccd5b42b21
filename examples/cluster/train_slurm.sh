#!/bin/bash
# Train on several machines of a Slurm cluster, a process a GPU:
#
#   export MODEL=TSN CONFIG=configs/tsn.txt SAVE=/shared/tsn
#   sbatch --nodes 2 --ntasks-per-node 8 --gpus-per-node 8 examples/cluster/train_slurm.sh
#
# All paths must be the same on every machine. Before its time is over the job saves, goes back to
# the queue and goes on from there; a job that has lost a machine goes on from its last checkpoint.
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
#SBATCH --signal=USR1@180
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail

code=0
srun --wait=60 videozoo train --model-name "${MODEL:?}" --config "${CONFIG:?}" \
    --save-dir "${SAVE:?}" --resume auto || code=$?
if ((code == 75)); then # stopped and saved
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
