#!/bin/bash
# mkcerts.sh DIR - creates the lab CA and every certificate of the lab in DIR (idempotent).
# Needs only openssl. Keys are EC P-256 and valid 10 years; never use them outside the lab.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); . "$here/lab.conf"   # LAB_RUN and LAB_NET come from lab.sh
dir=${1:-$LAB_RUN/certs}; mkdir -p "$dir"; cd "$dir"; umask 077
[ -f .done ] && exit 0

newkey() { openssl ecparam -name prime256v1 -genkey -noout -out "$1"; }
newkey ca.key
openssl req -x509 -new -key ca.key -days 3650 -subj "/CN=Federation Lab CA" \
  -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign,cRLSign" -out ca.crt 2>/dev/null
newkey otherca.key
openssl req -x509 -new -key otherca.key -days 3650 -subj "/CN=Untrusted CA" \
  -addext "basicConstraints=critical,CA:TRUE" -out otherca.crt 2>/dev/null

# issue NAME EKU CA START END domain...   (START/END empty: now .. 10 years)
issue() {
  local name=$1 eku=$2 ca=$3 start=$4 end=$5; shift 5
  newkey "$name.key"
  { echo "[req]"; echo "distinguished_name=dn"; echo "prompt=no"; echo "[dn]"; echo "CN=$1"
    echo "[ext]"; echo "basicConstraints=CA:FALSE"; echo "keyUsage=digitalSignature"
    echo "extendedKeyUsage=$eku"; echo "subjectAltName=@san"; echo "[san]"
    local i=0 d
    for d in "$@"; do i=$((i+1))
      echo "DNS.$i=$d"
      echo "URI.$i=sip:$d"
      echo "otherName.$((i*3))=1.3.6.1.5.5.7.8.7;IA5STRING:_xmpp-server.$d"
      echo "otherName.$((i*3+1))=1.3.6.1.5.5.7.8.7;IA5STRING:_xmpp-client.$d"
      # id-on-xmppAddr only on request: ejabberd's s2s process crashes on a domain-only xmppAddr
      [ -z "${XMPPADDR:-}" ] || echo "otherName.$((i*3+2))=1.3.6.1.5.5.7.8.5;UTF8:$d"
    done
  } > "$name.cnf"
  openssl req -new -key "$name.key" -config "$name.cnf" -out "$name.csr"
  if [ -n "$start" ]; then
    { echo "[ca]"; echo "default_ca=c"; echo "[c]"; echo "database=$PWD/idx"; echo "serial=$PWD/ser"
      echo "new_certs_dir=$PWD"; echo "default_md=sha256"; echo "policy=p"; echo "unique_subject=no"; echo "[p]"; echo "CN=supplied"; } > ca.cnf
    : > idx; echo 77 > ser
    openssl ca -batch -notext -config ca.cnf -cert "$ca.crt" -keyfile "$ca.key" -in "$name.csr" \
      -startdate "$start" -enddate "$end" -extfile "$name.cnf" -extensions ext -out "$name.crt" 2>/dev/null
    rm -f idx* ser* ca.cnf 77.pem
  else
    openssl x509 -req -in "$name.csr" -CA "$ca.crt" -CAkey "$ca.key" -CAcreateserial -days 3650 \
      -extfile "$name.cnf" -extensions ext -out "$name.crt" 2>/dev/null
  fi
  cat "$name.crt" "$name.key" > "$name.pem"
  rm -f "$name.csr" "$name.cnf"
}
both=serverAuth,clientAuth
issue "$LAB_XA_DOMAIN" $both ca "" "" "$LAB_XA_DOMAIN" "rooms.$LAB_XA_DOMAIN" "$LAB_COMP_DOMAIN"
issue "$LAB_XB_DOMAIN" $both ca "" "" "$LAB_XB_DOMAIN" "comp.$LAB_XB_DOMAIN"
issue "rooms.$LAB_XB_DOMAIN" $both ca "" "" "rooms.$LAB_XB_DOMAIN"
issue "$LAB_XC_DOMAIN" $both ca "" "" "$LAB_XC_DOMAIN" "rooms.$LAB_XC_DOMAIN"
issue "$LAB_SIP_DOMAIN" $both ca "" "" "$LAB_SIP_DOMAIN" "proxy.$LAB_SIP_DOMAIN"
# for the gateway: XMPP side speaks for the SIP domain, SIP side for the XMPP domains
issue gw-xmpp $both ca "" "" "$LAB_SIP_DOMAIN" "$LAB_GW_HOST" "$LAB_UAS_DOMAIN"
issue gw-inside $both ca "" "" "inside.$LAB_GW_HOST"         # the gateway towards the proxy
issue gw-sip  $both ca "" "" "$LAB_GW_HOST" "$LAB_XA_DOMAIN" "$LAB_XB_DOMAIN"
XMPPADDR=1 issue gw-xmpp-xmppaddr $both ca "" "" "$LAB_SIP_DOMAIN" "$LAB_GW_HOST"   # valid, but trips ejabberd
# negative certificates for the gateway's XMPP identity
issue bad-expired    $both      ca      20200101000000Z 20200201000000Z "$LAB_SIP_DOMAIN"
issue bad-future     $both      ca      20450101000000Z 20460101000000Z "$LAB_SIP_DOMAIN"
issue bad-wrongname  $both      ca      "" "" "other.example"
issue bad-untrusted  $both      otherca "" "" "$LAB_SIP_DOMAIN"
issue bad-serveronly serverAuth ca      "" "" "$LAB_SIP_DOMAIN"
newkey bad-selfsigned.key
openssl req -x509 -new -key bad-selfsigned.key -days 3650 -subj "/CN=$LAB_SIP_DOMAIN" \
  -addext "subjectAltName=DNS:$LAB_SIP_DOMAIN,DNS:$LAB_UAS_DOMAIN" -out bad-selfsigned.crt 2>/dev/null
cat bad-selfsigned.crt bad-selfsigned.key > bad-selfsigned.pem
mkdir -p prosody
touch .done
