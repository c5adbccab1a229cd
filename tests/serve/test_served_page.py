"""The page in a real browser, with a real server: from a text that is typed to a correction that can be trained on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="serving is an extra: headway[serve]")

from running import Running, until

from headway.config import CorpusConfig
from headway.data.readers import read_pairs
from made_file_runs import run_of_kind

RunOf = Callable[[str], Path]
TEXT = "Our cat is waking up five men."
KINDS = ("translation", "classification", "dialogue")
OTHERS = ("tagging", "question_answering", "sentence_embedding", "language_model", "summarisation", "pair_classification")
LUMINANCE = """names => {
  const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const light = name => {
    pen.fillStyle = getComputedStyle(Object.assign(document.createElement("i"), {})).color;
    const probe = document.createElement("i");
    probe.style.setProperty("color", `var(${name})`);
    document.body.append(probe);
    pen.fillStyle = getComputedStyle(probe).color;
    probe.remove();
    pen.fillRect(0, 0, 1, 1);
    const [red, green, blue] = [...pen.getImageData(0, 0, 1, 1).data].map(part => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  return names.map(([one, other]) => {
    const [dark, bright] = [light(one), light(other)].sort((a, b) => a - b);
    return (bright + 0.05) / (dark + 0.05);
  });
}"""

NO_END = 'data: {"text": "so", "choices": [{"delta": {"content": "so"}}]}\n\n'
PASTE = """text => {
  const held = new DataTransfer();
  if (text) held.setData("text/plain", text);
  held.items.add(new File([new Uint8Array([255, 254, 0])], "a.png", { type: "image/png" }));
  document.querySelector("#problem").hidden = true;
  return document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: held, bubbles: true, cancelable: true }));
}"""


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("page") / "corrections"


@pytest.fixture(scope="module")
def seer(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A model of pictures, and one."""
    return run_of_kind(tmp_path_factory.mktemp("seer"), "media_classification")


@pytest.fixture(scope="module")
def server(run_of: RunOf, kept: Path, seer: tuple[Path, str]) -> Iterator[Running]:
    named = [*(f"{kind}={run_of(kind)}" for kind in KINDS), f"seer={seer[0]}"]
    with Running(*named, "--corrections", kept, "--workers", "1", "--threads", "1", "decoding.minimum_length=4") as running:
        yield running


@pytest.fixture
def visit(chromium: Any, server: Running) -> Iterator[Callable[..., Any]]:
    """Opens the page; the test fails for anything on the console but answers that are none, and for a request elsewhere."""
    trouble: list[str] = []
    contexts: list[Any] = []

    def open_page(path: str = "", at: Running = server, **settings: Any) -> Any:
        context = chromium.new_context(**{"locale": "en-US", **settings})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda said: trouble.append(said.text) if "Failed to load" not in said.text else None)
        page.on("pageerror", lambda error: trouble.append(f"error: {error}"))
        origin = f"http://localhost:{at.port}/"
        page.on("request", lambda asked: trouble.append(asked.url) if not asked.url.startswith(origin) else None)
        page.goto(origin + path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert trouble == []


def ask(page: Any, text: str, shown: str, model: str = "translation") -> None:
    page.wait_for_selector(f"#model option[value={model}]", state="attached")
    if page.input_value("#model") != model:
        page.select_option("#model", model)
    page.fill("#source", text)
    page.keyboard.press("Control+Enter")
    page.wait_for_selector(shown)
    until(page, "document.querySelector('#progress').hidden")


def shades(page: Any) -> list[float]:
    return page.evaluate("[...document.querySelectorAll('.src')].map(word => Number(word.style.getPropertyValue('--w')))")


def test_from_a_text_to_a_correction_that_is_learned_from(visit: Callable[..., Any], server: Running, kept: Path) -> None:
    page = visit()
    ask(page, TEXT, "#answer .word")
    written = page.inner_text("#answer .written")
    told = server.ask("/predict/translation", {"texts": [TEXT]}).json()["answers"][0][0]["text"]
    assert written == told
    assert max(shades(page), default=0) == 0
    page.hover("#answer .word")
    assert max(shades(page)) == 1
    assert "".join(page.evaluate("[...document.querySelectorAll('.src')].map(word => word.textContent)")) == TEXT.replace(" ", "")
    assert "Confidence" in page.inner_text("#card")
    page.click("#correct")
    assert page.input_value("#correction") == written
    page.fill("#correction", "Unsere Katze weckt\tfünf Männer.\n")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("text=Saved. 1 example to learn from.")
    corpus = CorpusConfig(path=str(kept / "translation.jsonl"), source="source", target="target")
    assert [pair[:2] for pair in read_pairs(corpus)] == [(TEXT, "Unsere Katze weckt\tfünf Männer.\n")]
    assert json.loads((kept / "translation.jsonl").read_text("utf-8"))["answer"] == written


def test_arrow_keys_show_what_hovering_shows(visit: Callable[..., Any]) -> None:
    page = visit()
    ask(page, TEXT, "#answer .word >> nth=2")
    page.hover("#answer .word >> nth=1")
    hovered = page.inner_text("#card"), shades(page)
    page.mouse.move(1, 1)
    assert not page.is_visible("#card")
    page.focus("#answer .word")
    first = page.inner_text("#card")
    page.keyboard.press("ArrowRight")
    assert (page.inner_text("#card"), shades(page)) == hovered
    assert page.evaluate("document.activeElement.tabIndex") == 0
    assert page.evaluate("document.querySelectorAll('#answer [tabindex=\"0\"]').length") == 1
    page.keyboard.press("Home")
    assert page.inner_text("#card") == first
    page.keyboard.press("Escape")
    assert not page.is_visible("#card")


def test_a_word_of_the_text_shows_who_looked_at_it(visit: Callable[..., Any]) -> None:
    page = visit()
    ask(page, TEXT, "#answer .word")
    page.hover("#source", position={"x": 15, "y": 15})
    until(page, "document.querySelector('#answer .word').style.getPropertyValue('--w') > 0")
    assert max(shades(page)) == 1


def test_answers_are_shown_while_they_are_written(visit: Callable[..., Any]) -> None:
    page = visit()
    page.wait_for_selector("#model option", state="attached")
    page.evaluate("""() => {
      window.seen = new Set();
      new MutationObserver(() => window.seen.add(document.querySelector("#answer.coming .written")?.textContent))
        .observe(document.querySelector("#answer"), { childList: true, subtree: true, characterData: true });
    }""")
    ask(page, "Our cat is waking up five men " * 12, "#answer .word")
    seen = [text for text in page.evaluate("[...window.seen]") if text]
    assert len(seen) >= 3
    assert len(seen[0]) < len(page.inner_text("#answer .written"))


def test_escape_ends_a_request_and_frees_its_place(visit: Callable[..., Any], server: Running) -> None:
    page = visit()
    page.wait_for_selector("#model option", state="attached")
    given_up: list[str] = []
    page.on("requestfailed", lambda asked: given_up.append(asked.url))
    for _ in range(20):  # one may be answered before the key is heard
        page.fill("#source", f"{TEXT} " * 60)
        page.click("#ask")
        page.keyboard.press("Escape")
        until(page, "document.querySelector('#progress').hidden")
        if given_up:
            break
    assert given_up
    assert "Cancelled" in page.inner_text("#facts")
    for _ in range(500):
        if 'headway_texts_open{model="translation"} 0.0' in server.ask("/metrics").content.decode():
            return
    raise AssertionError("its place is not free")


def test_labels_and_conversations(visit: Callable[..., Any], kept: Path) -> None:
    page = visit()
    ask(page, TEXT, "#answer .bars li", "classification")
    assert max(shades(page)) == 1
    assert page.locator("#answer .share.chosen").count() == 1
    label = page.inner_text("#answer .share.chosen > span >> nth=0")
    page.click("#correct")
    assert page.input_value("#correction") == label
    page.click("#correcting [type=submit]")
    page.wait_for_selector("text=Saved. 1 example")
    ask(page, "Where is the cat?", "#answer .talk .assistant", "dialogue")
    ask(page, "And the dog?", "#answer .talk li >> nth=3", "dialogue")
    assert page.locator("#answer .talk .user").count() == 2
    page.click("#correct")
    page.fill("#correction", "It sleeps.")
    page.click("#correcting [type=submit]")
    page.wait_for_selector("text=Saved. 1 example")
    turns = json.loads((kept / "dialogue.jsonl").read_text("utf-8"))["turns"]
    assert (turns[0], turns[2:]) == ("Where is the cat?", ["And the dog?", "It sleeps."])


@pytest.mark.slow
def test_every_task_has_its_view(visit: Callable[..., Any], run_of: RunOf, tmp_path: Path) -> None:
    named = [f"{kind}={run_of(kind)}" for kind in OTHERS]
    with Running(*named, "--corrections", tmp_path, "--workers", "1", "--threads", "1") as server:
        look_at_every_task(visit(at=server))
        page = visit(at=server)  # what was chosen last is chosen again, elsewhere it is the first
        page.wait_for_selector("#model option", state="attached")
        assert page.input_value("#model") == OTHERS[0]


def look_at_every_task(page: Any) -> None:
    ask(page, TEXT, "#answer .tagged .word", "tagging")
    assert page.inner_text("#answer .tagged .word >> nth=1") == "cat"
    page.hover("#answer .tagged .word >> nth=1")
    assert "cat · " in page.inner_text("#card")
    page.select_option("#model", "question_answering")
    page.fill("#other", "Who wakes up?")
    ask(page, TEXT, "#answer .large", "question_answering")
    page.select_option("#model", "sentence_embedding")
    page.fill("#other", TEXT)
    ask(page, TEXT, "#answer .vector", "sentence_embedding")
    assert "1.000" in page.inner_text("#answer .large")
    ask(page, "The old king", "#answer .written", "language_model")
    assert page.inner_text("#answer .written").startswith("The old king")
    ask(page, TEXT, "#answer .written", "summarisation")
    page.select_option("#model", "pair_classification")
    page.fill("#other", TEXT)
    ask(page, TEXT, "#answer .bars li", "pair_classification")
    assert len(shades(page)) == 2 * len(TEXT.split()) + 2  # words of both texts, and their full stops
    assert max(shades(page)) == 1


def test_what_goes_wrong_is_told_in_words(visit: Callable[..., Any]) -> None:
    page = visit()
    ask(page, "a" * 30_000, "#problem .what")
    assert "The text is too long." in page.inner_text("#problem")
    assert "30,000 characters, more than 20,000" in page.inner_text("#problem")
    busy = {"error": {"code": "too_busy", "message": "too many texts wait", "remedy": "try again later"}}
    page.route("**/predict/**", lambda route: route.fulfill(status=429, json=busy, headers={"retry-after": "1"}), times=1)
    ask(page, TEXT, "text=Many others are asking")
    page.click("#problem button")  # enabled once the time is over
    page.wait_for_selector("#answer .word")
    assert not page.is_visible("#problem")
    for kind, path in (("translation", "**/predict/**"), ("dialogue", "**/v1/chat/completions")):
        page.route(path, lambda route: route.fulfill(body=NO_END, content_type="text/event-stream"))
        ask(page, TEXT, "text=The answer broke off.", kind)
        assert page.inner_text("#problem button") == "Try again"
        assert page.input_value("#source") == TEXT
        page.route(path, lambda route: route.abort())
        ask(page, TEXT, "text=The server cannot be reached.", kind)


def fulfil(page: Any, route: Any, answer: dict[str, Any]) -> None:
    """Late, and time for the page to do something about it."""
    route.fulfill(json=answer)
    page.wait_for_timeout(100)


def test_an_old_answer_does_not_overwrite_a_new_one(visit: Callable[..., Any]) -> None:
    page = visit()
    page.wait_for_selector("#model option", state="attached")
    held: list[Any] = []
    page.route("**/predict/**", lambda route: held.append(route))
    page.fill("#source", "The old one")
    page.keyboard.press("Control+Enter")
    until(page, "!document.querySelector('#progress').hidden")
    page.set_input_files("#file", {"name": "a.txt", "mimeType": "text/plain", "buffer": b"\xff\xfe\x00"})
    page.wait_for_selector("text=holds no text")
    assert page.is_visible("#progress")  # it is still asked
    page.fill("#source", "The new one")
    page.keyboard.press("Control+Enter")
    until(page, "document.querySelector('#problem').hidden")
    page.wait_for_timeout(50)
    first, second = held
    fulfil(page, second, {"answers": [[{"text": "new"}]]})
    fulfil(page, first, {"answers": [[{"text": "old"}]]})
    assert page.inner_text("#answer") == "new"


def test_try_again_does_what_failed(visit: Callable[..., Any]) -> None:
    page = visit("#100%")
    page.route("**/models", lambda route: route.abort(), times=1)
    page.reload()
    page.click("#problem button")
    page.route("**/predict/**", lambda route: route.fulfill(json={"answers": [[{"text": "so"}]]}))
    ask(page, TEXT, "text=so")
    page.click("#correct")
    page.fill("#correction", "Unsere Katze")
    written: list[str] = []
    page.route(
        "**/corrections/**",
        lambda route: (written.append(route.request.post_data_json["correction"]), route.fulfill(json={"saved": 7})),
    )
    page.route("**/corrections/**", lambda route: route.abort(), times=1)
    page.click("#correcting [type=submit]")
    page.wait_for_selector("text=The server cannot be reached.")
    assert page.input_value("#correction") == "Unsere Katze"
    page.click("#problem button")
    page.wait_for_selector("text=Saved. 7 examples")
    assert written == ["Unsere Katze"]
    assert not page.is_visible("#problem")


def test_a_correction_is_saved_once_and_closes_no_other(visit: Callable[..., Any]) -> None:
    page = visit()
    page.route("**/predict/**", lambda route: route.fulfill(json={"answers": [[{"text": "so"}]]}))
    held: list[Any] = []
    page.route("**/corrections/**", lambda route: held.append(route))
    ask(page, TEXT, "text=so")
    page.click("#correct")
    for _ in range(3):
        page.press("#correction", "Control+Enter")
    ask(page, "Another", "text=so")
    page.click("#correct")
    page.fill("#correction", "another")
    fulfil(page, held[0], {"saved": 1})
    assert len(held) == 1
    assert page.input_value("#correction") == "another"


def test_two_languages_and_two_themes_that_are_kept(visit: Callable[..., Any]) -> None:
    page = visit(locale="zh-CN", color_scheme="dark")
    ask(page, TEXT, "#answer .word")
    assert page.evaluate("document.documentElement.lang") == "zh-Hans"
    assert page.inner_text("#ask") == "翻译"
    assert page.inner_text("#direction option") == "英语 → 德语"
    page.click("#language")
    assert page.evaluate("document.documentElement.lang") == "en"
    assert page.inner_text("#direction option") == "English → German"
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    page.click("#theme")
    light = page.evaluate(ground)
    assert light != dark
    page.reload()
    page.wait_for_selector("#model option", state="attached")
    assert page.evaluate(ground) == light
    assert page.inner_text("#ask") == "Translate"


def test_both_languages_say_the_same_things(visit: Callable[..., Any]) -> None:
    page = visit()
    names = """async () => {
      const { WORDS } = await import("/page/words.js");
      const keys = (value, before = "") => Object.entries(value).flatMap(([key, inner]) =>
        typeof inner === "object" && !Array.isArray(inner) ? keys(inner, before + key + ".") : [before + key]);
      return [keys(WORDS.en), keys(WORDS.zh)].map(all => all.filter(key => !key.startsWith("troubles.")).sort());
    }"""
    english, chinese = page.evaluate(names)
    assert english == chinese
    said = set(page.evaluate("[...document.querySelectorAll('[data-say]')].map(one => one.dataset.say)"))
    assert said <= set(english)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(visit: Callable[..., Any], scheme: str) -> None:
    page = visit(color_scheme=scheme)
    pairs = [(text, ground) for text in ("--ink", "--soft", "--accent", "--warn") for ground in ("--pane", "--ground")]
    found = page.evaluate(LUMINANCE, [*pairs, ("--on-accent", "--accent")])
    assert min(found) >= 4.5, dict(zip(pairs, found, strict=False))
    assert page.evaluate(LUMINANCE, [("--edge", "--pane")])[0] >= 3


@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
def test_a_phone_has_all_of_it_in_its_width(visit: Callable[..., Any], locale: str) -> None:
    page = visit(viewport={"width": 360, "height": 740}, locale=locale, has_touch=True)
    for model in ("classification", "translation"):
        ask(page, f"Our cat is waking up {'x' * 90}", "#answer [role=button]", model)
        assert page.evaluate("document.scrollingElement.scrollWidth") == 360
    page.tap("#answer .word")
    card, word = (page.locator(one).first.bounding_box() for one in ("#card", "#answer .word.here"))
    assert 0 <= card["x"] <= card["x"] + card["width"] <= 360
    assert word["y"] + word["height"] <= card["y"]
    page.goto(page.url.split("#")[0] + "docs")
    page.wait_for_selector("article")
    assert page.evaluate("document.scrollingElement.scrollWidth") == 360


def test_files_become_texts_and_direction_follows_the_text(visit: Callable[..., Any]) -> None:
    page = visit()
    page.wait_for_selector("#model option", state="attached")
    page.set_input_files("#file", {"name": "a.txt", "mimeType": "text/plain", "buffer": "שלום עולם".encode()})
    until(page, "document.querySelector('#source').value === 'שלום עולם'")
    assert page.evaluate("document.querySelector('#source').matches(':dir(rtl)')")
    for content, told in ((b"\xff\xfe\x00", "holds no text"), (b"a" * 2_000_000, "too large")):
        page.set_input_files("#file", {"name": "b.txt", "mimeType": "text/plain", "buffer": content})
        page.wait_for_selector(f"text={told}")
    assert page.input_value("#source") == "שלום עולם"
    assert [page.evaluate(PASTE, text) for text in ("a text", "")] == [True, False]  # whether the browser pastes it itself
    page.wait_for_selector("text=holds no text")


def test_what_the_server_has_is_what_it_is_asked_for(visit: Callable[..., Any], server: Running) -> None:
    page, asked = visit(), []
    told = server.ask("/openapi.json").json()
    fields = told["components"]["schemas"]["Question"]["properties"]

    def answer(route: Any) -> None:
        asked.append(route.request.post_data_json)
        route.fulfill(json={"answers": [[{"text": "so"}]]})

    page.route("**/predict/**", answer)
    page.route("**/openapi.json", lambda route: route.fulfill(json=told))
    for names in ({}, {"format": {}}):
        for name in ("explain", "stream", "format"):
            fields.pop(name, None)
        fields |= names
        page.reload()
        for text in ("One sentence, no more.", "One sentence. And another."):
            ask(page, text, "text=so", "translation")
    plain, several = ({"texts": [text], "details": True} for text in ("One sentence, no more.", "One sentence. And another."))
    assert asked == [plain, several, plain, {"texts": several["texts"], "format": "text"}]


def test_what_cannot_be_explained_is_answered_all_the_same(visit: Callable[..., Any]) -> None:
    page = visit()
    ask(page, "a cat " * 400, "#answer .written")  # more than the characters that are explained
    assert page.locator("#answer .word").count() == 0
    assert not page.is_visible("#problem")


def test_a_model_that_is_being_loaded_is_waited_for(visit: Callable[..., Any], server: Running) -> None:
    told = {"models": [model for model in server.ask("/models").json()["models"] if model["name"] == "translation"]}
    loading = {"models": [{**told["models"][0], "ready": False, "task": None, "directions": []}]}
    page, answers = visit(), [loading, loading, told]
    page.route("**/models", lambda route: route.fulfill(json=answers.pop(0) if len(answers) > 1 else answers[0]))
    page.reload()
    page.wait_for_selector("text=The model is being loaded.")
    assert page.is_disabled("#ask")
    page.fill("#source", TEXT)
    until(page, "!document.querySelector('#ask').disabled")
    page.click("#ask")
    page.wait_for_selector("#answer .word")
    assert page.inner_text("#direction option") == "English → German"


def test_a_picture_that_is_dropped_is_labelled(visit: Callable[..., Any], server: Running, seer: tuple[Path, str]) -> None:
    page, picture = visit(), Path(seer[1])
    page.wait_for_selector("#model option[value=seer]", state="attached")
    page.select_option("#model", "seer")
    assert not page.is_visible("#source")
    assert page.is_disabled("#ask")
    dropped = page.evaluate_handle(
        """content => {
          const moved = new DataTransfer();
          moved.items.add(new File([new Uint8Array(content)], "a <b>picture</b>.png", { type: "image/png" }));
          return moved;
        }""",
        list(picture.read_bytes()),
    )
    page.dispatch_event("#asking", "drop", {"dataTransfer": dropped})
    page.wait_for_selector("#picture")
    assert page.inner_text("#file-name") == "a <b>picture</b>.png"
    page.click("#ask")
    page.wait_for_selector("#answer .share.chosen")
    told = server.ask("/predict/seer/file", picture.read_bytes()).json()["answers"][0][0]["labels"]
    assert page.inner_text("#answer .share.chosen > span >> nth=0") == told[0]


def test_a_conversation_that_is_left_does_not_come_back(visit: Callable[..., Any]) -> None:
    page = visit()
    page.wait_for_selector("#model option", state="attached")
    page.select_option("#model", "dialogue")
    held: list[Any] = []
    page.route("**/v1/chat/completions", lambda route: held.append(route))
    page.fill("#source", "Where is the cat?")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("#answer .talk .user")
    page.select_option("#model", "translation")
    until(page, "document.querySelector('#progress').hidden")
    assert page.inner_text("#answer") == "The answer appears here."
    assert page.input_value("#source") == ""
    assert len(held) == 1


def test_a_key_is_asked_for_and_kept_in_the_tab(visit: Callable[..., Any], run_of: RunOf, tmp_path: Path) -> None:
    key = "kkkkkkkkkkkkkkkkkkkkkkkk"
    (tmp_path / "keys").write_text(f"{key}\n")
    with Running(f"mt={run_of('translation')}", "--key-file", tmp_path / "keys", "--workers", "1", "--threads", "1") as server:
        for path in ("/page/app.js", "/", "/docs"):
            assert server.ask(path).status == 200
            assert server.ask(path, {}).status == 405
        for path in (
            "/page/",
            "/page",
            "/page/../models",
            "/page/%2e%2e/app.py",
            "/Page/app.js",
            "/page/app.py",
            "/corrections/mt",
        ):
            assert server.ask(path).status == 401
        page = visit(at=server)
        page.fill("#key", "wrong")
        page.keyboard.press("Escape")
        page.click("#problem button")
        for wrong in ("ключ", "wrong"):  # the first fits into no header
            page.fill("#key", wrong)
            page.keyboard.press("Enter")
            page.wait_for_selector("text=This key is not known")
        page.fill("#key", key)
        page.keyboard.press("Enter")
        ask(page, TEXT, "#answer .written", "mt")
        assert page.evaluate("JSON.stringify(localStorage) + location + document.cookie").count(key) == 0
        page.reload()
        page.wait_for_selector("#model option[value=mt]", state="attached")
        page.goto(f"http://localhost:{server.port}/docs")
        page.wait_for_selector("article")
        assert visit(at=server).wait_for_selector("#key-dialog[open]")  # another tab knows nothing
        assert key not in "".join(server.log)


def test_the_routes_are_explained(visit: Callable[..., Any], server: Running) -> None:
    page = visit("docs")
    page.wait_for_selector("article")
    told = server.ask("/openapi.json").json()["paths"]
    assert page.locator("article").count() == sum(map(len, told.values()))
    told_of_speech = page.locator("article:has(h2 code:text-is('/v1/audio/transcriptions'))").inner_text()
    assert "-F 'file=@FILE' -F 'model=NAME'" in told_of_speech
    predict = page.locator("article:has(h2 code:text-is('/predict/{model}'))").text_content()
    for part in ("texts *", "decoding.beam_size", "1 to 16", "greedy", "at most 200 characters", "curl -H 'content-type", "429"):
        assert part in predict


def test_files_are_sent_as_what_they_are(server: Running) -> None:
    for path, kind in (
        ("/", "text/html"),
        ("/page/app.js", "text/javascript"),
        ("/page/page.css", "text/css"),
        ("/page/icon.svg", "image/svg+xml"),
    ):
        answer = server.ask(path)
        assert (answer.status, answer.headers["content-type"].partition(";")[0]) == (200, kind)
        assert answer.headers["content-security-policy"].startswith("default-src 'self';")
        assert answer.headers["cache-control"] == "no-store"
