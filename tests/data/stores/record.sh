#!/bin/sh
# Record the store that is kept for a format: sh tests/data/stores/record.sh FOLDER
#
# FOLDER has a virtual environment `venv` with the anew that is to be remembered, and lies somewhere that says nothing about
# whose machine it is, since records hold paths; `unshare -u` and `env -i` see to the host's name and to variables.
# What comes out is FOLDER/project/runs. It is committed once, as a folder named after the format, and never changed:
# the lines of journals are sealed. See README.md beside this file.
set -eu
if [ "${ANEW_RECORDING:-}" != yes ]; then
    exec unshare -u sh -c 'hostname host && exec env -i ANEW_RECORDING=yes LANG=C.UTF-8 HOME="$1/home" \
        PATH="$1/venv/bin:/usr/bin:/bin" sh "$0" "$1"' "$(realpath "$0")" "$(realpath "$1")"
fi
mkdir -p "$1/home"
cp -R "$(dirname "$0")/project" "$1/project"
cd "$1/project"
expect() { # the exit code, then the command
    code=$1
    shift
    "$@" >/dev/null 2>&1 && got=0 || got=$?
    [ "$got" -eq "$code" ] || { echo "exit code $got, not $code: $*" >&2; exit 1; }
}
followed="anew.observers.taker._target_=follower.Taker anew.observers.away._target_=follower.Away anew.drain_s=0.5"
expect 0 python train.py 'anew.tags=[first]' "anew.note=the first"
expect 1 python train.py how=fails
expect 130 python train.py how=stopped
expect 137 python train.py how=killed
expect 0 python train.py lr=0.3
expect 0 anew delete 5
expect 1 python train.py -m lr=0.1,0.2 how=well,fails steps=3
expect 0 anew rerun 1
expect 0 anew rerun 1 lr=0.2
expect 0 python train.py lr=0.4 $followed
expect 0 anew tag 1 paper
expect 0 anew note 1 "the first of all"
