"""The ledger checker itself: it must find what is wrong before it may say that nothing is."""
import ledger
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
