#!/bin/bash
# real.sh CLIENT [USER] - run an unmodified third-party client against the lab, headless. USER defaults to mercutio.
# Each client gets a fresh configuration in $LAB_RUN/clients/CLIENT. Foreground; feed commands on stdin where noted.
#   linphonec     stdin: "chat sip:juliet@xa.example hello", "friend list", "quit"; registers, PUBLISHes, SUBSCRIBEs to romeo and juliet
#   lp-sendmsg    real.sh lp-sendmsg USER sip:juliet@xa.example "text"    one MESSAGE, no registration
#   go-sendxmpp   real.sh go-sendxmpp USER romeo@sip.example < text       one message over verified STARTTLS
#   baresip       control: real.sh baresip-ctl COMMAND [PARAMS]  (contacts, contact_next, message TEXT, presence_online, presence_offline, quit)
set -u
here=$(cd "$(dirname "$0")" && pwd); eval "$("$here/../lab.sh" env)"; lab=$here/../lab.sh
c=${1:?client}; shift
d=$LAB_RUN/clients/$c; export LC_ALL=C.UTF-8
case $c in baresip-ctl) ;; *) rm -rf "$d"; mkdir -p "$d/.local/share/linphone" "$d/.config/linphone";; esac
case $c in
  linphonec) u=${1:-mercutio}
    # sip_port=-1: random ports, otherwise it binds [::]:5060. The ~/.local/share/linphone directory must exist or chat silently dies.
    cat > "$d/rc" <<X
[sip]
sip_port=-1
sip_tcp_port=-1
sip_tls_port=-1
default_proxy=0
use_ipv6=0
register_only_when_network_is_up=0
[net]
dns_srv_enabled=0
[auth_info_0]
username=$u
passwd=$LAB_PASSWORD
realm=$LAB_SIP_DOMAIN
[proxy_0]
reg_proxy=<sip:$LAB_SIP_IP:$LAB_SIP_PORT;transport=tcp>
reg_route=<sip:$LAB_SIP_IP:$LAB_SIP_PORT;transport=tcp;lr>
reg_identity=sip:$u@$LAB_SIP_DOMAIN
reg_expires=3600
reg_sendregister=1
publish=1
[friend_0]
url="Romeo" <sip:romeo@$LAB_SIP_DOMAIN>
pol=accept
subscribe=1
[friend_1]
url="Juliet" <sip:juliet@$LAB_XA_DOMAIN>
pol=accept
subscribe=1
[misc]
log_collection=0
X
    exec env HOME="$d" "$lab" run linphonec -c "$d/rc" -d "${LINPHONE_DEBUG:-0}";;
  lp-sendmsg) exec env HOME="$d" "$lab" run lp-sendmsg --from "sip:$1@$LAB_SIP_DOMAIN" --to "$2" --route "sip:$LAB_SIP_IP:$LAB_SIP_PORT;lr" --text "$3";;
  baresip) u=${1:-mercutio}
    cat > "$d/config" <<X
sip_listen $LAB_NET.24:0
sip_cafile $LAB_RUN/certs/ca.crt
dns_server $LAB_DNS_IP:$LAB_DNS_PORT
module_path $(ls -d /usr/lib/baresip/modules /usr/local/lib/baresip/modules 2>/dev/null | head -1)
module stdio.so
module g711.so
module_app account.so
module_app contact.so
module_app menu.so
module_app presence.so
module ctrl_tcp.so
module uuid.so
ctrl_tcp_listen $LAB_NET.24:4444
X
    echo "<sip:$u@$LAB_SIP_DOMAIN;transport=udp>;auth_pass=$LAB_PASSWORD;outbound=\"sip:$LAB_SIP_IP:$LAB_SIP_PORT;transport=udp\";regint=600;pubint=300" > "$d/accounts"
    printf '"Romeo" <sip:romeo@%s>;presence=p2p\n"Juliet" <sip:juliet@%s>;presence=p2p\n' "$LAB_SIP_DOMAIN" "$LAB_XA_DOMAIN" > "$d/contacts"
    exec baresip -f "$d" -v;;
  baresip-ctl) exec python3 - "$LAB_NET.24" "$@" <<'PY'
import json, socket, sys
s = socket.create_connection((sys.argv[1], 4444), 5); s.settimeout(2)
d = json.dumps({"command": sys.argv[2], "params": " ".join(sys.argv[3:]), "token": "t"}); s.sendall(f"{len(d)}:{d},".encode())   # netstring
r = s.recv(65536).decode(errors="replace"); n, _, j = r.partition(":"); j = json.loads(j[:int(n)]) if n.isdigit() else {"data": r}; print(j.get("data", "").strip() or ("ok" if j.get("ok") else "failed"))
PY
    ;;
  go-sendxmpp) u=$1; shift; exec env HOME="$d" SSL_CERT_FILE="$LAB_RUN/certs/ca.crt" "$lab" run go-sendxmpp -u "$u@$LAB_XA_DOMAIN" -p "$LAB_PASSWORD" -j "$LAB_XA_DOMAIN:$LAB_C2S_PORT" "$@";;
  *) sed -n '2,8p' "$0"; exit 2;;
esac
