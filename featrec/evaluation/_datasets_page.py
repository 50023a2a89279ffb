"""The page of a comparison over several datasets: mean ranks, and the results on each dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING

from featrec.evaluation._comparison import Comparison
from featrec.evaluation._comparison_tables import result_table
from featrec.evaluation._page import Section, bullets, copied, page, sortable
from featrec.evaluation._page_result import figure_of, stamp_list
from featrec.evaluation._verdict import basis

if TYPE_CHECKING:
    from featrec.evaluation._datasets_comparison import DatasetsComparison

__all__ = ["datasets_page"]


def datasets_page(result: DatasetsComparison, *, title: str) -> str:
    """Return the page as text."""
    about, *verdict = result._sentences()
    parts = [_dataset(name, comparison, place) for place, (name, comparison) in enumerate(result.comparisons.items())]
    table = result._table()
    copies = copied(table.latex(), "LaTeX") + copied(table.csv(), "CSV") + copied(table.markdown(), "Markdown")
    facts = {
        "tests": "Friedman's test, exact for few models and datasets, otherwise based on the F statistic of Iman and "
        f"Davenport; Nemenyi's critical difference at {100 * result.confidence:g} %"
    }
    method = stamp_list(facts, next(iter(result.comparisons.values())).stamp)
    last = [Section("method", "How this was measured", method), Section("copy", "Tables to copy", copies)]
    return page(title, about, verdict, [_ranks(result), *parts, *last], "This page makes no request to any server.")


def _ranks(result: DatasetsComparison) -> Section:
    caption = (
        "Mean rank over the datasets (1 is best), and accuracy on each dataset in percent. A click on a heading sorts the "
        "table."
    )
    figure = figure_of(result, "ranks-figure")
    told = '<p class="caption">A bar connects models whose mean ranks do not differ significantly.</p>' if figure else ""
    return Section("ranks", "Mean ranks", figure + told + sortable(result._table(), caption, label="Mean ranks"))


def _dataset(name: str, comparison: Comparison, place: int) -> Section:
    caption = "Accuracy with its interval, times in seconds, and size of the model file."
    table = sortable(result_table(comparison), caption, label=f"Results on {name}")
    return Section(f"dataset-{place}", name, bullets([basis(comparison), *comparison.verdict(), *comparison._notes()]) + table)
