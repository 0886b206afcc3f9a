#!/bin/sh
# Train the example twice, look at both runs, and run one of them again. Usage: demo.sh BIN STORE [OVERRIDE]...
set -eu
bin=$1
ANEW_STORE=$2
export ANEW_STORE
shift 2

show() {
    printf '\n$ %s\n' "$*"
    command=$1
    shift
    "$bin/$command" "$@"
}

show python examples/digits/train.py "$@"
show python examples/digits/train.py model=mlp rate=0.003 "$@"
show anew list
show anew diff last~1 last
show anew plot last~1 last test/acc
show anew rerun last
printf '\nThe runs are in %s. More: %s/anew --store %s show last\n' "$ANEW_STORE" "$bin" "$ANEW_STORE"
