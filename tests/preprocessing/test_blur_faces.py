"""BlurFaces: faces are found and cannot be recognised afterwards, and all other pixels stay."""

import pickle
import threading

import cv2
import numpy as np
import pytest
from skimage.data import astronaut, lfw_subset

from featrec.exceptions import InputError, MissingExtraError
from featrec.preprocessing import BlurFaces, _face_detectors
from tests.preprocessing.tiny_yunet import SIDE, yunet_bytes

FACE = np.array([177, 66, 97, 97])  # of the astronaut
SHIPPED = cv2.__version__ not in ("5.0.0",)
CASCADES = [pytest.param(name, marks=pytest.mark.skipif(not SHIPPED, reason="no cascades")) for name in ("frontal", "profile")]
ALL = [*CASCADES, "lbp"]


@pytest.fixture(scope="module")
def scene():
    """A face and what is beside it."""
    return astronaut()[20:220, 110:330]


@pytest.fixture
def yunet(tmp_path):
    path = tmp_path / "face_detection_yunet_tiny.onnx"
    path.write_bytes(yunet_bytes())
    return path


def outside(image, face, margin):
    """Pixels that are not in the box of a face with its margin."""
    x, y, width, height = face
    mask = np.ones(image.shape[:2], bool)
    mask[max(0, int(y - margin * height)) : int(y + (1 + margin) * height) + 2,
         max(0, int(x - margin * width)) : int(x + (1 + margin) * width) + 2] = False  # fmt: skip
    return mask


@pytest.mark.parametrize("shape", ["ellipse", "rectangle"])
@pytest.mark.parametrize("detector", ALL)
def test_no_face_is_found_afterwards_and_pixels_outside_are_untouched(scene, detector, shape):
    step = BlurFaces(detector, min_size=50, shape=shape)
    before = scene.copy()
    blurred, faces = step.hide(scene)
    assert len(faces) == 1
    assert not len(step.find(blurred))
    np.testing.assert_array_equal(scene, before)
    unchanged = outside(scene, faces[0], 0.2)
    np.testing.assert_array_equal(blurred[unchanged], scene[unchanged])
    x, y, width, height = faces[0]
    middle = np.s_[y + height // 5 : y + height * 4 // 5, x + width // 5 : x + width * 4 // 5]
    assert (blurred[middle] != scene[middle]).any(axis=2).mean() > 0.95


@pytest.mark.skipif(not SHIPPED, reason="this OpenCV contains no cascade")
def test_the_face_is_where_it_is_known_to_be():
    faces = BlurFaces(min_size=60).find(astronaut())
    assert faces.shape == (1, 4)
    assert np.abs(faces[0] - FACE).max() < 12


@pytest.mark.skipif(not SHIPPED, reason="this OpenCV contains no cascade")
def test_faces_of_several_sizes_are_hidden_from_another_detector():
    """The cascade that blurs is not the one that judges."""
    judge = BlurFaces("lbp", min_size=40)
    found = hidden = 0
    for face in lfw_subset()[:12]:
        image = cv2.copyMakeBorder((cv2.resize(face, (100, 100)) * 255).astype(np.uint8), 30, 30, 30, 30, cv2.BORDER_REPLICATE)
        if len(judge.find(image)):
            found += 1
            hidden += not len(judge.find(BlurFaces(min_size=40).apply(image)))
    assert found > 8
    assert hidden == found


def test_only_the_means_of_the_cells_remain(rng):
    """Images with equal means of their cells give the same result, so nothing can tell them apart, let alone restore them."""
    from featrec.preprocessing._blur_faces import _hide

    first = rng.integers(0, 256, (60, 60, 3), dtype=np.uint8)
    second = first.copy()
    for row in range(4):
        for column in range(4):
            cell = second[row * 15 : row * 15 + 15, column * 15 : column * 15 + 15]
            cell[:] = rng.permutation(cell.reshape(-1, 3)).reshape(cell.shape)
    assert (first != second).any(axis=2).mean() > 0.9
    for image in (first, second):
        _hide(image, np.array([0, 0, 60, 60]), 4, 0.0, "rectangle")
    np.testing.assert_array_equal(first, second)
    assert len(np.unique(first.reshape(-1, 3), axis=0)) <= 16


def test_an_area_at_the_border_is_cut_off(rng):
    from featrec.preprocessing._blur_faces import _hide

    image = rng.integers(0, 256, (40, 50), dtype=np.uint8)
    for face in ([-10, -10, 30, 30], [40, 30, 30, 30], [60, 60, 10, 10]):
        _hide(image, np.array(face), 2, 0.5, "ellipse")
    assert image.shape == (40, 50)


def test_a_face_that_stays_is_blurred_more(scene, monkeypatch):
    """The detector is asked again, and the second time there are half as many cells."""
    from featrec.preprocessing import _blur_faces

    used = []
    hide = _blur_faces._hide
    monkeypatch.setattr(
        _blur_faces, "_hide", lambda image, face, cells, *rest: (used.append(cells), hide(image, face, cells, *rest))
    )
    left = [2]

    def still_there(image, detectors, min_size):
        left[0] -= 1
        return np.array([[60, 40, 90, 90]]) if left[0] >= 0 else np.empty((0, 4), int)

    monkeypatch.setattr(_blur_faces, "faces_in", still_there)
    BlurFaces(cells=6).apply(scene)
    assert used == [6, 3]
    left[0] = 100
    with pytest.raises(InputError, match="still finds 1 faces after they were blurred 8 times; use another detector"):
        BlurFaces().apply(scene)


def test_yunet_from_a_file(yunet, rng):
    image = rng.integers(0, 200, (64, 96, 3), dtype=np.uint8)
    step = BlurFaces(yunet)
    assert len(step.find(image)) == 0
    image[24:32, 40:48] = 255
    (face,) = step.find(image)
    np.testing.assert_allclose(face, [44 - SIDE / 2, 28 - SIDE / 2, SIDE, SIDE], atol=1)
    assert len(BlurFaces(str(yunet), min_size=SIDE + 2).find(image)) == 0
    blurred, _ = step.hide(image)
    assert blurred.max() < 255
    assert pickle.loads(pickle.dumps(step)).find(image).tolist() == [face.tolist()]
    gray = BlurFaces([yunet, "lbp"]).find(image[..., 0])
    assert gray.tolist() == [face.tolist()]


@pytest.mark.parametrize("detector", ALL)
def test_threads_share_a_step(scene, detector):
    """cv2's detectors are not safe under threads; each thread has its own."""
    step, found = BlurFaces(detector, min_size=60), []
    threads = [threading.Thread(target=lambda: found.append(step.find(scene).tolist())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [step.find(scene).tolist()] * 4


# ---- No detector: an error with the way out, never a silent copy.


@pytest.fixture(autouse=True)
def fresh_detectors():
    vars(_face_detectors._KEPT).clear()
    yield
    vars(_face_detectors._KEPT).clear()


def without(monkeypatch, *names):
    for name in names:
        monkeypatch.delattr(cv2, name, raising=False)


def test_a_missing_class_is_an_error_with_the_way_out(monkeypatch, scene):
    if SHIPPED:
        without(monkeypatch, "CascadeClassifier")
        monkeypatch.delattr("cv2.xobjdetect", raising=False)
        for ask in (lambda: BlurFaces().fit([scene]), lambda: BlurFaces().apply(scene)):
            with pytest.raises(MissingExtraError, match=r"cannot run cascades.*opencv-contrib-python.*detector='lbp'"):
                ask()
    assert len(BlurFaces("lbp", min_size=60).find(scene)) == 1


@pytest.mark.skipif(not SHIPPED, reason="this OpenCV contains no cascade")
def test_a_class_in_the_contributed_module_is_found(monkeypatch, scene):
    class Home:
        CascadeClassifier = cv2.CascadeClassifier

    without(monkeypatch, "CascadeClassifier")
    monkeypatch.setattr(cv2, "xobjdetect", Home, raising=False)
    assert len(BlurFaces(min_size=60).find(scene)) == 1


def test_missing_files_of_opencv_are_an_error_with_the_way_out(monkeypatch, scene, tmp_path):
    """As with the wheels of version 5.0."""
    monkeypatch.setattr(cv2.data, "haarcascades", str(tmp_path) + "/")
    with pytest.raises(MissingExtraError, match=r"lacks the file haarcascade_frontalface_alt2.xml.*Install another version"):
        BlurFaces().fit([scene])
    with pytest.raises(MissingExtraError, match=r"lacks the file haarcascade_profileface\.xml"):
        BlurFaces(["lbp", "profile"]).apply(scene)


def test_an_opencv_without_yunet_says_so(monkeypatch, scene, yunet):
    without(monkeypatch, "FaceDetectorYN")
    with pytest.raises(MissingExtraError, match="cannot run YuNet"):
        BlurFaces(yunet).apply(scene)


def test_wrong_files_are_refused_by_name(tmp_path, scene):
    wrong = {
        "missing.onnx": (None, "there is no detector file '.*missing.onnx'"),
        "text.xml": (b"hello", "cannot read '.*text.xml' as a cascade|cannot run cascades"),
        "text.onnx": (b"hello", "cannot read '.*text.onnx' as a network"),
        "text.txt": (b"hello", "must be a file of YuNet"),
    }
    for name, (content, message) in wrong.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises((InputError, MissingExtraError), match=message):
            BlurFaces(tmp_path / name).apply(scene)
    for detector in ([], [3], ["frontal", None]):
        with pytest.raises(InputError, match="detector must be one or more of 'frontal', 'profile', 'lbp' and paths"):
            BlurFaces(detector).fit([scene])
    with pytest.raises(InputError, match="there is no detector file 'haar'"):
        BlurFaces("haar").fit([scene])


def test_another_network_is_refused(tmp_path, scene):
    from tests.tiny_network import network_bytes

    path = tmp_path / "net.onnx"
    path.write_bytes(network_bytes(size=(None, None)))
    with pytest.raises(InputError, match=r"is not YuNet|cannot read .* as a network"):
        BlurFaces(path).apply(scene)
