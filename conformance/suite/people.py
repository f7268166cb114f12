"""People whose programs show presence: XMPP users in slixmpp at their own servers, SIP users at Kamailio's presence server.

Each writes down what he does and what his program shows; when a case ends, presence_ledger.py judges it."""
import asyncio, itertools, json, os, queue, re, socket, sqlite3, threading, time
import xml.etree.ElementTree as ET
import presence_ledger
from .lab import wait_for
from .users import sipmini, xmppmini

OFF = "unavailable"
PIDF, DM, RPID = "{urn:ietf:params:xml:ns:pidf}", "{urn:ietf:params:xml:ns:pidf:data-model}", "{urn:ietf:params:xml:ns:pidf:rpid}"
NUMBERS = itertools.count(1)


class People:
    """Who takes part in one case. When it ends well, everything shown must have become true."""

    def __init__(self, world):
        self.world, self.lab, self.everybody, self.diaries = world, world.lab, [], []

    def __enter__(self):
        return self

    def __exit__(self, failure, *_):
        try:
            if failure is None:
                self.prove()
        finally:
            for person in self.everybody:
                person.leave()

    def diary(self, name):
        self.diaries.append(os.path.join(self.lab.run, f"{name}.{next(NUMBERS)}.presence.jsonl"))
        return self.diaries[-1]

    def prove(self, seconds=20):
        """Waits until what is shown is true; the ledger names what is not."""
        judge = lambda: presence_ledger.violations(presence_ledger.read(self.diaries))
        try:
            wait_for(lambda: not judge(), seconds, "what is shown is true")
        except AssertionError:
            raise AssertionError("\n".join(judge()[:20])) from None

    def join(self, person):
        self.everybody.append(person)
        return person

    def xmpp(self, name="juliet", server="XA", **initial):
        """A user of Prosody (XA) or ejabberd (XB), online."""
        person = self.join(XmppPerson(self, f"{name}@{self.lab[server + '_DOMAIN']}", server))
        person.login(**initial)
        return person

    def sip(self, name="romeo"):
        """A user of sip.example whom nobody has met."""
        return self.join(SipPerson(self, f"{name}{next(NUMBERS)}@{self.lab['SIP_DOMAIN']}"))


class Person:
    def __init__(self, people, address):
        self.people, self.lab, self.address, self.shown, self.lock = people, people.lab, address, {}, threading.Lock()
        self.diary = open(people.diary(address), "a", buffering=1)

    def write(self, event, **more):
        with self.lock:
            self.diary.write(json.dumps(dict(t=time.monotonic(), event=event, who=self.address, **more)) + "\n")

    def show(self, of, devices):
        """Takes what the program shows of somebody: a list of [state, text]."""
        devices = sorted(devices)
        if self.shown.get(of) != devices:
            self.shown[of] = devices
            self.write("shown", of=of, devices=devices)

    def leave(self):
        try:
            self.close()
        except (AssertionError, OSError, queue.Empty) as error:
            print(f"#    {self.address} could not leave in peace: {error}", flush=True)

    def look(self):
        """Takes what is on the screen, for a program that must be asked."""

    def sees(self, contact, *devices, seconds=10):
        """Waits until the program shows these devices of a contact, and no others: each a state, or a state and a text."""
        wanted = sorted([device, ""] if isinstance(device, str) else list(device) for device in devices)

        def is_shown():
            self.look()
            return self.shown.get(contact.address, []) == wanted

        try:
            wait_for(is_shown, seconds, "")
        except AssertionError:
            raise AssertionError(f"{self.address} sees {self.shown.get(contact.address)} of {contact.address} after {seconds} s, "
                                 f"not {wanted}") from None


class Session:
    """One of a user's programs: slixmpp, in an event loop of its own."""

    def __init__(self, person, resource):
        self.person, self.resource, self.online, self.ended = person, resource, threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self.main, daemon=True)
        self.thread.start()
        if not self.online.wait(15):
            raise AssertionError(f"{person.address}/{resource} is not online after 15 s")

    def main(self):
        import slixmpp  # here, so that the other cases run without it
        lab, person = self.person.lab, self.person
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        self.client = client = slixmpp.ClientXMPP(f"{person.address}/{self.resource}", lab["PASSWORD"])
        client.ca_certs = lab.cert("ca.crt")
        client.roster.auto_authorize, client.roster.auto_subscribe = None, False
        client.client_roster.auto_authorize, client.client_roster.auto_subscribe = None, False
        client.add_event_handler("session_start", self.start)
        client.add_event_handler("roster_update", self.roster)
        for kind in ("available", "chat", "away", "xa", "dnd", OFF):
            client.add_event_handler("presence_" + kind, self.presence)
        for kind in ("subscribe", "subscribed", "unsubscribe", "unsubscribed", "error"):
            client.add_event_handler("presence_" + kind, self.word)
        address = lab[person.server + "_IP"], int(lab["C2S_PORT"])
        # One argument up to slixmpp 1.8, two later; a loop of one's own or the class's.
        try:
            client.connect(address)
        except TypeError:
            client.connect(*address)
        self.loop.run_until_complete(client.disconnected)
        self.ended.set()

    async def start(self, _):
        self.roster(await self.client.get_roster())
        self.person.write("online")
        self.online.set()

    def roster(self, iq):
        for address, item in iq["roster"]["items"].items():
            self.person.take_roster(str(address), item["subscription"], item["ask"] == "subscribe")

    def presence(self, stanza):
        contact = stanza["from"].bare
        if contact != self.person.address:
            resources = self.client.client_roster[contact].resources
            self.person.details[contact] = {name: dict(value) for name, value in resources.items()}
            self.person.show(contact, [[r["show"] or "available", r["status"]] for r in resources.values()])

    def word(self, stanza):
        self.person.take_word(stanza["type"], stanza["from"].bare)

    def do(self, act):
        """Has the program do something, in its own loop."""
        self.loop.call_soon_threadsafe(act)

    def say(self, kind, to):
        self.do(lambda: self.client.send_presence(ptype=kind, pto=to))

    def end(self):
        if not self.ended.is_set():
            self.do(self.client.disconnect)
        self.thread.join(5)


class XmppPerson(Person):
    def __init__(self, people, address, server):
        super().__init__(people, address)
        # What the server says, what came from contacts, and what the program knows of each device.
        self.server, self.sessions, self.subscriptions, self.words, self.details = server, {}, {}, [], {}

    # -- programs --
    def login(self, resource="desk", state="available", note="", priority=0):
        """Comes online with one program more. The first one's window is what the user looks at."""
        self.shown, self.details = ({}, {}) if not self.sessions else (self.shown, self.details)
        self.sessions[resource] = Session(self, resource)
        self.set(state, note, priority, resource)

    def logout(self, resource="desk"):
        self.write("set", device=resource, state=OFF)
        session = self.sessions.pop(resource)
        session.end()
        if not self.sessions:
            self.gone()

    def gone(self):
        """No program runs, by one's own will or because the server went."""
        self.write("offline")
        self.shown = {}

    def loses_its_server(self):
        for resource, session in list(self.sessions.items()):
            wait_for(session.ended.is_set, 20, f"{self.address}/{resource} loses its server")
            self.write("set", device=resource, state=OFF)
        self.sessions = {}
        self.gone()

    def set(self, state, note="", priority=0, resource="desk"):
        """Says what he does, to everybody who may know."""
        self.write("set", device=resource, state=state, note=note, priority=priority)
        session, show = self.sessions[resource], state if state != "available" else None
        session.do(lambda: session.client.send_presence(pshow=show, pstatus=note or None, ppriority=priority or None))

    @property
    def session(self):
        return next(iter(self.sessions.values()))

    # -- what came --
    def take_roster(self, address, subscription, asked):
        subscription = "none" if subscription == "remove" else subscription
        self.subscriptions[address] = subscription, asked
        # What an earlier case that failed has left is not this one's affair.
        if any(person.address == address for person in self.people.everybody):
            self.write("roster", of=address, subscription=subscription)

    def take_word(self, kind, sender):
        if kind == "subscribe":
            self.write("prompted", of=sender)
        self.words.append((kind, sender))

    def hears(self, kind, contact, seconds=10):
        wait_for(lambda: (kind, contact.address) in self.words, seconds, f"{self.address} hears {kind} of {contact.address}")

    def has(self, contact, subscription, asked=False, seconds=10):
        """Waits until the roster says this of a contact."""
        got = lambda: self.subscriptions.get(contact.address, ("none", False))
        try:
            wait_for(lambda: got() == (subscription, asked), seconds, "")
        except AssertionError:
            raise AssertionError(f"the roster of {self.address} says {got()} of {contact.address}, not {subscription!r}") from None

    def priority(self, contact):
        """Returns the priorities of a contact's devices as the program has them."""
        return sorted(device["priority"] for device in self.details[contact.address].values())

    # -- what is done --
    def adds(self, contact):
        self.write("asks", of=contact.address)
        self.session.say("subscribe", contact.address)

    def removes(self, contact):
        """Unsubscribes; the contact stays in the list."""
        self.write("leaves", of=contact.address)
        self.session.say("unsubscribe", contact.address)

    def allows(self, watcher):
        self.write("allows", of=watcher.address)
        self.session.say("subscribed", watcher.address)

    def refuses(self, watcher):
        self.write("refuses", of=watcher.address)
        self.session.say("unsubscribed", watcher.address)

    def close(self):
        if not self.sessions and self.subscriptions:
            self.login()
        for address in self.subscriptions:
            session = self.session
            session.do(lambda address=address: session.client.del_roster_item(address))
        try:
            wait_for(lambda: all(s == ("none", False) for s in self.subscriptions.values()), 10, "an empty roster")
        except AssertionError:
            pass  # the case has its verdict
        for session in self.sessions.values():
            session.end()


# What is shown of a SIP user who gives no text, where the state alone does not say it (docs/presence.md).
WORDS = {"dnd": "Busy"}
# What a rule of RFC 5025 does with a watcher.
RULES = {"allows": "allow", "refuses": "block", "hides": "polite-block"}


class SipPerson(Person):
    """A SIP user whose agent publishes, subscribes, and answers 200 to each NOTIFY, in a thread of its own."""

    def __init__(self, people, address, transport="udp"):
        super().__init__(people, address)
        lab = self.lab
        self.ua = sipmini.Ua(address, f"{lab['SIP_IP']}:{lab['SIP_PORT']}", lab.ip(60 + next(NUMBERS) % 190), transport=transport)
        self.etag, self.rules, self.watches, self.states, self.winfo, self.poll, self.stopped = None, {}, {}, [], None, None, False
        self.jobs, self.again = queue.Queue(), {}
        self.write("online")
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    # -- the thread --
    def work(self):
        while not self.stopped:
            for message in self.ua.events(0.02):
                if message.start.startswith("NOTIFY"):
                    self.take_notify(message)
            while not self.jobs.empty():
                act, done = self.jobs.get()
                done.put(act())
            for address in [address for address, at in self.again.items() if at <= time.monotonic()]:
                if self.subscribe_now(address, 600, timeout=2) != 200:
                    self.again[address] = time.monotonic() + 1
                else:
                    del self.again[address]

    def do(self, act):
        done = queue.Queue()
        self.jobs.put((act, done))
        return done.get(timeout=60)

    # -- as a contact --
    def set(self, state, note="", priority=None, device="phone"):
        """Publishes (RFC 3903) to his own server; `away` and `dnd` as activities of RFC 4480, which have names of their own."""
        more = {} if priority is None else {"priority": priority}
        self.write("set", device=device, state=state, note=note or WORDS.get(state, ""), **more)
        body = b"" if state == OFF else self.document(state, note, priority, device)
        headers = [("Event", "presence"), ("Expires", "0" if state == OFF else "600")]
        if self.etag:
            headers.append(("SIP-If-Match", self.etag))
        if body:
            headers.append(("Content-Type", "application/pidf+xml"))
        answer = self.do(lambda: self.ua.request("PUBLISH", "sip:" + self.address, body=body, headers=headers, timeout=20))
        assert answer is not None and answer.code == 200, f"PUBLISH of {self.address}: {answer and answer.start}"
        self.etag = None if state == OFF else answer.get("sip-etag")

    def document(self, state, note, priority, device):
        activity = {"away": "<rpid:away/>", "dnd": "<rpid:busy/>"}.get(state, "")
        contact = "" if priority is None else f'<contact priority="{priority}">sip:{self.address}</contact>'
        person = f'<dm:person id="p1"><rpid:activities>{activity}</rpid:activities></dm:person>' if activity else ""
        text = f'<note>{xmppmini.esc(note)}</note>' if note else ""
        return ('<?xml version="1.0" encoding="UTF-8"?><presence xmlns="urn:ietf:params:xml:ns:pidf" '
                'xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid" '
                f'entity="sip:{self.address}"><tuple id="{device}"><status><basic>open</basic></status>{contact}{text}</tuple>'
                f'{person}</presence>').encode()

    def allows(self, watcher):
        self.rule("allows", watcher)

    def refuses(self, watcher):
        self.rule("refuses", watcher)

    def hides(self, watcher):
        self.rule("hides", watcher)

    def rule(self, word, watcher):
        self.write(word, of=watcher.address)
        self.rules[watcher.address] = RULES[word]
        keep_rules(self.lab, self.address, self.rules)

    def watchers(self):
        """Asks his server who watches him (RFC 3857); returns states by address."""
        self.winfo = None
        self.do(lambda: self.ua.request("SUBSCRIBE", "sip:" + self.address, timeout=10, headers=[
            ("Event", "presence.winfo"), ("Accept", "application/watcherinfo+xml"), ("Expires", 0)]))
        wait_for(lambda: self.winfo is not None, 10, f"{self.address} is told who watches him")
        found = self.winfo.iter("{urn:ietf:params:xml:ns:watcherinfo}watcher")
        return {watcher.text.strip().removeprefix("sip:"): watcher.get("status") for watcher in found}

    # -- as a watcher --
    def adds(self, contact, expires=600):
        """Subscribes (RFC 3856); returns the status."""
        self.write("asks", of=contact.address)
        return self.subscribe(contact.address, expires)

    def subscribe(self, address, expires=600, headers=(("Accept", "application/pidf+xml"),), body=b""):
        return self.do(lambda: self.subscribe_now(address, expires, headers, body))

    def subscribe_now(self, address, expires, headers=(("Accept", "application/pidf+xml"),), body=b"", timeout=20):
        headers = [("Event", "presence"), ("Expires", expires), *headers]
        call, tag = sipmini.rnd(20), sipmini.rnd()
        # Its NOTIFY may come first (RFC 6665 §4.1.2.4).
        dialog = {"call": call, "tag": tag, "cseq": 0, "routes": [], "state": None}
        self.watches[address] = dialog
        answer = self.ua.request("SUBSCRIBE", "sip:" + address, body=body, headers=headers, callid=call, fromtag=tag,
                                 timeout=timeout)
        if answer is None:
            return 0
        if answer.code < 300:
            dialog["routes"] = answer.all("record-route")[::-1]
            dialog["target"] = re.search(r"<(.*?)>", answer.get("contact")).group(1)
            dialog["to"] = re.search(r"tag=([^;\s]+)", answer.get("to")).group(1)
        dialog["answer"] = answer
        return answer.code

    def polls(self, contact):
        """Subscribes for no time (RFC 6665 §4.4.3), beside what there is; returns the status. What comes is `polled`."""
        self.polled, self.poll = None, sipmini.rnd(20)
        headers = [("Event", "presence"), ("Accept", "application/pidf+xml"), ("Expires", 0)]
        answer = self.do(lambda: self.ua.request("SUBSCRIBE", "sip:" + contact.address, headers=headers, callid=self.poll, timeout=20))
        wait_for(lambda: self.polled is not None, 10, f"{self.address} is told once")
        return answer.code if answer else 0

    def refresh(self, contact, expires=600):
        """Subscribes once more in the same dialog; returns the status."""
        dialog = self.watches[contact.address]
        headers = [("Event", "presence"), ("Accept", "application/pidf+xml"), ("Expires", expires)]
        headers += [("Route", route) for route in dialog["routes"]]
        answer = self.do(lambda: self.ua.request("SUBSCRIBE", dialog["target"], to="sip:" + contact.address, headers=headers,
                                                 callid=dialog["call"], fromtag=dialog["tag"], totag=dialog["to"], timeout=20))
        return answer.code if answer else 0

    def removes(self, contact):
        self.write("leaves", of=contact.address)
        return self.refresh(contact, 0)

    def take_notify(self, message):
        if message.get("event").startswith("presence.winfo"):
            self.winfo = ET.fromstring(message.body)
            return
        if message.get("call-id") == self.poll:
            self.polled = read_pidf(message.body) if message.body else []
            return
        call, cseq = message.get("call-id"), int(message.get("cseq").split()[0])
        address = next((a for a, dialog in self.watches.items() if dialog["call"] == call), None)
        dialog = self.watches.get(address)
        if dialog is None or cseq <= dialog["cseq"]:
            return
        dialog["cseq"], dialog["state"] = cseq, message.get("subscription-state")
        self.states.append((address, dialog["state"]))
        dialog["notify"] = message
        if message.body:
            self.show(address, read_pidf(message.body))
        if dialog["state"].startswith("terminated"):
            self.show(address, [])
            # Whoever is told so subscribes anew at once (RFC 6665 §4.1.3), and tries until it works.
            if "deactivated" in dialog["state"]:
                self.again[address] = time.monotonic()

    def is_told(self, contact, state, seconds=10):
        """Waits until the subscription's state begins with this."""
        state_of = lambda: (self.watches[contact.address]["state"] or "")
        try:
            wait_for(lambda: state_of().startswith(state), seconds, "")
        except AssertionError:
            raise AssertionError(f"{self.address} was told {state_of()!r} of {contact.address}, not {state!r}") from None

    def close(self):
        self.again = {}
        for address, dialog in self.watches.items():
            if dialog.get("to") and not (dialog["state"] or "").startswith("terminated"):
                self.write("leaves", of=address)
                headers = [("Event", "presence"), ("Expires", 0)] + [("Route", route) for route in dialog["routes"]]
                self.do(lambda d=dialog, a=address: self.ua.request(
                    "SUBSCRIBE", d["target"], to="sip:" + a, headers=headers, callid=d["call"], fromtag=d["tag"], totag=d["to"],
                    timeout=5))
        if self.etag:
            self.set(OFF)
        self.stopped = True
        self.thread.join(25)
        self.ua.sock.close()


def keep_rules(lab, owner, rules):
    """Changes who may see a SIP user, as XCAP would (RFC 5025), and has Kamailio apply it."""
    text = "".join(
        f'<rule id="r{n}"><conditions><identity><one id="sip:{address}"/></identity></conditions>'
        f'<actions><pr:sub-handling>{handling}</pr:sub-handling></actions><transformations><pr:provide-services>'
        '<pr:all-services/></pr:provide-services><pr:provide-persons><pr:all-persons/></pr:provide-persons>'
        '<pr:provide-all-attributes/></transformations></rule>' for n, (address, handling) in enumerate(rules.items()))
    document = ('<?xml version="1.0" encoding="UTF-8"?><ruleset xmlns="urn:ietf:params:xml:ns:common-policy" '
                f'xmlns:pr="urn:ietf:params:xml:ns:pres-rules">{text}</ruleset>')
    name, domain = owner.split("@")
    database = sqlite3.connect(os.path.join(lab.run, "data/sip/presence.sqlite"), timeout=20)
    with database:
        # 2 is PRES_RULES.
        database.execute("INSERT OR REPLACE INTO xcap (username, domain, doc, doc_type, etag, source, doc_uri, port) "
                         "VALUES (?, ?, ?, 2, 'e', 0, ?, 0)", (name, domain, document.encode(), name + "/pres-rules"))
    database.close()
    remote_procedure(lab, "presence.refreshWatchers", "sip:" + owner, "presence", 0)


def read_pidf(body):
    """Returns what a presence document shows, as a list of [state, text]."""
    root, shown = ET.fromstring(body), []
    activities = [child.tag.removeprefix(RPID) for child in root.findall(f"{DM}person/{RPID}activities/*")]
    for tuple in root.findall(PIDF + "tuple"):
        if tuple.findtext(f"{PIDF}status/{PIDF}basic") != "open":
            continue
        state = tuple.findtext(f"{PIDF}status/{{jabber:client}}show")
        state = state or {"away": "away", "busy": "dnd"}.get(next(iter(activities), ""), "available")
        shown.append([state, tuple.findtext(PIDF + "note") or ""])
    return shown


def remote_procedure(lab, method, *params):
    """Asks Kamailio by its socket."""
    path = os.path.join(lab.run, "run", f"rpc.{next(NUMBERS)}")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asker:
        asker.bind(path)
        asker.settimeout(10)
        asker.sendto(json.dumps({"jsonrpc": "2.0", "method": method, "params": params, "id": 1}).encode(),
                     os.path.join(lab.run, "run", "kamailio.sock"))
        answer = json.loads(asker.recv(1 << 20))
    os.unlink(path)
    assert "result" in answer, f"{method}: {answer}"
    return answer["result"]
