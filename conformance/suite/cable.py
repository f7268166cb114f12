"""A cable that can be cut: what the gateway dials leads through it to the proxy."""
import selectors, socket, threading


class Cable:
    """Carries octets between a port of its own and a server's, until it is cut or held; both can be mended."""

    def __init__(self, ip, port):
        self.server, self.pairs = (ip, port), {}
        self.entry = socket.create_server((ip, 0))
        self.port = self.entry.getsockname()[1]
        self.selector, self.lock, self.state = selectors.DefaultSelector(), threading.Lock(), "whole"
        self.selector.register(self.entry, selectors.EVENT_READ)
        self.running = True
        self.thread = threading.Thread(target=self.carry, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.running = False
        self.thread.join(5)
        self.drop()
        self.entry.close()

    def cut(self):
        """Both ends see the connection go, and none comes through."""
        with self.lock:
            self.state = "cut"
            self.drop()

    def hold(self):
        """Nothing goes through and nobody is told, as when a router has died."""
        with self.lock:
            self.state = "held"

    def mend(self):
        with self.lock:
            self.state = "whole"

    def carry(self):
        while self.running:
            for key, _ in self.selector.select(0.05):
                with self.lock:
                    if key.fileobj is self.entry:
                        self.join(self.entry.accept()[0])
                    elif self.state == "whole" and key.fileobj in self.pairs:
                        self.move(key.fileobj)
            # While the cable is held its ends stay readable: the wait is for `mend`.
            if self.state == "held":
                threading.Event().wait(0.05)

    def join(self, dialled):
        if self.state == "cut":
            return dialled.close()
        try:
            served = socket.create_connection(self.server, 5)
        except OSError:
            return dialled.close()
        for here, there in ((dialled, served), (served, dialled)):
            self.pairs[here] = there
            self.selector.register(here, selectors.EVENT_READ)

    def move(self, here):
        there = self.pairs[here]
        try:
            data = here.recv(65536)
            there.sendall(data)
        except OSError:
            data = b""
        if not data:
            self.part(here)

    def part(self, here):
        for end in (here, self.pairs.get(here)):
            if end is not None and self.pairs.pop(end, None) is not None:
                self.selector.unregister(end)
                end.close()

    def drop(self):
        for end in list(self.pairs):
            if end in self.pairs:
                self.part(end)
