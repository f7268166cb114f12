#!/usr/bin/env python3
"""presence_ledger.py FILE... - proves from what people did and were shown that presence is true and that no permission was lost.

Each line of a file is an object, written by the one who is named in `who`, a bare address:
  {"t": 1.0, "event": "asks", "who": w, "of": c}         w adds c to those he watches;   "leaves": takes him out
  {"t": 1.1, "event": "prompted", "who": c, "of": w}     c's program asks him whether w may see him
  {"t": 1.2, "event": "allows", "who": c, "of": w}       c lets w see him;               "refuses": does not, or no more
                                                         "hides": c looks offline to w, who is not told so
  {"t": 1.3, "event": "set", "who": c, "device": d, "state": "dnd", "note": "…", "priority": 5}
  {"t": 1.4, "event": "shown", "who": w, "of": c, "devices": [["dnd", "…"], …]}   all that w's program shows of c; [] is nobody
  {"t": 1.5, "event": "online", "who": w}                w's program runs;               "offline": it does not
  {"t": 1.6, "event": "roster", "who": u, "of": c, "subscription": "to"}          what u's XMPP server says it is
States are XMPP's: available, chat, away, xa, dnd, and unavailable, which takes a device away. A line {"event": "program", "who": w,
"as": {"xa": "away"}, "notes": false, "devices": false} says which states a program shows as another (null: not at all), whether it
shows texts, and whether it shows each device or only the foremost.
It shares no code with the product. N3 and N6 are those of ARCHITECTURE.md."""
import collections, json, sys

OFF = "unavailable"
# Of two devices of one priority the one that is easier to reach stands for its user.
ORDER = ["chat", "available", "away", "xa", "dnd"]


def read(paths):
    events = []
    for path in paths:
        with open(path) as file:
            # A writer that was killed leaves half a line at the end.
            events += [json.loads(line) for line in file if line.endswith("\n")]
    return sorted(events, key=lambda event: event["t"])


class Pair:
    """What a watcher and his contact have said of each other, and what each was told."""

    def __init__(self):
        self.asked = self.allowed = self.hidden = self.ever = False
        # After each word of either: whether the watcher may see, whether the contact lets him; and how far rosters have come.
        self.history, self.known, self.rosters, self.shown = [{"to": False, "from": False}], {}, {}, []

    def hear(self, word):
        if word in ("asks", "leaves"):
            self.asked = word == "asks"
        elif word in ("allows", "refuses"):
            self.allowed = word == "allows"
            self.asked = self.asked and self.allowed
        self.hidden = word == "hides"
        self.ever = self.ever or self.allowed
        self.history.append({"to": self.asked and self.allowed, "from": self.allowed})

    @property
    def is_open(self):
        return self.asked and self.allowed and not self.hidden


class World:
    def __init__(self):
        self.pairs = collections.defaultdict(Pair)
        self.devices = collections.defaultdict(dict)
        self.programs, self.online, self.found = {}, {}, []

    def take(self, event):
        who, kind = event["who"], event["event"]
        if kind in ("asks", "leaves"):
            self.pairs[who, event["of"]].hear(kind)
        elif kind in ("allows", "refuses", "hides"):
            self.pairs[event["of"], who].hear(kind)
        elif kind == "prompted":
            if self.pairs[event["of"], who].allowed:
                self.found.append(f"N6: {who} was asked about {event['of']} again, whom he allows")
        elif kind == "set":
            self.devices[who][event["device"]] = event
            if event["state"] == OFF:
                del self.devices[who][event["device"]]
        elif kind == "shown":
            pair = self.pairs[who, event["of"]]
            pair.shown = [tuple(device) for device in event["devices"]]
            if pair.shown and not pair.ever:
                self.found.append(f"N3: {who} was shown {event['of']}, who never allowed it")
        elif kind in ("online", "offline"):
            self.online[who] = kind == "online"
            for (watcher, _), pair in self.pairs.items():
                # Whoever comes online starts with an empty window.
                if watcher == who:
                    pair.shown = []
        elif kind == "program":
            self.programs[who] = event
        elif kind == "roster":
            self.roster(who, event["of"], event["subscription"])

    def roster(self, user, contact, subscription):
        """A roster says both directions: each follows the users' words, and never goes back without one."""
        for name, pair in (("to", self.pairs[user, contact]), ("from", self.pairs[contact, user])):
            value = subscription in (name, "both")
            at = pair.known.get(name, 0)
            later = next((n for n in range(at, len(pair.history)) if pair.history[n][name] == value), None)
            if later is None:
                self.found.append(f"N6: the roster of {user} says {subscription!r} of {contact}, and nobody said so")
            else:
                pair.known[name] = later
            pair.rosters[user, name] = value

    def end(self):
        """What must be true when everything has settled."""
        for (watcher, contact), pair in self.pairs.items():
            if self.online.get(watcher):
                self.truth(watcher, contact, pair)
            for (user, name), value in pair.rosters.items():
                if value != pair.history[-1][name]:
                    other = contact if user == watcher else watcher
                    self.found.append(f"N6: the roster of {user} has {'' if value else 'no '}{name!r} for {other} at the end")
        return self.found

    def truth(self, watcher, contact, pair):
        program = self.programs.get(watcher, {})
        wanted = list(self.devices[contact].values()) if pair.is_open else []
        if not program.get("devices", True):
            wanted = sorted(wanted, key=lambda device: (-device.get("priority", 0), ORDER.index(device["state"])))[:1]
        collapse = program.get("as", {})
        notes = program.get("notes", True)
        truth = sorted((collapse.get(d["state"], d["state"]), d.get("note", "") if notes else "")
                       for d in wanted if collapse.get(d["state"], d["state"]))
        shown = sorted((state, note if notes else "") for state, note in pair.shown)
        if shown != truth:
            self.found.append(f"N6: {watcher} is shown {shown} of {contact}, and {truth} is true")


def violations(events):
    """Returns one sentence for each promise broken."""
    world = World()
    for event in events:
        world.take(event)
    return world.end()


def main():
    if not sys.argv[1:]:
        sys.exit(__doc__)
    events = read(sys.argv[1:])
    found = violations(events)
    print(*found, f"{len(events)} lines", sep="\n")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
