#!/usr/bin/env python3
"""ledger.py [--faults N] [--overtaken DOMAIN] FILE... - proves from what both ends wrote down that nothing accepted was lost.

Each line of a file is an object; `id` is what the sender put into the text, so that no server on the way can change it:
  {"t": 1.5, "side": "sip", "event": "sent", "id": "…", "from": "romeo@…", "to": "juliet@…", "n": 7}
  {"t": 1.6, "side": "sip", "event": "answered", "id": "…", "code": 200}            (code 0: no answer at all)
  {"t": 1.6, "side": "xmpp", "event": "received", "id": "…", "from": "…", "to": "…", "wire": "the id that it came with"}
  {"t": 1.7, "side": "xmpp", "event": "error", "id": "…", "condition": "item-not-found"}
A SIP user whose text was accepted with 202 may be told by a message that it failed; that is an "error" too.
It shares no code with the product. N1 to N7 are those of ARCHITECTURE.md; N6 is about presence."""
import collections, json, sys


def read(paths):
    events = []
    for path in paths:
        with open(path) as file:
            for line in file:
                # A writer that was killed leaves half a line at the end.
                if line.endswith("\n"):
                    events.append(json.loads(line))
    return sorted(events, key=lambda event: event["t"])


class Message:
    def __init__(self, sent):
        self.id, self.side, self.pair, self.n = sent["id"], sent["side"], (sent["from"], sent["to"]), sent["n"]
        self.answers, self.errors, self.received = [], [], []

    @property
    def is_accepted(self):
        """Told to the sender. An XMPP sender's own server takes every message: it is ours until we say otherwise."""
        return self.side == "xmpp" or any(200 <= code < 300 for code in self.answers)

    @property
    def is_refused(self):
        return bool(self.errors) or any(code >= 300 for code in self.answers)


def violations(events, faults=0, overtaken=()):
    """Returns one sentence for each promise broken.

    `faults` is how often something was killed or cut; `overtaken` are domains whose own server lets texts that it
    queued while it opened a stream be overtaken, which can happen once for each stream: COMPAT(Prosody, 0.12)."""
    messages, found = {}, []
    for event in events:
        if event["event"] == "sent":
            messages[event["id"]] = Message(event)
    for event in events:
        message = messages.get(event["id"])
        if message is None:
            found.append(f"N3: {event['id']} was {event['event']} and never sent")
        elif event["event"] == "answered":
            message.answers.append(event["code"])
        elif event["event"] == "error":
            message.errors.append(event.get("condition"))
        elif event["event"] == "received":
            message.received.append(event)
    for message in messages.values():
        found += of_one(message, faults)
    return found + out_of_order(messages.values(), faults, overtaken)


def of_one(message, faults):
    name, found, times = f"{message.id} from {message.pair[0]} to {message.pair[1]}", [], len(message.received)
    if message.is_accepted and not message.is_refused and times == 0:
        found.append(f"N2: {name} was accepted, and neither delivered nor reported")
    if message.side == "sip" and not message.answers:
        found.append(f"N7: {name} has no answer and no timeout: its sender cannot tell")
    # A fault may hide a delivery from the one who reports; without a fault the report is a lie.
    if message.is_refused and times and not faults:
        found.append(f"N3: {name} was reported as failed and delivered")
    if times > 1 + faults:
        found.append(f"N4: {name} was delivered {times} times after {faults} faults")
    strangers = {(event["from"], event["to"]) for event in message.received} - {message.pair}
    found += [f"N3: {name} came to {target} as from {source}" for source, target in sorted(strangers)]
    if len({event.get("wire") for event in message.received}) > 1:
        found.append(f"N4: {name} was repeated under another id")
    return found


def out_of_order(messages, faults, overtaken):
    found, pairs = [], collections.defaultdict(list)
    for message in messages:
        if message.received:
            pairs[message.pair].append((message.received[0]["t"], message.n))
    for (source, target), arrivals in pairs.items():
        order = [n for _, n in sorted(arrivals)]
        steps_back = [f"N5: from {source} to {target}: {b} came after {a}" for a, b in zip(order, order[1:]) if b < a]
        excused = 1 + faults if source.split("@")[-1] in overtaken else 0
        found += steps_back if len(steps_back) > excused else []
    return found


def summary(events):
    """Returns how many of what there were, as one line."""
    kinds = collections.Counter((event["side"], event["event"]) for event in events)
    return ", ".join(f"{side} {kind} {count}" for (side, kind), count in sorted(kinds.items()))


def main():
    args, faults, overtaken = sys.argv[1:], 0, []
    while args and args[0] in ("--faults", "--overtaken"):
        if args[0] == "--faults":
            faults = int(args[1])
        else:
            overtaken.append(args[1])
        args = args[2:]
    if not args:
        sys.exit(__doc__)
    events = read(args)
    found = violations(events, faults, overtaken)
    print(*found, summary(events), sep="\n")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
