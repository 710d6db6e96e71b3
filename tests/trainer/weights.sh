#!/bin/sh
# Rule 17: weights of files, .safetensors and .npz: read by name with renamings, checked, written; damaged ones.
work=$BUILD/tests/log/weights
rm -rf "$work" && mkdir -p "$work" || exit 1
unset NN_DATA
python=python3
$python -c 'import numpy' 2> /dev/null || python=/usr/bin/python3
$python -c 'import numpy' 2> /dev/null || { echo "SKIP weights: no python3 with numpy"; exit 0; }
$python tests/trainer/weights.py "$work" || echo "FAIL weights: the script ended early"
