#!/bin/sh
# Measures a graphics card on a machine without a network, beside PyTorch on the same card where there is one ($REC_PYTHON, else python3).
#   bench/gpu.sh pack FILE.tar.xz      here (x64 Linux): the project, its packages and Node, to be unpacked there
#   bench/gpu.sh [full|small] [DEVICE] there, in the unpacked folder; DEVICE is webgpu or cuda. 'small' shows that all of it runs, in
#                                      some minutes even with a software driver
# Every part runs in a process of its own: a driver that ends one leaves the others.
cd "$(dirname "$0")/.." || exit 1
if [ "$1" = pack ]; then
  [ -n "$2" ] || { echo 'usage: bench/gpu.sh pack FILE.tar.xz' >&2; exit 2; }
  file=$(realpath "$2")
  bin=node_modules/onnxruntime-node/bin/napi-v6
  node=$(dirname "$(readlink -f "$(command -v node)")")
  # What is not read there: tests, trained weights, tfjs's bundles for browsers, sources and maps, and what checks and builds the project.
  tar -cf - --exclude=.git --exclude='./runs/?*' --exclude=./bench/results --exclude=./test --exclude=./encoders/checkpoints --exclude='*.map' --exclude='*.d.ts' \
    --exclude=./$bin/darwin --exclude=./$bin/win32 --exclude=./$bin/linux/arm64 \
    --exclude='./node_modules/@tensorflow/*/src' --exclude='*.es2017*.js' --exclude='*.fesm*.js' --exclude='*.min.js' \
    --exclude='./node_modules/@biomejs' --exclude='./node_modules/typescript' --exclude='./node_modules/@typescript' \
    --exclude='./node_modules/assemblyscript' --exclude='./node_modules/binaryen' \
    . -C "$node" --transform='s|^node$|./bench/node|' node | xz -9 >"$file.part" && mv "$file.part" "$file"
  ls -lh "$file"
  exit
fi
size=${1:-full}
device=${2:-webgpu}
[ -x bench/node ] && PATH="$PWD/bench:$PATH" && export PATH
failed=0
for part in card sasrec unisrec pretraining encoding ranking; do
  node --import tsx bench/gpu.ts $part "$size" "$device" || { echo "$part: FAILED"; failed=1; }
done
exit $failed
