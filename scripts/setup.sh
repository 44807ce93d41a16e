#!/bin/sh
# Usage: [PYTHON=python3.13] sh scripts/setup.sh EXTRA
#
# Makes .venv in the repository's root and installs the project there, editable, with EXTRA. Does
# nothing where that was done before. Paths are relative and quoted and no console script is called,
# so that it works in a folder with a space in its name.
set -eu
cd "$(dirname "$0")/.."
extra=$1
venv_python=.venv/bin/python
stamp=.venv/.installed-$extra

say() { printf '%s\n' "$*" >&2; }

# A shim may exist where its Python does not, so a candidate counts only if it runs.
fits() {
    "$1" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        set -- "$PYTHON"
    else
        set -- python3.13 python3.12 python3.11 python3 python
    fi
    for candidate; do
        if fits "$candidate"; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    say "jaxgan needs Python 3.11 or newer with its modules venv and ensurepip, and none of these is" \
        "one: $*. Install it (on Debian and Ubuntu: apt install python3 python3-venv), or name" \
        "yours: make PYTHON=/path/to/python3 ..."
    return 1
}

minor_version() { "$1" -c 'import sys; print(sys.version_info[:2])' 2>/dev/null; }

# A .venv is kept unless it is broken or PYTHON asks for another version than the one it has.
venv_is_usable() {
    "$venv_python" -c 'import pip' 2>/dev/null || return 1
    [ -z "${PYTHON:-}" ] || [ "$(minor_version "$PYTHON")" = "$(minor_version "$venv_python")" ]
}

# What an installation depends on: where the clone lies and what the project declares. Comparing
# content, not times, sets a moved clone or a switched branch up again exactly when it has to be.
fingerprint() {
    pwd
    cat pyproject.toml
}

if ! venv_is_usable; then
    python=$(find_python)
    say "Making .venv with $("$python" --version 2>&1)."
    "$python" -m venv --clear .venv
fi
if ! fingerprint | cmp -s - "$stamp"; then
    say "Installing jaxgan[$extra] into .venv; the first time this takes a while."
    rm -f "$stamp"
    "$venv_python" -m pip install --quiet --disable-pip-version-check --editable ".[$extra]"
    fingerprint >"$stamp"
fi
