#!/bin/bash
#SBATCH --job-name=debug.hausa-1
#SBATCH --output=logs/debug-%j.log
#SBATCH --open-mode=append
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=4
#SBATCH --cpus-per-task=10
#SBATCH --time=00:30:00
#SBATCH --signal=B:USR1@180
#SBATCH --requeue
#SBATCH --hint=nomultithread
#SBATCH --account=my_project@v100
#SBATCH --constraint=v100-32g
#SBATCH --gres=gpu:4
#SBATCH --qos=qos_gpu-dev

# Job debug of the chain hausa-1, written by `finetune submit` for the site jean-zay-v100.

chain=/store/chains/hausa-1
job=debug
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

# ---- 4 ranks: the same command in each, told apart by the variables of torchrun
MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
export MASTER_ADDR MASTER_PORT=$((20000 + SLURM_JOB_ID % 10000))

# ---- work
export SRUN_CPUS_PER_TASK=10
code=75
if [ -z "$told" ]; then
  run srun --nodes=1 --ntasks-per-node=4 --kill-on-bad-exit=1 \
    bash -c 'export RANK=$SLURM_PROCID LOCAL_RANK=$SLURM_LOCALID
      export WORLD_SIZE=4 LOCAL_WORLD_SIZE=4
      exec "$@"' rank \
    "${finetune[@]}" train /store/chains/hausa-1/project/recipe.json --store /store
fi
unset FINETUNE_OUTCOMES

# ---- end: what now?
answer=$(attempt end --ranks 4 --exit-code "$code" --told "$told" --outcomes "$outcomes" \
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
