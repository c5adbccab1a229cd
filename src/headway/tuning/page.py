"""A search as a web page that stands alone: how it went, what matters, and the settings to take."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from headway.config_reader import short
from headway.evaluation.records import write_whole
from headway.pages.charts import Axis, Series, bar_chart, line_chart, number, parallel_chart, scatter_chart
from headway.pages.document import facts, page, table, text
from headway.tuning.finals import best_trial, finals, told_best, waiting
from headway.tuning.importance import Importances, importances
from headway.tuning.live import STATES, short_names, shown_settings
from headway.tuning.search_space import Search
from headway.tuning.study import PAGE
from headway.tuning.workers import minutes_at_work

CURVES = 6


def write_page(search: Search, study: optuna.Study) -> Path:
    """Writes tuning.html into the directory of the search; returns its path. Raises ResourceError."""
    path = search.directory / PAGE
    write_whole(path, search_page(search, study))
    return path


def search_page(search: Search, study: optuna.Study) -> str:
    trials = study.get_trials(deepcopy=False)
    best = best_trial(study)
    ended = sum(trial.state.is_finished() for trial in trials)
    parts = [_best_part(search, study, best), _finals_part(search, study), _facts_part(search, study, trials)]
    if any(trial.intermediate_values for trial in trials):
        parts += ["<h2>How it went</h2>", _history(search, trials), _curves(search, trials)]
        parts += ["<h2>What matters</h2>", _parallel(search, trials), _importances(importances(search, trials))]
    parts += [_front(search, trials, "parameters", "parameters"), _front(search, trials, "seconds", "seconds of learning")]
    parts.append(_trials_part(search, trials))
    title = f"Tuning of {search.base.run_directory}"
    return page(title, f"{ended} of {len(trials)} trials have ended, compared by the validation {search.metric}", parts)


def _best_part(search: Search, study: optuna.Study, best: FrozenTrial | None) -> str:
    if best is None:
        return "<h2>Best settings</h2>\n<p>No trial is complete yet.</p>"
    written = search.as_yaml(best.params)
    told = f"{told_best(study, search.metric).capitalize()}. To train with them: --from-trial {best.number}"
    return f"<h2>Best settings</h2>\n<p>{text(told)}</p>\n<pre>{_lines(written)}</pre>"


def _finals_part(search: Search, study: optuna.Study) -> str:
    if waiting(study):
        return "<h2>Finals</h2>\n<p>They are not over: until then the best single training counts.</p>"
    held = sorted(finals(study), key=lambda one: fmean(one.values), reverse=search.higher_is_better)
    rows = []
    for one in held:
        spread = f" ± {number(stdev(one.values))}" if len(one.values) > 1 else ""
        others = ", ".join(f"seed {seed}: {'failed' if value is None else number(value)}" for seed, value in one.others.items())
        rows.append([f"trial {one.number}", f"{number(fmean(one.values))}{spread}", number(one.own), others])
    note = "The best of many trials is the luckiest too: these trained again with other seeds, and the best mean was chosen."
    head = ("", f"{search.metric}, mean ± deviation", "chosen for", "other seeds")
    return f"<h2>Finals</h2>\n<p class=soft>{note}</p>\n{table(head, rows, texts=1)}" if held else ""


def _lines(raw: str) -> str:
    """Text with its line breaks."""
    return "\n".join(text(line) for line in raw.rstrip("\n").split("\n"))


def _facts_part(search: Search, study: optuna.Study, trials: Sequence[FrozenTrial]) -> str:
    settings = search.settings
    told = {word: str(count) for state, (word, _) in STATES.items() if (count := sum(trial.state == state for trial in trials))}
    told["at work"] = f"{minutes_at_work(study):.1f} minutes"
    told["sampler"] = f"{settings.sampler}, seed {settings.seed}, {settings.startup_trials} startup trials"
    told["pruning"] = settings.pruning.replace("_", " ")
    known = [trial.user_attrs for trial in trials if "updates" in trial.user_attrs]
    if known and (whole := sum(trial["updates"] for trial in known)):
        done = sum(trial["update"] for trial in known)
        told["updates"] = f"{done:,} of the {whole:,} that all trials take without pruning: {1 - done / whole:.0%} saved"
    return f"<h2>The search</h2>\n{facts(told)}"


def _value(trial: FrozenTrial) -> float:
    """Of a trial, or the best that it had reached when it was stopped; NaN before its first validation."""
    if trial.state == TrialState.COMPLETE and trial.value is not None:
        return trial.value
    steps = trial.intermediate_values
    return steps[max(steps)] if steps else math.nan


def _with_values(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    return [trial for trial in trials if math.isfinite(_value(trial))]


def _better(search: Search) -> Callable[[Sequence[float]], float]:
    return max if search.higher_is_better else min


def _history(search: Search, trials: Sequence[FrozenTrial]) -> str:
    groups = {word: [one for one in _with_values(trials) if one.state == state] for state, (word, _) in STATES.items()}
    complete = [trial for trial in _with_values(trials) if trial.state == TrialState.COMPLETE]
    best = [_better(search)([_value(one) for one in complete[: place + 1]]) for place in range(len(complete))]
    series = [Series("best so far", [float(trial.number) for trial in complete], best)]
    series += [
        Series(name, [float(one.number) for one in some], list(map(_value, some)), joined=False) for name, some in groups.items()
    ]
    return line_chart("History", [one for one in series if one.x], "trial", search.metric)


def _curves(search: Search, trials: Sequence[FrozenTrial]) -> str:
    some = sorted(_with_values(trials), key=_value, reverse=search.higher_is_better)[:CURVES]
    every = search.base.training.validate_every
    series = []
    for trial in some:
        steps = sorted(trial.intermediate_values.items())
        series.append(Series(f"trial {trial.number}", [float(s * every) for s, _ in steps], [v for _, v in steps]))
    title = f"The best {len(some)} while they learned"
    return line_chart(title, series, "update", f"best {search.metric} so far", points=True)


def _parallel(search: Search, trials: Sequence[FrozenTrial]) -> str:
    known = [trial for trial in _with_values(trials) if len(trial.params) == len(search.spaces)]
    if len(known) < 2:
        return ""
    settings = [search.settings_of(trial.params) for trial in known]
    axes = []
    for space, name in zip(search.spaces, _names(search), strict=True):
        values = [setting[space.name] for setting in settings]
        if space.kind == "choice":
            axes.append(Axis(name, list(map(_word, values)), words=list(map(_word, space.choices))))
        else:
            axes.append(Axis(name, values, log=space.log))
    axes.append(Axis(search.metric, list(map(_value, known))))
    order = sorted(range(len(known)), key=lambda place: _value(known[place]), reverse=not search.higher_is_better)
    ranks = [0.0] * len(known)
    for rank, place in enumerate(order):
        ranks[place] = rank / (len(known) - 1)
    names = [f"trial {trial.number}" for trial in known]
    return parallel_chart("Settings and outcome", axes, names, ranks, note="a line for each trial; the better, the stronger")


def _names(search: Search) -> list[str]:
    return short_names([space.name for space in search.spaces])


def _word(value: Any) -> str:
    return value if isinstance(value, str) else short(value)


def _importances(found: Importances | str) -> str:
    if isinstance(found, str):
        return f"<p class=soft>{text(found)}</p>"
    names, values = list(found.shares), list(found.shares.values())
    return bar_chart("Importance of each setting", names, Series("importance", [], values), "share", note=found.note)


def _front(search: Search, trials: Sequence[FrozenTrial], attribute: str, label: str) -> str:
    """Score against a price: what no other trial beats in both is the Pareto front."""
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE and attribute in trial.user_attrs]
    if len(complete) < 2:
        return ""
    points = {trial.number: (float(trial.user_attrs[attribute]), _value(trial)) for trial in complete}
    front = pareto_front(points, higher_is_better=search.higher_is_better)
    groups = {"on the front": front, "beaten": [number for number in points if number not in front]}
    series, tips = [], []
    for name, numbers in groups.items():
        if numbers:
            series.append(Series(name, [points[n][0] for n in numbers], [points[n][1] for n in numbers]))
            tips.append([_tip(search, trials[n]) for n in numbers])
    return scatter_chart(f"{search.metric.capitalize()} and {label}", series, label, search.metric, tips=tips)


def _tip(search: Search, trial: FrozenTrial) -> str:
    return f"trial {trial.number}: {number(_value(trial))}\n{shown_settings(search.settings_of(trial.params))}"


def pareto_front(points: dict[int, tuple[float, float]], *, higher_is_better: bool) -> list[int]:
    """The keys of the (price, score) points that no other one beats: cheaper and at least as good, or better and as cheap."""
    sign = -1 if higher_is_better else 1
    front, best = [], math.inf
    for key, (_, score) in sorted(points.items(), key=lambda item: (item[1][0], sign * item[1][1])):
        if sign * score < best:
            front.append(key)
            best = sign * score
    return front


def _trials_part(search: Search, trials: Sequence[FrozenTrial]) -> str:
    names = [space.name for space in search.spaces]
    head = ("trial", "state", "cause", search.metric, "update", "seconds", "parameters", *_names(search))
    rows = []
    for trial in trials:
        known = trial.user_attrs
        settings = search.settings_of(trial.params) if len(trial.params) == len(names) else {}
        figures = [number(float(known[name])) if name in known else "" for name in ("update", "seconds", "parameters")]
        value = number(_value(trial)) if math.isfinite(_value(trial)) else ""
        rows.append(
            [str(trial.number), STATES[trial.state][0], known.get("cause", ""), value, *figures]
            + [_word(settings[name]) if name in settings else "" for name in names]
        )
    return f"<h2>Trials</h2>\n{table(head, rows, texts=3)}"
