"""What an operator meets before anything runs: no daemon, no lab's servers."""
import os, re, subprocess
from .cases import case, equal
from .daemon import gateway_config, proxy_config


def gangway(world, *args, **more):
    return subprocess.run([world.binary, *args], capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL, **more)


def file(world, text):
    path = os.path.join(world.lab.run, "gangway.toml")
    with open(path, "w") as out:
        out.write(text)
    return path


@case("command line", "the example configuration is one")
def _(world):
    run = gangway(world, "config", "example")
    equal(run.returncode, 0, "the exit status")
    assert "[proxy]" in run.stdout and "[gateway]" in run.stdout, run.stdout[:200]


@case("command line", "a right configuration is called right")
def _(world):
    config = proxy_config(world.lab) + gateway_config(world.lab)
    run = gangway(world, "check", "--config", file(world, config))
    equal(run.returncode, 0, f"the exit status\n{run.stdout}{run.stderr}")


@case("command line", "every mistake is told with file, line and column")
def _(world):
    path = file(world, proxy_config(world.lab) + "\n[gatway]\nname = 5\n")
    run = gangway(world, "check", "--config", path)
    assert run.returncode != 0, "a wrong configuration was called right"
    assert re.search(re.escape(path) + r":\d+:\d+", run.stdout + run.stderr), run.stdout + run.stderr


@case("command line", "nothing starts on a wrong configuration")
def _(world):
    path = file(world, proxy_config(world.lab).replace("[proxy]", "[proxy]\nlisten-to = 1"))
    run = gangway(world, "run", "--config", path)
    assert run.returncode != 0, "it ended as if all were well"
    assert "listen-to" in run.stdout + run.stderr, run.stdout + run.stderr
