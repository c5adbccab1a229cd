"""Where a model looked: the weights of every attention, means, and what they add up to through the layers.

L layers   H heads   Q queries   K keys   S source tokens   T target tokens
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from headway.explain.subject import Subject

Maps = dict[str, NDArray[np.float32]]  # such as decoder.3.cross_attention → [H, Q, K]


def attention_maps(subject: Subject) -> Maps:
    """The weights of every attention while the model says the answer; every row sums to 1.

    Row t of what a decoder attends to belongs to token t that it reads, at which it says token t of the answer. A decoder that
    was not asked, because the encoder spells, has no maps.
    """
    with torch.inference_mode(), subject.model.record_attention() as found:
        subject.states(*subject.ids())
    return {name: maps[0][0].float().cpu().numpy() for name, maps in found.items() if maps}


def stacks(maps: Mapping[str, NDArray[np.float32]]) -> dict[str, list[NDArray[np.float32]]]:
    """The same by what looks at what: ``encoder self_attention``, ``decoder self_attention``, ``decoder cross_attention``."""
    found: dict[str, list[NDArray[np.float32]]] = {}
    for name, weights_HQK in maps.items():
        stack, _, kind = name.split(".")
        found.setdefault(f"{stack} {kind}", []).append(weights_HQK)
    return found


def rollout(maps: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float64]]:
    """How much of each token has come to each state if attention only moved it on (Abnar & Zuidema 2020, section 3).

    Each sublayer of attention passes on half of what it was given, the residual, and half of what its heads look at, on average.

    Returns: ``encoder`` → [S, S]; ``decoder`` → [T, S + T], source tokens first. Every row sums to 1.
    """
    found: dict[str, NDArray[np.float64]] = {}
    layers = stacks(maps)
    if "encoder self_attention" in layers:
        found["encoder"] = np.eye(layers["encoder self_attention"][0].shape[-1])
        for weights_HSS in layers["encoder self_attention"]:
            found["encoder"] = (found["encoder"] + _mean(weights_HSS) @ found["encoder"]) / 2
    if "decoder self_attention" in layers:
        S, T = len(found.get("encoder", ())), layers["decoder self_attention"][0].shape[-1]
        reached = np.concatenate((np.zeros((T, S)), np.eye(T)), axis=1)
        crosses = layers.get("decoder cross_attention", [])
        for place, weights_HTT in enumerate(layers["decoder self_attention"]):
            reached = (reached + _mean(weights_HTT) @ reached) / 2
            if crosses:
                from_source = np.concatenate((_mean(crosses[place]) @ found["encoder"], np.zeros((T, T))), axis=1)
                reached = (reached + from_source) / 2
        found["decoder"] = reached
    return found


def _mean(weights_HQK: NDArray[np.float32]) -> NDArray[np.float64]:
    return weights_HQK.astype(np.float64).mean(0)
