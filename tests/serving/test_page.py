"""The page of the server in a real browser: upload, paste, drop, camera, faults, a server that is gone, keyboard only.

Chromium is found by name, or by the environment variable CHROMIUM (Debian: ``apt install chromium``). Run with ``-m browser``.
Screenshots are written to the folder that FEATREC_SCREENSHOTS names.
"""

import io
import os
import re
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from featrec import recipes
from featrec.datasets import load_dataset
from featrec.persistence import save
from tests.serving.restarted import restarted

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")

CHROMIUM = os.environ.get("CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")]

ARGUMENTS = ("--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
TOKEN = "a-token-of-the-tests"
WAIT = 20_000  # milliseconds


@pytest.fixture(scope="module")
def shapes():
    return load_dataset("shapes", n_train=160, n_test=16)


@pytest.fixture(scope="module")
def model(shapes):
    train, _ = shapes
    return recipes.make("hog_svm", probability="temperature", random_state=0).fit(train, train.labels)


@pytest.fixture(scope="module")
def model_file(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "shapes.featrec"
    save(model, path)
    return path


@pytest.fixture(scope="module")
def server(model_file):
    with restarted(model_file, "--max-bytes", "2000000") as found:
        yield found


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as engine:
        found = engine.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield found
        found.close()


@pytest.fixture
def visit(browser):
    """A function that opens the page of a server, and checks afterwards that it asked nobody else and raised no error."""
    contexts, faults, addresses = [], [], []

    def opened(server, *, scheme="light", viewport=DESKTOP, **options):
        context = browser.new_context(color_scheme=scheme, viewport=viewport, reduced_motion="reduce", **options)
        contexts.append(context)
        context.set_default_timeout(WAIT)
        page = context.new_page()
        addresses.append(server.address)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: faults.append(message.text) if "Content Security Policy" in message.text else None)
        page.on(
            "request",
            lambda request: None if request.url.startswith((*addresses, "blob:", "data:")) else faults.append(request.url),
        )
        page.goto(server.address)
        page.wait_for_selector("main[data-state=idle], main[data-state=locked]")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert faults == []


def encoded(image, kind="PNG"):
    file = io.BytesIO()
    Image.fromarray(np.asarray(image)).save(file, kind)
    return file.getvalue()


@pytest.fixture
def image(shapes):
    return {"name": "shape.png", "mimeType": "image/png", "buffer": encoded(shapes[1][0])}


@pytest.fixture
def expected(model, shapes):
    return str(model.predict(shapes[1][:1])[0])


def state(page, name):
    page.wait_for_selector(f"main[data-state={name}]")


def upload(page, image):
    page.set_input_files("#file", image)


def keep(page, name):
    """Keep a screenshot for a person to look at."""
    folder = os.environ.get("FEATREC_SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def colors(page):
    """The numbers of orange and of blue pixels of the map."""
    return page.evaluate(
        """() => {
            const map = document.getElementById("map");
            const pixels = map.getContext("2d").getImageData(0, 0, map.width, map.height).data;
            let orange = 0, blue = 0;
            for (let i = 0; i < pixels.length; i += 4) {
                if (pixels[i + 3] < 20) continue;
                if (pixels[i] > pixels[i + 2] + 40) orange += 1;
                if (pixels[i + 2] > pixels[i] + 40) blue += 1;
            }
            return [orange, blue];
        }"""
    )


# Images


def test_an_uploaded_image_is_answered(visit, server, image, expected, model):
    page = visit(server)
    assert "knows 8 classes" in page.inner_text("#detail")
    keep(page, "idle")
    upload(page, image)
    state(page, "done")
    assert page.inner_text("#told") == expected
    share = float(re.search(r"Confidence ([\d.]+) %; 96 × 96 pixels", page.inner_text("#detail"))[1])
    rows = page.locator("#bars li").all_inner_texts()
    assert rows[0].split() == [expected, f"{share:.1f}", "%"]
    lengths = [one.bounding_box()["width"] for one in page.locator("#bars .bar span").all()]
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[0] / page.locator("#bars .bar").first.bounding_box()["width"] == pytest.approx(share / 100, abs=0.02)
    assert {"decode", "predict"} <= set(re.findall(r"[a-z]+", page.inner_text("#seconds")))
    page.click("summary")
    assert f'"label": "{expected}"' in page.inner_text("#json")
    keep(page, "answer")


def test_contributions_are_drawn_over_the_image(visit, server, image, expected):
    page = visit(server)
    upload(page, image)
    state(page, "done")
    page.check("[name=show][value=both]")
    page.wait_for_selector("#map:not([hidden])")
    both, frame, box = colors(page), page.locator("#image").bounding_box(), page.locator("#map").bounding_box()
    assert min(both) > 100
    assert box == frame
    assert page.get_attribute("#map", "aria-label").startswith(f"Orange speaks for {expected}, blue against it.")
    assert "decision" in page.inner_text("#reading")
    keep(page, "contributions")
    page.check("[name=show][value=for]")
    orange, blue = colors(page)
    assert orange > blue
    page.check("[name=show][value=against]")
    orange, blue = colors(page)
    assert blue > orange
    page.check("[name=show][value=both]")
    page.check("#outlines")
    assert colors(page) != both
    page.check("[name=show][value=image]")
    assert page.is_hidden("#map")


def test_a_pasted_image_is_answered(visit, server, image, expected):
    page = visit(server, permissions=["clipboard-read", "clipboard-write"])
    page.evaluate(
        """async bytes => {
            const blob = new Blob([new Uint8Array(bytes)], { type: "image/png" });
            await navigator.clipboard.write([new ClipboardItem({ "image/png": blob })]);
        }""",
        list(image["buffer"]),
    )
    page.keyboard.press("Control+V")
    state(page, "done")
    assert page.inner_text("#told") == expected


def test_a_dropped_image_is_answered(visit, server, image, expected):
    page = visit(server)
    files = page.evaluate_handle(
        """bytes => {
            const files = new DataTransfer();
            files.items.add(new File([new Uint8Array(bytes)], "shape.png", { type: "image/png" }));
            return files;
        }""",
        list(image["buffer"]),
    )
    page.dispatch_event("#drop", "dragenter", {"dataTransfer": files})
    assert "over" in page.get_attribute("#drop", "class")
    page.dispatch_event("#drop", "drop", {"dataTransfer": files})
    state(page, "done")
    assert page.inner_text("#told") == expected
    assert "over" not in page.get_attribute("#drop", "class")


def test_a_picture_of_the_camera_is_answered(visit, server):
    page = visit(server)
    page.click("#camera")
    page.wait_for_selector("#shoot:focus")
    page.keyboard.press("Enter")
    state(page, "done")
    assert page.is_hidden("#video")
    assert page.evaluate("document.getElementById('video').srcObject") is None
    assert page.inner_text("#told")


def test_a_format_that_the_browser_cannot_show_is_answered(visit, server, shapes, expected):
    page = visit(server)
    upload(page, {"name": "shape.tiff", "mimeType": "image/tiff", "buffer": encoded(shapes[1][0], "TIFF")})
    state(page, "done")
    assert page.inner_text("#told") == expected
    assert page.is_visible("#unseen")


def answer_with(page, **changes):
    """Let the page get another answer than that of the server."""
    result = {"name": "x", "label": "star", "confidence": 0.4, "top": [{"label": "star", "confidence": 0.4}], "rejected": None}
    body = {"model": "m", "request_id": "1", "results": [result | {"width": 9, "height": 7, "seconds": {}} | changes]}
    page.route("**/predict*", lambda route: route.fulfill(json=body))


def test_a_rejected_image_has_the_reason(visit, server, image):
    page = visit(server)
    answer_with(page, label="none of the known classes", rejected="too little to see")
    upload(page, image)
    state(page, "done")
    assert page.inner_text("#told") == "Not recognised"
    assert page.inner_text("#detail").startswith("Too little to see")
    assert page.locator("#bars li").first.inner_text().startswith("star")


def test_scores_are_numbers_without_bars(visit, server, image):
    page = visit(server)
    top = [{"label": "star", "confidence": 1.25}, {"label": "leaf", "confidence": -0.5}]
    answer_with(page, confidence=None, top=top)
    upload(page, image)
    state(page, "done")
    assert page.inner_text("#detail") == "9 × 7 pixels"
    assert page.inner_text("#classes") == "Scores"
    assert [row.split() for row in page.locator("#bars li").all_inner_texts()] == [["star", "+1.25"], ["leaf", "−0.500"]]
    assert page.locator("#bars .bar").count() == 0


# Faults


def test_a_wrong_file_is_refused_with_the_reason(visit, server, image, expected):
    page = visit(server)
    upload(page, {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"These are notes."})
    state(page, "error")
    assert "unsupported image format" in page.inner_text("#problem").lower()
    assert page.is_hidden("#again")
    assert page.is_hidden("#found")
    keep(page, "wrong_file")
    upload(page, image)
    state(page, "done")
    assert page.inner_text("#told") == expected
    assert page.is_hidden("#problem")


def test_a_huge_file_is_refused_with_the_limit(visit, server):
    page = visit(server)
    upload(page, {"name": "huge.bmp", "mimeType": "image/bmp", "buffer": b"BM" + bytes(12_000_000)})
    state(page, "error")
    told = page.inner_text("#problem")
    assert "too large" in told or "closed the connection" in told, told
    keep(page, "huge_file")


def test_a_server_that_is_gone_and_back(visit, model_file, image, expected):
    with restarted(model_file) as server:
        page = visit(server)
        server.stop(signal.SIGKILL)
        upload(page, image)
        state(page, "gone")
        assert "does not answer" in page.inner_text("#problem")
        keep(page, "gone")
        page.click("#retry")
        state(page, "gone")
        server.start()
        state(page, "done")  # without a click
        assert page.inner_text("#told") == expected


def test_the_token_is_asked_for(visit, model_file, image, expected, tmp_path):
    (tmp_path / "token").write_text(TOKEN)
    with restarted(model_file, "--token-file", str(tmp_path / "token")) as server:
        page = visit(server)
        state(page, "locked")
        assert page.evaluate("document.activeElement.id") == "token"
        keep(page, "locked")
        page.keyboard.type("wrong")
        page.keyboard.press("Enter")
        page.wait_for_selector("text=This token is not accepted.")
        page.fill("#token", TOKEN)
        page.keyboard.press("Enter")
        state(page, "idle")
        upload(page, image)
        state(page, "done")
        assert page.inner_text("#told") == expected


# Everybody


def test_it_works_with_the_keyboard_only(visit, server, image, expected, tmp_path):
    path = tmp_path / image["name"]
    path.write_bytes(image["buffer"])
    page = visit(server)
    with page.expect_file_chooser() as chooser:
        reach(page, "open")
        page.keyboard.press("Enter")
    chooser.value.set_files(path)
    state(page, "done")
    assert page.inner_text("#told") == expected
    reach(page, "show")
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("#map:not([hidden])")
    reach(page, "outlines")
    page.keyboard.press("Space")
    assert page.is_checked("#outlines")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("details[open]")


def reach(page, name):
    """Press Tab until the element with this id or name has the focus, which must be visible."""
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("name => [document.activeElement.id, document.activeElement.name].includes(name)", name):
            break
    else:
        pytest.fail(f"{name} cannot be reached with Tab")
    style = page.evaluate(
        "(() => { const s = getComputedStyle(document.activeElement); return [s.outlineStyle, s.outlineWidth]; })()"
    )
    assert style == ["solid", "3px"], f"{name} has no visible focus"


def test_a_screen_reader_is_told(visit, server, image, expected):
    page = visit(server)
    upload(page, image)
    state(page, "done")
    assert expected in page.get_by_role("status").inner_text()
    tree = page.locator("body").aria_snapshot()
    for told in (
        'heading "Recognise an image"',
        'button "Choose another"',
        'img "Your image, shape.png"',
        'radio "for and against"',
    ):
        assert told in tree, told
    upload(page, {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"These are notes."})
    state(page, "error")
    assert "cannot be used" in page.get_by_role("alert").inner_text()


@pytest.mark.parametrize(("scheme", "viewport"), [("light", DESKTOP), ("dark", DESKTOP), ("light", PHONE), ("dark", PHONE)])
def test_light_and_dark_desktop_and_phone(visit, server, image, scheme, viewport):
    page = visit(server, scheme=scheme, viewport=viewport)
    upload(page, image)
    state(page, "done")
    page.check("[name=show][value=both]")
    page.wait_for_selector("#map:not([hidden])")
    keep(page, f"{scheme}_{viewport['width']}")
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    paper, ink = page.evaluate("(() => { const s = getComputedStyle(document.body); return [s.backgroundColor, s.color]; })()")
    assert (brightness(paper) > brightness(ink)) == (scheme == "light")
    small = [one.bounding_box() for one in page.locator("button:visible, select:visible, label:visible").all()]
    assert all(min(box["width"], box["height"]) >= 24 for box in small)


def brightness(color):
    return sum(map(int, re.findall(r"\d+", color)[:3]))


def test_several_models_are_a_choice(visit, model, shapes, image, tmp_path):
    train, test = shapes
    save(model, tmp_path / "first.featrec")
    other = recipes.make("color_forest", random_state=0).fit(train, train.labels)
    save(other, tmp_path / "second.featrec")
    with restarted(tmp_path) as server:
        page = visit(server)
        assert page.locator("#model option").all_inner_texts() == ["first", "second"]
        upload(page, image)
        state(page, "done")
        for name, one in (("second", other), ("first", model)):
            page.select_option("#model", name)
            page.locator("#json", has_text=f'"model": "{name}"').wait_for(state="attached")
            state(page, "done")
            assert page.inner_text("#told") == str(one.predict(test[:1])[0])
