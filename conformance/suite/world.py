"""What a group of cases stands on: the lab, one or two gangway processes, users."""
import contextlib, os
from .daemon import Daemon, gateway_config, proxy_config
from .users import SipUser, XmppUser


class World:
    def __init__(self, lab, binary):
        self.lab, self.binary, self.daemons, self.users, self.ledgers, self.stack = lab, binary, [], {}, [], contextlib.ExitStack()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for user in self.users.values():
            user.close()
        self.stack.close()

    # -- processes --
    def both_roles(self, auth="pkix", transport="udp"):
        config = proxy_config(self.lab, auth) + gateway_config(self.lab, transport)
        return self.add("run", config, f"run-{auth}-{transport}")

    def two_processes(self):
        proxy = self.add("proxy", proxy_config(self.lab, link=True))
        gateway = self.add("gateway", gateway_config(self.lab, link=True))
        return proxy, gateway

    def add(self, verb, config, name=None):
        daemon = Daemon(self.binary, self.lab, verb, config, name)
        self.daemons.append(daemon)
        self.stack.enter_context(daemon)
        return daemon

    # -- users --
    def ledger(self, name):
        path = os.path.join(self.lab.run, f"{name}.{len(self.ledgers)}.jsonl")
        self.ledgers.append(path)
        return path

    def xmpp(self, name, server="XA"):
        """A user of Prosody (XA) or ejabberd (XB), logged in once."""
        address = f"{name}@{self.lab[server + '_DOMAIN']}"
        if address not in self.users:
            self.users[address] = XmppUser(self.lab, address, self.lab[server + "_IP"], self.ledger(address))
        return self.users[address]

    def sip(self, name, transport="udp"):
        """A user registered at Kamailio, once."""
        address = f"{name}@{self.lab['SIP_DOMAIN']}"
        if address not in self.users:
            ip = self.lab.ip(100 + len(self.users))
            self.users[address] = SipUser(self.lab, address, ip, self.ledger(address), transport)
        return self.users[address]

    def log_off(self, address):
        self.users.pop(address).close()
