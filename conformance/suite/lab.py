"""The servers around the gateway, started and stopped by lab/lab.sh."""
import os, shutil, signal, socket, subprocess, tempfile, time

HERE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lab")


class Lab:
    """One lab on a loopback net of its own; its directory goes when it is left, unless `keep`."""

    def __init__(self, keep=False):
        self.keep = keep
        self.run = tempfile.mkdtemp(prefix="gangway-lab.")
        self.env = dict(os.environ, LAB_RUN=self.run)
        self.env["LAB_NET"] = self.script("free-net").strip()
        # While this socket is bound, another run's search for a free net passes this one by.
        self.lease = socket.socket()
        self.lease.bind((self.env["LAB_NET"] + ".1", 10053))
        self.settings = {}
        # All ledgers: servers outlive a group, and may hand over late what an earlier one sent. How many faults there
        # were, whose texts are judged, and which sentences are told.
        self.ledgers, self.faults, self.judged, self.told = [], 0, set(), set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.script("stop", check=False)
        self.lease.close()
        if self.keep:
            print(f"# kept: {self.run}")
        else:
            shutil.rmtree(self.run, ignore_errors=True)

    def script(self, *args, check=True, **settings):
        # Not a pipe: what lab.sh starts lives on and would hold a pipe open.
        with tempfile.TemporaryFile("w+") as out:
            code = subprocess.call([os.path.join(HERE, "lab.sh"), *args], stdout=out, stderr=subprocess.STDOUT,
                                   stdin=subprocess.DEVNULL, env=dict(self.env, **settings))
            out.seek(0)
            text = out.read()
        if check and code:
            raise RuntimeError(f"lab.sh {' '.join(args)}: {text}")
        return text

    def start(self, *services, **settings):
        """Starts services (all of the lab's if none is named) with settings that differ from the lab's own."""
        self.env.update({key: str(value) for key, value in settings.items()})
        self.script("start", *services)
        self.settings = dict(line.split("=", 1) for line in self.script("env").splitlines() if "=" in line)
        self.settings = {key: value.strip("'") for key, value in self.settings.items()}

    def stop(self, *services):
        self.script("stop", *services)

    def kill(self, service):
        """kill -9 of a service and its children, as a power cut would."""
        with open(os.path.join(self.run, "run", service + ".pid")) as file:
            os.killpg(int(file.read().split()[0]), signal.SIGKILL)
        self.stop(service)

    def forget_watchers(self):
        """The SIP server, which does not run, forgets who watches its users; what they published it keeps."""
        for table in ("active_watchers", "watchers"):
            shutil.copy(f"/usr/share/kamailio/dbtext/kamailio/{table}", os.path.join(self.run, "data", "sip", "text"))

    def restart(self, *services, **settings):
        self.stop(*services)
        self.start(*services, **settings)

    def __getitem__(self, name):
        """`lab["XA_IP"]` is LAB_XA_IP."""
        return self.settings["LAB_" + name]

    def cert(self, name):
        return os.path.join(self.run, "certs", name)

    def ip(self, last):
        return f"{self['NET']}.{last}"


def wait_for(condition, seconds, what):
    """Returns what `condition` returns once it is true; polls, because the world outside has no events for us."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.02)
    return found


def listens(ip, port):
    with socket.socket() as s:
        s.settimeout(1)
        return s.connect_ex((ip, int(port))) == 0
