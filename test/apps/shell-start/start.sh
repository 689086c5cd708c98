#!/bin/bash
echo "a script without a language, PORT is ${PORT-unset}"
exit 3
