"""The micro-benchmarks process all the messages that they are named after."""

import pytest

from lab.benchmarks import frames, micro


@pytest.mark.parametrize("size", micro.SIZES)
@pytest.mark.parametrize("name", micro.PROTOCOLS)
def test_the_timed_functions_process_all_messages(name, size):
    protocol = micro.PROTOCOLS[name]
    assert micro.parsing(protocol, size)() == micro.MESSAGES
    assert micro.building(protocol, size)() >= micro.MESSAGES * (size + 2)
    assert bytes(micro.masking(size)()) == frames.apply_mask(frames.text(size))


def test_every_micro_benchmark_has_a_name_of_its_own():
    names = [name for name, _, _ in micro.benchmarks()]
    assert len(set(names)) == len(names) == len(micro.SIZES) * (2 * len(micro.PROTOCOLS) + 1)
