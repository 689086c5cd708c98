#!/bin/bash
# Greets once a second until it is told to stop.
trap 'echo "Goodbye, $1!"; exit 0' TERM INT
echo "Hello, $1! This is bash $BASH_VERSION, in an image built by Bale."
for ((n = 1; ; n++)); do
  sleep 1 &
  wait $!
  echo "$n"
done
