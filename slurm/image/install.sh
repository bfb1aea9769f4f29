#!/bin/bash
# install.sh BUILD SOURCE [TORCH...]: the %post part of cuda.def and rocm.def.
#
# Installs finetune from the folder SOURCE into $PREFIX (default /opt/finetune), with torch first: TORCH is what pip
# installs, with its options, e.g. torch==2.13.0 --index-url https://download.pytorch.org/whl/rocm7.1
# Then it tries the installation: BUILD (cuda, rocm, cpu) must be what torch is built for, because pip takes another
# build without a word; `none` installs no torch.
# $EXTRAS: extras of finetune (default all,tasks; empty for none). DRY_RUN=1: resolves versions, installs nothing.
set -euo pipefail

if [ $# -lt 2 ]; then sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2; fi
build=$1 source=$2
shift 2
prefix=${PREFIX:-/opt/finetune} extras=${EXTRAS-all,tasks}
case $build in
  cuda | rocm | cpu | none) ;;
  *) echo "install.sh: no build '$build': use cuda, rocm, cpu or none" >&2; exit 2 ;;
esac
if [ ! -f "$source/pyproject.toml" ]; then
  echo "install.sh: $source: no pyproject.toml there; name the folder of finetune's sources" >&2
  exit 2
fi

export PYTHONNOUSERSITE=1 PIP_DISABLE_PIP_VERSION_CHECK=1
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11) and "install.sh: Python 3.11 or newer is needed")'
python3 -m venv "$prefix"
pip=("$prefix/bin/python" -m pip install --quiet --constraint "$source/constraints.txt")
if [ -n "${DRY_RUN-}" ]; then pip+=(--dry-run); fi
if [ "$build" != none ] && [ $# -gt 0 ]; then "${pip[@]}" "$@"; fi
"${pip[@]}" "$source${extras:+[$extras]}"
if [ -n "${DRY_RUN-}" ]; then exit 0; fi

# ---- what was installed
cd /
"$prefix/bin/finetune" --version
if [ "$build" != none ]; then
  "$prefix/bin/python" - "$build" <<'PYTHON'
import sys

import torch

found = "cuda" if torch.version.cuda else "rocm" if torch.version.hip else "cpu"
if found != sys.argv[1]:
    sys.exit(f"install.sh: torch {torch.__version__} is built for {found}, not for {sys.argv[1]}")
print(f"torch {torch.__version__} for {found}")
PYTHON
fi
