"""The page of explanations: self-contained, escaped, complete, and in constant memory."""

import re

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from featrec.datasets import load_dataset
from featrec.descriptors import DenseSIFT, TinyImage
from featrec.encoders import BagOfWords
from featrec.exceptions import InputError
from featrec.explanation import explain
from tests.evaluation import test_page as comparisons

EVIL = "<b>\"brick' & co</b>"


class Outline(comparisons.Outline):
    VOID = comparisons.Outline.VOID | {"input", "rect"}


@pytest.fixture(scope="module")
def explanation():
    train, test = load_dataset("textures", n_train=5, n_test=3)
    labels = np.where(train.labels == "brick", EVIL, train.labels)
    model = make_pipeline(DenseSIFT(step=8), BagOfWords(20, random_state=0), LogisticRegression())
    return explain(model.fit(train, labels), list(test), EVIL)


@pytest.fixture(scope="module")
def page(explanation):
    return explanation[:3].to_html()


def test_tags_are_closed_and_links_lead_somewhere(page):
    outline = Outline(page)
    assert outline.open == []
    found = [attrs["id"] for _, attrs in outline.tags if "id" in attrs]
    assert len(found) == len(set(found))
    links = {attrs["href"] for attrs in outline.all("a")}
    assert links <= {f"#{key}" for key in found}
    assert {"#images", "#overview", "#image-0", "#image-2"} <= links
    assert any(re.fullmatch(r"#image-1-word-\d+", link) for link in links)


def test_nothing_is_requested_and_every_string_is_escaped(page):
    assert EVIL not in page
    assert "&lt;b&gt;&quot;brick&#x27; &amp; co&lt;/b&gt;" in page
    addresses = [value for _, attrs in Outline(page).tags for name, value in attrs.items() if name in {"src", "href"}]
    assert all(address.startswith(("data:", "#")) for address in addresses)
    assert "http:" not in page
    assert "https:" not in page
    assert page.count("<script>") == 1
    assert "sha256-" in page


def test_pictures_have_texts_and_controls_have_labels(page):
    outline = Outline(page)
    pictures = outline.all("img")
    assert all("alt" in attrs for attrs in pictures)
    described = [attrs["alt"] for attrs in pictures if attrs["alt"]]
    assert sum(alt.startswith("Contributions over the image: ") for alt in described) == 3
    assert len(outline.all("fieldset")) == len(outline.all("legend")) == 3
    assert len(outline.all("input")) == len(outline.all("label")) == 9
    assert all(attrs.get("scope") in {"col", "row"} for attrs in outline.all("th"))


def test_the_page_tells_decisions_and_probabilities(explanation, page):
    texts = "".join(Outline(page).text)
    for item in explanation[:3]:
        decision = f"decision {item.decision:.2f}".replace("-", "−")
        assert decision in texts
    assert texts.count("Probabilities of the model: ") == 3
    assert "DenseSIFT → BagOfWords → LogisticRegression" in texts
    assert "add up to the decision value" in texts


def test_the_first_images_are_written_and_the_page_says_so(explanation, tmp_path):
    file = tmp_path / "page.html"
    assert explanation.to_html(file, limit=2) is None
    text = file.read_text(encoding="utf-8")
    assert f"Only the first 2 of {len(explanation)} images are on this page (limit=2)." in text
    assert text.count('<section class="explained"') == 2
    assert "Only the first" not in explanation[:2].to_html(limit=2)
    with pytest.raises(InputError, match="limit must be an integer of at least 1 or None; got 0"):
        explanation.to_html(limit=0)
    with pytest.raises(InputError, match="no images to explain"):
        explanation[:0].to_html()


def test_images_are_written_one_after_another(explanation):
    """No more than one image's part of the page is held."""

    class Writes(list):
        def write(self, text):
            self.append(len(text))

    writes = Writes()
    explanation[:4].to_html(writes)
    assert len(writes) >= 6
    assert max(writes) < 0.5 * sum(writes)


def test_an_error_leaves_no_half_page(explanation, tmp_path):
    file = tmp_path / "page.html"
    file.write_text("before")
    broken = explain(explanation.compute.model, [np.zeros((40, 40)), np.zeros((3, 3, 7))])
    with pytest.raises(InputError, match="image 1"):
        broken.to_html(file)
    assert file.read_text() == "before"
    assert list(tmp_path.iterdir()) == [file]


def test_the_page_of_one_image(explanation):
    page = explanation[0].to_html(title="One & only")
    outline = Outline(page)
    assert outline.open == []
    assert "<h1>One &amp; only</h1>" in page
    assert any(re.fullmatch(r"#word-\d+", attrs["href"]) for attrs in outline.all("a"))
    assert page.count('<section class="explained"') == 1


def test_words_link_to_a_page_of_words(explanation):
    page = explanation[:1].to_html(words_page="words.html?a&b")
    links = {attrs["href"] for attrs in Outline(page).all("a") if not attrs["href"].startswith("#")}
    assert links
    assert all(re.fullmatch(r"words\.html\?a&b#word-\d+", link) for link in links)


def test_neighbours_and_images_without_features(rng):
    images = rng.random((12, 9, 9))
    near = make_pipeline(TinyImage(size=4), KNeighborsClassifier(2)).fit(images, np.arange(12) % 2)
    page = explain(near, images[:1]).to_html()
    assert "Nearest training images" in page
    assert "Its contribution" not in page
    words = make_pipeline(DenseSIFT(step=4), BagOfWords(4, random_state=0), LogisticRegression())
    train, _ = load_dataset("textures", n_train=2, n_test=1)
    empty = explain(words.fit(train, train.labels), images[:1, :6, :6]).to_html()
    assert "No features." in empty
    assert Outline(empty).open == []
