from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from featrec.exceptions import InputError
from featrec.images import check_images

pl = pytest.importorskip("polars")


def test_a_column_of_paths_or_bytes(tmp_path):
    for value in (0, 1, 2):
        Image.fromarray(np.full((4, 5), value, np.uint8)).save(tmp_path / f"{value}.png")
    paths = [str(tmp_path / f"{value}.png") for value in (0, 1, 2)]
    for column in (pl.Series(paths), pl.Series([Path(path).read_bytes() for path in paths])):
        images = check_images(column)
        assert images.index is None
        assert [int(image[0, 0]) for image in images] == [0, 1, 2]
        assert int(images[[2, 0]][0][0, 0]) == 2


def test_a_table_of_several_columns_is_refused():
    with pytest.raises(InputError, match=r'got a table of \d columns\. Use its column of paths or images, table\["path"\]'):
        check_images(pl.DataFrame({"path": ["a.png"], "width": [3]}))


def test_a_table_of_one_column_stands_for_the_column(tmp_path):
    Image.fromarray(np.full((4, 5), 7, np.uint8)).save(tmp_path / "a.png")
    assert int(check_images(pl.DataFrame({"path": [str(tmp_path / "a.png")]}))[0][0, 0]) == 7
