# Changes a file at its first start, and stops live reload at its second.
if [ -f changed ]; then
  echo "started again"
  kill -TERM "$PPID"
else
  echo > changed
fi
sleep 60
