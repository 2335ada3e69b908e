"""The output of the tools is parsed."""

from lab.benchmarks import syscalls


def test_the_output_of_perf():
    output = (
        "context-switches,,x\n12,,syscalls:sys_enter_recvfrom,1,100.00,,\n<not counted>,,syscalls:sys_enter_read\n\n"
    )
    assert list(syscalls.parse(output, "perf")) == [("recvfrom", 12)]


def test_the_output_of_strace():
    output = (
        "strace: Process 7 attached\n"
        "% time     seconds  usecs/call     calls    errors syscall\n"
        " 75.00    0.000030           3        10         2 recvfrom\n"
        " 25.00    0.000010           1         8           sendto\n"
        "100.00    0.000040           2        18         2 total\n"
    )
    assert list(syscalls.parse(output, "strace")) == [("recvfrom", 10), ("sendto", 8)]
