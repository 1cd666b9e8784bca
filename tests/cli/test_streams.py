"""Standard streams that whoever started us has closed."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from fakes.served import DEADLINE, environment

pytestmark = pytest.mark.edges

PING = b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n'
CLOSED = ["<&-", ">&-", "2>&-", "<&- >&-", "<&- >&- 2>&-"]

#: Writes down what a command finds: whether streams are good, who gets the next number, and which
#: of them a program that it starts has too.
LOOK = """
import json, os, sys
from dcc_mcp_embed.cli import main

def look(options):
    print("said", flush=True)
    sys.stderr.write("said")
    read = os.read(0, 100).decode()
    with open(options, "w") as file:
        shared = [number for number in (0, 1, 2) if os.get_inheritable(number)]
        json.dump([read, file.fileno() > 2, shared], file)
    return 0

main.make_parser = lambda: None
main.parse = lambda parser, arguments: type("Options", (str,), {"command": "x"})(arguments[0])
main._run = look
sys.exit(main.main(sys.argv[1:]))
"""


def run(home, closed, *arguments):
    return subprocess.run(
        ["sh", "-c", 'exec "$0" "$@" ' + closed, sys.executable, "-W", "error", *arguments],
        env=environment(home),
        input=PING,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=DEADLINE,
    )


@pytest.mark.parametrize("closed", CLOSED)
def test_no_file_gets_the_place_of_a_stream_that_is_closed(tmp_path, closed):
    path = tmp_path / "found"
    done = run(str(tmp_path), closed, "-c", LOOK, str(path))
    assert done.returncode == 0, done.stderr
    read, apart, shared = json.loads(path.read_text())
    assert read.encode() == (b"" if "<" in closed else PING)
    assert apart
    assert shared == [0, 1, 2]
    assert done.stdout == (b"" if " >" in " " + closed else b"said\n")
    assert done.stderr == (b"" if "2>" in closed else b"said")


@pytest.mark.parametrize("closed", CLOSED)
def test_the_bridge_ends_well_without_them(tmp_path, closed):
    done = run(str(tmp_path), closed, "-m", "dcc_mcp_embed", "bridge")
    assert (done.returncode, done.stderr) == (0, b"")
    answered = closed == "2>&-"
    assert bool(done.stdout) == answered
