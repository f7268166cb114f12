"""Our reading of XML compared with expat's: what expat refuses, or RFC 6120 §11.1 forbids, is never accepted; what both accept is read
the same. Documents come from a grammar, from the same with a slip, and from the corpus; they are the same in every run."""
import glob, os, random, subprocess
from pyexpat import ExpatError, ParserCreate
from .cases import case

COUNT, SEED = 12000, 6120
HEADER = b"<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' xmlns:db='jabber:server:dialback'>"
END = b"</stream:stream>"
SLIPS = ["", "", "<", ">", "&", ";", "'", '"', "=", "/", ":", "!", "?", "[", "]", "]]>", " ", "\t", "\n", "\r", "\0", "\x01", "\x1f", "\x7f",
         "\x85", "\u2028", "\ufeff", "\ufffe", "\uffff", "\ud800", "é", "名", "😀", "-", ".", "1", "&#0;", "&#x1F;", "&#xD800;", "&#x110000;",
         "&#xFFFE;", "&#65;", "&#x41;", "&lt;", "&nbsp;", "&amp", "<!-- -->", "<?a b?>", "<!DOCTYPE a>", "<![CDATA[", "<![CDATA[]]>", "xmlns='u'",
         " xmlns:p=''", " xmlns:xml='u'", " xmlns:xmlns='u'", " xmlns:q='http://www.w3.org/XML/1998/namespace'", " p:a='1' q:a='1'",
         "<?xml version='1.0'?>", "<?xml version='1.1'?>", "<?xml version='1.0' encoding='latin1'?>", "<a>", "</a>", "<p:a/>", "<a:b:c/>"]


class Grammar:
    """Documents that are mostly well-formed, with everything in them that the language has."""
    def __init__(self, seed):
        self.random = random.Random(seed)

    def some(self, most, make):
        return "".join(make() for _ in range(self.random.randint(0, most)))

    def name(self):
        return self.random.choice(["a", "b", "c", "d", "e", "p:a", "p:b", "p:c", "q:a", "q:b", "é", "a-1.b", "xml:a", "_"])

    def value(self):
        return self.some(4, lambda: self.random.choice(["a", "b", " ", ">", "é", "😀", "\t", "\r\n", "\n", "\r", "&lt;", "&#13;", "&#x1F600;", "&apos;", '"']))

    def attribute(self, depth):
        kind = self.random.randrange(8) if depth else 7
        if kind == 0:
            return f" xmlns=\"{self.random.choice(['u', 'v', ''])}\""
        if kind in (1, 2):
            return f" xmlns:{self.random.choice('pq')}='{self.random.choice('uv')}'"
        return f" {self.name()}{self.random.choice(['=', ' = ', '='])}'{self.value()}'"

    def text(self):
        return self.random.choice([self.value(), self.value(), "<![CDATA[<&>]]>", "<![CDATA[]]]]>", "]]", "]]&gt;", "\r", " "])

    def element(self, depth=0):
        name = self.name()
        tag = name + self.some(3, lambda: self.attribute(depth))
        if depth == 0:
            tag += " xmlns:p='w' xmlns:q='x'" if self.random.random() < 0.9 else ""
        if depth > 3 or self.random.random() < 0.3:
            return f"<{tag}/>"
        inner = self.some(3, lambda: self.element(depth + 1) if self.random.random() < 0.5 else self.text())
        return f"<{tag}>{inner}</{name}{self.random.choice(['', ' '])}>"

    def document(self):
        text = self.random.choice(["", "", "<?xml version='1.0'?>", '<?xml version="1.0" encoding="UTF-8"?>\n']) + self.element()
        return text + self.random.choice(["", "\n"])

    def next(self):
        text = self.document()
        for _ in range(self.random.choice([0, 0, 1, 1, 2])):
            at = self.random.randrange(len(text) + 1)
            text = text[:at] + self.random.choice(SLIPS) + text[at + self.random.choice([0, 0, 1, 2]):]
        octets = text.encode("utf-8", "surrogatepass")
        if self.random.random() < 0.1:
            at = self.random.randrange(len(octets) + 1)
            octets = octets[:at] + bytes([self.random.randrange(256)]) + octets[at + self.random.choice([0, 1]):]
        return octets


def corpus():
    """Each sample as a stream of its own; what is sent within a stream gets a header."""
    root = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "corpus", "xmpp-hostile", "*.xml")
    for path in sorted(glob.glob(root)):
        with open(path, "rb") as file:
            octets = file.read()
        octets = octets if b"stream:stream" in octets[:400] else HEADER + octets
        # What follows the end of a stream is not part of it.
        head, end, _ = octets.partition(END)
        yield os.path.basename(path), head + end


class Expat:
    """What expat says of one document; `events` is None if it refuses."""
    def __init__(self, octets, is_whole):
        self.events, self.forbidden, self.text, self.why = [], [], "", ""
        parser = ParserCreate("UTF-8" if octets[:3] != b"\xef\xbb\xbf" else None, "\x1f")
        parser.StartElementHandler, parser.EndElementHandler = self.start, lambda name: self.event(">")
        parser.CharacterDataHandler = self.character_data
        parser.CommentHandler = lambda *_: self.forbidden.append("a comment")
        parser.ProcessingInstructionHandler = lambda *_: self.forbidden.append("a processing instruction")
        parser.StartDoctypeDeclHandler = lambda *_: self.forbidden.append("a document type")
        try:
            parser.Parse(octets, is_whole)
        except (ExpatError, UnicodeError, ValueError) as error:
            self.events, self.why = None, str(error)

    def event(self, *parts):
        if self.text:
            self.events.append("=\x1f" + self.text)
            self.text = ""
        self.events.append("\x1f".join(parts))

    def character_data(self, data):
        self.text += data

    def start(self, name, attributes):
        self.event("<", *self.split(name))
        for name, value in sorted((self.split(name), value) for name, value in attributes.items()):
            self.event("@", *name, value)

    @staticmethod
    def split(name):
        namespace, _, local = name.rpartition("\x1f")
        return namespace, local


def verdicts(program, documents):
    """Returns what our parser says of each document, as text."""
    asked = b"".join(b"%s%d\n%s" % (kind, len(octets), octets) for kind, _, octets in documents)
    out = subprocess.run([program], input=asked, capture_output=True, check=True, timeout=60).stdout
    answers = []
    while out:
        count, _, out = out.partition(b"\n")
        answers.append(out[:int(count)].decode())
        out = out[int(count):]
    assert len(answers) == len(documents), f"{len(answers)} answers to {len(documents)} documents"
    return answers


def disagreement(kind, octets, ours):
    """Returns what is wrong with our verdict, if anything is."""
    theirs = Expat(octets, kind == b"D")
    if ours.startswith("-"):
        return None
    if theirs.events is None:
        # COMPAT(expat, 2.5): names are those of XML's fourth edition; RFC 6120 asks for the fifth, which has these characters in them.
        older = octets.replace("😀".encode(), b"x").replace("\ufeff".encode(), b"x")
        if older != octets and Expat(older, kind == b"D").events is not None:
            return None
        return f"we accept what expat refuses ({theirs.why})"
    if theirs.forbidden:
        return f"we accept {theirs.forbidden[0]}, which RFC 6120 §11.1 forbids"
    if kind == b"D" and ours[1:] != "".join(event + "\x1e" for event in theirs.events):
        return f"we read {ours[1:]!r} and expat {theirs.events!r}"
    return None


def compare(program):
    grammar = Grammar(SEED)
    documents = [(b"D", f"document {n}", grammar.next()) for n in range(COUNT)]
    documents += [(b"S", name, octets) for name, octets in corpus()]
    answers = verdicts(program, documents)
    found = []
    for (kind, name, octets), ours in zip(documents, answers):
        if why := disagreement(kind, octets, ours):
            found.append(f"{name}: {octets!r}: {why}")
    accepted = sum(answer.startswith("+") for answer in answers)
    assert not found, f"{len(found)} disagreements:\n" + "\n".join(found[:10])
    # A parser that refuses everything agrees with everybody.
    assert len(answers) / 4 < accepted < len(answers) * 3 / 4, f"{accepted} of {len(answers)} were accepted"
    return accepted, len(answers)


@case("xml", "nothing is accepted that expat refuses, and what both accept is read the same")
def _(world):
    program = os.path.join(os.path.dirname(world.binary), "examples", "verdicts")
    assert os.path.exists(program), f"{program} is not there: cargo build -p xmpp-types --example verdicts"
    compare(program)


@case("xml", "the comparison finds a wrong verdict before it may say that there is none")
def _(_world):
    read = "+<\x1f\x1fa\x1e>\x1e"
    assert disagreement(b"D", b"<a/>", read) is None
    for wrong in (b"<b/>", b"<a", b"<a>&nbsp;</a>", b"<a><!-- --></a>", b"<?b?><a/>", b"<!DOCTYPE a><a/>", b"<a>x</a>", b"<a b=''/>", b"<a>\xc0\xaf</a>"):
        assert disagreement(b"D", wrong, read), wrong
