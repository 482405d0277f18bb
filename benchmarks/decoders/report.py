"""What the decoders made of the files, as tables."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.decoders.compare import CLASSES

Row = Mapping[str, Any]
NOTED = ("refused", "different", "reduced", "crashed")
"""Classes whose files a reader wants to see."""
MOST_NAMES = 4


def summarise(rows: Sequence[Row], decoders: Sequence[str], by: str) -> dict[str, Any]:
    """Counts by a column of the rows: files, read and kept by each decoder, classes."""
    groups = defaultdict[str, list[Row]](list)
    for row in rows:
        groups[row[by]].append(row)
    order = sorted(groups, key=lambda name: (-len(groups[name]), name))
    return {name: _counts(groups[name], decoders) for name in order} | {"all": _counts(rows, decoders)}


def _counts(rows: Sequence[Row], decoders: Sequence[str]) -> dict[str, Any]:
    """Bits are kept where the decoder gives as many of a channel as the file declares."""
    classes = Counter(row["zoo"] for row in rows)
    return {
        "files": len(rows),
        "read": {name: sum(row["decoders"][name]["status"] == "read" for row in rows) for name in decoders},
        "full depth": {
            name: sum(row["decoders"][name].get("bits", 0) >= row["bits"] for row in rows)
            for name in decoders
        },
        "classes": {name: classes[name] for name in CLASSES if classes[name]},
    }


def summarise_safety(rows: Sequence[Row], decoders: Sequence[str]) -> dict[str, Any]:
    """Of each decoder: files on which its process died, hung or ran over memory, and the highest peak."""
    found = {}
    for name in decoders:
        outcomes = [(row["file"], row["decoders"][name]) for row in rows]
        bad = ("crashed", "timed out", "over memory")
        found[name] = {
            status: [file for file, outcome in outcomes if outcome["status"] == status] for status in bad
        } | {"peak_mb": max((outcome.get("peak_mb", 0) for _, outcome in outcomes), default=0)}
    return found


def write_page(report: Mapping[str, Any]) -> str:
    """The report as a page."""
    decoders = report["decoders"]
    lines = ["# Decoders", ""]
    lines += [
        "Files read by each decoder, and in brackets those of which it keeps all bits of a channel where "
        "these are fewer. Classes are those of `zoo.read_picture`.",
        "",
    ]
    for title in ("format", "project"):
        lines += _counts_table(title, report["by"][title], decoders)
    lines += ["Classes:", "", *(f"- {name}: {meaning}." for name, meaning in CLASSES.items()), ""]
    lines += _candidates_table(report)
    lines += _speed_table(report["speed"], decoders)
    for name in NOTED:
        rows = [row for row in report["noted"] if row["zoo"] == name]
        if rows:
            lines += [f"## {name.capitalize()}: {CLASSES[name]}", "", *_list_by_reason(rows), ""]
    return "\n".join(lines)


def _list_by_reason(rows: Sequence[Row]) -> list[str]:
    """A line for each reason, with the files it is given for; all that is said of them is in the numbers."""
    files = defaultdict[str, list[str]](list)
    for row in rows:
        own = row["file"].rpartition("/")[2]
        reason = (
            row["why"].replace(f"ImageError: cannot read {own}: ", "").partition(", which is not supp")[0]
        )
        files[f"{row['format']}: {reason.partition('; expected one of')[0]}"].append(row["file"])
    lines = []
    for reason, names in sorted(files.items()):
        more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
        lines.append(f"- {reason}: {', '.join(f'`{name}`' for name in names[:MOST_NAMES])}{more}")
    return lines


def _counts_table(title: str, groups: Mapping[str, Any], decoders: Sequence[str]) -> list[str]:
    classes = [name for name in CLASSES if any(name in group["classes"] for group in groups.values())]
    lines = [f"| {title} | files | {' | '.join([*decoders, *classes])} |"]
    lines.append("|---" * (2 + len(decoders) + len(classes)) + "|")
    for name, group in groups.items():
        read = [_read_cell(group["read"][decoder], group["full depth"][decoder]) for decoder in decoders]
        counts = [str(group["classes"].get(kind, "")) for kind in classes]
        lines.append(f"| {name} | {group['files']} | {' | '.join([*read, *counts])} |")
    return [*lines, ""]


def _read_cell(read: int, full: int) -> str:
    return f"{read}" if full == read else f"{read} ({full})"


def _candidates_table(report: Mapping[str, Any]) -> list[str]:
    lines = ["| candidate | versions | MB on disk | crashed | timed out | over memory | highest peak, MB |"]
    lines.append("|---|---|---|---|---|---|---|")
    for name, safety in report["safety"].items():
        installed = report["installed"].get(name, {"versions": {}, "megabytes": ""})
        versions = ", ".join(f"{package} {version}" for package, version in installed["versions"].items())
        counts = [str(len(safety[status])) for status in ("crashed", "timed out", "over memory")]
        cells = [name, versions, str(installed["megabytes"]), *counts, f"{safety['peak_mb']:.0f}"]
        lines.append(f"| {' | '.join(cells)} |")
    lines.append("")
    for name, safety in report["safety"].items():
        for status in ("crashed", "timed out", "over memory"):
            if safety[status]:
                lines.append(f"- {name} {status}: {', '.join(f'`{file}`' for file in safety[status][:8])}")
    return [*lines, ""]


def _speed_table(speed: Mapping[str, Any], decoders: Sequence[str]) -> list[str]:
    if not speed:
        return []
    lines = ["Median seconds for a megapixel, on pictures of 4 megapixels, and bits kept:", ""]
    lines += [f"| | {' | '.join(decoders)} |", "|---" * (1 + len(decoders)) + "|"]
    for name, times in speed.items():
        cells = [f"{times[of][0]:.4f} ({times[of][1]})" if of in times else "" for of in decoders]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return [*lines, ""]
