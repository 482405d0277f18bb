"""``python -m pipelines``, an alias of ``tunable``; ``python -m pipelines train`` runs that stage."""

import sys

from pipelines.cli.app import app
from pipelines.cli.stages import PIPELINE

if __name__ == "__main__":
    arguments = sys.argv[1:]
    if arguments and arguments[0] in (*PIPELINE, "all"):
        arguments = ["run", *arguments]
    app(arguments, prog_name="tunable")
