"""A named Ray cluster: it answers, lets us in, has room, and every node sees the work tree."""

from pipelines.core.errors import ConfigError
from pipelines.core.layout import Layout
from pipelines.doctor.finding import About, Finding
from pipelines.doctor.places import places
from pipelines.doctor.ports import answers
from pipelines.doctor.visit import visit
from pipelines.training.config import ComputeConfig

ABOUT = About("cluster")


def cluster(address: str, compute: ComputeConfig, layout: Layout) -> list[Finding]:
    """Connect, and ask every node; a cluster that does not answer is one fault.

    Args:
        address: of the cluster.
        compute: what a run would ask of it.
        layout: the work tree that all nodes must share.
    """
    found = answers(address)
    if found[0].level == "fault":
        return found
    try:
        visited = visit(address, layout.root)
    except ConfigError as error:
        remedy = (
            "export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=/a/file with the head's token, if it has one; "
            "Ray and Python must have the versions of the head's"
        )
        return [*found, ABOUT.fault(str(error), remedy)]
    return [*found, places(visited.resources, compute), *visited.findings]
