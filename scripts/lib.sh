# Shared by the scripts of this folder; sourced, never run. Bash.
# shellcheck shell=bash disable=SC2034

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE="$ROOT/.cache"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$ROOT/target}"
RUST_MINIMUM=1.85
JOBS=${JOBS:-$(nproc 2>/dev/null || echo 2)}

say() { printf '%s\n' "$*" >&2; }
step() { printf '\n\033[1m==> %s\033[0m\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }

# "72 s" or "3 min 12 s"
pretty_seconds() {
    if [ "$1" -lt 100 ]; then printf '%d s' "$1"; else printf '%d min %d s' $(($1 / 60)) $(($1 % 60)); fi
}

# version_at_least 1.85 1.90.1
version_at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

# A virtual environment with the pinned Python peers, made anew when their list changes.
python_peers() {
    local venv="$CACHE/venv" stamp="$CACHE/venv/requirements"
    cmp -s "$ROOT/tests/e2e/requirements.txt" "$stamp" && return
    say "installing the Python peers"
    rm -rf "$venv"
    /usr/bin/python3 -m venv "$venv" || python3 -m venv "$venv" || return
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$ROOT/tests/e2e/requirements.txt" || return
    cp "$ROOT/tests/e2e/requirements.txt" "$stamp"
}

# HAP-NodeJS in the versions of its lock file, made anew when that changes.
node_peers() {
    local dir="$CACHE/hap-nodejs" from="$ROOT/tests/hap-nodejs"
    cmp -s "$from/package-lock.json" "$dir/installed" && return
    has npm || return
    say "installing HAP-NodeJS"
    rm -rf "$dir"
    mkdir -p "$dir" && cp "$from/package.json" "$from/package-lock.json" "$from/.npmrc" "$dir" || return
    npm ci --prefix "$dir" --silent >&2 || return
    cp "$from/package-lock.json" "$dir/installed"
}
