#!/usr/bin/env bash
# Training on a Slurm cluster: `sbatch deploy/slurm.sh /shared/noise`, from an environment with tunable-zoo.
# The work tree (params.yaml, with prepared photographs) lies on storage that all nodes share, and says
# `train.compute.runner: local`. README.md beside this file explains each setting; the numbers are examples.

#SBATCH --job-name=tunable-train
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=16
#SBATCH --time=12:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:TERM@120

set -euo pipefail

root=${1:?usage: sbatch deploy/slurm.sh FOLDER_OF_THE_WORK_TREE}

processes=${SLURM_GPUS_ON_NODE:-1} # of each node

# What can be known to be wrong is told now, not when the first step has begun.
tunable doctor --root "$root" --stage train --processes "$((SLURM_JOB_NUM_NODES * processes))"

nodes=$(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=${nodes%%$'\n'*}
port=$((29500 + SLURM_JOB_ID % 1000)) # two jobs may share a node

# Two minutes before the time is up the training is told: it writes a checkpoint and stops. Not by a signal to
# srun, which would kill its tasks at once: scancel signals the tasks of all steps, and not this script.
stopped=
trap 'stopped=yes; scancel --signal=TERM "$SLURM_JOB_ID" || true' TERM

# Asked to stop, the first node leaves last, behind the checkpoint; the others' exit codes must not end it.
# srun does not take over from sbatch how many CPUs a task has; with one, all processes of a node would share it.
srun --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" --kill-on-bad-exit=0 --wait=300 torchrun \
  --nnodes="$SLURM_JOB_NUM_NODES" \
  --nproc-per-node="$processes" \
  --max-restarts=0 \
  --shutdown-timeout=90 \
  --rdzv-id="$SLURM_JOB_ID" \
  --rdzv-backend=c10d \
  --rdzv-endpoint="$head:$port" \
  --no-python tunable run train --root "$root" &
step=$!

code=0
wait "$step" || code=$?
while kill -0 "$step" 2>/dev/null; do # wait ends when the signal comes, before the step does
  code=0
  wait "$step" || code=$?
done

# Where another job needs the nodes, Slurm tells the training itself, and this script nothing.
if ((code)) && [[ $(scontrol show job "$SLURM_JOB_ID") == *PreemptTime=[0-9]* ]]; then
  stopped=yes
fi

if ((code)) && [[ -n $stopped ]]; then
  echo "asked to stop; requeued, goes on from the newest checkpoint"
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
