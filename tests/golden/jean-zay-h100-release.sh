#!/bin/bash
#SBATCH --job-name=release.hausa-1
#SBATCH --output=logs/release-%j.log
#SBATCH --open-mode=append
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=4
#SBATCH --time=00:30:00
#SBATCH --signal=B:USR1@180
#SBATCH --requeue
#SBATCH --hint=nomultithread
#SBATCH --account=my_project@cpu

# Job release of the chain hausa-1, written by `finetune submit` for the site jean-zay-h100.

chain=/store/chains/hausa-1
job=release
finetune=(/opt/finetune/bin/python -m finetune)

# ---- a stop: Slurm tells this shell; srun passes USR1 on to every rank (TERM would kill them)
told=
step=
on_stop() {
  told=$1
  if [ -n "$step" ]; then kill -USR1 "$step" 2>/dev/null; fi
}
trap 'on_stop USR1' USR1
trap 'on_stop TERM' TERM

run() { # in the background, because the shell acts on signals only between commands
  "$@" &
  step=$!
  if [ -n "$told" ]; then kill -USR1 "$step" 2>/dev/null; fi
  while wait "$step"; kill -0 "$step" 2>/dev/null; do :; done
  wait "$step"
  code=$?
  step=
}

# ---- set-up of the site
module purge
module load my_python_module
export HF_HUB_OFFLINE=1
export HF_DATASETS_OFFLINE=1
export TRANSFORMERS_OFFLINE=1

cd "$chain" || exit 2
restart=${SLURM_RESTART_COUNT:-0}
outcomes=$chain/attempts/$job-$SLURM_JOB_ID-$restart
echo "$job: attempt $restart of job $SLURM_JOB_ID on $SLURM_JOB_NODELIST, $(date -u +%FT%TZ)"

attempt() ( # keeps the books of the chain and decides; a stop does not reach it
  trap '' USR1 TERM
  exec "${finetune[@]}" attempt "$@" --chain "$chain" --job "$job"
)

# ---- start
answer=$(attempt start)
case $answer in
  go*) export FINETUNE_ATTEMPT=${answer#go } ;;
  done) exit 0 ;;
  *) exit 2 ;;
esac
export FINETUNE_OUTCOMES=$outcomes

# ---- work
export SRUN_CPUS_PER_TASK=4
code=75
if [ -z "$told" ]; then
  run srun --nodes=1 --ntasks=1 --kill-on-bad-exit=1 \
    "${finetune[@]}" release /store/chains/hausa-1/project/recipe.json --store /store
fi
unset FINETUNE_OUTCOMES

# ---- end: what now?
answer=$(attempt end --ranks 1 --exit-code "$code" --told "$told" --outcomes "$outcomes" \
  --slurm "$(scontrol show job -o "$SLURM_JOB_ID")")
echo "$job: exit code $code${told:+, told to stop by $told}: ${answer:-no answer}, $(date -u +%FT%TZ)"
case $answer in
  done) exit 0 ;;
  leave) exit 75 ;;
  again) # back into the queue under the same id: jobs that wait for this one go on waiting
    scontrol requeue "$SLURM_JOB_ID"
    exit 75
    ;;
  *) exit 1 ;;
esac
