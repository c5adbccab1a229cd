"""Training speed side by side: non-padding target tokens per second, end of sentence included.

    python benchmarks/training.py --data DIRECTORY_OF_MULTI30K

Every system trains with its own command line on the same subwords, in turns, several rounds; the first seconds of each run
are not counted. The configurations are the files in `benchmarks/peers/`. Prints versions, threads, allocator settings,
every figure with its spread and the ratios; writes the same as `training.json` into the work directory.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import flops
from corpus import Corpus, data_directory, describe, prepare
from measure import Measured, Patience, end_on_sigterm, measure, spread, table
from peers import SIZES, THREADS, Places, Reading, Run, Size, environment, headway_training, huggingface, joeynmt, opennmt

HERE = Path(__file__).parent


@dataclass(frozen=True)
class System:
    label: str
    prepare: Callable[[Size, Corpus, Places], Run]
    read: Callable[[str], list[Reading]]
    sites: str  # where dropout is
    environment: str | None = None  # of the peers; None: Headway's own
    package: str = "headway"

    @property
    def ours(self) -> bool:
        return self.environment is None


COMMON, WITH_ATTENTION = "embeddings, sub-layers, inner feed-forward", "… and attention weights"
SYSTEMS = {
    "headway": System("Headway", partial(headway_training.prepare, name="headway"), headway_training.read, COMMON),
    "headway-fp32": System(
        "Headway, fp32",
        partial(headway_training.prepare, name="headway-fp32", precision="fp32"),
        headway_training.read,
        COMMON,
    ),
    "headway-bf16": System(
        "Headway, bf16",
        partial(headway_training.prepare, name="headway-bf16", precision="bf16"),
        headway_training.read,
        COMMON,
    ),
    "headway-attention": System(
        "Headway, attention dropout",
        partial(headway_training.prepare, name="headway-attention", attention_dropout=0.1),
        headway_training.read,
        WITH_ATTENTION,
    ),
    "opennmt": System("OpenNMT-py", opennmt.prepare, opennmt.read, COMMON, opennmt.ENVIRONMENT, opennmt.PACKAGE),
    "huggingface": System(
        "HF Marian, Seq2SeqTrainer", huggingface.prepare, huggingface.read, COMMON, huggingface.ENVIRONMENT, huggingface.PACKAGE
    ),
    "huggingface-grouped": System(
        "HF Marian, group_by_length",
        partial(huggingface.prepare, grouped=True),
        huggingface.read,
        COMMON,
        huggingface.ENVIRONMENT,
        huggingface.PACKAGE,
    ),
    "joeynmt": System("JoeyNMT", joeynmt.prepare, joeynmt.read, WITH_ATTENTION, joeynmt.ENVIRONMENT, joeynmt.PACKAGE),
}
DEFAULT_SYSTEMS = ["headway", "opennmt", "huggingface", "headway-attention", "joeynmt"]
# (ours, theirs, the ratio that is asked for): each pair has its dropout at the same sites.
COMPARISONS = [
    ("headway", "opennmt", 2.0),
    ("headway", "huggingface", 3.5),
    ("headway", "huggingface-grouped", None),
    ("headway-attention", "joeynmt", 5.0),
    ("headway", "joeynmt", None),
    ("headway-fp32", "opennmt", None),
]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=data_directory, required=True, help="directory with train.en, train.de, val.*, test_2016_flickr.*"
    )
    parser.add_argument("--peers", type=Path, default=Path(".peers"), help="the peers' environments (setup_peers.sh)")
    parser.add_argument("--work", type=Path, default=Path("runs/benchmarks"))
    parser.add_argument("--sizes", nargs="+", choices=list(SIZES), default=["tiny", "base3"])
    parser.add_argument("--systems", nargs="+", choices=list(SYSTEMS), default=DEFAULT_SYSTEMS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=40.0, help="measured in each turn")
    parser.add_argument("--warm-up", type=float, default=15.0, help="seconds after the first reading that are not counted")
    parser.add_argument("--allocator", choices=["own", "kept"], default="own", help="kept: the peers' malloc keeps memory too")
    parser.add_argument("--no-peak", action="store_true", help="leave out the fraction of the machine's peak (base, bf16)")
    return parser.parse_args()


def versions(places: Places, systems: list[System]) -> list[list[str]]:
    """Package, its version, torch, threads and allocator of each system."""
    code = (
        "import importlib.metadata as m, torch, sys; "
        "print(m.version(sys.argv[1]), torch.__version__, torch.get_num_threads(), sep='|')"
    )
    rows = []
    for system in systems:
        python = sys.executable if system.environment is None else places.program(system.environment, "python")
        argv = [python, "-c", code, system.package]
        found = subprocess.run(argv, env=environment("own"), capture_output=True, text=True, check=True).stdout.strip()
        rows.append([system.label, *found.split("|"), system.sites])
    return rows


def machine() -> dict[str, dict]:
    argv = [sys.executable, str(HERE / "machine.py")]
    return json.loads(subprocess.run(argv, env=environment("own"), capture_output=True, text=True, check=True).stdout)


def one_turn(system: System, size: Size, corpus: Corpus, places: Places, options: argparse.Namespace) -> Measured:
    allocator = "own" if system.ours else options.allocator
    patience = Patience(options.warm_up, options.seconds)
    measured = measure(system.prepare(size, corpus, places), system.read, environment(allocator), patience)
    disturbed = f"  OTHERS USED {measured.others:.0%} OF THE CPUS" if measured.others > 0.05 else ""
    print(
        f"  {size.name:6} {system.label:28} {measured.tokens_per_second:9,.0f} tokens/s"
        f"  ({measured.updates} updates, {measured.seconds:.0f} s; first reading after {measured.start_seconds:.0f} s;"
        f" {measured.peak_mib:,.0f} MiB){disturbed}",
        flush=True,
    )
    return measured


def report_size(size: str, results: dict[str, list[Measured]]) -> dict[str, dict]:
    """Prints the figures and the ratios of one size; a ratio is taken within each round."""
    rates = {name: [measured.tokens_per_second for measured in found] for name, found in results.items() if found}
    rows = [
        [SYSTEMS[name].label, spread(values), f"{max(measured.peak_mib for measured in results[name]):,.0f}"]
        for name, values in rates.items()
    ]
    print(f"\n### {size}\n\n" + table(["system", "target tokens/s, median (range)", "peak MiB"], rows), flush=True)
    ratios, lines = {}, []
    for ours, theirs, wanted in COMPARISONS:
        if ours in rates and theirs in rates:
            found = [mine / other for mine, other in zip(rates[ours], rates[theirs], strict=True)]
            ratios[f"{ours} / {theirs}"] = found
            asked = "" if wanted is None else f"{wanted}× {'met' if statistics.median(found) >= wanted else 'NOT MET'}"
            lines.append([f"{SYSTEMS[ours].label} / {SYSTEMS[theirs].label}", spread(found), asked])
    print("\n" + table(["ratio", "median (range)", "asked for"], lines) + "\n", flush=True)
    return {"tokens_per_second": rates, "ratios": ratios}


def report_peak(corpus: Corpus, places: Places, options: argparse.Namespace) -> dict[str, object]:
    """Headway `base` in bf16 against the best large matrix product of the same minutes."""
    system = SYSTEMS["headway-bf16"]
    before = machine()
    speeds = [one_turn(system, SIZES["base"], corpus, places, options) for _ in range(options.rounds)]
    after = machine()
    rates = {
        kind: {name: max(value, after["gflops"][kind][name]) for name, value in shapes.items()}
        for kind, shapes in before["gflops"].items()
    }
    rows = [[name, *(f"{rates[kind][name]:,.0f}" for kind in rates)] for name in rates["fp32"]]
    print("\n### Matrix products of this machine, GFLOP/s\n\n" + table(["shape", *rates], rows))
    count = flops.work(SIZES["base"], corpus)
    peak = max(rates["bf16"].values()) * 1e9
    tokens = [measured.tokens_per_second for measured in speeds]
    print(f"\n### Headway base (6+6, 512/2048), bf16: {spread(tokens)} target tokens/s\n")
    fractions = {}
    for name, per_token in asdict(count).items():
        fractions[name] = [value * per_token / peak for value in tokens]
        what = "padding excluded" if name == "useful" else "padding included"
        print(f"{what}: {per_token / 1e9:.3f} GFLOP a target token, fraction of the bf16 peak {spread(fractions[name])}")
    return {"gflops": rates, "tokens_per_second": tokens, "flops_per_token": asdict(count), "fraction": fractions}


def main() -> None:
    options = parse()
    end_on_sigterm()
    corpus = prepare(options.data, options.work.resolve())
    places = Places(options.peers.absolute(), options.work.resolve())
    chosen = {name: SYSTEMS[name] for name in options.systems}
    facts = machine()
    print(json.dumps(facts["machine"]), json.dumps(describe(corpus)), sep="\n")
    print(f"\nthreads: {THREADS}; batches of 4,096 padded tokens; label smoothing 0.1; dropout 0.1")
    print(f"padding in Headway's batches, source and target together: {flops.padding(corpus):.1%}")
    theirs = "glibc's defaults" if options.allocator == "own" else "environment: freed memory kept"
    print(f"allocator: Headway keeps freed memory (mallopt from inside, its default); the peers: {theirs}\n")
    print(table(["system", "version", "torch", "threads", "dropout sites"], versions(places, list(chosen.values()))) + "\n")
    record: dict[str, object] = {"machine": facts, "corpus": describe(corpus), "allocator": options.allocator}
    for size in options.sizes:
        results: dict[str, list[Measured]] = {name: [] for name in chosen}
        for turn in range(options.rounds):
            names = list(chosen)
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                results[name].append(one_turn(chosen[name], SIZES[size], corpus, places, options))
        record[size] = report_size(size, results) | {
            "turns": {name: [asdict(measured) for measured in found] for name, found in results.items()}
        }
    if not options.no_peak:
        record["peak"] = report_peak(corpus, places, options)
    destination = options.work / "training.json"
    destination.write_text(json.dumps(record, indent=1), "utf-8")
    print(f"\nwritten: {destination}")


if __name__ == "__main__":
    main()
