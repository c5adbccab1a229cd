"""The tree of a beam search holds what was weighed, and its endings are the answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from test_subjects import BEAM, TEXTS

from headway.explain.search import Node, search_tree
from headway.explain.subjects import subject_of
from headway.inference.search import Candidate

RunOf = Callable[[str], Path]


def path(nodes: list[Node], last: int) -> list[Node]:
    found = [nodes[last]]
    while found[0].parent is not None:
        found.insert(0, nodes[found[0].parent])
    return found


def test_a_small_search_by_hand() -> None:
    history = [
        [Candidate(0, 5, -0.1, "open"), Candidate(0, 6, -2.0, "open"), Candidate(0, 7, -3.0, "dropped")],
        [Candidate(0, 2, -0.3, "finished"), Candidate(1, 8, -2.1, "open"), Candidate(0, 9, -2.2, "open")],
        [Candidate(0, 2, -2.4, "finished"), Candidate(1, 2, -2.5, "dropped")],
    ]
    tree = search_tree(history, 1.0, str, lambda ids: " ".join(map(str, ids)))
    assert [[node.text for node in path(tree.nodes, ending.node)] for ending in tree.endings] == [["5", "2"], ["6", "8", "2"]]
    assert [ending.text for ending in tree.endings] == ["5", "6 8"]
    assert [ending.score for ending in tree.endings] == pytest.approx([-0.15, -0.8])
    assert [ending.behind for ending in tree.endings] == pytest.approx([0.0, 0.65])
    assert tree.nodes[2].fate == "dropped"


@pytest.mark.parametrize("kind", ["translation", "summarisation", "language_model"])
def test_the_tree_of_a_run_ends_in_its_answer_with_scores_that_a_forward_pass_gives(run_of: RunOf, kind: str) -> None:
    subject = subject_of(run_of(kind), TEXTS[kind], BEAM)
    assert subject.search is not None
    tree = subject.search()
    best = tree.endings[0]
    assert best.text == subject.answer
    assert [ending.score for ending in tree.endings] == sorted((ending.score for ending in tree.endings), reverse=True)
    with torch.no_grad():
        own = [not output.given for output in subject.outputs]
        log_p = subject.scores(*subject.ids())[0, own].double().cumsum(0)
    for node, total in zip(path(tree.nodes, best.node), log_p.tolist(), strict=True):
        assert node.log_probability == pytest.approx(total, abs=1e-4)
    for node in tree.nodes:
        assert node.parent is None or (tree.nodes[node.parent].step, tree.nodes[node.parent].fate) == (node.step - 1, "open")
    for step in range(max(node.step for node in tree.nodes) + 1):
        weighed = [node for node in tree.nodes if node.step == step]
        assert sum(node.fate == "open" for node in weighed) <= 3
        assert [node.log_probability for node in weighed] == sorted((n.log_probability for n in weighed), reverse=True)


def test_an_answer_that_was_not_searched_for_by_beams_has_no_tree(run_of: RunOf) -> None:
    assert subject_of(run_of("translation"), TEXTS["translation"], {"method": "greedy"}).search is None
    assert subject_of(run_of("classification"), TEXTS["classification"], {}).search is None
