#!/usr/bin/env bash
# A real Slurm cluster of N virtual nodes on this one machine, from Debian 12's packages
# (slurm-wlm 22.05, built with --enable-multiple-slurmd), on loopback only, without systemd
# or cgroups, with every file in one state directory.
#
#   cluster.sh up [N]            install missing packages, start, wait until N nodes are idle (default 4)
#   cluster.sh down              end all jobs and daemons of this script; files and job records stay
#   cluster.sh wipe              down, then delete the state directory (a fresh cluster next time)
#   cluster.sh status            exit 0 iff the controller answers and every node is usable
#   cluster.sh env               print shell code:  eval "$(cluster.sh env)"  (sets SLURM_CONF)
#   cluster.sh crash NODE        power failure: SIGKILL to the node's slurmd and every process on it
#                                (detected by the controller after about 1.5 x SlurmdTimeout)
#   cluster.sh boot NODE         start a crashed node, wait until it has registered, resume it if DOWN
#   cluster.sh reboot NODE       crash, 2.5 s, boot: its jobs end NODE_FAIL or are requeued in about 3 s
#   cluster.sh kill-slurmd NODE  only the daemon ends, the jobs on the node continue; `boot` restarts it
#   cluster.sh kill-slurmctld    the controller is away; jobs continue, and `up` brings it back with all of them
#
# Environment:
#   SLURM_CLUSTER_DIR        state directory                     (slurm-cluster in the temporary directory)
#   SLURM_CLUSTER_PORT       slurmctld's port; nodes use +1..+N, the database +1000, +1001   (16817)
#   SLURM_CLUSTER_NS         auto|1|0: own PID, UTS, mount and time namespaces per node (auto: if root and allowed).
#                            With them each node has its own host name, process table and boot time.
#   SLURM_CLUSTER_DBD        1: also MariaDB and slurmdbd (sacct, accounts, QOS)   (0)
#   SLURM_CLUSTER_CPUS, _MEM_MB, _GPUS   what each node reports  (64, 512000, 8)
#   SLURM_CLUSTER_GPU_TYPE   the GPUs' type name; empty: untyped  (h100)
#   SLURM_CLUSTER_NODE_EXTRA more for the NodeName line, e.g. Feature=ib
#   SLURM_CLUSTER_FIRST_JOB  id of the first job; jobs derive ports from it, so two clusters should differ   (1)
#   SLURM_CLUSTER_EXTRA      more lines for slurm.conf (may not repeat a key)
# They are read at `up`; the other verbs need only SLURM_CLUSTER_DIR.
set -euo pipefail

STATE=${SLURM_CLUSTER_DIR:-${TMPDIR:-/tmp}/slurm-cluster}
PORT=${SLURM_CLUSTER_PORT:-16817}
CPUS=${SLURM_CLUSTER_CPUS:-64}
MEM=${SLURM_CLUSTER_MEM_MB:-512000}
GPUS=${SLURM_CLUSTER_GPUS:-8}
GPU_TYPE=${SLURM_CLUSTER_GPU_TYPE-h100}
FIRST_JOB=${SLURM_CLUSTER_FIRST_JOB:-1}
WANT_NS=${SLURM_CLUSTER_NS:-auto}
WANT_DBD=${SLURM_CLUSTER_DBD:-0}
CONF=$STATE/etc/slurm.conf
MUNGE_SOCK=$STATE/munge/munge.sock
DB_PORT=$((PORT + 1000))
DBD_PORT=$((PORT + 1001))
ME=$(id -un)
PATH=$PATH:/usr/sbin:/sbin
# The caller may be in a job or have sbatch defaults: neither may reach our commands or daemons.
for v in $(compgen -e); do
  case $v in
    SLURM_CLUSTER_*) ;;
    SLURM_* | SBATCH_* | SALLOC_* | SINFO_* | SQUEUE_* | SCANCEL_* | SLURMD_* | SRUN_*) unset "$v" ;;
  esac
done
export SLURM_CONF=$CONF

log() { printf 'cluster: %s\n' "$*" >&2; }
die() {
  log "$*"
  exit 1
}

# ---------------------------------------------------------------- packages
install_packages() {
  local want=(munge slurmctld slurmd slurm-client) missing=() p
  if [ "$WANT_DBD" = 1 ]; then want+=(slurmdbd mariadb-server-core mariadb-client-core); fi
  for p in "${want[@]}"; do
    dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' || missing+=("$p")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  [ "$(id -u)" = 0 ] || die "missing packages (${missing[*]}): install them as root first"
  log "installing ${missing[*]}"
  {
    flock 8 # two clusters may be brought up at once, apt-get does not wait for itself
    # other users of apt-get are waited for
    apt-get -o DPkg::Lock::Timeout=120 update -q
    DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 install -y -q --no-install-recommends "${missing[@]}"
  } </dev/null >"$STATE/log/apt.log" 2>&1 8>"${TMPDIR:-/tmp}/slurm-cluster-install.lock" 9>&- || {
    tail -n 20 "$STATE/log/apt.log" >&2
    die "apt-get failed"
  }
}

# ---------------------------------------------------------------- processes
# A process is ours only while its command line names our state directory: pids are reused.
ours() { tr '\0' ' ' <"/proc/$1/cmdline" 2>/dev/null | grep -qF -- "$STATE/"; }
pid_of() { # file -> pid, if it is alive and ours
  local p
  p=$(cat "$1" 2>/dev/null) && [ -n "$p" ] && ours "$p" && echo "$p"
}
stop_pid() { # pid seconds: TERM, then KILL
  local i
  kill -TERM "$1" 2>/dev/null || return 0
  for ((i = 0; i < $2 * 20; i++)); do
    kill -0 "$1" 2>/dev/null || return 0
    sleep 0.05
  done
  kill -KILL "$1" 2>/dev/null || true
}
with_env() { # NAME=VALUE...: pids whose environment at start holds them all
  local d p v e ok
  for d in /proc/[0-9]*; do
    e=$(tr '\0' '\n' <"$d/environ" 2>/dev/null) 2>/dev/null || continue
    ok=1
    for v in "$@"; do grep -qxF -- "$v" <<<"$e" || { ok=0; break; }; done
    p=${d#/proc/}
    if [ $ok = 1 ] && [ "$p" != $$ ]; then echo "$p"; fi
  done 2>/dev/null
}
use_ns() { [ "$(cat "$STATE/etc/ns" 2>/dev/null)" = 1 ]; }
nodes() { cat "$STATE/etc/nodes" 2>/dev/null || true; }
is_node() { nodes | grep -qxF -- "${1:-}" || die "no such node: ${1:-}"; }

# ---------------------------------------------------------------- configuration
write_config() { # N
  local n=$1 i ns=0 gres="" grestypes="" acct comm="" port_range node_range
  case $WANT_NS in
    1) ns=1 ;; # asked for: if not allowed, the nodes fail to start and `up` says so
    auto) if [ "$(id -u)" = 0 ] && unshare --pid --fork --kill-child --uts --mount --mount-proc true 2>/dev/null; then ns=1; fi ;;
  esac
  # munged wants its directories writable by their owner only, and the socket's passable by all
  chmod 0755 "$STATE" "$STATE/etc" "$STATE/log"
  chmod 0711 "$STATE/munge"
  for ((i = 1; i <= n; i++)); do echo "node$i"; done >"$STATE/etc/nodes"
  echo $ns >"$STATE/etc/ns"
  { grep -v '# slurm-cluster$' /etc/hosts || true; echo "127.0.0.1 $(paste -sd' ' "$STATE/etc/nodes") # slurm-cluster"; } >"$STATE/etc/hosts"

  if [ "$n" = 1 ]; then node_range=node1 port_range=$((PORT + 1)); else node_range="node[1-$n]" port_range="[$((PORT + 1))-$((PORT + n))]"; fi
  : >"$STATE/etc/gres.conf"
  if [ "$GPUS" -gt 0 ]; then
    grestypes="GresTypes=gpu"
    gres="Gres=gpu:${GPU_TYPE:+$GPU_TYPE:}$GPUS"
    # GPU records without File= are discarded (the node then goes INVAL), and only a File= that is a
    # device makes Slurm set CUDA_VISIBLE_DEVICES; it stats the path, so links to /dev/null will do.
    mkdir -p "$STATE/dev"
    for ((i = 0; i < GPUS; i++)); do ln -sfn /dev/null "$STATE/dev/gpu$i"; done
    if [ "$GPUS" = 1 ]; then i=0; else i="[0-$((GPUS - 1))]"; fi
    echo "Name=gpu${GPU_TYPE:+ Type=$GPU_TYPE} Flags=nvidia_gpu_env File=$STATE/dev/gpu$i" >"$STATE/etc/gres.conf"
  fi
  # slurmd 22.05 always loads a cgroup plugin; v1's start touches nothing, v2's (and autodetect) may fail
  echo "CgroupPlugin=cgroup/v1" >"$STATE/etc/cgroup.conf"
  # With No...InAddrAny daemons and srun listen on what the host name resolves to instead of on every address;
  # peers answer to the source address they saw, 127.0.0.1, so nothing but that will do.
  if [ "$(getent ahostsv4 "$(hostname)" 2>/dev/null | awk 'NR == 1 {print $1}')" = 127.0.0.1 ]; then
    comm="CommunicationParameters=NoInAddrAny,NoCtldInAddrAny"
  else
    log "this host's name does not resolve to 127.0.0.1: Slurm will listen on every address"
  fi
  if [ "$WANT_DBD" = 1 ]; then
    acct="AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=$DBD_PORT
# not a password: for auth/munge the path of munged's socket, which AuthInfo= does not give this connection
AccountingStoragePass=$MUNGE_SOCK
AccountingStorageTRES=gres/gpu
AccountingStorageEnforce=associations,limits,qos"
  else
    acct="AccountingStorageType=accounting_storage/none"
  fi
  cat >"$CONF" <<EOF
ClusterName=vcluster
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=$PORT
SlurmUser=$ME
SlurmdUser=$ME
AuthType=auth/munge
CredType=cred/munge
# cred_expire (default 120, at least 5) is also how long a requeued job waits before it may start again
AuthInfo=socket=$MUNGE_SOCK,cred_expire=5
$comm
StateSaveLocation=$STATE/ctld
SlurmctldPidFile=$STATE/ctld.pid
SlurmctldLogFile=$STATE/log/slurmctld.log
SlurmdSpoolDir=$STATE/nodes/%n/spool
SlurmdPidFile=$STATE/nodes/%n/slurmd.pid
SlurmdLogFile=$STATE/log/slurmd-%n.log
# no cgroups, no systemd, no MPI
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=5
SwitchType=switch/none
MpiDefault=none
MailProg=/bin/true
# nodes may claim more than this machine has
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
$grestypes
# ask for more than a partition can ever give: refused at submission instead of pending indefinitely
EnforcePartLimits=ALL
# quick reactions, for tests
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_interval=1,batch_sched_delay=0,sched_min_interval=0
PriorityType=priority/basic
SlurmctldTimeout=10
SlurmdTimeout=10
MessageTimeout=10
InactiveLimit=0
# the default: in less a job on a busy machine cannot note how it ended
KillWait=30
UnkillableStepTimeout=15
CompleteWait=0
# jobs stay visible to scontrol show job and squeue -t all for a day: the stand-in for sacct
MinJobAge=86400
FirstJobId=$FIRST_JOB
JobRequeue=1
# 1, not 2: only so is an unexpected reboot noticed (and the node then stays DOWN until State=RESUME)
ReturnToService=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
# at preemption send the job its own --signal= first (useful with a partition's GraceTime)
SlurmctldParameters=preempt_send_user_signal
JobCompType=jobcomp/filetxt
JobCompLoc=$STATE/log/jobcomp.log
$acct
NodeName=$node_range NodeAddr=127.0.0.1 Port=$port_range CPUs=$CPUS RealMemory=$MEM $gres ${SLURM_CLUSTER_NODE_EXTRA:-} State=UNKNOWN
PartitionName=batch    Nodes=ALL Default=YES MaxTime=INFINITE DefaultTime=01:00:00 PriorityTier=10
PartitionName=low      Nodes=ALL MaxTime=INFINITE DefaultTime=01:00:00 PriorityTier=1
PartitionName=lowgrace Nodes=ALL MaxTime=INFINITE DefaultTime=01:00:00 PriorityTier=1 GraceTime=10
PartitionName=high     Nodes=ALL MaxTime=INFINITE DefaultTime=01:00:00 PriorityTier=100 PreemptMode=OFF
${SLURM_CLUSTER_EXTRA:-}
EOF
  cat >"$STATE/etc/node-init" <<EOF
#!/bin/bash
# First process of a virtual node's namespaces. It reaps orphans; its end is the node's power failure.
hostname "\$1"
# its own name first, so that looking up 127.0.0.1 gives it: torchrun orders nodes by, and advertises, that
{ echo "127.0.0.1 \$1"; cat "$STATE/etc/hosts"; } >"$STATE/nodes/\$1/hosts"
mount --bind "$STATE/nodes/\$1/hosts" /etc/hosts
mount --bind "$STATE/nodes/\$1/local" "$STATE/local"
slurmd -D -N "\$1" -f "$CONF" &
while :; do sleep 86400 & wait \$!; done
EOF
}

# ---------------------------------------------------------------- daemons
start_munged() {
  if [ -n "$(pid_of "$STATE/munge/munged.pid")" ]; then return 0; fi
  rm -f "$MUNGE_SOCK" "$MUNGE_SOCK.lock" "$STATE/munge/munged.pid"
  [ -s "$STATE/munge/key" ] || (umask 077 && head -c 128 /dev/urandom >"$STATE/munge/key")
  munged --socket="$MUNGE_SOCK" --key-file="$STATE/munge/key" --pid-file="$STATE/munge/munged.pid" \
    --log-file="$STATE/munge/munged.log" --seed-file="$STATE/munge/seed" --num-threads=4 \
    </dev/null >>"$STATE/log/munged.out" 2>&1 9>&- || {
    tail -n 5 "$STATE/log/munged.out" >&2
    die "munged did not start"
  }
}

start_dbd() {
  [ "$WANT_DBD" = 1 ] || return 0
  local i sql=(mariadb --no-defaults --socket="$STATE/db/mysql.sock" --user="$ME")
  if [ -z "$(pid_of "$STATE/db/mariadbd.pid")" ]; then
    if [ ! -d "$STATE/db/data/mysql" ]; then
      mariadb-install-db --no-defaults --user="$ME" --datadir="$STATE/db/data" --auth-root-authentication-method=socket \
        --auth-root-socket-user="$ME" --skip-test-db >"$STATE/log/mariadb-install.log" 2>&1 9>&- ||
        die "mariadb-install-db failed; see $STATE/log/mariadb-install.log"
    fi
    setsid mariadbd --no-defaults --user="$ME" --datadir="$STATE/db/data" --socket="$STATE/db/mysql.sock" \
      --pid-file="$STATE/db/mariadbd.pid" --bind-address=127.0.0.1 --port=$DB_PORT --innodb-buffer-pool-size=128M \
      --innodb-lock-wait-timeout=900 --innodb-flush-log-at-trx-commit=0 </dev/null >>"$STATE/log/mariadbd.log" 2>&1 9>&- &
    i=$((SECONDS + 30))
    until "${sql[@]}" -e 'select 1' >/dev/null 2>&1 || [ $SECONDS -gt $i ]; do sleep 0.1; done
    [ -s "$STATE/db/password" ] || (umask 077 && head -c 18 /dev/urandom | base64 | tr -d '/+=' >"$STATE/db/password")
    "${sql[@]}" -e "create database if not exists slurm_acct_db;
      create or replace user slurm@'127.0.0.1' identified by '$(cat "$STATE/db/password")';
      create or replace user slurm@localhost identified by '$(cat "$STATE/db/password")';
      grant all on slurm_acct_db.* to slurm@'127.0.0.1', slurm@localhost;" ||
      die "MariaDB did not start; see $STATE/log/mariadbd.log"
  fi
  [ -z "$(pid_of "$STATE/db/slurmdbd.pid")" ] || return 0
  (umask 077 && cat >"$STATE/etc/slurmdbd.conf") <<EOF
AuthType=auth/munge
AuthInfo=socket=$MUNGE_SOCK
DbdHost=$(hostname -s)
DbdAddr=127.0.0.1
DbdPort=$DBD_PORT
SlurmUser=$ME
PidFile=$STATE/db/slurmdbd.own.pid
LogFile=$STATE/log/slurmdbd.log
CommunicationParameters=NoInAddrAny
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=$DB_PORT
StorageUser=slurm
StoragePass=$(cat "$STATE/db/password")
StorageLoc=slurm_acct_db
EOF
  # slurmdbd finds slurmdbd.conf beside SLURM_CONF and takes no path; argv[0] makes the process known as ours
  # shellcheck disable=SC2016
  setsid bash -c 'echo $$ >"$1/db/slurmdbd.pid"; exec -a "slurmdbd $1/" slurmdbd -D' _ "$STATE" \
    </dev/null >>"$STATE/log/slurmdbd.out" 2>&1 9>&- &
  i=$((SECONDS + 30))
  until sacctmgr -n list cluster >/dev/null 2>&1 || [ $SECONDS -gt $i ]; do sleep 0.1; done
  sacctmgr -n list cluster >/dev/null 2>&1 || die "slurmdbd did not start; see $STATE/log/slurmdbd.log"
  if ! sacctmgr -nP list cluster format=cluster | grep -qx vcluster; then
    {
      sacctmgr -i add cluster vcluster
      sacctmgr -i add qos high Priority=100
      sacctmgr -i add account research Description=research Organization=research
      sacctmgr -i add user "$ME" Account=research AdminLevel=Admin DefaultAccount=research
      sacctmgr -i modify user "$ME" set qos=normal,high
    } >"$STATE/log/sacctmgr.log" 2>&1 || die "sacctmgr failed; see $STATE/log/sacctmgr.log"
  fi
}

start_ctld() {
  if [ -n "$(pid_of "$STATE/ctld.pid")" ]; then return 0; fi
  setsid slurmctld -D -f "$CONF" </dev/null >>"$STATE/log/slurmctld.out" 2>&1 9>&- &
}

init_pid() { # pid, seen from outside, of the first process in the node's namespaces
  local u
  u=$(pid_of "$STATE/nodes/$1/unshare.pid") || return 1
  u=$(tr -d ' ' <"/proc/$u/task/$u/children") && [ -n "$u" ] && echo "$u"
}
slurmd_pid() { # pid, seen from outside, of the node's slurmd
  local p i
  if ! use_ns; then
    pid_of "$STATE/nodes/$1/plain.pid"
    return
  fi
  i=$(init_pid "$1") || return 1
  # shellcheck disable=SC2013
  for p in $(cat "/proc/$i/task/$i/children"); do
    if tr '\0' ' ' <"/proc/$p/cmdline" 2>/dev/null | grep -q "^slurmd -D -N $1 "; then
      echo "$p"
      return 0
    fi
  done
  return 1
}
start_node() {
  local n=$1 d=$STATE/nodes/$1 i
  if [ -n "$(slurmd_pid "$n")" ]; then return 0; fi
  mkdir -p "$d/spool" "$d/local"
  if ! use_ns; then
    setsid slurmd -D -N "$n" -f "$CONF" </dev/null >>"$STATE/log/slurmd-$n.out" 2>&1 9>&- &
    echo $! >"$d/plain.pid"
  elif i=$(init_pid "$n"); then
    # the node is on and only its daemon is gone; left by its parent, the new one is adopted by the first process
    # shellcheck disable=SC2016
    setsid nsenter -t "$i" -p -m -u -T bash -c 'slurmd -D -N "$1" -f "$2" & disown' _ "$n" "$CONF" \
      </dev/null >>"$STATE/log/slurmd-$n.out" 2>&1 9>&-
  else
    # own clock of time since boot, so that a node started again reports a new boot
    i=""
    if unshare --fork --time --boottime 0 true 2>/dev/null; then i="--time --boottime -$(cut -d. -f1 /proc/uptime)"; fi
    # shellcheck disable=SC2086
    setsid unshare --pid --fork --kill-child=KILL --uts --mount --mount-proc $i bash "$STATE/etc/node-init" "$n" \
      </dev/null >>"$STATE/log/slurmd-$n.out" 2>&1 9>&- &
    echo $! >"$d/unshare.pid"
  fi
}
crash_node() {
  local n=$1 p d=$STATE/nodes/$1 tasks steps=""
  if use_ns; then
    if p=$(pid_of "$d/unshare.pid"); then kill -KILL "$p" 2>/dev/null || true; fi
  else
    # slurmd, then the slurmstepds (known only as the parents of this node's tasks), then the tasks
    tasks=$(with_env "SLURM_CONF=$CONF" "SLURMD_NODENAME=$n")
    for p in $tasks; do
      p=$(awk '/^PPid/ {print $2}' "/proc/$p/status" 2>/dev/null) || continue
      if grep -qx slurmstepd "/proc/$p/comm" 2>/dev/null; then steps+=" $p"; fi
    done
    for p in $(pid_of "$d/plain.pid") $steps $tasks; do kill -KILL "$p" 2>/dev/null || true; done
  fi
  rm -f "$d/unshare.pid" "$d/plain.pid"
}
node_state() { sinfo -h -N -p batch -n "$1" -o %T 2>/dev/null; }
boot_node() {
  local n=$1 t i s show registered=0
  t=$(date +%s)
  start_node "$n"
  for ((i = 0; i < 300; i++)); do
    if [ $registered = 0 ]; then
      show=$(scontrol show node "$n" 2>/dev/null) || show=""
      s=$(sed -n 's/.*SlurmdStartTime=\([^ ]*\).*/\1/p' <<<"$show")
      if [ -n "$s" ] && [ "$s" != None ] && [ "$(date -d "$s" +%s)" -ge "$t" ]; then
        registered=1
        if grep -q 'State=[A-Z+]*DOWN' <<<"$show"; then scontrol update NodeName="$n" State=RESUME; fi
      fi
    elif node_state "$n" | grep -qxE 'idle|mixed|allocated|completing'; then
      return 0 # without the * of a node that has not answered yet
    fi
    sleep 0.1
  done
  die "$n did not come back in 30 s; see $STATE/log/slurmd-$n.log"
}
# Without namespaces node names resolve only through the machine's own /etc/hosts.
fix_hosts() {
  if use_ns || getent hosts node1 >/dev/null; then return 0; fi
  if [ -w /etc/hosts ]; then
    grep '# slurm-cluster$' "$STATE/etc/hosts" >>/etc/hosts
  else
    log "node names do not resolve here; jobs must use 127.0.0.1 as their master's address"
  fi
}
unfix_hosts() {
  local t
  if [ -w /etc/hosts ] && grep -q '# slurm-cluster$' /etc/hosts; then
    t=$(grep -v '# slurm-cluster$' /etc/hosts)
    printf '%s\n' "$t" >/etc/hosts # in place: it may be a mount point
  fi
}
any_daemon() {
  local n
  if [ -n "$(pid_of "$STATE/ctld.pid")" ]; then return 0; fi
  for n in $(nodes); do if [ -n "$(slurmd_pid "$n")" ]; then return 0; fi; done
  return 1
}
all_usable() { # [seconds since the epoch: registered since then; a state saved earlier says idle too soon]
  local want got t
  want=$(nodes | grep -c .) || return 1
  got=$(sinfo -h -N -p batch -o %T 2>/dev/null | grep -cxE 'idle|mixed|allocated|completing') || return 1
  [ "$got" = "$want" ] || return 1
  if [ "${1:-0}" -gt 0 ]; then
    for t in $(scontrol show node -o 2>/dev/null | sed -n 's/.*SlurmdStartTime=\([^ ]*\).*/\1/p'); do
      [ "$t" != None ] && [ "$(date -d "$t" +%s)" -ge "$1" ] || return 1
    done
  fi
}

# ---------------------------------------------------------------- verbs
up() {
  local n=${1:-4} i out t0 since=0
  t0=$(date +%s%N)
  [[ $n =~ ^[1-9][0-9]*$ ]] || die "up [N]: N is a number"
  mkdir -p "$STATE"/{etc,munge,ctld,log,nodes,local,db}
  exec 9>"$STATE/lock"
  flock 9
  if [ "$(nodes | grep -c .)" = "$n" ] && any_daemon; then
    # what is there stays, with its jobs; daemons that are gone are started again
    start_munged
    if [ -d "$STATE/db/data" ]; then WANT_DBD=1 start_dbd; fi
    start_ctld
    for ((i = 0; i < 300; i++)); do
      if scontrol ping 2>/dev/null | grep -q 'is UP'; then break; fi
      sleep 0.1
    done
    for i in $(nodes); do if [ -z "$(slurmd_pid "$i")" ]; then boot_node "$i"; fi; done
  else
    down
    install_packages
    write_config "$n"
    # an unknown key in slurm.conf stops every command and daemon: say so at once
    out=$(scontrol show hostnames 'node[1-2]' 2>&1 >/dev/null) || die "slurm.conf: $out"
    since=$(date +%s)
    start_munged
    start_dbd
    start_ctld
    fix_hosts
    for i in $(nodes); do start_node "$i"; done
  fi
  for ((i = 0; i < 600; i++)); do
    if all_usable "$since"; then
      log "$n nodes up after $((($(date +%s%N) - t0) / 1000000)) ms; export SLURM_CONF=$CONF"
      return 0
    fi
    sleep 0.1
  done
  sinfo -N -l >&2 || true
  tail -n 15 "$STATE/log/slurmctld.log" >&2 || true
  die "the nodes did not come up in 60 s; logs in $STATE/log"
}
down() {
  local n p i
  if p=$(pid_of "$STATE/ctld.pid"); then
    # jobs are cancelled, not left to be found lost by the next `up`
    scancel --quiet --user="$ME" 2>/dev/null || true
    for ((i = 0; i < 80; i++)); do
      if [ -z "$(squeue -h -t R,CG,S -o %A 2>/dev/null)" ]; then break; fi
      sleep 0.1
    done
    stop_pid "$p" 10
  fi
  for n in $(nodes); do crash_node "$n"; done
  for p in "$STATE/db/slurmdbd.pid" "$STATE/db/mariadbd.pid" "$STATE/munge/munged.pid"; do
    if i=$(pid_of "$p"); then stop_pid "$i" 3; fi
    rm -f "$p"
  done
  rm -f "$STATE/ctld.pid"
  unfix_hosts
}
wipe() {
  down
  case $STATE in
    /?*/?*) rm -rf --one-file-system -- "$STATE" ;;
    *) die "refusing to delete $STATE" ;;
  esac
}
status() {
  if [ -z "$(pid_of "$STATE/ctld.pid")" ]; then
    echo down
    return 1
  fi
  scontrol ping
  sinfo -p batch -N -o '%N %T %C %G %E'
  all_usable
}

case ${1:-} in
  up) up "${2:-}" ;;
  down) down ;;
  wipe) wipe ;;
  status) status ;;
  env) echo "export SLURM_CONF=$CONF" ;;
  crash) is_node "${2:-}" && crash_node "$2" ;;
  boot) is_node "${2:-}" && boot_node "$2" ;;
  reboot)
    is_node "${2:-}"
    crash_node "$2"
    # noticed without a request only if the node's boot time is later, in whole seconds, than its last answer
    if use_ns; then sleep 2.5; else scontrol update NodeName="$2" State=DOWN Reason="Node unexpectedly rebooted"; fi
    boot_node "$2"
    ;;
  kill-slurmd) is_node "${2:-}" && p=$(slurmd_pid "$2") && kill -KILL "$p" ;;
  kill-slurmctld) p=$(pid_of "$STATE/ctld.pid") && kill -KILL "$p" && rm -f "$STATE/ctld.pid" ;;
  *)
    sed -n '2,/^set -e/{/^set -e/d;s/^# \{0,1\}//;p}' "$0"
    exit 2
    ;;
esac
