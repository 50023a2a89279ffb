"""The HTML pages of a comparison and of a comparison over several datasets: all sections, from the results to the stamp."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from featrec.evaluation._comparison import Comparison
from featrec.evaluation._comparison_text import (
    Shares,
    basis,
    class_recalls,
    group_accuracies,
    near_the_best,
    pair_table,
    result_table,
)
from featrec.evaluation._measures import confusion_counts, largest_share
from featrec.evaluation._model_result import ModelResult
from featrec.evaluation._page import (
    confusion_sentences,
    confusion_table,
    figure_of,
    section_of,
    share_heat,
    sortable,
    stamp_list,
)
from featrec.evaluation._page_figures import Point, Scale, contested, gallery, mark, missed_by_all, scatter, source_of, strip
from featrec.evaluation._result import Table, TableResult, percent
from featrec.html_page import Section, bullets, copied, folded, heading, page, scrolling

if TYPE_CHECKING:
    from featrec.evaluation._comparison import Comparison
    from featrec.evaluation._datasets_comparison import DatasetsComparison

__all__ = ["comparison_page", "datasets_page"]

MEANINGS = {"engineered": "engineered features", "network": "network", "predictions": "predictions of another program"}
# With more classes, a list of errors replaces the confusion matrix. Tables with more rows are collapsed.
MOST_CLASSES, MOST_ROWS, MOST_MATRICES = 40, 25, 12
# The folders in a file path in the code of a model: they are no use to the reader of the page and may be private.
PLACE = re.compile(r"(?<=['\"])(?:/|[A-Za-z]:)[^'\"]*[/\\]([^'\"/\\]+)(?=['\"])")


def comparison_page(comparison: Comparison, *, title: str, images: Any, sections: Sequence[TableResult]) -> str:
    """Return the page as text."""
    own = [_results(comparison), _trade_offs(comparison), *_measured(comparison), _tests(comparison), _classes(comparison)]
    own += [_groups(comparison), _confusions(comparison), _images(comparison, images)]
    own += [section_of(result, f"more-{place}") for place, result in enumerate(sections, start=1)]
    own += [_method(comparison), _to_copy(comparison)]
    verdict = [*comparison.verdict(), *near_the_best(comparison)]
    return page(title, basis(comparison), verdict, [part for part in own if part], _foot(comparison))


def _foot(comparison: Comparison) -> str:
    version = comparison.stamp.get("versions", {}).get("featrec", "")
    return f"Made by featrec {version}. This page makes no request to any server.".replace("  ", " ")


def _results(comparison: Comparison) -> Section:
    table = _known_columns(result_table(comparison))
    scale = Scale.of([result.interval for result in comparison.results])
    guess = largest_share(comparison.y_true)
    caption = (
        "Accuracy with its interval, times in seconds, and size of the model file. The figure in the third "
        f"column shows the accuracy and its interval between {scale.low:g} and {scale.high:g} %"
        f"{_guess_told(scale, guess)}. A click on a heading sorts the table."
    )
    head = heading([*table.header[:2], _axis_name(scale), *table.header[2:]])
    rows = "".join(_result_row(result, row, scale, guess) for result, row in zip(comparison.results, table.rows, strict=True))
    body = scrolling(f"<tr>{head}</tr>", rows, "Results of all models", caption, "sortable wide")
    return Section("results", "Results", _key(comparison) + body + bullets(comparison._notes()))


def _known_columns(table: Table) -> Table:
    """Leave out the columns that are unknown for all models, such as times of predictions of another program."""
    kept = [place for place in range(len(table.header)) if any(row[place] != "–" for row in table.rows)]
    return Table([table.header[place] for place in kept], [[row[place] for place in kept] for row in table.rows])


def _axis_name(scale: Scale) -> str:
    return f"{scale.low:g} to {scale.high:g} %"


def _guess_told(scale: Scale, guess: float) -> str:
    inside = scale.low <= 100 * guess <= scale.high
    return "; the dashed line is the accuracy of always predicting the largest class" if inside else ""


def _result_row(result: ModelResult, row: Sequence[str], scale: Scale, guess: float) -> str:
    name = f'{_shape(result.kind)}{escape(row[0])}<span class="hidden"> ({escape(MEANINGS[result.kind])})</span>'
    figure = strip(result.kind, result.accuracy, result.interval, scale, guess)
    cells = "".join(f"<td>{escape(cell)}</td>" for cell in row[2:])
    hidden = f'<span class="hidden">{escape(row[1])}</span>'
    return f'<tr><th scope="row">{name}</th><td>{escape(row[1])}</td><td>{hidden}{figure}</td>{cells}</tr>'


def _shape(kind: str) -> str:
    return f'<svg class="mark {escape(kind)}" viewBox="0 0 10 10" aria-hidden="true">{mark(kind, size=3.8)}</svg>'


def _key(comparison: Comparison) -> str:
    """Explain the marks, if there are models of several kinds."""
    kinds = [kind for kind in MEANINGS if any(result.kind == kind for result in comparison.results)]
    items = "".join(f"<li>{_shape(kind)}{escape(MEANINGS[kind])}</li>" for kind in kinds)
    return f'<ul class="key" aria-label="Kinds of models">{items}</ul>' if len(kinds) > 1 else ""


def _trade_offs(comparison: Comparison) -> Section | None:
    """Draw accuracy against the time per image and against the size of the model file."""
    times = {row.name: 1 / row.images_per_second for row in comparison.results if row.images_per_second}
    sizes = {row.name: float(row.n_bytes) for row in comparison.results if row.n_bytes}
    figures = [
        _trade_off(comparison, times, "time per image, in batches", "s", "Accuracy against the time to predict one image."),
        _trade_off(comparison, sizes, "size of the model file", "B", "Accuracy against the size of the model file."),
    ]
    shown = [figure for figure in figures if figure]
    note = (
        '<p class="caption">Bars are intervals. Both costs have logarithmic scales. The thin line connects the models for '
        "which no cheaper model is at least as accurate. Models whose cost is unknown are left out.</p>"
    )
    return Section("cost-figures", "Accuracy and cost", f'<div class="figures">{"".join(shown)}</div>{note}') if shown else None


def _trade_off(comparison: Comparison, costs: dict[str, float], what: str, unit: str, caption: str) -> str:
    if len(costs) < 2:
        return ""
    found = [row for row in comparison.results if row.name in costs]
    points = [Point(row.name, row.kind, costs[row.name], row.accuracy, row.interval) for row in found]
    label = f"{caption} The values are in the table of results."
    figure = scatter(points, what, unit, label)
    return f"<figure>{figure}<figcaption>{escape(caption)}</figcaption></figure>"


def _measured(comparison: Comparison) -> Iterator[Section]:
    """Yield the tables of optional measurements, except groups, which have their own section."""
    titles = {
        "In a": ("cost", "Cost in a fresh process"),
        "Ener": ("energy", "Energy"),
        "Netw": ("networks", "Networks"),
        "Prob": ("calibration", "Calibration"),
    }
    for caption, table in comparison._more_tables().items():
        if caption[:4] in titles:
            key, title = titles[caption[:4]]
            yield Section(key, title, sortable(table, caption, label=title))


def _tests(comparison: Comparison) -> Section | None:
    if not comparison.pairs:
        return None
    kind = comparison.pairs[0].test
    name = "McNemar's exact test" if kind == "mcnemar" else "The corrected t test of Nadeau and Bengio over the splits"
    caption = (
        f"{name} for each pair of models; the more accurate model is first. Differences and intervals are in percentage "
        "points. The p values in the last column are corrected by Holm's method; bold values are significant."
    )
    table = pair_table(comparison)
    bold = [
        (place, len(table.header) - 1)
        for place, pair in enumerate(comparison.pairs)
        if pair.p_holm <= 1 - comparison.confidence
    ]
    return Section(
        "tests", "Tests between models", _maybe_folded(table, sortable(table, caption, label="Tests", bold=bold), "pairs")
    )


def _maybe_folded(table: Table, body: str, what: str) -> str:
    return body if len(table.rows) <= MOST_ROWS else folded(f"All {len(table.rows)} {what}", body)


def _classes(comparison: Comparison) -> Section:
    caption = "Recall of each class in percent: the share of its images that the model predicts correctly. The best is bold."
    return _shares("classes", "class", class_recalls(comparison), caption)


def _groups(comparison: Comparison) -> Section | None:
    found = group_accuracies(comparison)
    caption = "Accuracy on each group in percent. The best is bold. Small groups have uncertain figures."
    return None if found is None else _shares("groups", "group", found, caption)


def _shares(key: str, what: str, found: Shares, caption: str) -> Section:
    body, n = share_heat(what, found, caption), len(found.names)
    return Section(key, key.capitalize(), body if n <= MOST_ROWS else folded(f"All {n} {key}", body))


def _confusions(comparison: Comparison) -> Section:
    names = [str(name) for name in comparison.classes]
    parts = []
    for place, result in enumerate(comparison.results[:MOST_MATRICES]):
        confusion = confusion_counts(comparison.y_true, result.y_pred, comparison.classes)
        caption = "Predicted classes in percent of each true class. Empty cells are below 0.5 %."
        body = (
            confusion_table(confusion, names, f"Confusion matrix of {result.name}", caption)
            if len(names) <= MOST_CLASSES
            else bullets(confusion_sentences(confusion, names))
        )
        parts.append(folded(f"{result.name}, {percent(result.accuracy)} % correct", body, shown=place == 0))
    rest = len(comparison.results) - MOST_MATRICES
    more = f"<p>The {rest} models with the lowest accuracy are left out.</p>" if rest > 0 else ""
    title = "Confusion matrices" if len(names) <= MOST_CLASSES else "Most frequent errors"
    return Section("confusions", title, "".join(parts) + more)


def _images(comparison: Comparison, images: Any) -> Section | None:
    """Show images on which the models disagree, and images that no model predicts correctly."""
    correct = np.stack([result.y_pred == comparison.y_true for result in comparison.results], axis=1)
    n, n_right = len(correct), correct.sum(axis=1)
    all_right, none_right = int((n_right == correct.shape[1]).sum()), int((n_right == 0).sum())
    if correct.shape[1] < 2:
        return None
    shares = (percent(count / n) for count in (all_right, none_right, n - all_right - none_right))
    told = "<p>All models are right on {} % of the images, and all are wrong on {} %. On the other {} %, they disagree.{}</p>"
    source = source_of(comparison, images)
    if source is None:
        explained = ""
        body = "<p>This page cannot show the images, because they have no paths; pass <code>images</code>.</p>"
    else:
        explained = (
            " Below each image, the true class is bold, followed by each predicted class and the models that predict it."
        )
        options = comparison.y_true, comparison.rows
        body = _pictures("Images on which the models disagree most", gallery(comparison, contested(correct, *options), source))
        body += _pictures("Images that all models miss", gallery(comparison, missed_by_all(correct, *options)[:12], source))
    return Section("images", "Where the models disagree", told.format(*shares, explained) + body)


def _pictures(title: str, pictures: str) -> str:
    return f"<h3>{escape(title)}</h3>{pictures}" if pictures else ""


def _method(comparison: Comparison) -> Section:
    facts = {"images": basis(comparison), "intervals and tests": _statistics(comparison)}
    if comparison.duplicates is not None:
        facts["duplicates"] = (
            f"{len(comparison.duplicates):,} of {comparison.n:,} test images are identical to training images, pixel for pixel"
        )
    seeds = [f"{row.name}: {_seeds(row.seeds)}" for row in comparison.results if row.seeds]
    facts["seeds"] = "; ".join(seeds) or "no model has a random_state parameter"
    models = [(result.name, PLACE.sub(r"\1", result.estimator)) for result in comparison.results if result.estimator]
    told = "".join(f"<dt>{escape(name)}</dt><dd><code>{escape(' '.join(code.split()))}</code></dd>" for name, code in models)
    code = folded("Models as code", f"<dl>{told}</dl>") if told else ""
    return Section("method", "How this was measured", stamp_list(facts, comparison.stamp) + code)


def _seeds(seeds: Mapping[str, str]) -> str:
    """List the seeds, and the steps without a seed."""
    fixed = dict.fromkeys(value for value in seeds.values() if value != "None")
    free = [step or "the model" for step, value in seeds.items() if value == "None"]
    return "; ".join(filter(None, [", ".join(fixed), f"not fixed in {', '.join(free)}" if free else ""]))


def _statistics(comparison: Comparison) -> str:
    if comparison.rows is not None:
        used = "intervals and t tests over the splits, with the variance of Nadeau and Bengio (2003)"
    else:
        used = "Wilson intervals; McNemar's exact test; intervals of differences by Bonett and Price (2012)"
    return f"{100 * comparison.confidence:g} % {used}; Holm's correction for the number of pairs"


def _to_copy(comparison: Comparison) -> Section:
    table = result_table(comparison)
    parts = copied(table.latex(), "LaTeX"), copied(comparison.to_csv(), "CSV"), copied(table.markdown(), "Markdown")
    return Section("copy", "Tables to copy", "".join(parts))


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
