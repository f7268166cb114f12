"""A sample of the negotiation matrix against servers that other people wrote: what they demand, what we show, what we demand.

Outward `gangway partner test` tells how far a stream comes: its exit code names the stage (docs/partners.md). Inward a
user of theirs writes to one of ours. A partner's server may refuse at another stage than we would; both are in the tables."""
import subprocess
from .cases import case, equal
from .lab import wait_for

OK, POLICY, TLS, CERTIFICATE, AUTH, DIALBACK = 0, 10, 13, 14, 15, 16
STAGES = {OK: "a stream", POLICY: "policy", TLS: "tls", CERTIFICATE: "certificate", AUTH: "auth", DIALBACK: "dialback"}
OURS = {
    "a valid certificate": "gw-xmpp", "a certificate for servers only": "bad-serveronly",
    "a certificate of an unknown authority": "bad-untrusted",
}
# What we demand of the partner: TLS, SASL EXTERNAL, dialback; and whether we believe its authority.
DEMANDS = {
    "everything": ("required", "required", False, True),
    "TLS, either proof": ("required", "optional", True, True),
    "TLS, its authority unknown, either proof": ("required", "optional", True, False),
    "TLS, its authority unknown, a certificate": ("required", "required", False, False),
    "TLS, dialback": ("required", "not-supported", True, True),
    "what there is": ("optional", "optional", True, True),
    "plaintext and dialback": ("not-supported", "not-supported", True, True),
}
LABS = {
    "gangway": {}, "pkix": {}, "dialback": {"LAB_S2S_AUTH": "dialback"}, "plain": {"LAB_S2S_AUTH": "plain"}, "direct": {"LAB_GW_DIRECT_TLS": "1"},
}
VALID, SERVER, UNKNOWN = OURS
ALL, EITHER, BLIND, BLIND_ALL, CALLED, ANY, CLEAR = DEMANDS
# (their settings, what we show, what we demand): (how far outward: Prosody, ejabberd), (whether inward: Prosody, ejabberd).
# What is expired, or names others, `gangway check` refuses to show at all.
TABLE = [
    ("pkix", VALID, ALL, (OK, OK), (True, True)),
    ("pkix", VALID, EITHER, (OK, OK), (True, True)),
    ("pkix", VALID, CALLED, (OK, OK), (True, True)),
    ("pkix", VALID, ANY, (OK, OK), (True, True)),
    # ejabberd 23.01 refuses a client's certificate without the purpose clientAuth, and in this mode has no other way.
    ("pkix", SERVER, ALL, (OK, AUTH), (True, True)),
    ("pkix", SERVER, EITHER, (OK, OK), (True, True)),
    ("pkix", VALID, BLIND, (OK, OK), (True, True)),
    ("pkix", VALID, BLIND_ALL, (CERTIFICATE, CERTIFICATE), (False, False)),
    ("pkix", UNKNOWN, ALL, (AUTH, AUTH), (False, False)),
    ("pkix", UNKNOWN, EITHER, (AUTH, DIALBACK), (False, False)),
    ("pkix", VALID, CLEAR, (POLICY, POLICY), (False, False)),
    ("direct", VALID, ALL, (OK, OK), (True, True)),
    ("direct", SERVER, ALL, (OK, AUTH), (True, True)),
    ("dialback", VALID, ALL, (OK, OK), (True, True)),
    ("dialback", VALID, CALLED, (OK, OK), (True, True)),
    ("dialback", VALID, ANY, (OK, OK), (True, True)),
    ("dialback", SERVER, EITHER, (OK, OK), (True, True)),
    ("dialback", UNKNOWN, BLIND, (OK, OK), (True, True)),
    ("dialback", UNKNOWN, ALL, (AUTH, AUTH), (True, True)),
    ("dialback", VALID, CLEAR, (POLICY, POLICY), (False, False)),
    ("plain", VALID, ALL, (OK, OK), (True, True)),
    ("plain", VALID, ANY, (OK, OK), (True, True)),
    ("plain", UNKNOWN, ANY, (OK, OK), (True, True)),
    ("plain", VALID, CLEAR, (OK, OK), (True, True)),
]
# Two of us: what one shows and demands, and what the other, whose certificate is valid, demands; how far the one comes, and
# the other.
PAIRS = [
    (VALID, ALL, ALL, OK, OK),
    (SERVER, ALL, ALL, OK, OK),
    (VALID, EITHER, ALL, OK, OK),
    (UNKNOWN, ALL, ALL, AUTH, CERTIFICATE),
    (UNKNOWN, EITHER, EITHER, OK, OK),
    (UNKNOWN, EITHER, ALL, AUTH, CERTIFICATE),
    (VALID, CALLED, CALLED, OK, OK),
    # Whoever asks by dialback has still shown a certificate that proves it.
    (VALID, ALL, CALLED, AUTH, OK),
    (VALID, BLIND, EITHER, OK, OK),
    (VALID, BLIND_ALL, ALL, CERTIFICATE, AUTH),
    (VALID, ANY, CLEAR, OK, OK),
    (VALID, CLEAR, CLEAR, OK, OK),
    (VALID, CLEAR, ALL, POLICY, TLS),
]


def proxy_config(lab, own, certificate, demands, partners):
    """A proxy of one side: `own` is its domain, where it listens, and the name of that in the lab."""
    tls, sasl, dialback, believed = DEMANDS[demands]
    domain, place = own
    text = f"""
[proxy]
domains = ["{domain}"]
listen = ["{place}:{lab['GW_S2S_PORT']}"]
direct-tls-listen = ["{place}:{lab['GW_S2S_TLS_PORT']}"]
identities = ["public"]
trust = "partners"
resolver = ["{lab['DNS_IP']}:{lab['DNS_PORT']}"]
dialback-secret = "what the proxy and the test share"

[identity.public]
certificate = "{lab.cert(certificate + '.crt')}"
key = "{lab.cert(certificate + '.key')}"

[trust.partners]
authorities = ["{lab.cert('ca.crt' if believed else 'otherca.crt')}"]
"""
    for partner in partners:
        text += f"""
[[proxy.partner]]
domain = "{partner}"
type = "federated"
tls = "{tls}"
sasl = "{sasl}"
dialback = {str(dialback).lower()}
allow-plaintext = {str(tls != 'required' and dialback).lower()}
allow-private-addresses = true
"""
    return text


def outward(daemon, domain):
    """Returns the stage at which a stream to a domain fails, and what the test says."""
    done = subprocess.run([daemon.binary, "partner", "test", domain, "--config", daemon.config], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
    return STAGES.get(done.returncode, done.returncode), done.stdout.decode(errors="replace")


def inward(world, server):
    """Tells whether a text from a server's user arrives; its sender hears if not."""
    juliet, romeo = world.xmpp("juliet", server), world.sip("romeo")
    id = juliet.send(romeo.address, "across")
    wait_for(lambda: id in romeo.ends or id in juliet.errors, 30, "the text arrives, or its sender hears")
    return id in romeo.ends


def register(lab, ours, demands, server, program, way_out, way_in):
    @case(f"matrix {lab}", f"{program} ({lab}), we show {ours} and demand {demands}")
    def _(world):
        partners = [world.lab[name + "_DOMAIN"] for name in ("XA", "XB")]
        own = world.lab["SIP_DOMAIN"], world.lab["GW_IP"]
        with world.only("run", proxy_config(world.lab, own, OURS[ours], demands, partners)) as daemon:
            stage, said = outward(daemon, world.lab[server + "_DOMAIN"])
            equal(stage, STAGES[way_out], f"how far we come\n{said}")
            equal(inward(world, server), way_in, "whether a text comes in")


for lab, ours, demands, outs, ins in TABLE:
    for place, (server, program) in enumerate((("XA", "Prosody"), ("XB", "ejabberd"))):
        register(lab, ours, demands, server, program, outs[place], ins[place])


def register_pair(ours, demands, theirs, way_out, way_back):
    @case("matrix gangway", f"another gangway that demands {theirs}, we show {ours} and demand {demands}")
    def _(world):
        lab = world.lab
        one, other = (lab["SIP_DOMAIN"], lab["GW_IP"]), (lab["XC_DOMAIN"], lab["XC_IP"])
        with world.only("run", proxy_config(lab, one, OURS[ours], demands, [other[0]])) as here, \
                world.another(proxy_config(lab, other, other[0], theirs, [one[0]])) as there:
            for daemon, domain, wanted, who in ((here, other[0], way_out, "we"), (there, one[0], way_back, "they")):
                stage, said = outward(daemon, domain)
                equal(stage, STAGES[wanted], f"how far {who} come\n{said}")


for pair in PAIRS:
    register_pair(*pair)
