# Changes a file until it is started again, since the files are not watched from the first moment on; stops live reload then.
if [ -f changed ]; then
  echo "started again"
  kill -TERM "$PPID"
  sleep 60
fi
while sleep 1; do
  echo >changed
done
