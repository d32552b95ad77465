#!/bin/sh
# `fluoro exec`: programs in any language as segments of one trace; here a shell script and its steps.
#
#     fluoro exec --name nightly sh examples/nightly.sh
#
# You will see one trace: `nightly`, in it `backup`, `report` and `upload`, each with its exit status. `upload` is a fault
# (status 3); the script notes that and goes on, so `nightly` is not.

set -e
fluoro exec --name backup tar -cf /dev/null examples
fluoro exec --name report sh -c 'ls examples | wc -l'
fluoro exec --name upload sh -c 'exit 3' || echo "upload ended with status $?: the next night will try again"
