#!/bin/bash
# Workers of one shared study as a Slurm array: every task is one `sweep worker STUDY`.
#
#   export SWEEP_STORAGE=postgresql+psycopg://sweep@db.example.org/sweep
#   export MLFLOW_TRACKING_URI=http://mlflow.example.org:5000
#   sweep run --loss softmax --trials 1000 --study spread --begin-only
#   sbatch --array=0-3 templates/slurm.sh spread
#
# The password of the database stands in ~/.pgpass (or the file that PGPASSFILE names), mode 0600,
# on a disk that all nodes see: never here, nor in an address.

#SBATCH --job-name=sweep
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=2
#SBATCH --mem=4G
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --signal=B:TERM@120
#SBATCH --open-mode=append
#SBATCH --output=sweep-%A_%a.log

set -u
study=${1:?"usage: sbatch --array=0-3 slurm.sh STUDY"}
: "${SWEEP_STORAGE:?"names the study's database, without a password"}"
: "${MLFLOW_TRACKING_URI:?"names the MLflow server"}"
task=${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}${SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}

# 75: a store did not answer. 143: the time is up, 120 s before the end. Both go on later; a task
# that was cancelled does not, and Slurm itself requeues one that was preempted.
requeue() {
    if [ "${SLURM_RESTART_COUNT:-0}" -ge 20 ]; then
        echo "task $task was requeued 20 times: it is left"
        return
    fi
    case $(squeue --noheader --jobs="$task" --format=%T) in
        RUNNING) scontrol requeue "$task" ;;
    esac
}

# Slurm signals this shell alone, which must be awake to pass it on.
sweep worker "$study" --workers "${SLURM_CPUS_PER_TASK:-1}" &
worker=$!
trap 'kill -TERM "$worker" 2>/dev/null' TERM INT
code=0
wait "$worker" || code=$?
while kill -0 "$worker" 2>/dev/null; do # a signal ends `wait`, not the worker
    code=0
    wait "$worker" || code=$?
done
trap - TERM INT

echo "task $task: sweep worker ended with $code"
case $code in
    75 | 143) requeue ;; # any other is done (0), or wrong again tomorrow (1, 2)
esac
exit "$code"
