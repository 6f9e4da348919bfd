# Shared by up, down and status. Sourced, never run.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

say() { printf '%s\n' "$*" >&2; }
fail() { say "dev-cluster: $*"; exit 1; }

# A checkout has a cluster of its own unless --dir says otherwise.
default_dir() { printf '%s/smartlinks-dev-cluster-%s-%s' "${TMPDIR:-/tmp}" "$UID" "$(cksum <<<"$here" | cut -d' ' -f1)"; }

# The comment at the head of the script is its help.
usage() { sed -n '2,/^[^#]/{/^#/s/^# \{0,1\}//p}' "$0"; }

# Servers are called kafka-1 to kafka-3 and cql-1 to cql-3; each has a directory of its name.
servers_there() { local path; for path in "$dir"/kafka-* "$dir"/cql-*; do [ ! -f "$path/command" ] || basename "$path"; done; }
kind_of() { printf '%s' "${1%%-*}"; }
number_of() { printf '%s' "${1##*-}"; }

# The servers that the word $1 means: one by its name, a kind, or all.
servers_named() {
  local server
  for server in $(servers_there); do
    case $1 in all | "$server") echo "$server" ;; kafka | cql) [ "$(kind_of "$server")" != "$1" ] || echo "$server" ;; esac
  done
}

# pid_of SERVER: the process, if it runs. Numbers are used again, so the process must name the directory.
pid_of() {
  local pid
  pid=$(cat "$dir/$1/pid" 2>/dev/null) || return 1
  grep -qsaF -- "$dir/$1/" "/proc/$pid/cmdline" || return 1
  [ "$(state_of "$pid")" != Z ] || return 1
  printf '%s' "$pid"
}
state_of() { sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null; }

# Whether something answers at HOST PORT.
answers() { (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null; }

setting() { cat "$dir/$1/$2"; }
address_of() { printf '%s:%s' "$(setting "$1" host)" "$(setting "$1" port)"; }

# One cluster directory, one command at a time. Servers must not inherit the lock: they are started with 9>&-.
lock() { exec 9>"$dir/lock"; flock -w 300 9 || fail "another command holds $dir/lock"; }
