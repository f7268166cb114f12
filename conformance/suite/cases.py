"""The list of cases: each is a sentence and a function of the world that its group has set up."""
import collections, time, traceback

Case = collections.namedtuple("Case", "group name run")
CASES = []


def case(group, name):
    """Registers a function as a case of a group."""
    def register(run):
        CASES.append(Case(group, name, run))
        return run
    return register


def execute(case, world):
    """Runs one case, prints its line, and returns whether it went well."""
    begun, why = time.monotonic(), None
    try:
        world.faults = 0
        case.run(world)
        world.prove()
    except Exception as error:
        why = str(error) or type(error).__name__
        if not isinstance(error, (AssertionError, TimeoutError)):
            why += "\n" + traceback.format_exc()
    took = (time.monotonic() - begun) * 1000
    print(f"{'FAIL' if why else 'ok  '} {case.group}: {case.name} ({took:.0f} ms)" + (f": {why}" if why else ""), flush=True)
    if why:
        for daemon in world.daemons:
            print(f"--- the end of {daemon.log}\n{daemon.tail()}---", flush=True)
    return not why


def equal(got, wanted, what):
    assert got == wanted, f"{what}: {got!r} instead of {wanted!r}"


def within(got, wanted, what):
    assert got in wanted, f"{what}: {got!r}, none of {wanted!r}"
