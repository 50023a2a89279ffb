"""What a comparison says, in sentences that claim no more than the test does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from featrec.evaluation._text import p_value

if TYPE_CHECKING:
    from featrec.evaluation._comparison import ModelResult, Pair

__all__ = ["verdict"]


def verdict(results: Sequence[ModelResult], pairs: Sequence[Pair], *, alpha: float) -> list[str]:
    """Which model is best, whether its lead is beyond chance, and whether a network wins; results best first."""
    if len(results) < 2:
        return [f"{results[0].name} is the only model; a second one would show what its figures are worth."]
    return [_best(results, pairs, alpha), *_networks(results, pairs, alpha)]


def _best(results: Sequence[ModelResult], pairs: Sequence[Pair], alpha: float) -> str:
    first, second = results[:2]
    if first.accuracy == second.accuracy:
        leaders = [result.name for result in results if result.accuracy == first.accuracy]
        return f"{', '.join(leaders[:-1])} and {leaders[-1]} are equally accurate; none of them is best."
    pair = _pair(pairs, first, second)
    chance = "is beyond chance" if pair.p_holm <= alpha else "may be chance"
    corrected = f", corrected for {len(pairs)} pairs" if len(pairs) > 1 else ""
    return (
        f"{first.name} is best; its lead of {_points(first, second)} over {second.name} {chance} "
        f"(McNemar {p_value(pair.p_holm)}{corrected})."
    )


def _networks(results: Sequence[ModelResult], pairs: Sequence[Pair], alpha: float) -> list[str]:
    network = next((result for result in results if result.kind == "network"), None)
    engineered = next((result for result in results if result.kind == "engineered"), None)
    if network is None or engineered is None:
        return []
    p = _pair(pairs, network, engineered).p_holm
    rival = f"the best engineered features ({engineered.name})"
    if network.accuracy == engineered.accuracy:
        return [f"The network {network.name} does not win: {rival} are as accurate."]
    if network.accuracy < engineered.accuracy:
        lead = f"{_points(engineered, network)} ahead{_doubt(p, alpha)}, {p_value(p)}"
        return [f"The network {network.name} does not win: {rival} are {lead}."]
    if p > alpha:
        return [
            f"The network {network.name} is {_points(network, engineered)} ahead of {rival}, which may be chance, {p_value(p)}."
        ]
    return [f"The network {network.name} wins by {_points(network, engineered)} over {rival}, {p_value(p)}."]


def _doubt(p: float, alpha: float) -> str:
    return ", which may be chance" if p > alpha else ""


def _points(better: ModelResult, worse: ModelResult) -> str:
    points = f"{100 * (better.accuracy - worse.accuracy):.1f}"
    return f"{points} point" if points == "1.0" else f"{points} points"


def _pair(pairs: Sequence[Pair], first: ModelResult, second: ModelResult) -> Pair:
    return next(pair for pair in pairs if {pair.first, pair.second} == {first.name, second.name})
