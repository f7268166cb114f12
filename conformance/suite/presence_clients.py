"""Presence in unmodified SIP programs, as they show it or as they tell it; and Microsoft's way to subscribe."""
import re
from .cases import case, equal
from .clients import Baresip, Linphone
from .people import People, Person, keep_rules


class Program(Person):
    """The user of a SIP program, who does what he does in its window."""

    def __init__(self, people, address):
        super().__init__(people, address)
        self.write("online")

    def allows(self, watcher):
        self.write("allows", of=watcher.address)
        keep_rules(self.lab, self.address, {watcher.address: "allow"})

    def close(self):
        pass  # the program has a block of its own


class BaresipUser(Program):
    """Looks at baresip's list of contacts, which has them from its start. It knows three states: away is offline to it, whoever
    does not wish to be disturbed is busy; it shows no texts, and of several devices the last in the document."""

    LINE = re.compile(r"(Online|Offline|Busy|Unknown)\S* [^\n]*<sip:([^>;]+)")
    STATES = {"Online": [["available", ""]], "Busy": [["dnd", ""]]}

    def __init__(self, people, phone):
        super().__init__(people, phone.address)
        self.phone = phone
        self.write("program", **{"as": {"away": None, "xa": None, "chat": "available"}, "notes": False, "devices": False})

    def look(self):
        for state, address in self.LINE.findall(self.phone.control("contacts")):
            self.show(address, self.STATES.get(state, []))


@case("presence", "baresip shows a user of Prosody, once he lets it, as he is")
def _(world):
    with Baresip(world, "mercutio") as phone, People(world) as people:
        mercutio, juliet = people.join(BaresipUser(people, phone)), people.xmpp(state="dnd", note="Rehearsal")
        mercutio.write("asks", of=juliet.address)
        juliet.hears("subscribe", mercutio)
        mercutio.sees(juliet)
        juliet.allows(mercutio)
        mercutio.sees(juliet, "dnd")
        juliet.set("available")
        mercutio.sees(juliet, "available")
        juliet.set("away")
        mercutio.sees(juliet)
        juliet.set("chat")
        mercutio.sees(juliet, "available")
        juliet.logout()
        mercutio.sees(juliet)
        juliet.login("elsewhere", "dnd")
        mercutio.sees(juliet, "dnd")


@case("presence", "a user of Prosody sees linphonec come and go")
def _(world):
    with People(world) as people:
        juliet = people.xmpp()
        with Linphone(world, "bot") as phone:
            bot = people.join(Program(people, phone.address))
            bot.allows(juliet)
            juliet.adds(bot)
            juliet.has(bot, "to")
            # It has a device of a new random name each time, and no text.
            bot.write("set", device="phone", state="available", note="")
            juliet.sees(bot, "available")
        bot.write("set", device="phone", state="unavailable")
        juliet.sees(bot)


BATCH = b"""<batchSub xmlns="http://schemas.microsoft.com/2006/01/sip/batch-subscribe" uri="sip:romeo@sip.example" name="">
<action name="subscribe" id="7"><adhocList><resource uri="sip:juliet@xa.example"><context/></resource></adhocList>
<categoryList xmlns="http://schemas.microsoft.com/2006/09/sip/categorylist"><category name="state"/><category name="note"/>
</categoryList></action></batchSub>"""
# What its clients say that they can do (MS-PRES §4.11).
DIALECT = (("Accept", "application/msrtc-event-categories+xml, application/xpidf+xml, text/xml+msrtc.pidf, application/pidf+xml, "
                      "application/rlmi+xml, multipart/related"), ("Supported", "com.microsoft.autoextend"),
           ("Supported", "ms-benotify"), ("Proxy-Require", "ms-benotify"), ("Supported", "ms-piggyback-first-notify"),
           ("Supported", "eventlist"), ("Content-Type", "application/msrtc-adrl-categorylist+xml"))


@case("presence microsoft", "a SUBSCRIBE in Microsoft's dialect is answered in plain SIP, with one tuple for all devices")
def _(world):
    with People(world) as people:
        juliet, romeo = people.xmpp(state="dnd", note="Rehearsal", priority=5), people.sip()
        juliet.login("pocket", "away")
        romeo.write("program", devices=False)
        romeo.write("asks", of=juliet.address)
        equal(romeo.subscribe(juliet.address, 28800, DIALECT, BATCH), 200, "the answer to SUBSCRIBE")
        dialog = romeo.watches[juliet.address]
        answer = dialog["answer"]
        equal([answer.get("require"), answer.body], ["", b""], "Require and the body of the answer")
        assert not any("ms-" in value or "microsoft" in value for value in answer.all("supported")), answer.h
        equal(answer.get("expires"), "28800", "what is granted")
        juliet.hears("subscribe", romeo)
        juliet.allows(romeo)
        romeo.sees(juliet, ("dnd", "Rehearsal"))
        equal(dialog["notify"].get("content-type"), "application/pidf+xml", "the type of the document")
        equal([state for _, state in romeo.states if "active" not in state and "pending" not in state], [], "how it ended")


@case("presence", "a SIP user who asks once is told, and a stranger learns nothing and disturbs nobody")
def _(world):
    with People(world) as people:
        juliet, romeo, tybalt = people.xmpp(state="away", note="Rehearsal"), people.sip(), people.sip("tybalt")
        romeo.adds(juliet)
        juliet.hears("subscribe", romeo)
        juliet.allows(romeo)
        romeo.sees(juliet, ("away", "Rehearsal"))
        for person, shown in ((romeo, [["away", "Rehearsal"]]), (tybalt, [])):
            equal(person.polls(juliet), 200, f"the answer to {person.address}")
            equal(person.polled, shown, f"what {person.address} learns")
        assert ("subscribe", tybalt.address) not in juliet.words, "juliet was asked about tybalt"


@case("presence", "a user of Prosody sees baresip come and go")
def _(world):
    with Baresip(world, "mercutio") as phone, People(world) as people:
        mercutio, juliet = people.join(BaresipUser(people, phone)), people.xmpp()
        mercutio.allows(juliet)
        juliet.adds(mercutio)
        juliet.has(mercutio, "to")
        mercutio.write("set", device="phone", state="available", note="")
        juliet.sees(mercutio, "available")
        phone.control("presence_offline")
        mercutio.write("set", device="phone", state="unavailable")
        juliet.sees(mercutio)
        phone.control("presence_online")
        mercutio.write("set", device="phone", state="available", note="")
        juliet.sees(mercutio, "available")
        phone.control("presence_offline")
        mercutio.write("set", device="phone", state="unavailable")
