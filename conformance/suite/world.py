"""What a group of cases stands on: the lab, one or two gangway processes, users."""
import contextlib, os
import ledger
from .cable import Cable
from .daemon import Daemon, gateway_config, proxy_config
from .lab import wait_for
from .users import SipUser, XmppUser


class World:
    def __init__(self, lab, binary):
        self.lab, self.binary, self.daemons, self.users, self.stack = lab, binary, [], {}, contextlib.ExitStack()
        # Everybody who writes a ledger, and how many faults this case has made.
        self.everybody, self.faults = [], 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for user in self.users.values():
            user.close()
        self.stack.close()

    # -- ledgers --
    def open(self):
        """Returns the ids of texts whose end nobody has seen: not read, not refused, or not answered."""
        for user in self.everybody:
            user.look()
        read = set().union(*(user.ends for user in self.everybody))
        return [id for user in self.everybody for id in list(user.sent)
                if not user.is_answered(id) or (id not in read and not user.was_refused(id))]

    def prove(self):
        """Waits until every text has an end, then lets the ledgers of both ends judge this case, and all so far."""
        try:
            wait_for(lambda: not self.open(), 60, "every text has an end")
        except AssertionError:
            pass  # the ledgers name those that have none
        if not self.everybody:
            return
        lab, events = self.lab, ledger.read(self.lab.ledgers)
        lab.faults += self.faults
        ours = [event for event in events if event["id"] not in lab.judged]
        found = ledger.violations(ours, self.faults, [lab["XA_DOMAIN"]])
        found += [new for new in ledger.violations(events, lab.faults, [lab["XA_DOMAIN"]]) if new not in found]
        found = [sentence for sentence in found if sentence not in lab.told]
        lab.judged |= {event["id"] for event in events}
        lab.told |= set(found)
        if len(ours) > 100:
            print(f"#    {ledger.summary(ours)}", flush=True)
        assert not found, "\n".join(found[:20])

    # -- processes --
    def both_roles(self, auth="pkix", transport="udp", profile="standard", presence=""):
        """`presence` are lines of [gateway.presence]."""
        config = proxy_config(self.lab, auth) + gateway_config(self.lab, transport, profile=profile)
        config += f"\n[gateway.presence]\n{presence}\n"
        return self.add("run", config, f"run-{auth}-{transport}-{profile}")

    def two_processes(self):
        self.add("proxy", proxy_config(self.lab, link=True))
        self.cable = self.stack.enter_context(Cable(self.lab["GW_IP"], int(self.lab["GW_LINK_PORT"])))
        self.add("gateway", gateway_config(self.lab, link=self.cable.port))

    def add(self, verb, config, name=None):
        daemon = Daemon(self.binary, self.lab, verb, config, name)
        self.daemons.append(daemon)
        self.stack.enter_context(daemon)
        return daemon

    def only(self, verb, proxy):
        """A process for one case: a proxy of its own settings that serves sip.example, with the usual gateway."""
        domains = gateway_config(self.lab).split("\n[[gateway.domain]]")
        domains[2] = domains[2][domains[2].index("\n["):]  # without uas.example
        self.daemons = [Daemon(self.binary, self.lab, verb, proxy + "\n[[gateway.domain]]".join(domains[:2]) + domains[2], "matrix")]
        return self.daemons[0]

    def another(self, proxy):
        """A second proxy, where the lab has xc.example; no gateway is linked to it."""
        link = f"""
[proxy.link]
listen = "{self.lab['XC_IP']}:{self.lab['GW_LINK_PORT']}"
identity = "public"
trust = "partners"
gateways = ["nobody.example"]
"""
        self.daemons.append(Daemon(self.binary, self.lab, "proxy", proxy + link, "another", place="XC_IP"))
        return self.daemons[-1]

    # -- users --
    def ledger(self, name):
        path = os.path.join(self.lab.run, f"{name}.{len(self.lab.ledgers)}.jsonl")
        self.lab.ledgers.append(path)
        return path

    def xmpp(self, name, server="XA"):
        """A user of Prosody (XA) or ejabberd (XB), logged in once."""
        address = f"{name}@{self.lab[server + '_DOMAIN']}"
        if address not in self.users:
            self.users[address] = self.join(XmppUser(self.lab, address, self.lab[server + "_IP"], self.ledger(address)))
        return self.users[address]

    def sip(self, name, transport="udp"):
        """A user registered at Kamailio, once."""
        address = f"{name}@{self.lab['SIP_DOMAIN']}"
        if address not in self.users:
            ip = self.lab.ip(100 + len(self.users))
            self.users[address] = self.join(SipUser(self.lab, address, ip, self.ledger(address), transport))
        return self.users[address]

    def join(self, user):
        """Takes somebody whose ledger counts."""
        self.everybody.append(user)
        return user

    def log_off(self, address):
        self.users.pop(address).close()
