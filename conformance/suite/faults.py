"""What happens to traffic when a process dies, hangs or is told to stop: the ledgers of both ends are the proof."""
import signal, socket, ssl, threading, time
from .cases import case, equal, within
from .lab import wait_for
from .partner import Partner


class Traffic:
    """Users writing to each other at a steady rate, in both directions, while the block runs."""

    def __init__(self, world, rate=40):
        self.world, self.rate, self.stopped = world, rate, threading.Event()
        self.xmpp = [world.xmpp("juliet"), world.xmpp("nurse")]
        self.sip = [world.sip("romeo"), world.sip("mercutio")]
        pairs = list(zip(self.xmpp, self.sip)) + list(zip(self.sip, self.xmpp))
        self.threads = [threading.Thread(target=self.write, args=pair, daemon=True) for pair in pairs]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        self.settles()
        return self

    def __exit__(self, failure, *_):
        try:
            if failure is None:
                self.crosses(20)
        finally:
            self.stopped.set()
            for thread in self.threads:
                thread.join()
        for user in self.sip:
            wait_for(user.outbox.empty, 120, f"{user.address} has sent everything")

    def write(self, sender, receiver):
        n = 0
        while not self.stopped.wait(1 / self.rate):
            if not sender.is_behind():
                sender.send(receiver.address, f"text {n}")
                n += 1

    def crosses(self, count, seconds=60):
        """Waits until everybody has read so many texts more."""
        before = {user: len(user.ends) for user in self.xmpp + self.sip}
        for user in before:
            wait_for(lambda: len(user.ends) - before[user] >= count, seconds, f"{user.address} reads {count} texts more")

    def settles(self):
        """Waits until what a server queued while it opened its stream has an end.

        COMPAT(Prosody, 0.12): it does not count the texts of that queue, so nobody but their reader knows of them when
        the stream breaks before."""
        self.crosses(10)
        queued = set(self.world.open())
        wait_for(lambda: queued.isdisjoint(self.world.open()), 60, "what was queued has an end")

    def goes_on(self, seconds):
        """Lets everybody write for some time: it is how long a fault lasts."""
        self.stopped.wait(seconds)


@case("faults", "nothing is lost, repeated or overtaken without a fault")
def _(world):
    with Traffic(world) as traffic:
        traffic.crosses(100)


@case("faults", "kill -9 under traffic and a restart lose nothing accepted")
def _(world):
    world.faults, daemon = 1, world.daemons[0]
    with Traffic(world) as traffic:
        daemon.kill()
        traffic.goes_on(0.5)
        daemon.start()


@case("faults", "three kills in a row lose nothing accepted")
def _(world):
    world.faults, daemon = 3, world.daemons[0]
    with Traffic(world) as traffic:
        for _ in range(3):
            daemon.kill()
            daemon.start()
            traffic.settles()


@case("faults", "a partner's server that goes away is told within 10 s, and is found again when it is back")
def _(world):
    romeo, lab = world.sip("romeo"), world.lab
    target, n = "juliet@" + lab["XB_DOMAIN"], 0
    equal(romeo.answer(romeo.send(target, "before")), 200, "the final answer before")
    world.faults = 1
    lab.stop("xb")
    begun = time.monotonic()
    within(romeo.answer(romeo.send(target, "meanwhile")), (408, 480, 502, 503, 504), "the final answer meanwhile")
    assert time.monotonic() - begun < 10, "the sender heard after 10 s"
    lab.start("xb")
    juliet = world.xmpp("juliet", "XB")
    # It is tried again a little later: a domain that was just down is left in peace for a moment.
    ids = []

    def arrives():
        ids.append(romeo.send(target, f"after {len(ids)}"))
        return romeo.answer(ids[-1]) == 200

    wait_for(arrives, 60, "a text is accepted again")
    juliet.hears(ids[-1])


@case("stop", "SIGTERM closes streams with system-shutdown and ends within 30 s")
def _(world):
    juliet, romeo = world.xmpp("juliet"), world.sip("romeo")
    romeo.hears(juliet.send(romeo.address, "before the end"))
    partner = Partner(world.lab)
    partner.authenticate()
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
    world.faults, daemon = 1, world.daemons[0]
    if daemon.process.poll() is not None:
        daemon.start()
    with Traffic(world):
        took, status = daemon.terminate()
        daemon.start()
    equal(status, 0, "the exit status")
    assert took < 30, f"it took {took:.1f} s"


@case("link", "texts cross between two processes")
def _(world):
    juliet, romeo = world.xmpp("juliet"), world.sip("romeo")
    romeo.hears(juliet.send(romeo.address, "through two processes"))
    equal(romeo.answer(romeo.send(juliet.address, "and back")), 200, "the final answer")


@case("link", "a cable that is cut for 5 s loses nothing accepted")
def _(world):
    world.faults = 1
    with Traffic(world) as traffic:
        world.cable.cut()
        traffic.goes_on(5)
        world.cable.mend()


@case("link", "a cable that carries nothing for 5 s loses nothing accepted")
def _(world):
    world.faults = 1
    with Traffic(world) as traffic:
        world.cable.hold()
        traffic.goes_on(5)
        world.cable.mend()


@case("link", "a proxy that hangs for 5 s loses nothing accepted")
def _(world):
    world.faults, proxy = 1, world.daemons[0]
    with Traffic(world) as traffic:
        proxy.signal(signal.SIGSTOP)
        traffic.goes_on(5)
        proxy.signal(signal.SIGCONT)


@case("link", "a proxy killed and restarted after 5 s loses nothing accepted")
def _(world):
    world.faults, proxy = 1, world.daemons[0]
    with Traffic(world) as traffic:
        proxy.kill()
        traffic.goes_on(5)
        proxy.start()


@case("link", "a gateway killed and restarted after 5 s loses nothing accepted")
def _(world):
    world.faults, gateway = 1, world.daemons[1]
    with Traffic(world) as traffic:
        gateway.kill()
        traffic.goes_on(5)
        gateway.start()


@case("link", "a gateway told to stop and started again loses nothing accepted")
def _(world):
    world.faults, gateway = 1, world.daemons[1]
    with Traffic(world):
        _, status = gateway.terminate()
        gateway.start()
    equal(status, 0, "the exit status")


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
