"""The people at both ends. Each has a thread that owns its socket, and writes down what happens to it."""
import itertools, json, os, queue, re, sys, threading, time, uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lab", "clients"))
import sipmini, xmppmini
from .lab import wait_for

MARK = re.compile(r"\[([0-9a-f-]{36})\]")
# How the gateway tells a SIP user that a text it accepted with 202 did not arrive.
FAILURE = re.compile(r"Your message to .* was not delivered: .*\(([a-z-]+)\)")
CLIENT = "{jabber:client}"
STATES = "{http://jabber.org/protocol/chatstates}"
STANZAS = "{urn:ietf:params:xml:ns:xmpp-stanzas}"


# What is sent later has a higher number, whoever sends it.
NUMBERS = itertools.count(1)


class Ledger:
    """What one user saw, a line for each event, on disk at once."""

    def __init__(self, path, side):
        self.file, self.side, self.lock = open(path, "a", buffering=1), side, threading.Lock()

    def write(self, event, id, **more):
        with self.lock:
            self.file.write(json.dumps(dict(t=time.monotonic(), side=self.side, event=event, id=id, **more)) + "\n")


class User:
    """What the two kinds have in common: texts with an id inside, and a list of what came."""

    def __init__(self, address, side, ledger):
        self.address, self.ledger, self.lock = address, Ledger(ledger, side), threading.Lock()
        self.received, self.answers, self.errors, self.stopped = [], {}, {}, False
        # The ids of what this user sent, and of what it read.
        self.sent, self.ends = [], set()

    def mark(self, to, text, sender=None):
        with self.lock:
            id = str(uuid.uuid4())
            self.ledger.write("sent", id, **{"from": sender or self.address, "to": to, "n": next(NUMBERS)})
            self.sent.append(id)
            return id, f"[{id}] {text}"

    def take(self, text, sender, wire):
        self.received.append((sender, text))
        found, failure = MARK.search(text), FAILURE.match(text)
        if found and failure:
            self.errors[found.group(1)] = failure.group(1)
            self.ledger.write("error", found.group(1), condition=failure.group(1))
        elif found:
            self.ends.add(found.group(1))
            source = re.split("[/;]", sender)[0]
            self.ledger.write("received", found.group(1), **{"from": source, "to": self.address, "wire": wire})

    def is_behind(self):
        """Tells whether more waits to be sent than anybody types ahead."""
        return False

    def was_refused(self, id):
        """Tells whether this sender was told a final no."""
        return id in self.errors or self.answers.get(id, 200) not in (200, 202)

    def is_answered(self, id):
        """Tells whether the sender's protocol has answered, where it always does."""
        return True

    def look(self):
        """Takes what has come, for a user without a thread that does."""

    def hears(self, id, seconds=10):
        """Waits for the text with an id; returns (sender, text)."""
        found = lambda: next((r for r in list(self.received) if f"[{id}]" in r[1]), None)
        return wait_for(found, seconds, f"{self.address} receives the text")


class XmppUser(User):
    def __init__(self, lab, address, ip, ledger, resource="lab"):
        super().__init__(address, "xmpp", ledger)
        # Who told this user what he does at the moment (XEP-0085).
        self.states = []
        self.client = xmppmini.Client(address, lab["PASSWORD"], ip, int(lab["C2S_PORT"]), resource=resource)
        self.thread = threading.Thread(target=self.listen, daemon=True)
        self.thread.start()

    def listen(self):
        try:
            while not self.stopped:
                stanza = self.client.stanza(0.2)
                if stanza is not None and stanza.tag == CLIENT + "message":
                    self.take_stanza(stanza)
        except (EOFError, OSError):
            self.stopped = True

    def take_stanza(self, stanza):
        for child in stanza:
            if child.tag.startswith(STATES):
                self.states.append((stanza.get("from").split("/")[0], child.tag[len(STATES):]))
        if stanza.get("type") == "error":
            error = stanza.find(CLIENT + "error")
            condition = next((c.tag[len(STANZAS):] for c in error if c.tag.startswith(STANZAS)), "?")
            self.errors[stanza.get("id")] = condition
            self.ledger.write("error", stanza.get("id"), condition=condition)
        elif body := stanza.findtext(CLIENT + "body"):
            self.take(body, stanza.get("from"), stanza.get("id"))

    def send(self, to, text):
        """Sends a text under its own id and returns the id."""
        id, marked = self.mark(to, text)
        self.client.send(f"<message to='{xmppmini.esc(to)}' type='chat' id='{id}'><body>{xmppmini.esc(marked)}</body></message>")
        return id

    def error(self, id, seconds=12):
        """Waits for the error that comes back for an id; returns its condition."""
        return wait_for(lambda: self.errors.get(id), seconds, f"{self.address} hears that it failed")

    def close(self):
        self.stopped = True
        self.thread.join(2)
        self.client.sock.close()


class SipUser(User):
    def __init__(self, lab, address, ip, ledger, transport="udp", proxy=None):
        super().__init__(address, "sip", ledger)
        port = lab["SIPS_PORT"] if transport == "tls" else lab["SIP_PORT"]
        self.ua = sipmini.Ua(address, proxy or f"{lab['SIP_IP']}:{port}", ip, transport=transport, password=lab["PASSWORD"],
                             cafile=lab.cert("ca.crt"))
        reply = self.ua.register()
        assert reply is not None and reply.code == 200, f"{address} cannot register: {reply and reply.start}"
        self.outbox, self.branches = queue.Queue(), set()
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def work(self):
        while not self.stopped:
            # What came while an answer was awaited, and what is there; a while longer when there is nothing to send.
            for message in self.ua.events(0.02 if self.outbox.empty() else 0):
                self.take_request(message)
            try:
                id, to, body, headers = self.outbox.get_nowait()
            except queue.Empty:
                continue
            reply = self.ua.request("MESSAGE", f"sip:{to}", body=body, timeout=20,
                                    headers=[("Content-Type", "text/plain;charset=UTF-8"), *headers])
            code = reply.code if reply else 0
            self.answers[id] = code
            self.ledger.write("answered", id, code=code)

    def take_request(self, message):
        branch = message.get("via")
        # A retransmission is the transaction layer's affair, not a second text.
        if message.start.startswith("MESSAGE") and branch not in self.branches:
            self.branches.add(branch)
            sender = re.search(r"sips?:([^>;]+)", message.get("from"))
            self.take(message.body.decode("utf-8", "replace"), sender and sender.group(1), message.get("call-id"))

    def send(self, to, text, headers=()):
        id, marked = self.mark(to, text)
        self.outbox.put((id, to, marked.encode(), headers))
        return id

    def is_answered(self, id):
        return id in self.answers

    def is_behind(self):
        return self.outbox.qsize() > 10

    def answer(self, id, seconds=12):
        """Waits for the final status of an id; 0 is a timeout."""
        wait_for(lambda: id in self.answers, seconds, f"{self.address} gets a final answer")
        return self.answers[id]

    def close(self):
        self.stopped = True
        self.thread.join(25)
        self.ua.register(0)
        self.ua.sock.close()
