#!/bin/sh
# Trains on every host of a TPU pod. Run: sh docs/recipes/tpu_pod.sh NAME ZONE
set -eu
NAME=$1 ZONE=$2
RUN=/mnt/shared/runs/mine  # on a file system that all hosts mount

on_every_host() {
    gcloud compute tpus tpu-vm ssh "$NAME" --zone "$ZONE" --worker=all --command "$1"
}

on_every_host "python3 -m venv ~/jaxgan && ~/jaxgan/bin/pip install --quiet 'jaxgan[tpu]'"
attempt=0
until on_every_host "~/jaxgan/bin/jaxgan train dcgan --distributed --batch-size 256 --workdir $RUN"
do
    attempt=$((attempt + 1))
    [ "$attempt" -le 3 ] || exit 1
    echo "starting again from the last checkpoint ($attempt of 3)"
    on_every_host "pkill -9 -f 'bin/jaxgan train' || true"
done
