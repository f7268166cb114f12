"""Real clients: sipp, baresip, linphonec, slixmpp. What they did goes into ledgers as everybody else's."""
import asyncio, os, re, subprocess, threading
from .cases import case, equal
from .lab import HERE, wait_for
from .users import MARK, User, sipmini


class Sipp(User):
    """sipp as a user of uas.example, which says afterwards what it sent and received."""

    def __init__(self, world, name, scenario):
        super().__init__(f"{name}@{world.lab['UAS_DOMAIN']}", "sip", world.ledger("sipp-" + scenario))
        self.lab, self.scenario, self.log = world.lab, scenario, os.path.join(world.lab.run, f"sipp-{scenario}")
        os.makedirs(self.log, exist_ok=True)
        world.join(self)

    def start(self, *args, timeout=40):
        lab = self.lab
        command = ["sipp", "-sf", os.path.join(HERE, "sipp", self.scenario + ".xml"), "-i", lab["UAS_IP"], "-p", str(lab["SIP_PORT"]),
                   "-nostdin", "-timeout", f"{timeout}s", "-timeout_error", "-trace_err", "-error_file", self.log + "/errors",
                   "-trace_msg", "-message_file", self.log + "/messages", *args]
        with open(self.log + "/out", "wb") as out:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=self.log)
        ready = lambda: os.path.exists(self.log + "/messages") or self.process.poll() is not None
        wait_for(ready, 10, "sipp starts")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def finish(self, seconds=60):
        equal(self.process.wait(seconds), 0, "sipp's status")

    def send_all(self, target, texts, rate, senders=None):
        """Sends each text as a MESSAGE, if wanted each from another user; sipp ends well only if each is answered with 200."""
        senders = senders or [self.address.split("@")[0]] * len(texts)
        marked = [self.mark(target, text, f"{sender}@{self.lab['UAS_DOMAIN']}") for text, sender in zip(texts, senders)]
        with open(self.log + "/texts.csv", "w") as file:
            file.write("SEQUENTIAL\n" + "".join(f"{text};{sender}\n" for (_, text), sender in zip(marked, senders)))
        local, domain = target.split("@")
        self.start("-m", str(len(texts)), "-r", str(rate), "-s", local, "-key", "domain", domain, "-inf", self.log + "/texts.csv",
                   f"{self.lab['GW_IP']}:{self.lab['GW_SIP_PORT']}")
        self.finish()
        for id, _ in marked:
            self.answers[id] = 200
            self.ledger.write("answered", id, code=200)

    def messages(self):
        with open(self.log + "/messages", errors="replace") as file:
            return file.read()

    def note_received(self):
        """Takes from sipp's log what came, each request once."""
        parts = re.split(r"^-{10,} .*$", self.messages(), flags=re.M)
        requests = {}
        for part in parts:
            if " message received " in part and "\nMESSAGE " in part:
                requests.setdefault(re.search(r"branch=([^\s;]+)", part).group(1), part)
        for part in requests.values():
            source = re.search(r"^From:.*?sips?:([^>;]+)", part, re.M).group(1)
            self.take(part[MARK.search(part).start():], source, re.search(r"^Call-ID: *(\S+)", part, re.M).group(1))


@case("pkix", "sipp sends 200 MESSAGEs, each answered 200 and delivered once")
def _(world):
    bot = world.xmpp("bot")
    with Sipp(world, "romeo", "uac_message") as sipp:
        sipp.send_all(bot.address, [f"number {n}" for n in range(200)], rate=100)
        wait_for(lambda: set(sipp.sent) <= bot.ends, 10, "all of them arrive")


@case("pkix", "sipp receives 200 MESSAGEs")
def _(world):
    bot = world.xmpp("bot")
    with Sipp(world, "juliet", "uas_message") as sipp:
        sipp.start("-m", "200")
        for n in range(200):
            bot.send(sipp.address, f"number {n}")
        sipp.finish()
        sipp.note_received()
    equal(bot.errors, {}, "errors that came back")


class Phone(User):
    """An unmodified program that prints the texts it receives, and of those it sent only the failures."""

    PRINTED = re.compile(r'sips?:([^;:\s]+)[^\s]*: "?(\[[0-9a-f-]{36}\].*?)"?$', re.M)

    def __init__(self, world, name, program, user):
        super().__init__(f"{user}@{world.lab['SIP_DOMAIN']}", "sip", world.ledger(name))
        self.lab, self.env, self.seen = world.lab, dict(world.lab.env, LC_ALL="C.UTF-8"), 0
        self.script = os.path.join(HERE, "clients", "real.sh")
        self.output = os.path.join(world.lab.run, name + ".out")
        with open(self.output, "wb") as out:
            # Texts are shown by a terminal module, which wants an input that can be waited on.
            self.process = subprocess.Popen([self.script, program, user], env=self.env, stdin=subprocess.PIPE,
                                            stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
        world.join(self)

    def is_registered(self):
        """Asks it through the registrar, which says 404 or 480 for whoever is not there."""
        lab = self.lab
        asker = sipmini.Ua("asker@" + lab["SIP_DOMAIN"], f"{lab['SIP_IP']}:{lab['SIP_PORT']}", lab.ip(90))
        with asker.sock:
            answer = asker.request("OPTIONS", "sip:" + self.address, timeout=3)
        return answer is not None and answer.code not in (404, 480)

    def text(self):
        with open(self.output, errors="replace") as file:
            return file.read()

    def look(self):
        came = self.PRINTED.findall(self.text())
        for source, text in came[self.seen:]:
            self.take(text, source, None)
        self.seen = len(came)

    def hears(self, id, seconds=10):
        wait_for(lambda: self.look() or id in self.ends, seconds, f"{self.address} prints the text")
        return next(text for _, text in self.received if id in text)

    def send(self, to, text):
        id, marked = self.mark(to, text)
        self.say(to, marked)
        return id

    def arrived(self, id):
        """Takes note that a text was read and that the program shows no failure."""
        assert "failed" not in self.text(), self.text()[-2000:]
        self.answers[id] = 200
        self.ledger.write("answered", id, code=200)

    def is_answered(self, id):
        return id in self.answers

    def end(self):
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Baresip(Phone):
    """baresip, driven through its control socket."""

    def __init__(self, world, user):
        super().__init__(world, "baresip", "baresip", user)
        self.contacts = ["romeo@" + world.lab["SIP_DOMAIN"], "juliet@" + world.lab["XA_DOMAIN"]]

    def __enter__(self):
        wait_for(self.is_registered, 15, "baresip registers")
        return self

    def __exit__(self, *_):
        self.control("quit")
        self.end()

    def say(self, to, text):
        # A text goes to the current contact, which is the first one at the start.
        while self.contacts[0] != to:
            self.control("contact_next")
            self.contacts.append(self.contacts.pop(0))
        self.control("message", text)

    def control(self, *words):
        run = subprocess.run([self.script, "baresip-ctl", *words], env=self.env, capture_output=True, text=True, timeout=10)
        return run.stdout


class Linphone(Phone):
    """linphonec, driven by commands on its standard input; it registers over TCP."""

    def __init__(self, world, user):
        super().__init__(world, "linphonec", "linphonec", user)

    def __enter__(self):
        wait_for(self.is_registered, 30, "linphonec registers")
        return self

    def __exit__(self, *_):
        self.command("quit")
        self.end()

    def command(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def say(self, to, text):
        self.command(f"chat sip:{to} {text}")


def phone_and_juliet(world, program, user):
    juliet = world.xmpp("juliet")
    with program(world, user) as phone:
        phone.hears(juliet.send(phone.address, "hello phone ä"))
        id = phone.send(juliet.address, "hello from the phone")
        juliet.hears(id)
        phone.arrived(id)


@case("pkix", "baresip and an XMPP user write to each other")
def _(world):
    phone_and_juliet(world, Baresip, "mercutio")


@case("pkix", "linphonec and an XMPP user write to each other")
def _(world):
    phone_and_juliet(world, Linphone, "bot")


class Slixmpp(User):
    """A user of slixmpp, over STARTTLS with the certificate verified, in an event loop of its own."""

    def __init__(self, world, name):
        lab = world.lab
        super().__init__(f"{name}@{lab['XA_DOMAIN']}", "xmpp", world.ledger("slixmpp"))
        self.online = threading.Event()
        self.password, self.authorities = lab["PASSWORD"], lab.cert("ca.crt")
        self.server = lab["XA_IP"], int(lab["C2S_PORT"])
        self.thread = threading.Thread(target=self.main, daemon=True)
        world.join(self)

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
        self.client.add_event_handler("message", self.take_message)
        self.client.add_event_handler("message_error", self.take_error)
        # One argument up to slixmpp 1.8, two later; a loop of one's own or the class's.
        try:
            self.client.connect(self.server)
        except TypeError:
            self.client.connect(*self.server)
        self.loop.run_until_complete(self.client.disconnected)

    def start(self, _):
        self.client.send_presence()
        self.online.set()

    def take_message(self, message):
        if message["type"] != "error" and message["body"]:
            self.take(message["body"], str(message["from"]), message["id"])

    def take_error(self, message):
        self.errors[message["id"]] = message["error"]["condition"]
        self.ledger.write("error", message["id"], condition=message["error"]["condition"])

    def send(self, to, text):
        id, marked = self.mark(to, text)

        def say():
            message = self.client.make_message(mto=to, mbody=marked, mtype="chat")
            message["id"] = id
            message.send()

        self.loop.call_soon_threadsafe(say)
        return id


@case("pkix", "slixmpp over STARTTLS and a SIP user write to each other")
def _(world):
    romeo = world.sip("romeo")
    with Slixmpp(world, "nurse") as nurse:
        id = romeo.send(nurse.address, "hello slixmpp")
        equal(romeo.answer(id), 200, "the final answer")
        nurse.hears(id)
        romeo.hears(nurse.send(romeo.address, "hello from slixmpp"))


class GoSendxmpp(User):
    """go-sendxmpp, which logs in, sends one text and ends."""

    def __init__(self, world, name):
        super().__init__(f"{name}@{world.lab['XA_DOMAIN']}", "xmpp", world.ledger("go-sendxmpp"))
        self.lab, self.name = world.lab, name
        world.join(self)

    def send(self, to, text):
        id, marked = self.mark(to, text)
        command = [os.path.join(HERE, "clients", "real.sh"), "go-sendxmpp", self.name, to]
        run = subprocess.run(command, env=dict(self.lab.env, LC_ALL="C.UTF-8"), input=marked, capture_output=True, text=True, timeout=20)
        equal(run.returncode, 0, f"go-sendxmpp's status ({run.stderr.strip()})")
        return id


@case("pkix", "go-sendxmpp writes to a SIP user")
def _(world):
    romeo, nurse = world.sip("romeo"), GoSendxmpp(world, "nurse")
    sender, text = romeo.hears(nurse.send(romeo.address, "from a script, grüße"))
    equal((sender, text.strip()[39:]), (nurse.address, "from a script, grüße"), "what romeo reads")
