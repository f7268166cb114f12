"""Who sees whom, between people at real servers: each case ends when presence_ledger.py finds all that is shown to be true."""
from .cases import case, equal, within
from .lab import wait_for
from .people import OFF, People

SERVERS = (("XA", "Prosody"), ("XB", "ejabberd"))


def presence(name):
    """Registers a case for a user of each XMPP server; `{}` in its name is the server's."""
    def register(run):
        for server, program in SERVERS:
            def in_company(world, server=server):
                with People(world) as people:
                    run(people, server)
            case("presence", name.format(program))(in_company)
        return run
    return register


# -- an XMPP user watches a SIP user --


@presence("a user of {} adds a SIP user: nothing before he allows it, then the roster says `to` and his state is there")
def _(people, server):
    juliet, romeo = people.xmpp(server=server), people.sip()
    romeo.set("dnd", "In a meeting & <b>ä</b>")
    juliet.adds(romeo)
    juliet.has(romeo, "none", asked=True)
    wait_for(lambda: romeo.watchers() == {juliet.address: "pending"}, 10, "Kamailio has the subscription as pending")
    equal(juliet.shown.get(romeo.address, []), [], "what is shown before he allows it")
    romeo.allows(juliet)
    juliet.has(romeo, "to")
    juliet.sees(romeo, ("dnd", "In a meeting & <b>ä</b>"))


@presence("a SIP user's states, texts and priorities reach a user of {}")
def _(people, server):
    juliet, romeo = people.xmpp(server=server), people.sip()
    romeo.allows(juliet)
    juliet.adds(romeo)
    juliet.has(romeo, "to")
    juliet.sees(romeo)
    romeo.set("available", priority=0.5)
    juliet.sees(romeo, "available")
    equal(juliet.priority(romeo), [64], "the priority")
    romeo.set("away", "back at 3", priority=1)
    juliet.sees(romeo, ("away", "back at 3"))
    equal(juliet.priority(romeo), [127], "the priority")
    romeo.set("dnd", "呼ばないで")
    juliet.sees(romeo, ("dnd", "呼ばないで"))
    romeo.set(OFF)
    juliet.sees(romeo)
    romeo.set("available", "again")
    juliet.sees(romeo, ("available", "again"))


@presence("a user of {} removes a SIP user: nobody watches at Kamailio, the roster says `none`")
def _(people, server):
    juliet, romeo = people.xmpp(server=server), people.sip()
    romeo.set("available")
    romeo.allows(juliet)
    juliet.adds(romeo)
    juliet.sees(romeo, "available")
    juliet.removes(romeo)
    juliet.has(romeo, "none")
    juliet.sees(romeo)
    wait_for(lambda: not romeo.watchers(), 10, "Kamailio has no subscription any more")
    # He may be added again.
    juliet.adds(romeo)
    juliet.has(romeo, "to")
    juliet.sees(romeo, "available")


@presence("a SIP user who blocks a user of {} is gone from his roster's `to`, one who hides is offline")
def _(people, server):
    juliet, romeo, tybalt = people.xmpp(server=server), people.sip(), people.sip("tybalt")
    for contact in (romeo, tybalt):
        contact.set("away", "still here")
        contact.allows(juliet)
        juliet.adds(contact)
        juliet.sees(contact, ("away", "still here"))
    romeo.hides(juliet)
    juliet.sees(romeo)
    tybalt.refuses(juliet)
    juliet.hears("unsubscribed", tybalt)
    juliet.has(tybalt, "none")
    juliet.has(romeo, "to")
    romeo.allows(juliet)
    juliet.sees(romeo, ("away", "still here"))


@presence("a user of {} who comes online again sees his SIP contacts at once")
def _(people, server):
    juliet, romeo, tybalt = people.xmpp(server=server), people.sip(), people.sip("tybalt")
    romeo.set("dnd", "On the phone")
    for contact in (romeo, tybalt):
        contact.allows(juliet)
        juliet.adds(contact)
        juliet.has(contact, "to")
    juliet.sees(romeo, ("dnd", "On the phone"))
    juliet.logout()
    romeo.set("away", "changed meanwhile")
    juliet.login("phone")
    juliet.sees(romeo, ("away", "changed meanwhile"), seconds=3)
    juliet.sees(tybalt)
    juliet.has(romeo, "to")
    juliet.has(tybalt, "to")


# -- a SIP user watches an XMPP user --


@presence("a SIP user adds a user of {}: pending until he accepts, then active with his state")
def _(people, server):
    juliet, romeo = people.xmpp(server=server, state="dnd", note="Rehearsal <1>"), people.sip()
    equal(romeo.adds(juliet), 200, "the answer to SUBSCRIBE")
    romeo.is_told(juliet, "pending")
    juliet.hears("subscribe", romeo)
    juliet.allows(romeo)
    romeo.is_told(juliet, "active")
    romeo.sees(juliet, ("dnd", "Rehearsal <1>"))
    juliet.has(romeo, "from")


@presence("a SIP user is refused by a user of {}, asks again, and is let in")
def _(people, server):
    juliet, romeo = people.xmpp(server=server), people.sip()
    romeo.adds(juliet)
    juliet.hears("subscribe", romeo)
    juliet.refuses(romeo)
    romeo.is_told(juliet, "terminated;reason=rejected")
    juliet.words.clear()
    romeo.adds(juliet)
    juliet.hears("subscribe", romeo)
    juliet.allows(romeo)
    romeo.is_told(juliet, "active")
    romeo.sees(juliet, "available")
    # And is sent away again.
    juliet.refuses(romeo)
    romeo.is_told(juliet, "terminated;reason=rejected")
    juliet.has(romeo, "none")


@presence("a SIP user who goes and comes again is not asked about: a user of {} allows him already")
def _(people, server):
    juliet, romeo = people.xmpp(server=server, state="away"), people.sip()
    romeo.adds(juliet)
    juliet.hears("subscribe", romeo)
    juliet.allows(romeo)
    romeo.sees(juliet, "away")
    equal(romeo.removes(juliet), 200, "the answer to Expires: 0")
    romeo.is_told(juliet, "terminated;reason=timeout")
    juliet.words.clear()
    romeo.adds(juliet)
    romeo.is_told(juliet, "active")
    romeo.sees(juliet, "away")
    equal([word for word in juliet.words if word[0] == "subscribe"], [], "who was asked about again")
    juliet.has(romeo, "from")


@presence("every device, state, text and priority of a user of {} reaches a SIP user")
def _(people, server):
    juliet, romeo = people.xmpp(server=server), people.sip()
    romeo.adds(juliet)
    juliet.hears("subscribe", romeo)
    juliet.allows(romeo)
    romeo.sees(juliet, "available")
    juliet.login("pocket", "away", "auf dem Weg", priority=-1)
    romeo.sees(juliet, "available", ("away", "auf dem Weg"))
    juliet.set("chat", "let us talk", 127)
    romeo.sees(juliet, ("chat", "let us talk"), ("away", "auf dem Weg"))
    juliet.set("xa", "ä & ö < ü")
    romeo.sees(juliet, ("xa", "ä & ö < ü"), ("away", "auf dem Weg"))
    juliet.logout("pocket")
    romeo.sees(juliet, ("xa", "ä & ö < ü"))
    juliet.logout()
    romeo.sees(juliet)
    juliet.login("laptop", "dnd")
    romeo.sees(juliet, "dnd")


@presence("two users, one of {} and one of SIP, add each other: each is asked once, each may go alone")
def _(people, server):
    juliet, romeo = people.xmpp(server=server, state="away"), people.sip()
    romeo.set("dnd")
    romeo.allows(juliet)
    romeo.adds(juliet)
    juliet.adds(romeo)
    juliet.hears("subscribe", romeo)
    juliet.allows(romeo)
    romeo.sees(juliet, "away")
    juliet.sees(romeo, ("dnd", "Busy"))
    juliet.has(romeo, "both")
    equal(juliet.words.count(("subscribe", romeo.address)), 1, "how often juliet was asked")
    romeo.removes(juliet)
    romeo.is_told(juliet, "terminated")
    romeo.set("available")
    juliet.sees(romeo, "available")
    juliet.has(romeo, "both")
    romeo.adds(juliet)
    romeo.sees(juliet, "away")
    juliet.removes(romeo)
    juliet.has(romeo, "from")
    juliet.set("xa")
    romeo.sees(juliet, "xa")


@presence("a SIP user who subscribes to nobody at {} is told in the end")
def _(people, server):
    romeo = people.sip()
    romeo.subscribe("nobody@" + people.lab[server + "_DOMAIN"])
    # Prosody refuses at once; ejabberd keeps silent about who exists (RFC 6121 §8.5.1 lets it), and it stays pending.
    told = lambda: [state for _, state in romeo.states if state]
    wait_for(told, 10, "the first NOTIFY")
    within(told()[-1].split(";")[0], ("pending", "terminated"), "the state")
