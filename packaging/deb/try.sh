#!/usr/bin/env bash
# Installs a package in a fresh Debian, serves, upgrades, removes and purges, and says what it saw. As root:
#
#   packaging/deb/try.sh PACKAGE.deb NEWER.deb [SUITE [MIRROR]]
#
# Needs debootstrap, curl and python3. BASE=DIR names a fresh system that debootstrap made before; it is copied.
# No systemd runs in the fresh system, so the supervisor is started by hand as its unit would:
# as the user impetus, with a socket that this script's python3 holds and the folders that the unit names.
set -euo pipefail
package=$(realpath "$1") newer=$(realpath "$2") suite=${3:-bookworm} mirror=${4:-http://deb.debian.org/debian}
port=${PORT:-8199}

root=$(mktemp -d /tmp/impetus-deb.XXXXXX)
server=
clean() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    umount "$root/proc" "$root/dev" 2>/dev/null || true
    rm -rf --one-file-system "$root"
}
trap clean EXIT
say() { printf '\n== %s\n' "$*"; }
inside() { chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C DEBIAN_FRONTEND=noninteractive "$@"; }
# check WHAT COMMAND: runs it, and says what it was about.
check() {
    local what=$1
    shift
    if "$@" >/dev/null 2>&1; then echo "   ok: $what"; else echo "   NOT: $what" >&2; exit 1; fi
}
absent() { [ ! -e "$root$1" ]; }
present() { [ -e "$root$1" ]; }
has_user() { inside getent passwd impetus; }
has_no_user() { ! has_user; }
enabled() { [ -L "$root/etc/systemd/system/multi-user.target.wants/impetus.service" ] \
    && [ -L "$root/etc/systemd/system/sockets.target.wants/impetus.socket" ]; }
of_impetus() { [ "$(inside stat -c %U:%a "$1")" = "impetus:$2" ]; }
owned_by_package() { [ "$(inside dpkg-query -S "$1")" = "impetus: $1" ]; }

# Starts the server with a socket that is open before it.
start() {
    install -d -m 0700 "$root/run/impetus"
    inside chown impetus:impetus /run/impetus
    python3 - "$root" "$port" <<'PYTHON' 2>>"$root/root/server.log" &
# All that is needed of this Python, before its files are out of reach.
import os, pwd, socket, sys
root, port = sys.argv[1], int(sys.argv[2])
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("127.0.0.1", port))
listener.listen(1024)
os.chroot(root)
os.chdir("/")
os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
user = pwd.getpwnam("impetus")
os.setgroups([]), os.setgid(user.pw_gid), os.setuid(user.pw_uid)
environment = {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid()), "HOME": user.pw_dir, "PATH": "/usr/bin:/bin"}
program = "/usr/lib/impetus/bin/supervisor"
config = ["--config", "/etc/impetus/config.toml", "--set", f"gateway.listen=127.0.0.1:{port}"]
os.execve(program, [program, *config], environment)
PYTHON
    server=$!
}
stop() {
    kill -TERM "$server"
    wait "$server" || true
    server=
}
ask() {
    curl -sS --fail --max-time 120 --retry 20 --retry-connrefused --retry-delay 1 \
        "http://127.0.0.1:$port/v1/chat/completions" -H 'content-type: application/json' \
        -d "{\"model\":\"$1\",\"messages\":[{\"role\":\"user\",\"content\":\"count from 1 to 5\"}]}"
}
answers() { ask "$1" | grep -q '1, 2, 3, 4, 5\|1 2 3 4 5'; }
# The programs beside each other find each other, the library of ONNX Runtime and the bundled models.
serves() {
    for model in impetus-tiny impetus-tiny-safetensors impetus-tiny-onnx; do
        check "$model answers" answers "$model"
    done
    check "impetus lists" inside /usr/bin/impetus --config /etc/impetus/config.toml list
    inside /usr/bin/impetus-supervisorctl --config /etc/impetus/config.toml status | sed 's/^/   | /'
}

say "a fresh $suite"
if [ -n "${BASE:-}" ]; then
    cp -a "$BASE/." "$root"
else
    debootstrap --variant=minbase "$suite" "$root" "$mirror" >"$root.log" 2>&1 || { tail "$root.log" >&2; exit 1; }
    rm -f "$root.log"
fi
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
cp "$package" "$newer" "$root/root"

say "install $(basename "$package")"
inside apt-get update >/dev/null
inside apt-get install -y --no-install-recommends "/root/$(basename "$package")" 2>&1 | tail -n 3 | sed 's/^/   | /'
check "the user impetus is there" has_user
check "units are enabled" enabled
check "its state folder is its own" of_impetus /var/lib/impetus 700
check "the configuration is the package's" owned_by_package /etc/impetus/config.toml
check "no program is missing a library" inside sh -c '! ldd /usr/lib/impetus/bin/* /usr/lib/impetus/lib/*.so* | grep "not found"'
start
serves
check "its folder of models is its own" of_impetus /var/lib/impetus/models 755
inside touch /var/lib/impetus/models/mine.gguf
# What the service's user may do to what is root's.
inside install -d -m 0700 /root/private
inside runuser -u impetus -- mv /var/lib/impetus/models /var/lib/impetus/moved
inside runuser -u impetus -- ln -s /root/private /var/lib/impetus/models
inside sh -c 'echo "# mine" >>/etc/impetus/config.toml'

say "upgrade to $(basename "$newer") while it serves"
before=$(inside dpkg-query -W -f '${Version}' impetus)
inside dpkg --force-confold -i "/root/$(basename "$newer")" 2>&1 | tail -n 3 | sed 's/^/   | /'
echo "   $before -> $(inside dpkg-query -W -f '${Version}' impetus)"
check "the running server still answers" answers impetus-tiny
check "what a link leads to is still root's" [ "$(inside stat -c %U:%a /root/private)" = root:700 ]
inside runuser -u impetus -- sh -c 'rm /var/lib/impetus/models && mv /var/lib/impetus/moved /var/lib/impetus/models'
check "the changed configuration is kept" grep -q '^# mine' "$root/etc/impetus/config.toml"
check "units are enabled" enabled
stop
start
serves
stop

say "remove"
inside dpkg -r impetus 2>&1 | sed 's/^/   | /'
check "programs and units are gone" absent /usr/lib/impetus
check "units are gone" absent /usr/lib/systemd/system/impetus.service
check "models stay" present /var/lib/impetus/models/mine.gguf
check "the configuration stays" present /etc/impetus/config.toml
check "the user stays" has_user

say "purge"
inside dpkg -P impetus 2>&1 | sed 's/^/   | /'
check "state and models are gone" absent /var/lib/impetus
check "the configuration is gone" absent /etc/impetus
check "units are not enabled" absent /etc/systemd/system/multi-user.target.wants/impetus.service
check "the user is gone" has_no_user
say "all of it holds"
