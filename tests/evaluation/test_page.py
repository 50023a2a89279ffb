"""The HTML page of a comparison: self-contained, escaped, complete, and usable without a mouse."""

import csv
import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier

from featrec.datasets import load_dataset
from featrec.evaluation import compare, compare_datasets
from featrec.evaluation._comparison_page import _seeds
from featrec.evaluation._page_figures import Point, Scale, contested, missed_by_all, scatter
from featrec.recipes import make

X, Y = load_digits(return_X_y=True)
X, Y = X[:300], Y[:300].astype(str)
EVIL = "<script>alert('&\"')</script>"
IMAGES = X.reshape(-1, 8, 8) / 16


class Network(GaussianNB):
    network_kind = "pixels"


class Named(GaussianNB):
    def __init__(self, file="", other=""):
        super().__init__(var_smoothing=0.1)
        self.file, self.other = file, other


@pytest.fixture(scope="module")
def comparison():
    labels = np.where(Y == "3", EVIL, Y)
    models = {EVIL: GaussianNB(), "a & b": KNeighborsClassifier(3), "net": Network(var_smoothing=0.1), "own": labels[200:]}
    return compare(models, X[:200], labels[:200], test=(X[200:], labels[200:]), test_groups=np.arange(100) % 2)


@pytest.fixture(scope="module")
def page(comparison):
    return comparison.to_html(images=IMAGES[200:])


class Outline(HTMLParser):
    """Collect tags with attributes, identifiers, and text; check that tags are closed in order."""

    VOID = {"meta", "link", "img", "br", "line", "circle", "polygon", "polyline"}

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


def test_tags_are_closed_and_identifiers_are_unique(page):
    outline = Outline(page)
    assert outline.open == []
    found = [attrs["id"] for _, attrs in outline.tags if "id" in attrs]
    assert len(found) == len(set(found))
    targets = {attrs["href"] for attrs in outline.all("a")}
    assert targets == {f"#{key}" for key in found}


def test_every_string_is_escaped(page):
    assert page.count("<script>") == 1
    assert "alert(&#x27;&amp;&quot;&#x27;)" in page
    assert "a & b" not in page
    assert "a &amp; b" in page


def test_nothing_is_requested(page):
    addresses = [value for _, attrs in Outline(page).tags for name, value in attrs.items() if name in {"src", "href"}]
    assert all(address.startswith(("data:", "#")) for address in addresses)
    assert "url(" not in page
    assert "@import" not in page
    assert "http:" not in page
    assert "https:" not in page
    policy = next(attrs["content"] for attrs in Outline(page).all("meta") if "http-equiv" in attrs)
    assert "default-src 'none'" in policy
    assert re.search(r"script-src 'sha256-[\w+/=]{44}'", policy)


def test_the_page_has_all_sections(page):
    titles = re.findall(r"<h2[^>]*>(.*?)</h2>", page)
    assert titles == [
        "Results", "Accuracy and cost", "Tests between models", "Classes", "Groups", "Confusion matrices",
        "Where the models disagree", "How this was measured", "Tables to copy",
    ]  # fmt: skip
    assert "is the most accurate" in page
    assert "McNemar&#x27;s exact test for each pair" in page
    assert "<dt>seeds</dt>" in page
    assert "<dt>processor</dt>" in page


def test_the_page_names_the_models_near_the_best_and_the_fastest():
    models = {"slow": KNeighborsClassifier(3), "fast": GaussianNB(var_smoothing=0.1), "bad": DummyClassifier()}
    comparison = compare(models, X[:200], Y[:200], test=(X[200:240], Y[200:240]))
    rows = [replace(row, images_per_second=speed) for row, speed in zip(comparison.results, (10.0, 99.0, 999.0), strict=True)]
    best, near = (row.name for row in rows[:2])
    page = replace(comparison, results=tuple(rows)).to_html()
    sentence = f"Not significantly different from {best}: {near}. The fastest of these 2 is {near}, with 99.0 images/s."
    assert sentence in page
    clear = compare({"right": Y[200:], "bad": DummyClassifier()}, X[:200], Y[:200], test=(X[200:], Y[200:]))
    assert "Not significantly different" not in clear.to_html()


def test_tables_have_captions_and_headings_with_a_scope(page):
    outline = Outline(page)
    assert len(outline.all("table")) == len(outline.all("caption")) == 8
    assert all(attrs.get("scope") in {"col", "row"} for attrs in outline.all("th"))
    regions = [attrs for attrs in outline.all("div") if attrs.get("role") == "region"]
    assert all(attrs["tabindex"] == "0" and attrs["aria-label"] for attrs in regions)
    assert len(regions) == 8
    assert all(attrs["alt"] for attrs in outline.all("img"))
    named = [attrs for attrs in outline.all("svg") if attrs.get("role") == "img"]
    assert len(named) == 2
    assert all(attrs["aria-label"] for attrs in named)
    assert all("aria-hidden" in attrs for attrs in outline.all("svg") if attrs not in named)


def test_the_figures_have_all_models_whose_cost_is_known(page):
    figures = re.findall(r'<svg viewBox="0 0 480.*?</svg>', page, flags=re.S)
    assert len(figures) == 2
    for figure in figures:
        names = re.findall(r'<text class="name"[^>]*>(.*?)</text>', figure)
        assert sorted(names) == ["&lt;script&gt;alert(&#x27;&amp;&quot;&#x27;)&lt;/script&gt;", "a &amp; b", "net"]
        assert figure.count('class="shape"') == 3


def test_texts_to_copy_are_those_of_the_results(comparison, page):
    rows = list(csv.reader(io.StringIO(comparison.to_csv())))
    assert [row[0] for row in rows[1:]] == [result.name for result in comparison.results]
    column = rows[0].index("accuracy")
    assert [float(row[column]) for row in rows[1:]] == [result.accuracy for result in comparison.results]
    latex = comparison.to_latex()
    assert latex.startswith("\\begin{tabular}{lrrrrrrrr}\n\\toprule\nmodel & accuracy & 95 \\% interval")
    assert r"a \& b" in latex
    assert page.count("data-copy") == 4  # three texts and the script


def test_folders_of_files_are_not_shown():
    model = Named(file="/home/somebody/secret/net.onnx", other=r"C:\\data\\words.npy")
    page = compare({"net": model}, X[:200], Y[:200], test=(X[200:], Y[200:])).to_html()
    assert "somebody" not in page
    assert "Named(file=&#x27;net.onnx&#x27;, other=&#x27;words.npy&#x27;)" in page


def test_seeds_are_told_and_steps_without_one():
    assert _seeds({"encoder": "0", "svc": "None", "": "None"}) == "0; not fixed in svc, the model"
    assert _seeds({"a": "0", "b": "0"}) == "0"


def test_images_come_from_all_classes_and_the_most_contested_first():
    correct = np.array([[1, 0, 1, 0], [1, 1, 1, 0], [1, 1, 1, 1], [0, 0, 0, 0], [1, 0, 1, 0], [1, 0, 0, 1]], bool)
    y_true = np.array(["a", "a", "a", "b", "a", "b"])
    assert contested(correct, y_true, None).tolist() == [0, 5, 4, 1]
    assert missed_by_all(correct, y_true, None).tolist() == [3]
    assert contested(correct, y_true, np.array([7, 1, 2, 3, 7, 5])).tolist() == [0, 5, 1]


def test_pictures_are_small_and_enlarged_if_they_are_tiny(page, tmp_path):
    pictures = re.findall(r'<img class="tiny" src="data:image/png;base64,', page)
    assert 1 <= len(pictures) <= 36
    rng = np.random.default_rng(0)
    paths = [str(tmp_path / f"{place}.png") for place in range(12)]
    for path in paths:
        Image.fromarray(rng.integers(0, 255, (300, 400, 3), np.uint8)).save(path)
    labels = np.arange(12) % 2
    comparison = compare({"a": labels, "b": 1 - labels}, paths, labels, test=(paths, labels))
    (tmp_path / "3.png").unlink()
    page = comparison.to_html()
    assert page.count('src="data:image/jpeg;base64,') == 11
    assert len(page) < 400_000


def test_without_paths_and_images_the_page_says_so(comparison):
    page = comparison.to_html()
    assert "<img" not in page
    assert "pass <code>images</code>" in page


def test_repeated_splits_and_one_model_have_a_page(tmp_path):
    cv = StratifiedShuffleSplit(4, test_size=60, random_state=0)
    repeated = compare({"bayes": GaussianNB(var_smoothing=0.1), "neighbours": KNeighborsClassifier()}, X, Y, cv=cv)
    page = repeated.to_html(tmp_path / "page.html", images=IMAGES, title="Digits")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == page + "\n"
    assert "<h1>Digits</h1>" in page
    assert "corrected t test of Nadeau and Bengio" in page
    assert Outline(page).open == []
    alone = compare({"bayes": GaussianNB()}, X, Y, cv=2).to_html()
    assert "bayes is the only model" in alone
    assert "Tests between models" not in alone


def test_many_classes_have_a_list_of_errors_instead_of_a_matrix():
    y = np.arange(200) // 4
    comparison = compare({"shift": np.roll(y, 4), "right": y}, y[:, None], y, test=(y[:, None], y))
    page = comparison.to_html()
    assert "Most frequent errors" in page
    assert "0 predicted as 49: 4 of 4" in page
    assert "All 50 classes" in page


def test_other_results_become_sections(comparison):
    data = {"a": (X[:150], Y[:150]), "b": (X[150:], Y[150:])}
    more = compare_datasets({"bayes": GaussianNB(var_smoothing=0.1), "neighbours": KNeighborsClassifier()}, data, cv=2)
    page = comparison.to_html(sections=[more, more])
    assert page.count("Friedman p") == 2
    figures = re.findall(r"<figure><svg.*?</svg>", page, flags=re.S)
    assert len([figure for figure in figures if "critical difference" in figure]) == 2
    assert "<metadata" not in page
    outline = Outline(page)
    found = [attrs["id"] for _, attrs in outline.tags if "id" in attrs]
    assert len(found) == len(set(found))


def test_a_scale_has_round_ends_that_contain_all_intervals():
    assert Scale.of([(0.213, 0.88), (0.5, 0.904)]) == (20, 100, 20)
    assert Scale.of([(0.9931, 0.9952)]) == pytest.approx((99.3, 99.6, 0.1))
    assert Scale.of([(0.0, 0.0)]).ticks()[0] == 0


def test_the_line_of_a_figure_leaves_out_models_that_a_cheaper_one_equals():
    points = [Point(name, "engineered", cost, accuracy, (accuracy, accuracy)) for name, cost, accuracy in [
        ("cheap", 1e-3, 0.5), ("better", 1e-2, 0.7), ("worse", 1e-1, 0.6), ("best", 1.0, 0.9),
    ]]  # fmt: skip
    figure = scatter(points, "time", "s", "label")
    corners = re.search(r'class="front" points="([^"]*)"', figure)[1].split()
    assert len(corners) == 3
    assert "10 ms" in figure


@pytest.mark.data
def test_the_page_of_photographs_is_small_and_requests_nothing():
    train, test = load_dataset("scene15")
    train, test = train[::30], test[::15]
    models = {"tiny_knn": make("tiny_knn"), "lbp_svm": make("lbp_svm")}
    page = compare(models, train, train.labels, test=(test, test.labels)).to_html()
    assert page.count("data:image/jpeg") == 36
    assert 100_000 < len(page) < 1_000_000
    assert "http" not in page.replace("http-equiv", "")
