"""The Autobahn test suite: see ``lab/compliance/README.rst``. Skipped where there is no Python 2.7 to run it."""

import os

import pytest

from lab.compliance import autobahn
from lab.compliance.run import run
from lab.compliance.verdicts import select, summary
from lab.kinds import BY_NAME

#: Seconds for each run; one takes half a minute.
TIMEOUT = 300

pytestmark = [
    pytest.mark.live,
    pytest.mark.timeout(autobahn.ATTEMPTS * autobahn.INSTALL_TIMEOUT + 2 * TIMEOUT),
    # Most of the time they wait, for the installation and for the suite's own pauses: one worker does for all of them.
    pytest.mark.xdist_group("autobahn"),
]


@pytest.fixture(scope="session")
def wstest():
    try:
        return autobahn.find()
    except autobahn.NoPython as error:
        # Distributions have dropped Python 2.7, so REQUIRE_LIVE=1 does not demand it either.
        pytest.skip(str(error))
    except autobahn.Unavailable as error:
        if os.environ.get("REQUIRE_LIVE") == "1":
            pytest.fail(str(error), pytrace=False)
        pytest.skip(str(error))


@pytest.mark.parametrize(
    ("name", "version", "patterns"),
    [
        ("multithreaded", 13, ["quick"]),
        ("eventlet", 13, ["quick"]),
        # Version 8 has the frames of version 13.
        ("multithreaded", 8, ["[1-5].*", "7.*"]),
    ],
    ids=["multithreaded", "eventlet", "version 8"],
)
def test_autobahn(wstest, tmp_path, name, version, patterns):
    """Guards RFC 6455 and RFC 7692, as other people have read them."""
    outcome = run(wstest, BY_NAME[name], select(patterns), tmp_path / "run", version=version, timeout=TIMEOUT)
    print(*summary(outcome.results), sep="\n")
    assert not outcome.deviations, "\n".join(outcome.deviations)
