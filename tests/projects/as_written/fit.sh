#!/bin/sh
echo "rate $1 $ANEW_PARAM_RATE"
echo "loss=$1 step=0" > "$ANEW_METRICS"
