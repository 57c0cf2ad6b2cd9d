#!/bin/sh
# Makes a Python environment that has TensorFlow, with which `--device tensorflow` can be tested, and prints its Python:
#   REC_PYTHON=$(test/setup-tensorflow.sh /tmp/tensorflow)
# Prints nothing, and says why on standard error, where pip has no wheel at hand; then those tests say that they are skipped.
folder=${1:?where the environment goes: a folder outside of the tree}
python=${REC_PYTHON:-python3}
has_tensorflow() {
  "$1" -c "import importlib.util as u, sys; sys.exit(u.find_spec('tensorflow') is None)" 2>/dev/null
}
skip() {
  echo "tensorflow: skipped ($1)" >&2
  exit 0
}
if has_tensorflow "$python"; then
  command -v "$python"
  exit 0
fi
command -v "$python" >/dev/null || skip "no $python"
[ -x "$folder/bin/python" ] || "$python" -m venv "$folder" >/dev/null 2>&1 || skip "$python cannot make an environment"
if ! has_tensorflow "$folder/bin/python"; then
  # No second try, and an end: a closed network shall not hold up the tests.
  PIP_RETRIES=0 PIP_DEFAULT_TIMEOUT=15 timeout 600 "$folder/bin/python" -m pip install -qq --disable-pip-version-check \
    tensorflow-cpu >&2 || skip "pip has no tensorflow-cpu"
fi
command -v "$folder/bin/python"
