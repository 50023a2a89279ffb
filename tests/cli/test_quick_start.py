"""What predict does without while a model is read can be had afterwards, and is what it should be."""

import subprocess
import sys

import pytest

from featrec.cli._quick_start import deferred

BEGINNING = "import sys\nfrom featrec.cli._quick_start import deferred\n"


def run(code: str) -> None:
    """In a fresh Python, which has none of the modules yet."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", BEGINNING + code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_scikit_learn_comes_without_them_and_both_work_afterwards():
    run("""
with deferred():
    import sklearn.calibration, sklearn.ensemble, sklearn.neighbors, sklearn.pipeline, sklearn.svm
    assert not {"scipy.stats._stats_py", "scipy.interpolate._bsplines", "pandas"} & set(sys.modules)
import numpy as np, pandas, scipy.stats, scipy.interpolate
assert scipy.stats is sys.modules["scipy.stats"] and scipy.stats.__file__
from scipy.stats import norm, rankdata
assert abs(norm.cdf(0) - 0.5) < 1e-12
assert pandas.DataFrame({"a": [1]}).shape == (1, 1)
""")


def test_what_scikit_learn_holds_leads_to_the_real_thing():
    run("""
with deferred():
    import sklearn.metrics, sklearn.preprocessing, sklearn.covariance
import numpy as np
assert sklearn.metrics.label_ranking_average_precision_score([[0, 1], [1, 0]], [[0.1, 0.9], [0.3, 0.2]]) == 1.0
assert sklearn.preprocessing.SplineTransformer().fit_transform(np.arange(10.0)[:, None]).shape == (10, 7)
points = np.random.default_rng(0).normal(size=(40, 2))
assert sklearn.covariance.MinCovDet(random_state=0).fit(points).location_.shape == (2,)
""")


def test_the_first_use_inside_loads_the_real_module():
    run("""
with deferred():
    import scipy.stats
    assert "scipy.stats._stats_py" not in sys.modules
    assert abs(scipy.stats.norm.cdf(0) - 0.5) < 1e-12
    assert sys.modules["scipy.stats"].__file__
""")


def test_a_module_inside_a_stand_in_is_loaded_once():
    run("""
with deferred():
    import scipy.stats.mstats as inner
    assert inner is sys.modules["scipy.stats.mstats"] is sys.modules["scipy.stats"].mstats
    assert inner.__spec__.loader.__class__.__name__ == "SourceFileLoader"
    import scipy.stats._stats_py
""")


def test_all_of_scikit_learn_can_be_imported_inside():
    run("""
with deferred():
    import skops.io, sklearn.inspection, sklearn.isotonic, sklearn.impute, sklearn.feature_selection
import scipy.stats
assert sys.modules["scipy.stats"].__file__
""")


def test_pandas_is_missing_for_this_thread_alone():
    run("""
import threading
found = []
with deferred():
    try:
        import pandas
    except ModuleNotFoundError as error:
        found.append(error.name)
    other = threading.Thread(target=lambda: found.append(__import__("pandas").__name__))
    other.start()
    other.join()
assert found == ["pandas", "pandas"], found
""")


def test_what_is_loaded_stays():
    import scipy.stats

    with deferred():
        assert sys.modules["scipy.stats"] is scipy.stats
    assert sys.modules["scipy.stats"] is scipy.stats


def test_an_error_inside_leaves_nothing_behind():
    finders = list(sys.meta_path)
    with pytest.raises(KeyError), deferred():
        raise KeyError("model")
    assert sys.meta_path == finders


def test_collections_go_on_afterwards():
    code = """
import gc
from featrec.cli._quick_start import uncollected
with uncollected():
    assert not gc.isenabled()
assert gc.isenabled() and gc.get_freeze_count() > 0
"""
    run(code)
