"""The ledger checker itself: it must find what is wrong before it may say that nothing is."""
import ledger, presence_ledger
from .cases import case, equal


def history(*events):
    base = {"side": "sip", "from": "romeo@sip.example", "to": "juliet@xa.example", "n": 1}
    return [dict(base, t=float(t), **event) for t, event in enumerate(events)]


SENT, RECEIVED = {"event": "sent", "id": "a"}, {"event": "received", "id": "a", "side": "xmpp", "wire": "w"}
TAKEN, REFUSED = {"event": "answered", "id": "a", "code": 200}, {"event": "answered", "id": "a", "code": 404}
SECOND = dict(SENT, id="b", n=2)


def kinds(*events, faults=0, overtaken=()):
    return sorted({sentence[:2] for sentence in ledger.violations(history(*events), faults, overtaken)})


@case("ledger", "a delivered and acknowledged text is well")
def _(_):
    equal(kinds(SENT, RECEIVED, TAKEN), [], "violations")


@case("ledger", "a refused text that nobody read is well")
def _(_):
    equal(kinds(SENT, REFUSED), [], "violations")


@case("ledger", "an accepted text that nobody read is lost")
def _(_):
    equal(kinds(SENT, TAKEN), ["N2"], "violations")


@case("ledger", "a text that nobody sent is forged")
def _(_):
    equal(kinds(RECEIVED), ["N3"], "violations")


@case("ledger", "a text that was refused and read is a lie, unless there was a fault")
def _(_):
    equal(kinds(SENT, RECEIVED, REFUSED), ["N3"], "violations")
    equal(kinds(SENT, RECEIVED, REFUSED, faults=1), [], "violations")


@case("ledger", "a text that was read twice is a repetition, unless there was a fault and the id is the same")
def _(_):
    equal(kinds(SENT, RECEIVED, RECEIVED, TAKEN), ["N4"], "violations")
    equal(kinds(SENT, RECEIVED, RECEIVED, TAKEN, faults=1), [], "violations")
    equal(kinds(SENT, RECEIVED, dict(RECEIVED, wire="v"), TAKEN, faults=1), ["N4"], "violations")


@case("ledger", "a text that overtakes another is out of order")
def _(_):
    equal(kinds(SENT, SECOND, dict(RECEIVED, id="b"), RECEIVED, TAKEN, dict(TAKEN, id="b")), ["N5"], "violations")


@case("ledger", "a server that overtakes itself is excused once for each stream")
def _(_):
    third = dict(SENT, id="c", n=3)
    sent = [SENT, SECOND, third, TAKEN, dict(TAKEN, id="b"), dict(TAKEN, id="c")]
    once = [*sent, dict(RECEIVED, id="b"), RECEIVED, dict(RECEIVED, id="c")]
    twice = [*sent, dict(RECEIVED, id="c"), dict(RECEIVED, id="b"), RECEIVED]
    equal(kinds(*once, overtaken=["xa.example"]), ["N5"], "violations of another's texts")
    equal(kinds(*once, overtaken=["sip.example"]), [], "violations of its texts")
    equal(kinds(*twice, overtaken=["sip.example"]), ["N5"], "violations when it happens twice")


@case("ledger", "a text that comes to somebody else, or as from somebody else, is forged")
def _(_):
    equal(kinds(SENT, dict(RECEIVED, to="nurse@xa.example"), TAKEN), ["N3"], "violations")
    equal(kinds(SENT, dict(RECEIVED, **{"from": "mercutio@sip.example"}), TAKEN), ["N3"], "violations")


@case("ledger", "a text that was accepted and then reported as failed is well")
def _(_):
    equal(kinds(SENT, dict(TAKEN, code=202), {"event": "error", "id": "a"}), [], "violations")


@case("ledger", "a text without any answer leaves its sender in the dark")
def _(_):
    equal(kinds(SENT), ["N7"], "violations")


def seen(*events):
    """What happened between juliet, who watches, and romeo; the first to speak is named by the event."""
    by_romeo = ("allows", "refuses", "hides", "set", "prompted")
    who = lambda event: ("romeo", "juliet") if event["event"] in by_romeo else ("juliet", "romeo")
    lines = [dict(dict(zip(("who", "of"), who(event))), t=float(t), **event) for t, event in enumerate(events)]
    return sorted({sentence[:2] for sentence in presence_ledger.violations(lines)})


ONLINE, ASKS, LEAVES, ALLOWS, REFUSES, HIDES, PROMPTED = (
    {"event": word} for word in ("online", "asks", "leaves", "allows", "refuses", "hides", "prompted"))
AWAY, GONE = {"event": "set", "device": "d", "state": "away", "note": "n"}, {"event": "set", "device": "d", "state": "unavailable"}
SEES, SEES_NOBODY = {"event": "shown", "devices": [["away", "n"]]}, {"event": "shown", "devices": []}
TO, NONE = {"event": "roster", "subscription": "to"}, {"event": "roster", "subscription": "none"}
WATCHING = [ONLINE, ASKS, ALLOWS, TO, AWAY, SEES]


@case("ledger", "what a contact set and his watcher is shown is well")
def _(_):
    equal(seen(*WATCHING), [], "violations")
    equal(seen(*WATCHING, GONE, SEES_NOBODY, LEAVES, NONE), [], "violations")


@case("ledger", "a state that the watcher is not shown, or is still shown, is untrue")
def _(_):
    equal(seen(*WATCHING[:-1]), ["N6"], "violations when he is not shown it")
    equal(seen(*WATCHING, GONE), ["N6"], "violations when he is still shown it")
    equal(seen(*WATCHING, HIDES), ["N6"], "violations when it is hidden")
    equal(seen(*WATCHING, HIDES, SEES_NOBODY), [], "violations when he is shown nothing")
    equal(seen(*WATCHING, dict(AWAY, note="m")), ["N6"], "violations when the text is another")


@case("ledger", "a watcher whom nobody lets see must not be shown anything")
def _(_):
    equal(seen(ONLINE, ASKS, AWAY, SEES, SEES_NOBODY), ["N3"], "violations")
    equal(seen(*WATCHING, REFUSES, NONE, SEES_NOBODY), [], "violations when it was taken back")
    equal(seen(*WATCHING, REFUSES, NONE), ["N6"], "violations when he is still shown")


@case("ledger", "a roster that changes without a user's word, or not with it, is wrong")
def _(_):
    equal(seen(*WATCHING, NONE), ["N6"], "violations when nobody said so")
    equal(seen(*WATCHING, NONE, TO), ["N6"], "violations when it comes back")
    equal(seen(*WATCHING, REFUSES, SEES_NOBODY), ["N6"], "violations when it stays")


@case("ledger", "a user who is asked about somebody whom he allows is disturbed")
def _(_):
    equal(seen(*WATCHING, PROMPTED), ["N6"], "violations")
    equal(seen(ONLINE, ASKS, PROMPTED, PROMPTED, ALLOWS, AWAY, SEES), [], "violations when he has not answered yet")


@case("ledger", "a program that shows less is held to what it shows")
def _(_):
    program = {"event": "program", "as": {"away": "busy"}, "notes": False, "devices": False}
    other = dict(AWAY, device="e", state="dnd", priority=-1)
    equal(seen(program, *WATCHING[:-1], other, {"event": "shown", "devices": [["busy", ""]]}), [], "violations")
    equal(seen(program, *WATCHING[:-1], other, {"event": "shown", "devices": [["dnd", ""]]}), ["N6"], "violations")
