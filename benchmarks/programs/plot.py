"""Draws a result as SVG: `plot.py RESULT.json PICTURE.svg`. Runs in an environment that has matplotlib."""

import json
import statistics
import sys
from collections import defaultdict
from pathlib import Path

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot, ticker

OURS = "azureml_wrapper"
OUR_COLOUR, RERUN_COLOUR = "#0067b8", "#9dc6e8"
COLOURS = ("#767676", "#c2410c", "#15803d", "#a16207", "#7e22ce", "#be185d", "#0e7490", "#4d7c0f", "#1e293b")
# The same result gives the same file; text stays text.
matplotlib.rcParams |= {"svg.hashsalt": OURS, "svg.fonttype": "none", "font.size": 9}


def grow(lines):
    """Time and memory against the number of steps, both logarithmic."""
    figure, axes = pyplot.subplots(1, 2, figsize=(9, 4), layout="constrained")
    groups = defaultdict(list)
    for line in lines:
        groups[line["group"]].append(line)
    colours = dict(zip([name for name in groups if not name.startswith(OURS)], COLOURS, strict=False))
    for axis, key, label in zip(axes, ("seconds", "mib"), ("seconds", "memory [MiB]"), strict=True):
        for name, members in groups.items():
            points = sorted(
                (line["size"], statistics.median(line["values"][key])) for line in members if line["values"]
            )
            if points:
                ours = name.startswith(OURS)
                style = {"color": OUR_COLOUR if ours else colours[name], "linewidth": 2.5 if ours else 1.2}
                style["linestyle"] = "-" if name in (OURS, *colours) else ":"
                axis.plot(*zip(*points, strict=True), marker="o", markersize=4, label=name, **style)
        axis.set(xscale="log", yscale="log", xlabel="steps", ylabel=label)
        for scale in (axis.xaxis, axis.yaxis):
            scale.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
            scale.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
            scale.set_minor_locator(ticker.NullLocator())
        axis.grid(visible=True, which="major", color="#e5e5e5")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right center", frameon=False)
    return figure


def bars(lines):
    """A bar for each line, with the least and the most; a lighter one where nothing had changed."""
    lines = [line for line in lines if line["values"]][::-1]
    figure, axis = pyplot.subplots(figsize=(9, 0.38 * len(lines) + 1), layout="constrained")
    for key, offset, label in (("seconds", 0.2, "every step runs"), ("rerun", -0.2, "nothing changed")):
        found = [
            (place, line["name"], line["values"][key]) for place, line in enumerate(lines) if key in line["values"]
        ]
        medians = [statistics.median(values) for *_, values in found]
        spread = [
            [median - min(values) for median, (*_, values) in zip(medians, found, strict=True)],
            [max(values) - median for median, (*_, values) in zip(medians, found, strict=True)],
        ]
        strong = [OUR_COLOUR if name.startswith(OURS) else "#767676" for _, name, _ in found]
        weak = [RERUN_COLOUR if name.startswith(OURS) else "#c8c8c8" for _, name, _ in found]
        places = [place + offset for place, *_ in found]
        colour = strong if key == "seconds" else weak
        axis.barh(places, medians, 0.38, color=colour, label=label, xerr=spread, error_kw={"elinewidth": 0.8})
    axis.set_yticks(range(len(lines)), [line["name"] for line in lines])
    axis.set_xlabel("seconds (dark: every step runs; light: nothing changed)")
    axis.spines[["top", "right"]].set_visible(False)
    return figure


def main():
    source, target = map(Path, sys.argv[1:])
    lines = json.loads(source.read_text(encoding="utf-8"))["lines"]
    draw = grow if any(line["size"] for line in lines) else bars
    draw(lines).savefig(target, format="svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
