# Sourced by the scripts: makes .venv and keeps it in step with requirements/. Quick when nothing changed.
# shellcheck shell=bash

# A test run starts hundreds of Python processes; without byte code each compiles all that it imports.
unset PYTHONDONTWRITEBYTECODE

fail() { printf '%s: %s\n' "scripts/$(basename "$0")" "$*" >&2; exit 1; }

step() { # step TEXT COMMAND...: says what it does, and how long it took
  local text=$1 started=$SECONDS
  shift
  printf '• %s …\n' "$text" >&2
  "$@" || return
  printf '  done in %s s\n' "$((SECONDS - started))" >&2
}

find_python() {
  local candidate
  for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      printf '%s' "$candidate"
      return
    fi
  done
  fail "Python 3.11 or newer is needed and was not found (set PYTHON=/path/to/python3 if it is elsewhere)"
}

make_venv() {
  local python
  python=$(find_python)
  "$python" -m venv --clear .venv ||
    fail "$python cannot make a virtual environment (on Debian: apt-get install python3-venv)"
  pwd -P > .venv/.made-for
}

install_packages() { # install_packages REQUIREMENTS...
  local part installing=() failed=0
  # The files name all packages, so pip need not resolve dependencies, which costs more than the rest, and one may be
  # installed beside another: two by two, each package once.
  awk '/^[A-Za-z0-9]/ { skip = seen[$1]++; if (!skip) part = n++ % 2 } !skip && n { print > (".venv/part-" part ".txt") }' "$@"
  # A sixth of what pip would compile is ever loaded. The most common part is compiled here, before several processes
  # would all do it.
  for part in .venv/part-?.txt; do
    .venv/bin/python -m pip install -qq --disable-pip-version-check --no-deps --no-compile --require-hashes -r "$part" & installing+=($!)
  done
  for part in "${installing[@]}"; do wait "$part" || failed=1; done
  [ $failed = 0 ] &&
    .venv/bin/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable . &&
    .venv/bin/python -c 'import alembic.command, aiobotocore.session, server.cli.serve, sqlalchemy.ext.asyncio'
}

prepare() { # prepare runtime|dev|bench
  local files=(requirements/runtime.txt)
  [ "$1" != runtime ] && files+=(requirements/dev.txt)
  [ "$1" = bench ] && files+=(requirements/bench.txt)
  # A virtual environment that was moved, or whose Python is gone, cannot be mended: make it anew.
  if [ "$(cat .venv/.made-for 2> /dev/null)" != "$(pwd -P)" ] || ! .venv/bin/python -c '' 2> /dev/null; then
    step "making .venv" make_venv
  fi
  local stamp
  stamp=$(cat "${files[@]}" pyproject.toml | cksum)
  if [ "$(cat ".venv/.installed-$1" 2>/dev/null)" != "$stamp" ]; then
    step "installing Python packages (half a minute the first time)" install_packages "${files[@]}" ||
      fail "the Python packages could not be installed; see above"
    printf '%s' "$stamp" > ".venv/.installed-$1"
  fi
}

prepare_node() { # the packages of requirements/node, beside it; without npm, what needs them is left out by name
  local stamp
  if ! command -v npm > /dev/null; then
    printf '%s: npm not found; what needs it is skipped (on Debian: apt-get install npm)\n' "scripts/$(basename "$0")" >&2
    return
  fi
  stamp=$(cat requirements/node/package.json requirements/node/package-lock.json | cksum)
  if [ "$(cat requirements/node/node_modules/.installed 2> /dev/null)" != "$stamp" ]; then
    step "installing npm packages (half a minute the first time)" npm ci --prefix requirements/node --silent ||
      fail "the npm packages could not be installed; see above"
    printf '%s' "$stamp" > requirements/node/node_modules/.installed
  fi
}

make_emulators() {
  local python
  python=$(find_python)
  "$python" -m venv --clear .cache/emulators &&
    .cache/emulators/bin/python -m pip install -qq --disable-pip-version-check --no-compile --require-hashes -r requirements/emulators.txt
}

prepare_emulators() { # ministack in an environment of its own: it chooses other AWS libraries than the product
  local stamp
  stamp=$(pwd -P; cksum < requirements/emulators.txt)
  if [ "$(cat .cache/emulators/.installed 2> /dev/null)" != "$stamp" ]; then
    step "installing ministack" make_emulators || fail "ministack could not be installed; see above"
    printf '%s' "$stamp" > .cache/emulators/.installed
  fi
}

fetch_rie() {
  local machine
  machine=$(uname -m)
  [ "$machine" = aarch64 ] && machine=arm64
  rm -rf .cache/rie.part && mkdir -p .cache/rie.part &&
    .venv/bin/python -m pip download -qq --disable-pip-version-check --no-deps --require-hashes -r requirements/rie.txt -d .cache/rie.part &&
    .venv/bin/python -m zipfile -e .cache/rie.part/*.whl .cache/rie.part/wheel &&
    cp ".cache/rie.part/wheel/samcli/local/rapid/aws-lambda-rie-$machine" .cache/rie.part/aws-lambda-rie &&
    chmod 755 .cache/rie.part/aws-lambda-rie && rm -rf .cache/rie.part/wheel .cache/rie.part/*.whl &&
    cksum < requirements/rie.txt > .cache/rie.part/.installed && rm -rf .cache/rie && mv .cache/rie.part .cache/rie
}

prepare_rie() { # AWS's Lambda Runtime Interface Emulator, a program inside the wheel of aws-sam-cli
  if [ "$(cat .cache/rie/.installed 2> /dev/null)" != "$(cksum < requirements/rie.txt)" ]; then
    step "fetching the Lambda Runtime Interface Emulator" fetch_rie ||
      printf 'scripts/test: the emulator could not be fetched; the tests that need it are skipped\n' >&2
  fi
}
