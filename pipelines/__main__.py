"""``python -m pipelines``: the command ``tunable`` by its module, which is what torchrun starts."""

import sys

from pipelines.cli.app import app
from pipelines.cli.stages import ROAD

if __name__ == "__main__":
    arguments = sys.argv[1:]
    if arguments and arguments[0] in (*ROAD, "all"):  # torchrun -m pipelines train
        arguments = ["run", *arguments]
    app(arguments, prog_name="tunable")
