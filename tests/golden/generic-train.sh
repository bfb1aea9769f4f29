#!/bin/bash
#SBATCH --job-name=train.hausa-1
#SBATCH --output=logs/train-%j.log
#SBATCH --open-mode=append
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=4
#SBATCH --time=12:00:00
#SBATCH --signal=B:USR1@120
#SBATCH --requeue
#SBATCH --account=my_account
#SBATCH --partition=my_gpu_partition
#SBATCH --gres=gpu:1

# Job train of the chain hausa-1, written by `finetune submit` for the site generic.

chain=/store/chains/hausa-1
job=train
finetune=(/opt/finetune/bin/python -m finetune)
restart=${SLURM_RESTART_COUNT:-0}
outcomes=$chain/attempts/$job-$SLURM_JOB_ID-$restart
notes=$outcomes.txt # of this shell; `finetune status` and `doctor` read them
note() { printf '%s\n' "$*" >>"$notes" || :; }

# ---- stop signals: Slurm signals this shell; srun forwards USR1 to every rank (TERM would kill them)
stop_signal=
step=
on_stop() {
  stop_signal=$1
  if [ -n "$step" ]; then kill -USR1 "$step" 2>/dev/null; fi
}
catch_stop_signals() {
  builtin trap 'on_stop USR1' USR1
  builtin trap 'on_stop TERM' TERM
}
catch_stop_signals

run() { # in the background, because the shell handles signals only between commands
  "$@" &
  step=$!
  if [ -n "$stop_signal" ]; then kill -USR1 "$step" 2>/dev/null; fi
  while wait "$step"; kill -0 "$step" 2>/dev/null; do :; done
  wait "$step"
  code=$?
  step=
}

export TRITON_CACHE_DIR=/store/chains/hausa-1/triton
export HF_HUB_OFFLINE=1
export HF_DATASETS_OFFLINE=1
export TRANSFORMERS_OFFLINE=1
export OMP_NUM_THREADS=4
export FINETUNE_GPUS=1

cd "$chain" || exit 2
echo "$job: attempt $restart of job $SLURM_JOB_ID on $SLURM_JOB_NODELIST, $(date -u +%FT%TZ)"

# ---- questions to finetune and to Slurm: stop signals do not end them
attempt() (
  trap '' USR1 TERM
  exec "${finetune[@]}" attempt "$@" --chain "$chain" --job "$job" --mark "$mark"
)
mark='finetune-answer: '
ask() { # records the start or the end of an attempt; $answer is what to do now
  local printed
  printed=$(attempt "$@")
  code_of_attempt=$?
  answer=
  case $printed in *"$mark"*) answer=${printed##*"$mark"} answer=${answer%%$'\n'*} ;; esac
  printed=${printed/"$mark$answer"/}
  if [ -n "${printed//[[:space:]]/}" ]; then # a launcher's banner
    printf '%s\n' "$printed"
    note "printed: ${printed//$'\n'/ }"
  fi
}
no_answer() {
  echo "$job: \`finetune attempt $1\` gave no answer (exit code $code_of_attempt)" >&2
  note "no answer: attempt $1, exit code $code_of_attempt"
  exit 1
}
patiently() ( # repeats a command of Slurm that fails: a controller may be away for some minutes
  trap '' USR1 TERM
  last=$((SECONDS + 600))
  until { said=$("$@" 2>&1 1>&3); } 3>&1; do
    echo "$job: $1 $2: ${said:-failed}" >&2
    case $said in *disabled* | *[Dd]enied* | *"Invalid job id"*) exit 1 ;; esac # that will not change
    if [ "$SECONDS" -ge "$last" ]; then exit 1; fi
    sleep 5
  done
  if [ -n "$said" ]; then echo "$said" >&2; fi
)

# ---- suspected nodes are excluded from another attempt, if the job fits on the others
unlike_this_job() { # the environment of a new submission
  for variable in "${!SLURM_@}" "${!SBATCH_@}" "${!SRUN_@}" "${!SQUEUE_@}"; do
    if [ "$variable" != SLURM_CONF ]; then unset "$variable"; fi
  done
}
fits_without() ( # nodes
  trap '' USR1 TERM
  unlike_this_job
  sbatch --test-only --exclude="$1" scripts/train.sh >/dev/null 2>&1
)

# ---- start
ask start
case $answer in
  go\ *) export FINETUNE_ATTEMPT=${answer#go } ;;
  done) exit 0 ;;
  fail) exit 2 ;;
  *) no_answer start ;;
esac
export FINETUNE_OUTCOMES=$outcomes

# ---- work
export SRUN_CPUS_PER_TASK=4
export SLURM_EXPORT_ENV=ALL # ranks get this environment, also on sites with --export=NONE
code=75
if [ -z "$stop_signal" ]; then
  run srun --nodes=1 --ntasks-per-node=1 --kill-on-bad-exit=1 \
    "${finetune[@]}" train /store/chains/hausa-1/project/recipe.json --store /store
fi
unset FINETUNE_OUTCOMES

# ---- end: next action
ask end --ranks 1 --exit-code "$code" --signal "$stop_signal" --outcomes "$outcomes" \
  --slurm "$(patiently scontrol show job -o "$SLURM_JOB_ID")"
echo "$job: exit code $code${stop_signal:+, stopped by $stop_signal}: ${answer:-no answer}, $(date -u +%FT%TZ)"
avoid=
case $answer in again\ *) avoid=${answer#again } answer=again ;; esac
if [ -n "$avoid" ] && ! fits_without "$avoid"; then avoid=; fi
case $answer in
  done) exit 0 ;;
  leave) exit 75 ;;
  again) # requeued under the same id: dependent jobs keep waiting
    patiently scontrol requeue "$SLURM_JOB_ID" || note "not requeued"
    if [ -n "$avoid" ]; then patiently scontrol update JobId="$SLURM_JOB_ID" ExcNodeList="$avoid"; fi
    exit 75
    ;;
  fail) exit 1 ;;
  *) no_answer end ;;
esac
