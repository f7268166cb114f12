"""The lab without the gateway: when these fail, no other case says anything about gangway."""
from .cases import case, equal
from .clients import Baresip, Slixmpp


@case("lab", "the servers reach each other")
def _(world):
    text = world.lab.script("selftest", check=False)
    assert "all passed" in text, text


@case("lab", "users of two XMPP servers write to each other")
def _(world):
    a, b = world.xmpp("juliet"), world.xmpp("juliet", "XB")
    for sender, receiver in ((a, b), (b, a)):
        receiver.hears(sender.send(receiver.address, "ä <&>"))
    equal(a.error(a.send("nobody@" + world.lab["XB_DOMAIN"], "who?")), "service-unavailable", "the error")


@case("lab", "SIP users write to each other")
def _(world):
    a, b = world.sip("romeo"), world.sip("mercutio")
    id = a.send(b.address, "ä <&>")
    equal(a.answer(id), 200, "the final answer")
    equal(b.hears(id)[0], a.address, "From")
    equal(a.answer(a.send("nobody@" + world.lab["SIP_DOMAIN"], "who?")), 480, "the final answer")


@case("lab", "baresip and a SIP user write to each other")
def _(world):
    romeo = world.sip("romeo")
    with Baresip(world, "bot") as phone:
        phone.hears(romeo.send(phone.address, "hello baresip"))
        id = phone.send(romeo.address, "hello from baresip")
        romeo.hears(id)
        phone.arrived(id)


@case("lab", "slixmpp and an XMPP user write to each other")
def _(world):
    juliet = world.xmpp("juliet")
    with Slixmpp(world, "nurse") as nurse:
        nurse.hears(juliet.send(nurse.address, "hello slixmpp"))
        juliet.hears(nurse.send(juliet.address, "hello from slixmpp"))
