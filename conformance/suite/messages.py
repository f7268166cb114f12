"""Texts between users of real servers, both ways, and what a sender hears when it goes wrong."""
import socket, time
from .cases import case, equal, within
from .lab import wait_for
from .users import XmppUser


def to_sip(world, server):
    juliet, romeo = world.xmpp("juliet", server), world.sip("romeo")
    id = juliet.send(romeo.address, "Ärger & <Freude> 🌹")
    sender, text = romeo.hears(id)
    equal(sender, juliet.address, "From")
    equal(text, f"[{id}] Ärger & <Freude> 🌹", "the body")


def to_xmpp(world, server):
    juliet, romeo = world.xmpp("juliet", server), world.sip("romeo")
    id = romeo.send(juliet.address, "Ärger & <Freude> 🌹")
    equal(romeo.answer(id), 200, "the final answer")
    sender, text = juliet.hears(id, 1)
    equal(sender.split("/")[0], romeo.address, "from")
    equal(text, f"[{id}] Ärger & <Freude> 🌹", "the body")


for group in ("pkix", "dialback"):
    for server, program in (("XA", "Prosody"), ("XB", "ejabberd")):
        case(group, f"{program} to SIP")(lambda world, server=server: to_sip(world, server))
        case(group, f"SIP to {program}")(lambda world, server=server: to_xmpp(world, server))
for transport in ("tcp", "tls"):
    case(transport, f"XMPP to Kamailio over {transport}")(lambda world: to_sip(world, "XA"))
    case(transport, f"Kamailio to XMPP over {transport}")(lambda world: to_xmpp(world, "XA"))
    case(transport, f"a text of 6,000 octets crosses whole over {transport}")(lambda world: long_text(world))


@case("tcp", "a SIP server that is down is told to the XMPP sender within 10 s, and is found again")
def _(world):
    juliet, lab = world.xmpp("juliet"), world.lab
    romeo = world.sip("romeo")
    romeo.hears(juliet.send(romeo.address, "before"))
    for address in [address for address in world.users if address.endswith("@" + lab["SIP_DOMAIN"])]:
        world.log_off(address)
    lab.stop("sip")
    begun, id = time.monotonic(), juliet.send(romeo.address, "meanwhile")
    within(juliet.error(id), ("remote-server-timeout", "remote-server-not-found", "recipient-unavailable"), "the error")
    assert time.monotonic() - begun < 10, "the sender heard after 10 s"
    lab.start("sip")
    romeo = world.sip("romeo")
    ids = [juliet.send(romeo.address, "after")]

    def arrives():
        if ids[-1] in juliet.errors:
            ids.append(juliet.send(romeo.address, "after"))
        return ids[-1] in romeo.ends

    wait_for(arrives, 60, "a text arrives again")


def long_text(world):
    juliet, mercutio = world.xmpp("juliet"), world.sip("mercutio", "tcp")
    for sender, receiver in ((juliet, mercutio), (mercutio, juliet)):
        _, text = receiver.hears(sender.send(receiver.address, "ö" * 3000))
        equal(len(text), 3000 + 39, f"how many characters {receiver.address} reads")


@case("pkix", "a SIP user writes to nobody at Prosody and hears it")
def _(world):
    romeo = world.sip("romeo")
    id = romeo.send("nobody@" + world.lab["XA_DOMAIN"], "who is there?")
    # Prosody says service-unavailable for a user that does not exist (RFC 6121 §8.5.1).
    within(romeo.answer(id), (403, 404, 405, 480, 604), "the final answer")


@case("pkix", "a SIP user writes to nobody at ejabberd and hears it")
def _(world):
    romeo = world.sip("romeo")
    id = romeo.send("nobody@" + world.lab["XB_DOMAIN"], "who is there?")
    within(romeo.answer(id), (403, 404, 405, 480, 604), "the final answer")


def hears_of_nobody(world, server):
    juliet = world.xmpp("juliet", server)
    id = juliet.send("nobody@" + world.lab["SIP_DOMAIN"], "who is there?")
    # 480 is recipient-unavailable (RFC 7247 §7.2).
    equal(juliet.error(id), "recipient-unavailable", "the error")


case("pkix", "a user of Prosody writes to nobody at Kamailio and hears it")(lambda world: hears_of_nobody(world, "XA"))
case("pkix", "a user of ejabberd writes to nobody at Kamailio and hears it")(lambda world: hears_of_nobody(world, "XB"))


def hears_no(world, domain, codes):
    romeo, begun = world.sip("romeo"), time.monotonic()
    id = romeo.send("juliet@" + domain, "are you there?")
    within(romeo.answer(id, 15), codes, "the final answer")
    took = time.monotonic() - begun
    assert took < 10, f"the sender heard after {took:.1f} s, not within 10 s"


@case("pkix", "a partner that refuses connections is told within 10 s")
def _(world):
    hears_no(world, "dead.example", (404, 408, 480, 504))


@case("pkix", "a partner that has no address is told within 10 s")
def _(world):
    hears_no(world, "dangling.example", (404, 408, 480, 504))


@case("pkix", "a partner that takes connections and says nothing is told within 10 s")
def _(world):
    with socket.create_server((world.lab["DEAD_IP"], int(world.lab["S2S_PORT"]))):
        hears_no(world, "silent.example", (202, 404, 408, 480, 504))


@case("pkix", "a domain that is nobody's partner is refused")
def _(world):
    hears_no(world, "stranger.example", (403, 404))


@case("pkix", "a dead first server of a partner is passed by")
def _(world):
    romeo = world.sip("romeo")
    id = romeo.send("juliet@failover.example", "hello?")
    # The second server is Prosody, whose certificate is not for this name: reached, and rightly not believed.
    within(romeo.answer(id), (403, 404, 408, 480, 504), "the final answer")


@case("pkix", "texts of one pair arrive in the order they were sent")
def _(world):
    juliet, romeo = world.xmpp("juliet"), world.sip("romeo")
    for sender, receiver in ((juliet, romeo), (romeo, juliet)):
        ids = [sender.send(receiver.address, f"line {n}") for n in range(30)]
        receiver.hears(ids[-1], 20)
        texts = [text for _, text in receiver.received if text[1:37] in ids]
        equal([text[39:] for text in texts], [f"line {n}" for n in range(30)], f"what {receiver.address} reads")


@case("pkix", "a composing notice without a text sends no empty MESSAGE")
def _(world):
    juliet, romeo = world.xmpp("juliet"), world.sip("romeo")
    before = len(romeo.received)
    juliet.client.send(f"<message to='{romeo.address}' type='chat'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>")
    romeo.hears(juliet.send(romeo.address, "here I am"))
    equal(len(romeo.received) - before, 1, "how many came")


@case("pkix", "a text too long for UDP is refused, and its sender knows")
def _(world):
    juliet, romeo = world.xmpp("juliet"), world.sip("romeo")
    # A hop by UDP must not see a MESSAGE of more than 1,300 octets (RFC 3428 §8).
    equal(juliet.error(juliet.send(romeo.address, "o" * 6000)), "policy-violation", "the error")


@case("pkix", "SIP over UDP that never answers is told to the XMPP sender when the transaction times out")
def _(world):
    juliet, lab = world.xmpp("juliet"), world.lab
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind((lab["UAS_IP"], int(lab["SIP_PORT"])))
        id = juliet.send("juliet@" + lab["UAS_DOMAIN"], "is anybody in?")
        # 64*T1 are 32 s (RFC 3261 §17.1.2.2); sooner nobody can know, for the answer may still be under way.
        within(juliet.error(id, 40), ("remote-server-timeout", "recipient-unavailable"), "the error")


@case("pkix", "two devices of one XMPP account are one partner")
def _(world):
    romeo, lab = world.sip("romeo"), world.lab
    other = world.join(XmppUser(lab, "juliet@" + lab["XA_DOMAIN"], lab["XA_IP"], world.ledger("second"), resource="second"))
    try:
        sender, _ = romeo.hears(other.send(romeo.address, "from my other device"))
        equal(sender, "juliet@" + lab["XA_DOMAIN"], "From")
    finally:
        other.close()
