"""Write the pages that explanations make, as a demonstration: decisions, visual words, and what classes are made of.

python docs/make_demo_pages.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

from featrec.datasets import load_dataset
from featrec.explanation import explain, summarize, word_gallery
from featrec.recipes import bovw_svm


def main(folder: Path) -> None:
    train, test = load_dataset("shapes", n_train=320, n_test=80, noise=0.1, clutter=0.3)
    model = bovw_svm(n_words=120).fit(train, train.labels)
    word_gallery(model, train, train.labels).to_html(folder / "words.html", title="Visual words of shapes")
    explain(model, test).to_html(folder / "explanations.html", title="Decisions about shapes", limit=8, words_page="words.html")
    summarize(explain(model, test, test.labels)).to_html(
        folder / "classes.html", title="What shapes are made of", n=5, words_page="words.html"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
