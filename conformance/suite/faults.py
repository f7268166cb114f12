"""What happens to traffic when a process dies, hangs or is told to stop: the ledgers of both ends are the proof."""
import base64, os, signal, socket, ssl, threading, time
import ledger
from .cases import case, equal
from .lab import wait_for


class Traffic:
    """Users writing to each other at a steady rate, in both directions, until stopped."""

    def __init__(self, world, rate=40):
        lab = world.lab
        self.world, self.rate, self.running = world, rate, True
        xmpp = [world.xmpp("juliet"), world.xmpp("nurse")]
        sip = [world.sip("romeo"), world.sip("mercutio")]
        self.ids = []
        pairs = list(zip(xmpp, sip)) + list(zip(sip, xmpp))
        self.threads = [threading.Thread(target=self.write, args=pair, daemon=True) for pair in pairs]
        for thread in self.threads:
            thread.start()

    def write(self, sender, receiver):
        n = 0
        while self.running:
            self.ids.append((sender, sender.send(receiver.address, f"text {n}")))
            n += 1
            time.sleep(1 / self.rate)

    def stop(self):
        """Stops writing and waits until every message has an end that its sender or its reader saw."""
        self.running = False
        for thread in self.threads:
            thread.join()
        for user in {sender for sender, _ in self.ids}:
            if hasattr(user, "outbox"):
                wait_for(user.outbox.empty, 120, f"{user.address} has sent everything")
        # What has no end by then is for the ledgers to judge: they name it.
        end = time.monotonic() + 60
        while self.open() and time.monotonic() < end:
            time.sleep(0.1)

    def open(self):
        ends = set()
        for user in self.world.users.values():
            ends |= set(user.errors) | {id for id, code in user.answers.items() if code != 202 and code != 200}
            ends |= {text[1:37] for _, text in list(user.received)}
        return [id for _, id in self.ids if id not in ends]


def proved(world, faults, what):
    events = ledger.read(world.ledgers)
    found = ledger.violations(events, faults)
    print(f"#    {what}: {ledger.summary(events)}")
    assert not found, "\n".join(found[:20])


def under_traffic(world, fault, faults=1, before=1.5, after=2.5):
    traffic = Traffic(world)
    try:
        time.sleep(before)
        fault()
        time.sleep(after)
    finally:
        traffic.running = False
    traffic.stop()
    proved(world, faults, "after the fault")


@case("faults", "nothing is lost, repeated or overtaken without a fault")
def _(world):
    under_traffic(world, lambda: None, faults=0)


@case("faults", "kill -9 under traffic and a restart lose nothing accepted")
def _(world):
    daemon = world.daemons[0]

    def kill():
        daemon.kill()
        time.sleep(0.5)
        daemon.start()

    under_traffic(world, kill)


@case("faults", "three kills in a row lose nothing accepted")
def _(world):
    daemon = world.daemons[0]

    def kill():
        for pause in (0.1, 0.3, 0.7):
            daemon.kill()
            daemon.start()
            time.sleep(pause)

    under_traffic(world, kill, faults=4)


class Partner:
    """A partner's server with Prosody's certificate, as far as an authenticated stream that listens."""

    def __init__(self, lab):
        self.header = (f"<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' "
                       f"from='{lab['XA_DOMAIN']}' to='{lab['SIP_DOMAIN']}' version='1.0'>")
        self.socket = socket.create_connection((lab["GW_IP"], int(lab["GW_S2S_PORT"])), 5)
        self.ask(self.header, b"</stream:features>")
        self.ask("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", b"<proceed")
        context = ssl.create_default_context(cafile=lab.cert("ca.crt"))
        context.load_cert_chain(lab.cert(lab["XA_DOMAIN"] + ".pem"))
        self.socket = context.wrap_socket(self.socket, server_hostname=lab["SIP_DOMAIN"])
        offered = self.ask(self.header, b"</stream:features>")
        assert b"EXTERNAL" in offered, f"EXTERNAL is not offered: {offered}"
        name = base64.b64encode(lab["XA_DOMAIN"].encode()).decode()
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


@case("stop", "SIGTERM closes streams with system-shutdown and ends within 30 s")
def _(world):
    juliet, romeo = world.xmpp("juliet"), world.sip("romeo")
    romeo.hears(juliet.send(romeo.address, "before the end"))
    partner = Partner(world.lab)
    took = []
    thread = threading.Thread(target=lambda: took.append(world.daemons[0].terminate()))
    thread.start()
    last = partner.until(b"</stream:stream>", 30)
    thread.join()
    assert b"<system-shutdown" in last, f"the last words were {last!r}"
    equal(took[0][1], 0, "the exit status")
    assert took[0][0] < 30, f"it took {took[0][0]:.1f} s"


@case("stop", "SIGTERM under traffic and a restart lose nothing accepted")
def _(world):
    daemon = world.daemons[0]
    if daemon.process.poll() is not None:
        daemon.start()

    def stop():
        daemon.terminate()
        daemon.start()

    under_traffic(world, stop)


@case("link", "texts cross between two processes")
def _(world):
    juliet, romeo = world.xmpp("juliet"), world.sip("romeo")
    romeo.hears(juliet.send(romeo.address, "through two processes"))
    equal(romeo.answer(romeo.send(juliet.address, "and back")), 200, "the final answer")


@case("link", "a proxy that hangs for 5 s loses nothing accepted")
def _(world):
    proxy = world.daemons[0]

    def hang():
        proxy.signal(signal.SIGSTOP)
        time.sleep(5)
        proxy.signal(signal.SIGCONT)

    under_traffic(world, hang)


@case("link", "a proxy killed and restarted after 5 s loses nothing accepted")
def _(world):
    proxy = world.daemons[0]

    def kill():
        proxy.kill()
        time.sleep(5)
        proxy.start()

    under_traffic(world, kill, faults=2)


@case("link", "a gateway killed and restarted after 5 s loses nothing accepted")
def _(world):
    gateway = world.daemons[1]

    def kill():
        gateway.kill()
        time.sleep(5)
        gateway.start()

    under_traffic(world, kill, faults=3)


@case("link", "a gateway of another name is not let in")
def _(world):
    lab = world.lab
    context = ssl.create_default_context(cafile=lab.cert("ca.crt"))
    context.load_cert_chain(lab.cert(lab["XA_DOMAIN"] + ".pem"))
    header = ("<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' "
              f"to='inside.{lab['GW_HOST']}' version='1.0'>")
    try:
        with socket.create_connection((lab["GW_IP"], int(lab["GW_LINK_PORT"])), 5) as plain:
            with context.wrap_socket(plain, server_hostname=lab["GW_HOST"]) as tls:
                tls.settimeout(10)
                tls.sendall(header.encode())
                got = b""
                while data := tls.recv(65536):
                    got += data
    except (ssl.SSLError, ConnectionError):
        return
    assert b"<stream:features" not in got, f"a stranger was let in: {got!r}"
