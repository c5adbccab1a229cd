"""What recurrent.py has measured, as tables in a Markdown page and one plot with three panels.

The page is written by a person, but for what stands between `BEGIN` and `END`: that is made anew from the figures each time.
"""

from __future__ import annotations

import math
import statistics
from pathlib import Path
from typing import Any

from measure import spread, table

BEGIN, END = "<!-- figures: benchmarks/recurrent.py writes from here -->", "<!-- to here -->"
EMPTY_PAGE = f"# The Transformer beside a recurrent network\n\n{BEGIN}\n{END}\n"
LABELS = {
    "sinusoidal": "Transformer, sinusoidal positions",
    "relative": "Transformer, relative positions",
    "rotary": "Transformer, rotary positions",
    "transformer": "Transformer, relative positions",
    "lstm": "LSTM with attention",
}
# Okabe and Ito's colours, told apart by every kind of colour vision; markers say the same once more.
LOOKS = {
    "sinusoidal": ("#0072B2", "o"),
    "relative": ("#009E73", "s"),
    "transformer": ("#009E73", "s"),
    "rotary": ("#CC79A7", "^"),
    "lstm": ("#D55E00", "D"),
}
PLACES = {"source": "read by the encoder", "target": "in the decoder's own past"}
BUSY = 0.05  # share of the CPUs that other programs may take before a figure is worth nothing
Part = dict[str, Any]


def write(parts: dict[str, Part], out: Path) -> None:
    """Writes the page and the plot beside the figures; says on standard output what the tables say."""
    page, plot = out.with_suffix(".md"), out.with_suffix(".png")
    shown = "\n\n".join(TABLES[name](parts[name]) for name in TABLES if name in parts)
    if not shown:
        raise SystemExit(f"{out.with_suffix('.json')} holds no figures yet: name a part to measure")
    draw(parts, plot)
    text = page.read_text("utf-8") if page.exists() else EMPTY_PAGE
    if BEGIN not in text or END not in text.partition(BEGIN)[2]:
        raise SystemExit(f"{page} lacks the lines between which the tables go:\n{BEGIN}\n{END}")
    before, _, rest = text.partition(BEGIN)
    page.write_text(f"{before}{BEGIN}\n\n![three plots]({plot.name})\n\n{shown}\n\n{END}{rest.partition(END)[2]}", "utf-8")
    print(f"{shown}\n\nwritten: {page}, {plot}")


# --- tables ------------------------------------------------------------------------------------------------------


def speed_table(part: Part) -> str:
    """Tokens/s by length, and the ratio within each round."""
    by_length = speeds(part)
    systems = list(next(iter(by_length.values()))[0])
    rows = []
    for length, turns in by_length.items():
        rates = [spread([turn[system] for turn in turns]) for system in systems]
        ratios = [spread([turn[system] / turn["lstm"] for turn in turns]) for system in systems if system != "lstm"]
        rows.append([f"{length:,}", f"{max(1, part['settings']['tokens'] // length):,}", *rates, *ratios])
    others = [f"{LABELS[system]} / LSTM" for system in systems if system != "lstm"]
    head = ["tokens of a sentence", "sentences of a batch", *(LABELS[system] for system in systems), *others]
    caption = "Target tokens/s of training, median of the rounds (lowest–highest)."
    return "\n\n".join(("### Training speed", facts(part), sizes(part), table(head, rows), caption))


def speeds(part: Part) -> dict[int, list[dict[str, float]]]:
    """The rates of each round by length."""
    found: dict[int, list[dict[str, float]]] = {}
    for name, figure in part["figures"].items():
        found.setdefault(int(name.split()[0]), []).append(figure["rates"])
    return dict(sorted(found.items()))


def recall_table(part: Part) -> str:
    """A table for each place of the pairs; its last line says how long learning took."""
    settings, found = part["settings"], recalled(part)
    budget, blocks = settings["budget"], []
    for place in dict.fromkeys(place for place, _ in found):
        systems = {system: runs for (where, system), runs in found.items() if where == place}
        rows = []
        for distance in [*settings["distances"], *settings["beyond"]]:
            cells = [_accuracy([run["right"][str(distance)] for run in runs], settings["items"]) for runs in systems.values()]
            rows.append([f"{distance:,}" + ("" if distance in settings["distances"] else " (not learned)"), *cells])
        rows.append(["seconds of learning", *(spread([run["seconds"] for run in runs]) for runs in systems.values())])
        head = [
            f"pairs {PLACES[place]}: distance",
            *(f"{LABELS[system]}, seeds: {len(runs)}" for system, runs in systems.items()),
        ]
        blocks.append(table(head, rows))
    trained = f"{budget['updates']:,} updates each" if budget["updates"] else f"{budget['seconds'] / 60:g} minutes each"
    caption = "Right answers, %, with Wilson's 95 % interval over the questions of all seeds; "
    caption += f"{settings['items']:,} questions at each distance and seed; {trained}."
    return "\n\n".join(("### Exact recall", facts(part), sizes(part), *blocks, caption))


def recalled(part: Part) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """The runs of all seeds by place and system."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for name, figure in part["figures"].items():
        place, system, _ = name.split()
        found.setdefault((place, system), []).append(figure)
    return found


def _accuracy(right: list[int], items: int) -> str:
    share, low, high = (100 * value for value in wilson(sum(right), items * len(right)))
    return f"{share:.1f} ({low:.1f}–{high:.1f})"


def wilson(right: int, asked: int, z: float = 1.96) -> tuple[float, float, float]:
    """The share and the score interval (Wilson 1927), which is not empty where all or none are right."""
    share = right / asked
    middle, scale = share + z * z / (2 * asked), 1 + z * z / asked
    half = z * math.sqrt(share * (1 - share) / asked + z * z / (4 * asked * asked))
    return share, max(0.0, min(share, (middle - half) / scale)), min(1.0, max(share, (middle + half) / scale))


def multi30k_table(part: Part) -> str:
    rows, trials = [], []
    for name, figure in part["figures"].items():
        kind, *rest = name.split()
        if kind == "trial":
            trials.append(f"{' '.join(rest)}: {figure['curve'][-1]['loss']:.3f} ({figure['updates']:,} updates)")
        elif kind in LABELS:
            test, last = figure["test"], figure["curve"][-1]
            best = max(point["bleu"] for point in figure["curve"])
            interval = f"{test['bleu']:.2f} ({test['low']:.2f}–{test['high']:.2f})"
            words = [f"{figure['updates']:,}", f"{figure['seconds']:,.0f}", f"{last['loss']:.3f}", f"{best:.2f}", interval]
            rows.append([LABELS[kind], *rest, *words])
    head = ["", "seed", "updates", "seconds of learning", "validation loss", "validation BLEU, best", "test BLEU (95 %)"]
    caption = "BLEU of greedy translations, tokenised and lower-cased; that of test_2016_flickr with the best validated weights."
    tried = f"The LSTM's trials, with the validation loss of each: {', '.join(trials)}." if trials else ""
    blocks = ("### Multi30k, English → German", facts(part), sizes(part), table(head, sorted(rows)), caption, tried)
    return "\n\n".join(filter(None, blocks))


TABLES = {"speed": speed_table, "recall": recall_table, "multi30k": multi30k_table}


def facts(part: Part) -> str:
    """Machine, size and days; and a warning where other programs ran."""
    machine, settings, figures = part["machine"], part["settings"], part["figures"].values()
    days = sorted({figure["day"] for figure in figures})
    others = max(figure["others"] for figure in figures)
    line = f"{machine['processor']}, {machine['cores']} cores; torch {machine['torch']}, float32, {machine['threads']} threads, "
    line += f"{settings['device']}; preset {settings['preset']}; {' to '.join(dict.fromkeys((days[0], days[-1])))}. "
    if others > BUSY:
        return line + f"**Not idle: other programs took up to {others:.0%} of the CPUs; times and speeds say nothing.**"
    return line + f"Other programs took at most {others:.1%} of the CPUs."


def sizes(part: Part) -> str:
    """The parameters of every system."""
    found: dict[str, int] = {}
    for name, figure in part["figures"].items():
        if isinstance(figure.get("parameters"), dict):
            found |= {LABELS[system]: count for system, count in figure["parameters"].items()}
        elif "parameters" in figure:
            found |= {LABELS[word]: figure["parameters"] for word in name.split() if word in LABELS}
    return "Parameters: " + ", ".join(f"{label} {count:,}" for label, count in found.items()) + "."


# --- plot --------------------------------------------------------------------------------------------------------


def draw(parts: dict[str, Part], path: Path) -> None:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    style = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": "#E4E4E4"}
    style |= {"axes.titlesize": 10.5, "axes.titleweight": "bold", "axes.titlelocation": "left", "axes.edgecolor": "#808080"}
    with rc_context({**style, "axes.axisbelow": True}):
        figure = Figure(figsize=(13, 4.4), layout="constrained")
        panels = dict(zip(PANELS, figure.subplots(1, 3), strict=True))
        for name, axes in panels.items():
            if name in parts:
                PANELS[name](axes, parts[name])
            else:
                axes.set_axis_off()
        handles = {label: line for axes in panels.values() for line, label in zip(*axes.get_legend_handles_labels(), strict=True)}
        figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=len(handles), frameon=False)
        figure.savefig(path, dpi=160)


def draw_speed(axes: Any, part: Part) -> None:
    by_length = speeds(part)
    for system in next(iter(by_length.values()))[0]:
        rates = [[turn[system] for turn in turns] for turns in by_length.values()]
        colour, marker = LOOKS[system]
        axes.fill_between(list(by_length), list(map(min, rates)), list(map(max, rates)), color=colour, alpha=0.18, linewidth=0)
        axes.plot(list(by_length), list(map(statistics.median, rates)), color=colour, marker=marker, label=LABELS[system])
    _powers_of_two(axes, list(by_length))
    axes.set(title="Training speed", xlabel="tokens of a sentence", ylabel="target tokens/s")
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")


def draw_recall(axes: Any, part: Part) -> None:
    settings = part["settings"]
    distances, learned = [*settings["distances"], *settings["beyond"]], max(settings["distances"])
    for number, ((place, system), runs) in enumerate(recalled(part).items()):
        colour, marker = LOOKS[system]
        shares = [wilson(sum(run["right"][str(d)] for run in runs), settings["items"] * len(runs)) for d in distances]
        middle, low, high = ([100 * share[i] for share in shares] for i in range(3))
        whiskers = [[m - x for m, x in zip(middle, low, strict=True)], [x - m for m, x in zip(middle, high, strict=True)]]
        places = [distance * 1.03 ** (number - 2) for distance in distances]  # side by side, where they would hide each other
        dashes, label = ("-", LABELS[system]) if place == "source" else ((0, (4, 2)), "_")
        axes.errorbar(
            places, middle, whiskers, color=colour, marker=marker, markersize=5, linestyle=dashes, capsize=2, label=label
        )
    _powers_of_two(axes, distances)
    if settings["beyond"]:
        axes.axvspan(learned * 2**0.5, max(distances) * 1.4, color="#F0F0F0", zorder=0)
        axes.text(max(distances) * 1.3, 50, "not learned", color="#606060", rotation=90, ha="right", va="center", fontsize=8)
    for dashes, place in (("-", "source"), ((0, (4, 2)), "target")):
        axes.plot([], [], color="#505050", linestyle=dashes, label=f"_{place}")
    lines = [line for line in axes.lines if line.get_label() in ("_source", "_target")]
    axes.legend(lines, [f"pairs {PLACES[line.get_label()[1:]]}" for line in lines], loc="best", fontsize=8, framealpha=0.9)
    axes.set(title="Exact recall", xlabel="tokens between key and question", ylabel="right answers, %", ylim=(-3, 103))


def draw_multi30k(axes: Any, part: Part) -> None:
    for name, figure in part["figures"].items():
        system = name.split()[0]
        if system in LABELS:
            colour, marker = LOOKS[system]
            minutes, bleu = zip(*((point["seconds"] / 60, point["bleu"]) for point in figure["curve"]), strict=True)
            axes.plot(minutes, bleu, color=colour, marker=marker, markersize=4, alpha=0.85, label=LABELS[system])
    axes.set(title="Multi30k en→de, equal time", xlabel="minutes of learning", ylabel="validation BLEU (greedy)")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)


def _powers_of_two(axes: Any, ticks: list[int]) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.minorticks_off()


PANELS = {"speed": draw_speed, "recall": draw_recall, "multi30k": draw_multi30k}
