"""Models from words."""

import pytest

from featrec.cli._arguments import make_network, make_recipe, parse_network
from featrec.exceptions import InputError


@pytest.mark.parametrize(
    ("text", "file", "options"),
    [
        ("net.onnx", "net.onnx", {}),
        ("net.onnx,layer=feat", "net.onnx", {"layer": "feat"}),
        ("a,b.onnx,layer=feat,preprocessing=caffe", "a,b.onnx", {"layer": "feat", "preprocessing": "caffe"}),
        ("net.onnx,size=227", "net.onnx", {"size": (227, 227)}),
    ],
)
def test_a_network_is_a_file_and_options(text, file, options):
    assert parse_network(text) == (file, options)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("net.onnx,depth=3", r"no option 'depth'; use FILE\[,layer=NAME\]"),
        ("net.onnx,size=big", "such as size=224; got 'big'"),
    ],
)
def test_wrong_options_are_named(text, message):
    with pytest.raises(InputError, match=message):
        parse_network(text)


def test_the_seed_reaches_everything_that_draws():
    model = make_recipe("color_forest", n_jobs=1, seed=17)
    assert model[-1].random_state == 17
    assert make_recipe("tiny_knn", n_jobs=1, seed=17)[-1].n_jobs == 1


def test_a_recipe_that_needs_a_network_says_so():
    with pytest.raises(InputError, match=r"--cnn FILE"):
        make_recipe("cnn_svm", n_jobs=1, seed=0)


def test_an_unknown_recipe_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match="tiny_knn"):
        make_recipe("tiny_kn", n_jobs=1, seed=0)


def test_a_network_that_is_not_there_is_found_out_at_once():
    with pytest.raises(InputError, match=r"no file 'nowhere\.onnx'"):
        make_network("nowhere.onnx,layer=feat", n_jobs=1, seed=0)
