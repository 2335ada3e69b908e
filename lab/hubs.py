"""An instrument in a process that a hub has patched: ``python -m lab.hubs gevent lab.fuzzing --seconds 60``."""

from __future__ import annotations

import runpy
import sys
import warnings


def main() -> None:
    """Patch this process with the hub that the first argument names, and run the module that the second one names."""
    _, hub, module, *arguments = sys.argv
    if hub == "gevent":
        from gevent import monkey

        monkey.patch_all()
    elif hub == "eventlet":
        with warnings.catch_warnings():
            # It announces its end when it is imported.
            warnings.simplefilter("ignore")
            import eventlet

        eventlet.monkey_patch()
    else:
        sys.exit(f"{hub} is no hub; there are eventlet and gevent")
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
