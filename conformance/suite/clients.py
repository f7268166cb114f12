"""Real clients: sipp, baresip, slixmpp."""
import asyncio, os, subprocess, threading, time
from .cases import case, equal
from .lab import HERE, wait_for


def sipp(world, scenario, *args, timeout=40):
    lab, log = world.lab, os.path.join(world.lab.run, f"sipp-{scenario}")
    os.makedirs(log, exist_ok=True)
    command = ["sipp", "-sf", os.path.join(HERE, "sipp", scenario + ".xml"), "-i", lab["UAS_IP"], "-p", str(lab["SIP_PORT"]),
               "-nostdin", "-timeout", f"{timeout}s", "-timeout_error", "-trace_err", "-error_file", log + "/errors", *args]
    with open(log + "/out", "wb") as out:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=log)


def finish(process, seconds=60):
    try:
        return process.wait(seconds)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


@case("pkix", "sipp sends 200 MESSAGEs, each answered 200 and delivered once")
def _(world):
    bot, lab = world.xmpp("bot"), world.lab
    before = len(bot.received)
    process = sipp(world, "uac_message", "-m", "200", "-r", "100", "-s", "bot", "-key", "domain", lab["XA_DOMAIN"],
                   f"{lab['GW_IP']}:{lab['GW_SIP_PORT']}")
    equal(finish(process), 0, "sipp's status")
    wait_for(lambda: len(bot.received) - before >= 200, 5, "all of them arrive")
    texts = [text for _, text in bot.received[before:]]
    equal(len(set(texts)), 200, "different texts")
    equal(len(texts), 200, "texts")


@case("pkix", "sipp receives 200 MESSAGEs")
def _(world):
    bot, lab = world.xmpp("bot"), world.lab
    process = sipp(world, "uas_message", "-m", "200")
    try:
        for n in range(200):
            bot.send("juliet@" + lab["UAS_DOMAIN"], f"number {n}")
        equal(finish(process), 0, "sipp's status")
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    equal(bot.errors, {}, "errors that came back")


class Baresip:
    """An unmodified baresip, driven through its control socket."""

    def __init__(self, world, user):
        self.env = dict(world.lab.env, LC_ALL="C.UTF-8")
        self.script = os.path.join(HERE, "clients", "real.sh")
        self.output = os.path.join(world.lab.run, "baresip.out")
        with open(self.output, "wb") as out:
            # Texts are shown by its terminal module, which wants an input that can be waited on.
            self.process = subprocess.Popen([self.script, "baresip", user], env=self.env, stdin=subprocess.PIPE,
                                            stdout=out, stderr=subprocess.STDOUT, start_new_session=True)

    def __enter__(self):
        wait_for(lambda: "200 OK" in self.text(), 10, "baresip registers")
        return self

    def __exit__(self, *_):
        self.control("quit")
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def text(self):
        with open(self.output, errors="replace") as file:
            return file.read()

    def control(self, *words):
        run = subprocess.run([self.script, "baresip-ctl", *words], env=self.env, capture_output=True, text=True, timeout=10)
        return run.stdout


@case("pkix", "baresip and an XMPP user write to each other")
def _(world):
    juliet, lab = world.xmpp("juliet"), world.lab
    with Baresip(world, "mercutio") as phone:
        id = juliet.send("mercutio@" + lab["SIP_DOMAIN"], "hello baresip")
        wait_for(lambda: id in phone.text(), 10, "baresip prints the text")
        # The first contact is Romeo, the second Juliet.
        phone.control("contact_next")
        phone.control("message", "hello from baresip")
        wait_for(lambda: any("hello from baresip" in text for _, text in juliet.received), 10, "juliet reads what baresip sent")


class Slixmpp:
    """A user of slixmpp, over STARTTLS with the certificate verified, in an event loop of its own."""

    def __init__(self, world, name):
        lab = world.lab
        self.address, self.came, self.online = f"{name}@{lab['XA_DOMAIN']}", [], threading.Event()
        self.password, self.authorities = lab["PASSWORD"], lab.cert("ca.crt")
        self.server = lab["XA_IP"], int(lab["C2S_PORT"])
        self.thread = threading.Thread(target=self.main, daemon=True)

    def __enter__(self):
        self.thread.start()
        assert self.online.wait(10), "slixmpp is not online after 10 s"
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.client.disconnect)
        self.thread.join(5)

    def main(self):
        import slixmpp  # here, so that the other cases run without it
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        self.client = slixmpp.ClientXMPP(self.address, self.password)
        self.client.ca_certs = self.authorities
        self.client.add_event_handler("session_start", self.start)
        self.client.add_event_handler("message", lambda m: self.came.append((str(m["from"].bare), m["body"])))
        # One argument up to slixmpp 1.8, two later; a loop of one's own or the class's.
        try:
            self.client.connect(self.server)
        except TypeError:
            self.client.connect(*self.server)
        self.loop.run_until_complete(self.client.disconnected)

    def start(self, _):
        self.client.send_presence()
        self.online.set()

    def send(self, to, text):
        self.loop.call_soon_threadsafe(lambda: self.client.send_message(mto=to, mbody=text, mtype="chat"))


@case("pkix", "slixmpp over STARTTLS and a SIP user write to each other")
def _(world):
    romeo = world.sip("romeo")
    with Slixmpp(world, "nurse") as nurse:
        id = romeo.send(nurse.address, "hello slixmpp")
        equal(romeo.answer(id), 200, "the final answer")
        wait_for(lambda: any(id in body for _, body in nurse.came), 5, "slixmpp hands the text over")
        text = f"hello from slixmpp {time.monotonic()}"
        nurse.send(romeo.address, text)
        wait_for(lambda: any(text == got for _, got in romeo.received), 5, "romeo reads what slixmpp sent")
