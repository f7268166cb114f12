"""Conversations in sessions: pidgin-sipe, which speaks Microsoft's dialect, through Kamailio, and storms by sipp."""
import html, json, os, re, subprocess, sys, threading
from .cases import case, equal
from .clients import Sipp, Slixmpp
from .lab import HERE, wait_for
from .users import User

TAGS = re.compile(r"<[^>]*>")


class Pidgin(User):
    """pidgin-sipe as it is, in libpurple without a window (lab/clients/purple.py); registered at Kamailio over TCP."""

    def __init__(self, world, user):
        lab = world.lab
        super().__init__(f"{user}@{lab['SIP_DOMAIN']}", "sip", world.ledger("pidgin"))
        self.failures, self.online = [], threading.Event()
        directory = os.path.join(lab.run, "pidgin")
        self.debug = directory + ".debug"
        settings = [f"server={lab['SIP_IP']}:{lab['SIP_PORT']}", "transport=tcp", "authentication=ntlm", "calendar=NONE"]
        # Its account is named "address,login".
        command = [sys.executable, os.path.join(HERE, "clients", "purple.py"), directory, "prpl-sipe", f"{self.address},{self.address}",
                   lab["PASSWORD"], *settings]
        with open(self.debug, "wb") as debug:
            self.process = subprocess.Popen(command, env=dict(os.environ, HOME=lab.run, LC_ALL="C.UTF-8"), stdin=subprocess.PIPE,
                                            stdout=subprocess.PIPE, stderr=debug, text=True, cwd=lab.run)
        self.thread = threading.Thread(target=self.listen, daemon=True)
        self.thread.start()
        world.join(self)

    def __enter__(self):
        assert self.online.wait(30), f"pidgin-sipe is not signed on after 30 s, see {self.debug}"
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.thread.join(2)

    def listen(self):
        for line in self.process.stdout:
            event = json.loads(line)
            if event["event"] == "signed-on":
                self.online.set()
            elif event["event"] == "received":
                self.take(html.unescape(TAGS.sub("", event["text"])), event["from"].removeprefix("sip:"), None)
            elif event["event"] in ("error", "disconnected"):
                self.failures.append(event["text"])

    def command(self, **words):
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()

    def send(self, to, text):
        id, marked = self.mark(to, text)
        # What is typed into its window is HTML.
        self.command(to="sip:" + to, text=html.escape(marked, quote=False))
        return id

    def types(self, to):
        self.command(typing="sip:" + to)

    def wire(self):
        """Returns what it has written of its messages."""
        with open(self.debug, errors="replace") as file:
            return file.read()

    def close_window(self, of):
        self.command(close="sip:" + of)

    def arrived(self, id):
        """Takes note that a text was read and that its window shows no failure."""
        equal(self.failures, [], "what the window says about failures")
        self.answers[id] = 200
        self.ledger.write("answered", id, code=200)

    def is_answered(self, id):
        return id in self.answers


@case("sessions", "pidgin-sipe and an XMPP user hold a conversation, whoever writes first")
def _(world):
    juliet = world.xmpp("juliet")
    with Pidgin(world, "mercutio") as mercutio:

        def tells(text):
            id = mercutio.send(juliet.address, text)
            sender, _ = juliet.hears(id)
            equal(sender, mercutio.address, "the sender")
            mercutio.arrived(id)

        def asks(text):
            sender, shown = mercutio.hears(juliet.send(mercutio.address, text))
            equal((sender, shown[39:]), (juliet.address, text), "what the window shows")

        asks("hello pidgin, grüße & <b>")
        tells("hello juliet, <i> & ä")
        asks("how are you?")
        tells("fine")
        # The window is closed: BYE; the next text of either opens another session.
        mercutio.close_window(juliet.address)
        tells("one thing more")
        asks("yes?")
        mercutio.close_window(juliet.address)
        asks("are you there?")
        tells("again")


@case("sessions", "pidgin-sipe and an XMPP user see each other type")
def _(world):
    juliet = world.xmpp("juliet")
    state = "<{} xmlns='http://jabber.org/protocol/chatstates'/>".format
    with Pidgin(world, "mercutio") as mercutio:
        mercutio.hears(juliet.send(mercutio.address, "let us type"))
        juliet.client.send(f"<message to='{mercutio.address}' type='chat'>{state('composing')}</message>")
        wait_for(lambda: 'status="type"' in mercutio.wire(), 10, "the client hears that juliet types")
        mercutio.types(juliet.address)
        wait_for(lambda: (mercutio.address, "composing") in juliet.states, 10, "juliet sees that mercutio types")


@case("sessions", "pidgin-sipe and slixmpp write to each other")
def _(world):
    with Slixmpp(world, "nurse") as nurse, Pidgin(world, "romeo") as romeo:
        romeo.hears(nurse.send(romeo.address, "hello pidgin"))
        id = romeo.send(nurse.address, "hello slixmpp")
        nurse.hears(id)
        romeo.arrived(id)


@case("sessions", "fifty texts each way, at once, arrive once and in order")
def _(world):
    juliet = world.xmpp("juliet")
    with Pidgin(world, "mercutio") as mercutio:
        mercutio.hears(juliet.send(mercutio.address, "ready"))
        down = [juliet.send(mercutio.address, f"down {n}") for n in range(50)]
        up = [mercutio.send(juliet.address, f"up {n}") for n in range(50)]
        mercutio.hears(down[-1], 30)
        juliet.hears(up[-1], 30)
        for id in up:
            mercutio.arrived(id)
        for receiver, ids, word in ((mercutio, down, "down"), (juliet, up, "up")):
            texts = [text[39:] for _, text in receiver.received if text[1:37] in ids]
            equal(texts, [f"{word} {n}" for n in range(50)], f"what {receiver.address} reads")


@case("sessions", "sipp opens 100 sessions, writes, types and ends them")
def _(world):
    bot = world.xmpp("bot")
    with Sipp(world, "romeo", "uac_session") as sipp:
        sipp.send_all(bot.address, [f"number {n}" for n in range(100)], rate=20, senders=[f"u{n}" for n in range(100)])
        wait_for(lambda: set(sipp.sent) <= bot.ends, 10, "all of them arrive")


@case("sessions", "sipp takes a session and 100 texts in it")
def _(world):
    bot = world.xmpp("bot")
    with Sipp(world, "juliet", "uas_session") as sipp:
        sipp.start("-m", "1")
        # As many as may wait until it has accepted, and then the others.
        ids = [bot.send(sipp.address, f"number {n}") for n in range(50)]
        wait_for(lambda: "SIP/2.0 200 OK" in sipp.messages(), 10, "sipp accepts")
        ids += [bot.send(sipp.address, f"number {n}") for n in range(50, 100)]
        sipp.finish()
        sipp.note_received()
    equal([bot.errors[id] for id in ids if id in bot.errors], [], "errors that came back")


@case("sessions", "whatever sipp refuses a session with, each text comes back once")
def _(world):
    bot = world.xmpp("bot")
    ids = []
    with Sipp(world, "juliet", "uas_refuses") as sipp:
        sipp.start("-m", "100")
        for n in range(100):
            ids.append(bot.send(f"u{n}@{world.lab['UAS_DOMAIN']}", f"number {n}"))
        wait_for(lambda: all(bot.errors.get(id) for id in ids), 40, "every text comes back")
        sipp.finish()
    equal({bot.errors[id] for id in ids} - {"recipient-unavailable", "not-acceptable"}, set(), "other errors")
