#!/bin/bash
# npm run conformance [-- OPTIONS] [NAME|@core|@extended|@all ...]
#
# OpenSSH's own regression scripts (Debian: apt-get install openssh-server openssh-tests) against dist/bssh.mjs under
# ssh's grammar. Options are those of openssh-regress.sh; without any, every core script runs with a limit of 1800 s, as
# many at once as there are processors. A full run takes minutes, so it is no part of `npm test`. Needs root: the scripts start sshd in private namespaces.
set -eu
cd "$(dirname "$0")/../.."

dir=$(mktemp -d -t bssh-conformance.XXXXXX)
trap 'rm -rf "$dir"' EXIT
chmod 755 "$dir"

# The scripts want one executable path, and `exec`: they kill, wait for and count on the client's own process id.
cat >"$dir/ssh" <<LAUNCHER
#!/bin/sh
BSSH_MODE=ssh exec $(command -v node) $PWD/dist/bssh.mjs "\$@"
LAUNCHER
chmod 755 "$dir/ssh"

options=()
while [ $# -gt 0 ]; do
  case $1 in
    -n | -v) options+=("$1") && shift ;;
    -*) options+=("$1" "${2:?$1 wants a value}") && shift 2 ;;
    *) break ;;
  esac
done
[ ${#options[@]} -gt 0 ] || options=(-t 1800)
case " ${options[*]} " in
  *' -j '*) ;;
  *) options+=(-j "$(nproc)") ;;
esac
[ $# -gt 0 ] || set -- @core
# Three lists are cut to what the packaged suite itself can do: its sshd refuses a whole configuration for one key
# exchange it is too old to know, and keys of a token need ssh's own helper program to sign without an agent.
known=$(ssh -Q kex 2>/dev/null || true)
kex=$("$dir/ssh" -Q kex | grep -Fx -e "$known" | paste -sd, -)
plain=$("$dir/ssh" -Q key-plain | grep -v '^sk-' | paste -sd, -)
sig=$("$dir/ssh" -Q key-sig | grep -v '^sk-' | paste -sd, -)
case " ${options[*]} " in
  *' -s '*) ;;
  *) options+=(-s "kex=$kex key-plain=$plain key-sig=$sig") ;;
esac
# ssh refuses host certificates without principals since 10.3, and so does bssh. An older suite expects the opposite,
# and leaves them out where other things are to be seen.
suite=${OPENSSH_REGRESS_DIR:-/usr/lib/openssh/regress}
case " ${options[*]} " in
  *' -x '*) ;;
  *)
    mkdir -m 755 "$dir/over"
    sed -e '/^test_one "empty principals"/s/success/failure/' -e '/^test_one "cert /s/"-h/"-h -n $HOSTS/' \
      "$suite/cert-hostkey.sh" >"$dir/over/cert-hostkey.sh"
    options+=(-x "$dir/over")
    ;;
esac
bash test/conformance/openssh-regress.sh "${options[@]}" "$dir/ssh" "$@"
