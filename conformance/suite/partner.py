"""A partner's server made by hand: with a certificate of its own choice, or without manners."""
import base64, socket, ssl
from .cases import case


class Partner:
    """A stream from xa.example, in TLS with a certificate of the lab, not yet authenticated."""

    def __init__(self, lab, certificate=None):
        self.domain = lab["XA_DOMAIN"]
        self.header = (f"<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' "
                       f"xmlns:db='jabber:server:dialback' from='{self.domain}' to='{lab['SIP_DOMAIN']}' version='1.0'>")
        self.socket = socket.create_connection((lab["GW_IP"], int(lab["GW_S2S_PORT"])), 5)
        self.ask(self.header, b"</stream:features>")
        self.ask("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", b"<proceed")
        context = ssl.create_default_context(cafile=lab.cert("ca.crt"))
        context.load_cert_chain(lab.cert(certificate or self.domain + ".pem"))
        self.socket = context.wrap_socket(self.socket, server_hostname=lab["SIP_DOMAIN"])

    def authenticate(self):
        offered = self.ask(self.header, b"</stream:features>")
        assert b"EXTERNAL" in offered, f"EXTERNAL is not offered: {offered}"
        name = base64.b64encode(self.domain.encode()).decode()
        self.ask(f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>{name}</auth>", b"<success")
        self.ask(self.header, b"stream:features")

    def ask(self, text, answer):
        self.socket.sendall(text.encode())
        return self.until(answer)

    def until(self, answer, seconds=10):
        self.socket.settimeout(seconds)
        got = b""
        while answer not in got:
            data = self.socket.recv(65536)
            assert data, f"the stream ended before {answer!r}: {got!r}"
            got += data
        return got


def forge(world, text):
    """Says this with several certificates that prove nothing of xa.example; nobody may ever read it."""
    lab, romeo = world.lab, world.sip("romeo")
    for certificate in ("bad-wrongname.pem", "bad-untrusted.pem", "bad-selfsigned.pem", "bad-expired.pem"):
        partner = Partner(lab, certificate)
        said = text.format(me=f"juliet@{lab['XA_DOMAIN']}", to=romeo.address)
        got = partner.ask(partner.header + said, b"</stream:stream>")
        assert b"<stream:error" in got, f"{certificate}: {got!r}"
        assert b"EXTERNAL" not in got, f"EXTERNAL is offered for {certificate}: {got!r}"
    # What comes after it has overtaken nothing.
    juliet = world.xmpp("juliet")
    romeo.hears(juliet.send(romeo.address, "the real one"))
    assert not any("forged" in text for _, text in romeo.received), romeo.received


@case("pkix", "a certificate that does not prove its domain opens nothing")
def _(world):
    forge(world, "<message from='{me}' to='{to}' type='chat' id='f'><body>forged</body></message>")


@case("pkix", "a partner that must show a certificate cannot come by dialback")
def _(world):
    forge(world, "<db:result from='xa.example' to='sip.example'>0123</db:result>"
                 "<message from='{me}' to='{to}' type='chat' id='f'><body>forged</body></message>")
