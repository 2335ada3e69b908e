"""Records of an invented run."""


def record(server, number, rate, cpu, *, scenario="pp-50x125", client=0.5):
    return {
        "scenario": scenario,
        "server": server,
        "round": number,
        "msgs_per_s": rate,
        "server_cpu_us": cpu,
        "p50_us": 100.0,
        "p99_us": 1000.0,
        "client_cpu_share": client,
    }


def failure(server, number, scenario="pp-50x125"):
    return {"scenario": scenario, "server": server, "round": number, "error": "it <hung> up"}


RECORDS = [
    # The machine was half as fast in the second round, which must not show in the ratio.
    *(record("raw-threads", number, rate, 10.0) for number, rate in enumerate([80e3, 40e3, 60e3])),
    *(record("gthread", number, rate, 20.0, client=0.97) for number, rate in enumerate([60e3, 30e3, 15e3])),
    record("websockets-sync", 0, 10e3, 50.0),
    failure("websockets-sync", 1),
    failure("picows", 0),
    record("picows", 0, 1.0, 1.0, scenario="pp-1x125"),
    record("gone", 0, 1.0, 1.0),
]
