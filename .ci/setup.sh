#!/usr/bin/env bash
# Installs what building and testing wagiri needs and this machine lacks, by the system's package manager, one line for
# each thing. Silent when nothing is missing. Works as root or with sudo; without either it says what to install.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/env.sh

say() { echo "setup: $*"; }
fail() {
  echo "setup: $*" >&2
  exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

LINUX=false
if [ "$(uname -s)" = Linux ]; then LINUX=true; fi

# Everything needed, in the order of installation; `check`, `why` and `packages` know each by this name.
THINGS="cc make pkg-config jdk maven rust"
if $LINUX; then THINGS="cc make pkg-config fonts xvfb valgrind jdk maven rust"; fi

why() {
  case $1 in
    cc) echo "C and C++ compilers, for linking and for the C tests" ;;
    make) echo "make, for the Makefile" ;;
    pkg-config) echo "pkg-config, for the test of wagiri.pc" ;;
    fonts) echo "fontconfig and a font, for Java windows" ;;
    xvfb) echo "Xvfb and xauth, a screen for the window tests" ;;
    valgrind) echo "valgrind, for the memory check of the C tests" ;;
    jdk) echo "JDK 11 or newer with AWT that can compile for Java 8" ;;
    maven) echo "Maven, for the Java modules" ;;
    rust) echo "Rust $(rust_min) or newer with clippy and rustfmt" ;;
  esac
}

check() {
  case $1 in
    cc) have cc && have c++ && { ! $LINUX || echo '#include <stdio.h>' | cc -E - >/dev/null 2>&1; } ;;
    fonts) have fc-list && [ -n "$(fc-list 2>/dev/null)" ] ;;
    xvfb) have xvfb-run && have Xvfb && have xauth ;;
    jdk)
      # The headless packages lack the window toolkit; JDKs before 9 lack --release.
      local home major
      home=$(jdk_home) && [ -x "$home/bin/javac" ] &&
        major=$(sed -n 's/^JAVA_VERSION="\([0-9]*\).*/\1/p' "$home/release" 2>/dev/null) &&
        [ "${major:-0}" -ge 11 ] && { ! $LINUX || [ -e "$home/lib/libawt_xawt.so" ]; }
      ;;
    maven) have mvn ;;
    rust) rust_dir >/dev/null ;;
    *) have "$1" ;;
  esac
}

MANAGER=none
for m in apt-get dnf zypper pacman brew; do
  if have $m; then
    MANAGER=$m
    break
  fi
done

# Names of the packages that bring one thing; empty if this manager has none.
packages() {
  case $MANAGER:$1 in
    apt-get:cc) echo gcc g++ libc6-dev ;;
    apt-get:fonts) echo fontconfig fonts-dejavu-core ;;
    apt-get:xvfb) echo xvfb xauth ;;
    apt-get:jdk) echo default-jdk ;;
    apt-get:rust) apt_rust ;;
    dnf:cc) echo gcc gcc-c++ glibc-devel ;;
    dnf:pkg-config) echo pkgconf-pkg-config ;;
    dnf:fonts | zypper:fonts) echo fontconfig dejavu-sans-fonts ;;
    dnf:xvfb) echo xorg-x11-server-Xvfb xorg-x11-xauth ;;
    dnf:jdk) echo java-21-openjdk-devel ;;
    dnf:rust) echo rust cargo clippy rustfmt ;;
    zypper:cc) echo gcc gcc-c++ glibc-devel ;;
    zypper:xvfb) echo xorg-x11-server-Xvfb xvfb-run xauth ;;
    zypper:jdk) echo java-21-openjdk-devel ;;
    zypper:rust) echo rust cargo ;;
    pacman:cc) echo gcc ;;
    pacman:pkg-config) echo pkgconf ;;
    pacman:fonts) echo fontconfig ttf-dejavu ;;
    pacman:xvfb) echo xorg-server-xvfb xorg-xauth ;;
    pacman:jdk) echo jdk21-openjdk ;;
    brew:cc) ;; # comes with Apple's command line tools
    brew:jdk) echo openjdk@21 ;;
    *) echo "$1" ;;
  esac
}

# Debian's stable releases carry a Rust for building browsers (-web) that is newer than the plain one.
apt_rust() {
  local names version
  for names in "rustc-web cargo-web rust-web-clippy rustfmt-web" "rustc cargo rust-clippy rustfmt"; do
    version=$(apt-cache policy "${names%% *}" 2>/dev/null | sed -n 's/^ *Candidate: \([0-9.]*\).*/\1/p')
    if [ -n "$version" ] && at_least "$version" "$(rust_min)"; then
      echo "$names"
      return
    fi
  done
  if apt-cache policy rustup 2>/dev/null | grep -q 'Candidate: [0-9]'; then echo rustup; fi
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# The package manager's own text goes to a file, shown only if it fails.
LOG=$(mktemp)
trap 'rm -f "$LOG"' EXIT
quietly() {
  if ! "$@" >"$LOG" 2>&1 </dev/null; then
    tail -n 20 "$LOG" >&2
    return 1
  fi
}

install() {
  case $MANAGER in
    apt-get) as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" ;;
    dnf) as_root dnf install -y "$@" ;;
    zypper) as_root zypper --non-interactive install "$@" ;;
    pacman) as_root pacman -S --noconfirm --needed "$@" ;;
    brew) brew install "$@" ;;
  esac
}

# A rustup that is there already, or came as a package, fetches the compiler itself.
rust_by_rustup() {
  have rustup || return 1
  say "rustup fetches the stable Rust with clippy and rustfmt"
  quietly rustup toolchain install stable --profile minimal --component clippy --component rustfmt &&
    quietly rustup default stable
}

rust_by_installer() {
  have curl || { [ $MANAGER != none ] && quietly install curl ca-certificates; } || return 1
  say "the official installer of rustup puts Rust into ${CARGO_HOME:-$HOME/.cargo}"
  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs >"$LOG.rustup" &&
    quietly sh "$LOG.rustup" -y --no-modify-path --profile minimal --component clippy --component rustfmt
  local result=$?
  rm -f "$LOG.rustup"
  return $result
}

MISSING=()
for thing in $THINGS; do
  if ! check "$thing"; then MISSING+=("$thing"); fi
done
if [ ${#MISSING[@]} = 0 ]; then exit 0; fi

if [ $MANAGER = none ]; then
  say "no package manager that this script knows; please install:"
  for thing in "${MISSING[@]}"; do say "  $(why "$thing")"; done
  exit 1
fi
if [ $MANAGER != brew ] && [ "$(id -u)" != 0 ] && ! have sudo; then
  say "neither root nor sudo here; please have these packages installed with $MANAGER:"
  for thing in "${MISSING[@]}"; do say "  $(packages "$thing") ($(why "$thing"))"; done
  exit 1
fi
if [ $MANAGER = apt-get ]; then
  say "apt-get update"
  quietly as_root apt-get update || fail "apt-get update failed"
fi

for thing in "${MISSING[@]}"; do
  if [ "$thing" = rust ] && rust_by_rustup && check rust; then continue; fi
  names=($(packages "$thing"))
  if [ ${#names[@]} -gt 0 ]; then
    say "$MANAGER installs ${names[*]} ($(why "$thing"))"
    quietly install "${names[@]}" || say "$MANAGER could not install ${names[*]}"
  fi
  hash -r
  if [ "$thing" = rust ] && ! check rust; then
    { rust_by_rustup && check rust; } || rust_by_installer || true
  fi
  check "$thing" || fail "still missing: $(why "$thing"); please install it by hand and run this again"
done
say "done"
