#!/bin/sh
# packages.sh: installs the Debian packages that tests need, when this is Debian, we are root and one is missing; says so otherwise.
set -eu
packages="openssh-server openssh-client iproute2 iptables rsync tcsh fish zsh sshpass expect socat strace libpam-oath oathtool procps git gcc libc6-dev neovim emacs-nox"
if ! command -v dpkg-query >/dev/null; then
    echo "not a Debian system: tests that need sshd, rsync, tcsh, fish, … skip where these are missing" >&2
    exit 0
fi
missing=
for name in $packages; do
    dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null | grep -qx installed || missing="$missing $name"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ]; then
    echo "missing, and only root can install them (tests that need them skip):$missing" >&2
    exit 0
fi
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# A policy of "never start" keeps the ssh server of the package from listening: tests start their own.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' > "$policy"
    chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
fi
# shellcheck disable=SC2086
apt-get install -qq -y --no-install-recommends $missing >/dev/null
