"""What happens to presence when a process or a server dies or is told to stop: no permission changes, and what is shown is
true again within 60 s after the end (N6)."""
from .cases import case, equal
from .lab import wait_for
from .people import OFF, People

# How long it may take until presence is true again after a fault has ended.
TRUE_AGAIN = 60


class Company(People):
    """Users of all three servers, each seen by the others: both ways between SIP and XMPP. One who waits for an answer,
    one who was refused, and one who was removed are with them: a fault must not let them in, or ask again."""

    def __enter__(self):
        self.juliet, self.nurse = self.xmpp("juliet", "XA", note="at home"), self.xmpp("nurse", "XB", state="away")
        self.romeo, self.mercutio, self.tybalt = self.sip("romeo"), self.sip("mercutio"), self.sip("tybalt")
        self.romeo.set("dnd", "in love")
        self.mercutio.set("available", "in the street")
        self.tybalt.set("away")
        for xmpp in (self.juliet, self.nurse):
            for sip in (self.romeo, self.mercutio):
                sip.allows(xmpp)
                xmpp.adds(sip)
                sip.adds(xmpp)
                xmpp.hears("subscribe", sip)
                xmpp.allows(sip)
        # He waits for juliet's answer, and nurse has refused him; he has refused juliet.
        self.tybalt.adds(self.juliet)
        self.tybalt.adds(self.nurse)
        self.nurse.hears("subscribe", self.tybalt)
        self.nurse.refuses(self.tybalt)
        self.tybalt.is_told(self.nurse, "terminated;reason=rejected")
        self.juliet.adds(self.tybalt)
        wait_for(lambda: self.juliet.address in self.tybalt.watchers(), 10, "juliet's subscription is at Kamailio")
        self.tybalt.refuses(self.juliet)
        self.juliet.has(self.tybalt, "none")
        self.prove()
        return self

    def life_goes_on(self):
        """Everybody does something else."""
        self.juliet.set("xa", "asleep")
        self.nurse.set("chat", "gossip", 3)
        self.romeo.set("available", "under the balcony")
        self.mercutio.set(OFF)

    def sip_changes(self):
        self.romeo.set("available", "under the balcony")
        self.mercutio.set(OFF)


def company(name):
    def register(run):
        def in_company(world):
            with Company(world) as company:
                run(company, world)
                company.prove(TRUE_AGAIN)
        case("presence faults", name)(in_company)
        return run
    return register


@company("a gateway that is killed, and started when everybody has changed, shows everybody what is true")
def _(company, world):
    world.daemons[0].kill()
    company.life_goes_on()
    world.daemons[0].start()


@company("a gateway that is killed thrice asks nobody twice")
def _(company, world):
    for state in ("away", "dnd", "available"):
        world.daemons[0].kill()
        company.juliet.set(state)
        company.romeo.set(state)
        world.daemons[0].start()
        company.prove(TRUE_AGAIN)


@company("a gateway that is killed while users log out and in shows nobody who is gone")
def _(company, world):
    world.daemons[0].kill()
    company.juliet.logout()
    company.nurse.logout()
    company.nurse.login("elsewhere", "dnd")
    company.romeo.set(OFF)
    world.daemons[0].start()
    company.prove(TRUE_AGAIN)
    company.juliet.login("elsewhere")


@company("a gateway told to stop tells SIP users so, and all is true again when it is back")
def _(company, world):
    _, status = world.daemons[0].terminate()
    equal(status, 0, "the exit status")
    for sip in (company.romeo, company.mercutio):
        for xmpp in (company.juliet, company.nurse):
            assert (xmpp.address, "terminated;reason=deactivated") in sip.states, f"{sip.address} was told {sip.states}"
    company.life_goes_on()
    world.daemons[0].start()


@company("Prosody restarted: its users are gone, then back, and no permission with them")
def _(company, world):
    world.lab.stop("xa")
    company.juliet.loses_its_server()
    company.sip_changes()
    company.romeo.sees(company.juliet, seconds=90)
    world.lab.start("xa")
    company.juliet.login("desk", "dnd", "what a night")


@company("ejabberd killed: its users are gone within 90 s, then back, and no permission with them")
def _(company, world):
    world.lab.kill("xb")
    try:
        company.nurse.loses_its_server()
        company.sip_changes()
        company.romeo.sees(company.nurse, seconds=90)
    finally:
        world.lab.start("xb")
    company.nurse.login("desk", "dnd", "what a night")


@company("Kamailio that has begun anew and lost its watchers is asked for all of them")
def _(company, world):
    world.lab.stop("sip")
    world.lab.forget_watchers()
    world.lab.start("sip")
    company.sip_changes()
