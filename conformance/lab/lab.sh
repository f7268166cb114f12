#!/bin/bash
# lab.sh - the servers a gateway talks to, on loopback addresses: DNS, Prosody, ejabberd, Kamailio.
#   lab.sh start [svc...]    start (default: $LAB_SERVICES); waits until each service answers
#   lab.sh stop  [svc...]    stop by recorded pid only
#   lab.sh restart [svc...] | status | certs | render | users | env | logs SVC | selftest | clean
#   lab.sh run CMD...        run a client with the lab's host names resolvable
#   lab.sh free-net          print a loopback /24 on which nobody uses the lab's ports
# Services: dns (dnsmasq), xa (Prosody), xb (ejabberd), xc (second Prosody), sip (Kamailio).
# Settings: lab.conf, each overridable from the environment. Needs no root with the default ports.
# Two labs never meet: each has its own LAB_RUN directory and, unless told otherwise, its own LAB_NET chosen at random.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export PATH=$PATH:/usr/sbin:/sbin

free_net() { # A net is free when its DNS and SIP ports can be bound on the addresses that the lab would use.
  python3 - <<'PY'
import random, socket
for _ in range(200):
    net = f"127.{random.randint(16, 250)}.{random.randint(1, 250)}"
    try:
        for host, port in ((53, 10053), (11, 5269), (12, 5269), (20, 5060), (30, 5060), (30, 5269)):
            with socket.socket() as s:
                s.bind((f"{net}.{host}", port))
    except OSError:
        continue
    print(net)
    break
PY
}

[ "${1:-}" = free-net ] && { free_net; exit; }
: "${LAB_RUN:=${TMPDIR:-/tmp}/gangway-lab.$(id -u)}"
# Every command goes on with the settings the lab was started with; the environment still wins.
[ -f "$LAB_RUN/etc/settings" ] && . "$LAB_RUN/etc/settings"
: "${LAB_NET:=$(free_net)}"
export LAB_RUN LAB_NET
. "$here/lab.conf"
etc=$LAB_RUN/etc; run=$LAB_RUN/run; log=$LAB_RUN/log; data=$LAB_RUN/data
all_services="dns xa xb xc sip"

die() { echo "lab: $*" >&2; exit 1; }

settings() { ( set -o posix; set ) | grep '^LAB_'; }

# ---------- templates ----------
# @NAME@ is replaced by the value of shell variable NAME; "@@" in a template stays one "@".
render_one() { # IN OUT
  local text name; text=$(<"$1")
  text=${text//@LAB_DNS_IP@@@LAB_DNS_PORT@/$LAB_DNS_IP@$LAB_DNS_PORT}
  for name in $(grep -oE '@[A-Z][A-Z0-9_]*@' "$1" | tr -d @ | sort -u); do
    [ -n "${!name+x}" ] || die "$1: no value for @$name@"
    text=${text//"@$name@"/${!name}}
  done
  printf '%s\n' "$text" > "$2"
}

manual_block() { # LANGUAGE: what the operator's manual has in its blocks of that language
  sed -n "/^\`\`\`$1\$/,/^\`\`\`\$/{/^\`\`\`/d;p}" "$here/../../docs/attaching-kamailio.md"
}

render() {
  mkdir -p "$etc" "$run" "$log" "$data"/{xa,xb,xc,sip} "$data"/{xa,xc}/plugins "$LAB_RUN/home"
  chmod 700 "$LAB_RUN"
  local RUN_AS_ROOT=false; [ "$(id -u)" = 0 ] && RUN_AS_ROOT=true
  local LOG_LEVEL=${LAB_XMPP_LOG:-info} EJ_LOGLEVEL=${LAB_EJ_LOG:-info} KAM_DEBUG=${LAB_KAM_DEBUG:-1}
  local DNS_LOG_QUERIES=${LAB_DNS_LOG:+log-queries}
  local DNS_GW_XMPPS=""
  [ "${LAB_GW_DIRECT_TLS:-0}" = 1 ] &&
    DNS_GW_XMPPS="srv-host=_xmpps-server._tcp.$LAB_SIP_DOMAIN,$LAB_GW_HOST,$LAB_GW_S2S_TLS_PORT,5,10"
  local S2S_SECURE_AUTH S2S_REQUIRE_ENCRYPTION EJ_S2S_STARTTLS EJ_DIALBACK
  case $LAB_S2S_AUTH in
    pkix)     S2S_SECURE_AUTH=true;  S2S_REQUIRE_ENCRYPTION=true;  EJ_S2S_STARTTLS=required; EJ_DIALBACK=none;;
    dialback) S2S_SECURE_AUTH=false; S2S_REQUIRE_ENCRYPTION=true;  EJ_S2S_STARTTLS=required; EJ_DIALBACK=all;;
    plain)    S2S_SECURE_AUTH=false; S2S_REQUIRE_ENCRYPTION=false; EJ_S2S_STARTTLS=optional; EJ_DIALBACK=all;;
    *) die "LAB_S2S_AUTH must be pkix, dialback or plain";;
  esac
  local S2S_SMACKS=false MODULES="" COMPONENT DOMAIN IP SVC
  [ "$LAB_XA_S2S_SMACKS" = 1 ] && S2S_SMACKS=true
  [ "$LAB_XA_BIDI" = 1 ] && MODULES='"s2s_bidi",'
  render_one "$here/templates/dnsmasq.conf.in" "$etc/dnsmasq.conf"
  SVC=xa DOMAIN=$LAB_XA_DOMAIN IP=$LAB_XA_IP
  COMPONENT="Component \"$LAB_COMP_DOMAIN\"
	component_secret = \"$LAB_COMP_SECRET\""
  render_one "$here/templates/prosody.cfg.lua.in" "$etc/xa.cfg.lua"
  SVC=xc DOMAIN=$LAB_XC_DOMAIN IP=$LAB_XC_IP COMPONENT=""
  render_one "$here/templates/prosody.cfg.lua.in" "$etc/xc.cfg.lua"
  render_one "$here/templates/ejabberd.yml.in" "$etc/ejabberd.yml"
  local DNS_TUPLE=${LAB_DNS_IP//./,} HOSTNAME; HOSTNAME=$(hostname)
  render_one "$here/templates/inetrc.in" "$etc/inetrc"
  render_one "$here/templates/hosts.in" "$etc/hosts"
  printf 'nameserver %s\noptions timeout:1 attempts:2\n' "$LAB_DNS_IP" > "$etc/resolv.conf"  # used by "run"; needs LAB_DNS_PORT=53
  local KAM_AUTH_DEFINE="" KAM_RULES_DEFINE="" KAM_MODULES GW_DST
  [ "$LAB_SIP_AUTH" = 1 ] && KAM_AUTH_DEFINE='#!define WITH_AUTH'
  [ "$LAB_SIP_RULES" = 1 ] && KAM_RULES_DEFINE='#!define WITH_RULES'
  KAM_MODULES=$(ls -d /usr/lib/*/kamailio/modules /usr/lib/kamailio/modules /usr/local/lib*/kamailio/modules 2>/dev/null | head -1)
  case $LAB_GW_TRANSPORT in
    tls) GW_DST="sip:$LAB_GW_IP:$LAB_GW_SIPS_PORT;transport=tls";;
    *)   GW_DST="sip:$LAB_GW_IP:$LAB_GW_SIP_PORT;transport=$LAB_GW_TRANSPORT";;
  esac
  render_one "$here/templates/kamailio.cfg.in" "$etc/kamailio.cfg"
  local GW_SOURCE=$LAB_GW_IP
  [ "$LAB_GW_TRANSPORT" = tcp ] && GW_SOURCE=127.0.0.1 # the kernel's choice towards loopback
  manual_block kamailio | sed -e "s#sip:gateway.example.com:5061;transport=tls#$GW_DST#" -e "s#192.0.2.30#$GW_SOURCE#" \
    -e "s#gateway.example.com#$LAB_GW_HOST#" \
    > "$etc/kamailio-gangway.cfg"
  manual_block tls | sed -e "s#/etc/kamailio/tls/kamailio.pem#$LAB_RUN/certs/$LAB_SIP_DOMAIN.crt#" \
    -e "s#/etc/kamailio/tls/kamailio-key.pem#$LAB_RUN/certs/$LAB_SIP_DOMAIN.key#" -e "s#/etc/kamailio/tls/#$LAB_RUN/certs/#" \
    -e 's#/ca.pem#/ca.crt#' > "$etc/kamailio-tls.cfg"
  settings | sed -E "s/^(LAB_[A-Z0-9_]+)=(.*)$/[ -n \"\${\1+x}\" ] || \1=\2/" > "$etc/settings"
  if [ ! -s "$data/sip/presence.sqlite" ]; then   # presence needs its tables even in memory mode
    cat /usr/share/kamailio/db_sqlite/standard-create.sql /usr/share/kamailio/db_sqlite/presence-create.sql \
      | sqlite3 "$data/sip/presence.sqlite" || die "cannot create the presence database"
    mkdir -p "$data/sip/text" && cp /usr/share/kamailio/dbtext/kamailio/{version,presentity,active_watchers,watchers} "$data/sip/text"
    # It writes no sender, and does not read such a line again.
    sed -i 's/ sender(string) / sender(string,null) /' "$data/sip/text/presentity"
  fi
}

# ---------- processes ----------
pidof_svc() { cat "$run/$1.pid" 2>/dev/null; }
alive() { # SVC: recorded pid exists and is still the process we started (start time matches)
  local pid st; [ -f "$run/$1.pid" ] || return 1
  read -r pid st < "$run/$1.pid" || return 1
  [ -n "${pid:-}" ] && [ -r "/proc/$pid/stat" ] && [ "$(start_time "$pid")" = "$st" ]
}
start_time() { local s; { read -r s < "/proc/$1/stat"; } 2>/dev/null || return 1; s=${s##*) }; set -- $s; echo "${20}"; }

# Some programs ignore every resolver setting and use libc: give those the lab's host names without touching /etc:
# a private mount namespace (root, or unprivileged user namespaces), else libnss-wrapper if installed.
names_cmd() { # prints the prefix, one word per line
  local lib flag=-rm mode=${LAB_NAMES:-auto}; [ "$(id -u)" = 0 ] && flag=-m
  lib=$(ls /usr/lib/*/libnss_wrapper.so /usr/lib/libnss_wrapper.so 2>/dev/null | head -1)
  if [ $mode = auto ]; then unshare $flag true 2>/dev/null && mode=unshare || mode=wrapper; fi
  case $mode in
    unshare) printf '%s\n' unshare $flag bash -c \
      'mount --bind "$0/hosts" /etc/hosts && mount --bind "$0/resolv.conf" /etc/resolv.conf && exec "$@"' "$etc";;
    wrapper) [ -n "$lib" ] || die "needs user namespaces or libnss-wrapper"
      printf '%s\n' env "LD_PRELOAD=$lib" "NSS_WRAPPER_HOSTS=$etc/hosts";;
  esac
}

launch() { # SVC cmd...
  local svc=$1; shift
  ( cd "$data"; exec setsid "$@" >>"$log/$svc.log" 2>&1 </dev/null ) &
  local pid=$!
  echo "$pid $(start_time $pid)" > "$run/$svc.pid"
}

wait_tcp() { # SVC IP PORT SECONDS
  local i
  for ((i = 0; i < $4 * 10; i++)); do
    (exec 3<>"/dev/tcp/$2/$3") 2>/dev/null && return 0
    alive "$1" || { tail -5 "$log/$1.log" >&2; die "$1 died while starting (log: $log/$1.log)"; }
    sleep 0.1
  done
  die "$1 does not listen on $2:$3 (log: $log/$1.log)"
}

start_svc() {
  local svc=$1
  alive "$svc" && { echo "$svc already running (pid $(cut -d' ' -f1 "$run/$svc.pid"))"; return; }
  case $svc in
    dns) launch dns dnsmasq -k -C "$etc/dnsmasq.conf" --user="$(id -un)" --group="$(id -gn)" --pid-file=
         wait_tcp dns "$LAB_DNS_IP" "$LAB_DNS_PORT" 5;;
    xa)  launch xa prosody -F --config "$etc/xa.cfg.lua"; wait_tcp xa "$LAB_XA_IP" "$LAB_S2S_PORT" 10;;
    xc)  launch xc prosody -F --config "$etc/xc.cfg.lua"; wait_tcp xc "$LAB_XC_IP" "$LAB_S2S_PORT" 10;;
    xb)  local NAMES; mapfile -t NAMES < <(names_cmd)
         # plain erl, no distribution: no epmd daemon is left behind and no "ejabberd" user is needed
         HOME=$LAB_RUN/home ERL_INETRC=$etc/inetrc EJABBERD_CONFIG_PATH=$etc/ejabberd.yml \
         EJABBERD_LOG_PATH=$log/ejabberd.log ERL_CRASH_DUMP_BYTES=0 ERL_MAX_ETS_TABLES=1400 \
         ERL_LIBS=$(ls -d /usr/lib/*/ejabberd-* 2>/dev/null | head -1 | xargs dirname) \
         launch xb "${NAMES[@]}" erl -noinput +K true +P 250000 +SDio 2 -mnesia dir "\"$data/xb\"" -s ejabberd
         wait_tcp xb "$LAB_XB_IP" "$LAB_S2S_PORT" 30;;
    sip) launch sip kamailio -f "$etc/kamailio.cfg" -DD -E -m 256 -M 16 -Y "$run" -w "$data/sip" -P "$run/kamailio.own.pid"
         wait_tcp sip "$LAB_SIP_IP" "$LAB_SIP_PORT" 10;;
    *) die "unknown service $svc (have: $all_services)";;
  esac
  echo "$svc up (pid $(cut -d' ' -f1 "$run/$svc.pid"))"
}

stop_svc() {
  local svc=$1 pid i
  alive "$svc" || { rm -f "$run/$svc.pid"; return 0; }
  pid=$(cut -d' ' -f1 "$run/$svc.pid")
  kill -TERM "$pid"
  for ((i = 0; i < 100; i++)); do alive "$svc" || break; sleep 0.1; done
  if alive "$svc"; then echo "$svc ignored TERM, killing its process group"; kill -KILL -- "-$pid"; sleep 0.3; fi
  rm -f "$run/$svc.pid"; echo "$svc down"
}

make_users() {
  local u
  for u in $LAB_XMPP_USERS; do
    if alive xa && [ ! -f "$data/xa/${LAB_XA_DOMAIN//./%2e}/accounts/$u.dat" ]; then
      prosodyctl --config "$etc/xa.cfg.lua" register "$u" "$LAB_XA_DOMAIN" "$LAB_PASSWORD" >>"$log/users.log" 2>&1; fi
    if alive xc && [ ! -f "$data/xc/${LAB_XC_DOMAIN//./%2e}/accounts/$u.dat" ]; then
      prosodyctl --config "$etc/xc.cfg.lua" register "$u" "$LAB_XC_DOMAIN" "$LAB_PASSWORD" >>"$log/users.log" 2>&1; fi
    if alive xb; then
      python3 - "$LAB_XB_IP" "$LAB_API_PORT" "$u" "$LAB_XB_DOMAIN" "$LAB_PASSWORD" >>"$log/users.log" 2>&1 <<'PY'
import sys, json, http.client
ip, port, u, host, pw = sys.argv[1:]
c = http.client.HTTPConnection(ip, int(port), timeout=10)
c.request("POST", "/api/register", json.dumps({"user": u, "host": host, "password": pw}), {"Content-Type": "application/json"})
r = c.getresponse(); print(u, r.status, r.read().decode()[:100])
PY
    fi
  done
}

cmd=${1:-}; shift || true
case $cmd in
  start)
    for b in dnsmasq prosody erl kamailio sqlite3 openssl setsid python3; do command -v $b >/dev/null || die "missing program: $b"; done
    "$here/mkcerts.sh" "$LAB_RUN/certs" || die "certificates"; render
    svcs=${*:-$LAB_SERVICES}
    for s in $svcs; do start_svc "$s"; done
    make_users;;
  stop)
    svcs=${*:-"sip xc xb xa dns"}; for s in $svcs; do stop_svc "$s"; done;;
  restart) "$0" stop "$@"; export $(settings | cut -d= -f1); "$0" start "$@";;
  status)
    rc=0; for s in $all_services; do if alive "$s"; then p=$(cut -d' ' -f1 "$run/$s.pid")
      echo "$s up   pid $p  rss $(awk '/VmRSS/{print int($2/1024)" MB"}' /proc/$p/status)"; else echo "$s down"; fi; done; exit $rc;;
  certs) "$here/mkcerts.sh" "$LAB_RUN/certs"; ls "$LAB_RUN/certs";;
  render) "$here/mkcerts.sh" "$LAB_RUN/certs"; render; ls "$etc";;
  users) make_users;;
  run) mapfile -t NAMES < <(names_cmd); exec "${NAMES[@]}" "$@";;
  env) settings;;
  logs) tail -n "${2:-50}" "$log/${1:?service}.log";;
  selftest) exec python3 "$here/selftest.py";;
  clean) for s in $all_services; do alive "$s" && die "stop the lab first"; done
         case $LAB_RUN in /|""|"$HOME") die "refusing";; esac; rm -rf -- "$LAB_RUN"; echo "removed $LAB_RUN";;
  *) sed -n '2,9p' "$0"; exit 2;;
esac
