"""The process under test: its configuration for the lab, its start and its several ways to end."""
import os, signal, subprocess, time
from .lab import listens, wait_for


def proxy_config(lab, auth="pkix", link=False):
    dialback = auth == "dialback"
    # In dialback mode nobody's certificate is believed, ours included: a self-signed one is shown.
    own = "bad-selfsigned" if dialback else "gw-xmpp"
    trust = "otherca.crt" if dialback else "ca.crt"
    domains = [lab["XA_DOMAIN"], lab["XB_DOMAIN"], "silent.example", "failover.example", "dangling.example", "dead.example"]
    text = f"""
[proxy]
domains = ["{lab['SIP_DOMAIN']}", "{lab['UAS_DOMAIN']}"]
listen = ["{lab['GW_IP']}:{lab['GW_S2S_PORT']}"]
direct-tls-listen = ["{lab['GW_IP']}:{lab['GW_S2S_TLS_PORT']}"]
identities = ["public"]
trust = "partners"
resolver = ["{lab['DNS_IP']}:{lab['DNS_PORT']}"]

[identity.public]
certificate = "{lab.cert(own + '.crt')}"
key = "{lab.cert(own + '.key')}"

[trust.partners]
authorities = ["{lab.cert(trust)}"]
"""
    for domain in domains:
        text += f"""
[[proxy.partner]]
domain = "{domain}"
type = "federated"
sasl = "{'optional' if dialback else 'required'}"
dialback = {str(dialback).lower()}
allow-private-addresses = true
"""
    if link:
        text += f"""
[trust.inside]
authorities = ["{lab.cert('ca.crt')}"]

[proxy.link]
listen = "{lab['GW_IP']}:{lab['GW_LINK_PORT']}"
identity = "edge"
trust = "inside"
gateways = ["inside.{lab['GW_HOST']}"]

[identity.edge]
certificate = "{lab.cert('gw-xmpp.crt')}"
key = "{lab.cert('gw-xmpp.key')}"
"""
    return text


def gateway_config(lab, transport="udp", link=None, profile="standard"):
    """`link` is the port at which the proxy is found."""
    port = lab["SIPS_PORT"] if transport == "tls" else lab["SIP_PORT"]
    # Its servers speak TLS only; the lab's clients of its dialect do not.
    dialect = 'profile = "microsoft"\nallow-plaintext = true' if profile == "microsoft" else ""
    text = f"""
[gateway]
name = "inside.{lab['GW_HOST']}"
store = "gateway.db"
resolver = ["{lab['DNS_IP']}:{lab['DNS_PORT']}"]

[[gateway.listen]]
transport = "udp"
address = "{lab['GW_IP']}:{lab['GW_SIP_PORT']}"
name = "{lab['GW_IP']}"

[[gateway.listen]]
transport = "tcp"
address = "{lab['GW_IP']}:{lab['GW_SIP_PORT']}"
name = "{lab['GW_IP']}"

[[gateway.listen]]
transport = "tls"
address = "{lab['GW_IP']}:{lab['GW_SIPS_PORT']}"
name = "{lab['GW_HOST']}"
identity = "sip"
trust = "inside"

[[gateway.domain]]
domain = "{lab['SIP_DOMAIN']}"
next-hop = "sip:{lab['SIP_DOMAIN'] if transport == 'tls' else lab['SIP_IP']}:{port};transport={transport}"
trusted-names = ["{lab['SIP_DOMAIN']}"]
trusted-addresses = ["{lab['SIP_IP']}", "{lab['UAS_IP']}"]
{dialect}

[[gateway.domain]]
domain = "{lab['UAS_DOMAIN']}"
next-hop = "sip:{lab['UAS_IP']}:{lab['SIP_PORT']};transport=udp"
trusted-addresses = ["{lab['UAS_IP']}"]
{dialect}

[identity.sip]
certificate = "{lab.cert('gw-sip.crt')}"
key = "{lab.cert('gw-sip.key')}"

[trust.inside]
authorities = ["{lab.cert('ca.crt')}"]
"""
    if link:
        text += f"""
[[gateway.link]]
proxy = "{lab['GW_IP']}:{link}"
proxy-name = "{lab['GW_HOST']}"
identity = "link"
trust = "inside"

[identity.link]
certificate = "{lab.cert('gw-inside.crt')}"
key = "{lab.cert('gw-inside.key')}"
"""
    return text


class Daemon:
    """One gangway process with a directory of its own."""

    def __init__(self, binary, lab, verb, config, name=None, place="GW_IP"):
        self.binary, self.lab, self.verb, self.place = binary, lab, verb, place
        self.directory = os.path.join(lab.run, name or verb)
        os.makedirs(self.directory, exist_ok=True)
        self.config = os.path.join(self.directory, "gangway.toml")
        with open(self.config, "w") as file:
            file.write(config + f'\n[admin]\nsocket = "{self.directory}/admin.sock"\n\n[log]\nlevel = "debug"\n')
        self.log = os.path.join(self.directory, "log")
        self.process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.kill()

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([self.binary, self.verb, "--config", self.config], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, cwd=self.directory)
        try:
            wait_for(self.is_ready, 15, f"gangway {self.verb} listens")
        except BaseException:
            self.kill()
            raise
        return self

    def is_ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"gangway {self.verb} ended with {self.process.returncode}: {self.tail(15)}")
        ip, lab = self.lab[self.place], self.lab
        s2s, sip = listens(ip, lab["GW_S2S_PORT"]), listens(ip, lab["GW_SIP_PORT"])
        return {"proxy": s2s, "gateway": sip}.get(self.verb, s2s and sip)

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        """kill -9, as a power cut would."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()

    def terminate(self, seconds=30):
        """Returns how long SIGTERM took and the exit status."""
        begun = time.monotonic()
        self.process.terminate()
        status = self.process.wait(seconds)
        return time.monotonic() - begun, status

    def tail(self, lines=40):
        try:
            with open(self.log, errors="replace") as file:
                return "".join(file.readlines()[-lines:])
        except OSError:
            return ""
