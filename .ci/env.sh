# Sourced by the Makefile's recipes and by setup.sh: puts a Rust that can build wagiri first in PATH, and sets JAVA_HOME
# to the JDK whose javac is used. Changes nothing outside the shell that sources it.

# Lowest Rust version that Cargo.toml accepts, e.g. 1.88.
rust_min() {
  sed -n 's/^rust-version = "\([0-9.]*\)"$/\1/p' Cargo.toml | head -n 1
}

# at_least 1.95.0 1.88: is the first version the second one or newer?
at_least() {
  local have=(${1//./ }) want=(${2//./ })
  ((have[0] > want[0] || (have[0] == want[0] && have[1] >= want[1])))
}

# Does this folder hold a cargo, rustc, clippy and rustfmt that run, and is rustc new enough?
# rustup leaves programs of these names that only say "not installed", so each is started.
rust_is_good() {
  local version
  [ -x "$1/cargo" ] && [ -x "$1/rustc" ] || return 1
  version=$("$1/rustc" --version 2>/dev/null | sed -n 's/^rustc \([0-9.]*\).*/\1/p')
  [ -n "$version" ] && at_least "$version" "$(rust_min)" || return 1
  "$1/cargo-clippy" --version >/dev/null 2>&1 && "$1/rustfmt" --version >/dev/null 2>&1
}

# The first folder with a good Rust. The one already in PATH wins; an old one there does not hide a newer one elsewhere.
rust_dir() {
  local cargo dir
  cargo=$(command -v cargo || true)
  for dir in "${cargo%/*}" "${CARGO_HOME:-$HOME/.cargo}/bin" /usr/local/bin /usr/bin /opt/homebrew/bin; do
    if [ -n "$dir" ] && rust_is_good "$dir"; then
      echo "$dir"
      return 0
    fi
  done
  return 1
}

jdk_home() {
  if [ -n "${JAVA_HOME:-}" ]; then
    echo "$JAVA_HOME"
  elif [ -x /usr/libexec/java_home ]; then
    /usr/libexec/java_home 2>/dev/null
  elif command -v javac >/dev/null; then
    dirname "$(dirname "$(readlink -f "$(command -v javac)")")"
  else
    return 1
  fi
}

if WAGIRI_RUST_DIR=$(rust_dir); then
  case "$(command -v cargo || true)" in
    "$WAGIRI_RUST_DIR/cargo") ;;
    *) export PATH="$WAGIRI_RUST_DIR:$PATH" ;;
  esac
fi
if WAGIRI_JDK=$(jdk_home) && [ -n "$WAGIRI_JDK" ]; then
  export JAVA_HOME="$WAGIRI_JDK"
fi

# Java takes the encoding of file names from the locale: in the C locale it cannot open a path with Japanese in it.
if [ "$(locale charmap 2>/dev/null)" != UTF-8 ] && locale -a 2>/dev/null | grep -qix 'c\.utf-\{0,1\}8'; then
  export LC_ALL=C.UTF-8
fi
