#!/bin/sh
# Makes a Python environment with the libraries that tests compare with, TensorFlow among them, and prints its Python:
#   REC_PYTHON=$(test/setup-python.sh FOLDER)
# What pip cannot bring is left out: then the tests that want it say that they are skipped.
folder=${1:?where the environment goes: a folder outside of the tree}
python=${REC_PYTHON:-python3}
peers='tensorflow-cpu torch transformers sentence-transformers onnxruntime onnx bm25s rank-bm25 scipy tensorboard huggingface_hub pandas pyarrow'
skip() {
  echo "python: skipped ($1)" >&2
  exit 0
}
command -v "$python" >/dev/null || skip "no $python"
"$python" -m venv "$folder" >/dev/null 2>&1 || skip "$python cannot make an environment"
# No second try, and an end: a closed network shall not hold up the tests.
install() {
  PIP_RETRIES=0 PIP_DEFAULT_TIMEOUT=15 timeout 240 "$folder/bin/python" -m pip install -qq --disable-pip-version-check "$@" 2>/dev/null >&2
}
# All at once, or else one by one, as long as there is time.
end=$(($(date +%s) + 240))
# shellcheck disable=SC2086
install $peers || for peer in $peers; do
  [ "$(date +%s)" -lt "$end" ] && install "$peer" || echo "python: $peer is left out" >&2
done
command -v "$folder/bin/python"
