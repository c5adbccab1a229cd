"""The command line: verb → function, nothing else.

Standard output carries results, standard error progress. Exit codes: 0 done, 1 a fault of Headway's own, 2 usage, 3 data,
4 model, 5 resources, 129, 130 and 143 stopped by SIGHUP, Ctrl-C or SIGTERM, 141 the reader of the output went away.
Everything heavy is imported by the verb that needs it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from headway import cli_interop, cli_making, cli_serving, cli_using
from headway.cli_arguments import ARGUMENTS
from headway.command_line import Verbs, run

VERBS: Verbs = {
    name: (verb, ARGUMENTS[name])
    for verb in (
        cli_making.init,
        cli_making.sample,
        cli_making.check,
        cli_making.train,
        cli_making.tune,
        cli_using.evaluate,
        cli_using.report,
        cli_using.compare,
        cli_using.predict,
        cli_using.chat,
        cli_using.explain,
        cli_making.merge,
        cli_interop.import_,
        cli_interop.export,
        cli_serving.serve,
        cli_making.info,
    )
    for name in [verb.__name__.removesuffix("_")]
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one verb and returns its exit code."""
    return run(VERBS, argv)


if __name__ == "__main__":
    sys.exit(main())
