"""Model output, names, errors and files are data: a hundred texts that are scripts elsewhere are texts on the page."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="serving is an extra: headway[serve]")

from page_payloads import PAYLOADS
from running import Running, until

from headway.serve import page_routes
from headway.serve.guards import HEADERS

PAGE = Path(page_routes.__file__).parent / "page"
WATCH = """
window.broken = [];
addEventListener("securitypolicyviolation", event => window.broken.push(event.violatedDirective + " " + event.blockedURI));
"""
CENSUS = """names => names.map(name => document.querySelectorAll(name).length)"""
ELEMENTS = [
    "script", "img", "iframe", "object", "embed", "svg", "math", "style", "link", "meta", "base", "video", "audio", "a", "form",
    "input", "select", "textarea", "details", "template", "dialog",
]  # fmt: skip
ASK = """async text => {
  const [field, answer, problem] = ["source", "answer", "problem"].map(name => document.getElementById(name));
  answer.replaceChildren();
  problem.hidden = true;
  field.value = text;
  field.dispatchEvent(new Event("input"));
  document.getElementById("asking").requestSubmit();
  while (!answer.childElementCount && problem.hidden) await new Promise(go => setTimeout(go, 2));
  await new Promise(requestAnimationFrame);
}"""


@pytest.fixture(scope="module")
def server(run_of: Callable[[str], Path]) -> Iterator[Running]:
    with Running(f"mt={run_of('translation')}", "--workers", "1", "--threads", "1") as running:
        yield running


class Attacked:
    """A page whose answers are what an attacker wants; `check` asserts that nothing of it ran."""

    def __init__(self, chromium: Any, server: Running) -> None:
        self.origin = f"http://localhost:{server.port}/"
        self.trouble: list[str] = []
        self.context = chromium.new_context()
        self.context.add_init_script(WATCH)
        self.page = self.context.new_page()
        self.page.on("dialog", lambda dialog: self.trouble.append(f"dialog: {dialog.message}"))
        self.page.on("pageerror", lambda error: self.trouble.append(f"error: {error}"))
        self.page.on("request", lambda asked: self.trouble.append(asked.url) if not asked.url.startswith(self.origin) else None)
        self.page.on("popup", lambda _: self.trouble.append("a window"))
        self.models = [model("mt", "translation", directions=[["en", "de"]])]
        self.answer: dict[str, Any] = {}
        self.status = 200
        self.context.route("**/models", lambda route: route.fulfill(json={"models": self.models}))
        self.context.route("**/predict/**", self._answered)
        self.context.route("**/openapi.json", self._described)

    def _answered(self, route: Any) -> None:
        route.fulfill(json=self.answer, status=self.status)

    def _described(self, route: Any) -> None:
        told = route.fetch().json()
        told["components"]["schemas"]["Question"]["properties"] |= {"explain": {}, "stream": {}}
        route.fulfill(json=told)

    def open(self, path: str = "") -> None:
        self.page.goto(self.origin + path)
        self.page.wait_for_selector("#model option", state="attached")
        self.before = self.page.evaluate(CENSUS, ELEMENTS)

    def ask(self, text: str, answer: dict[str, Any], status: int = 200) -> None:
        self.answer, self.status = answer, status
        self.page.evaluate(ASK, text)

    def check(self) -> None:
        assert self.page.evaluate("[window.pwned, window.broken, document.title]") == [None, [], "Headway"]
        assert self.page.evaluate(CENSUS, ELEMENTS) == self.before
        assert self.trouble == []


@pytest.fixture
def attacked(chromium: Any, server: Running) -> Iterator[Attacked]:
    found = Attacked(chromium, server)
    yield found
    found.context.close()


def model(name: str, task: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "ready": True, "task": task, "labels": None, "directions": [], "max_length": 9} | more


def words(text: str) -> list[dict[str, Any]]:
    return [{"text": found[0], "start": found.start(), "end": found.end()} for found in re.finditer(r"\S+", text)]


def test_there_are_a_hundred() -> None:
    assert len(set(PAYLOADS)) == len(PAYLOADS) == 100


def test_the_policy() -> None:
    policy = dict(part.strip().split(" ", 1) for part in HEADERS["content-security-policy"].split(";"))
    assert policy["default-src"] == policy["default-src"].strip() == "'self'"
    assert (policy["require-trusted-types-for"], policy["trusted-types"]) == ("'script'", "'none'")
    assert "unsafe" not in HEADERS["content-security-policy"]
    assert not {"script-src", "style-src", "img-src", "connect-src"} & set(policy)  # nothing is wider than the default


def test_nothing_in_the_page_makes_markup_of_text() -> None:
    shipped = {path.name for path in PAGE.iterdir()}
    assert shipped == set(page_routes.FILES.values())
    for path in PAGE.iterdir():
        content = path.read_text("utf-8")
        assert len(content.splitlines()) <= 400
        found = re.findall(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|setHTML|DOMParser|srcdoc|"
            r"createContextualFragment|https?://(?!www\.w3\.org)|createObjectURL|setTimeout\(\s*[\"'`]|import\(|\.href\s*=",
            content,
        )
        assert found == [], path.name
        if path.suffix == ".html":
            assert re.findall(r"<style|\sstyle=|\son\w+=|<script(?! (type=\"module\" )?src=)", content) == []


def test_input_and_output(attacked: Attacked) -> None:
    attacked.open()
    for payload in PAYLOADS:
        outputs = [
            {**word, "probability": 0.5, "alternatives": [{"text": payload, "probability": 0.2}], "weights": [1.0]}
            for word in words(payload)
        ]
        told = {"kind": "attention", "source": [{"text": payload, "start": 0, "end": len(payload)}], "outputs": outputs}
        attacked.ask(payload, {"answers": [[{"text": payload, "confidence": 0.5, "explanation": told}]]})
        attacked.page.focus("#answer .word")
        assert attacked.page.locator("#card").is_visible()
        shown = attacked.page.evaluate("document.querySelector('#answer .written').textContent")
        assert shown == payload
    attacked.check()


def test_streamed_output(attacked: Attacked) -> None:
    attacked.open()
    events = [{"text": payload} for payload in PAYLOADS] + [{"answers": [[{"text": "<b>end</b>"}]]}]
    body = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
    attacked.context.route("**/predict/**", lambda route: route.fulfill(body=body, content_type="text/event-stream"))
    attacked.ask("a", {})
    attacked.page.wait_for_selector("text=<b>end</b>")
    assert attacked.page.inner_text("#answer .written") == "<b>end</b>"
    attacked.check()


def test_errors(attacked: Attacked) -> None:
    attacked.open()
    for number, payload in enumerate(PAYLOADS):
        status = (422, 429, 500, 503)[number % 4]
        code = payload if number % 2 else "not_valid"
        attacked.ask("a", {"error": {"code": code, "message": payload, "remedy": payload}}, status)
        assert payload in attacked.page.evaluate("document.querySelector('#problem').textContent")
    attacked.check()


def test_names_of_models_tasks_and_languages(attacked: Attacked) -> None:
    attacked.models = [model(payload, payload, directions=[[payload, payload], ["en", "de"]]) for payload in PAYLOADS]
    attacked.open("#%3Cimg%20src=x%20onerror=window.pwned=1%3E")
    for place, payload in enumerate(PAYLOADS):
        attacked.page.select_option("#model", index=place)
        assert payload in attacked.page.evaluate("document.querySelector('#task').textContent")
    attacked.check()


def test_labels_tags_spans_and_vectors(attacked: Attacked) -> None:
    labels = list(PAYLOADS)
    attacked.models = [model(task, task, labels=labels) for task in ("classification", "tagging", "question_answering")]
    attacked.open()
    told = {"source": [], "outputs": [{"text": label, "probability": 0.01, "weights": []} for label in labels]}
    attacked.ask("a", {"answers": [[{"labels": [labels[0]], "probabilities": dict.fromkeys(labels, 0.01), "explanation": told}]]})
    assert attacked.page.locator("#answer .bars li").count() == 100
    attacked.page.focus("#answer .share")
    attacked.page.keyboard.press("End")
    assert attacked.page.evaluate(
        "document.activeElement.parentElement.matches('.bars li:nth-child(8)')"
    )  # the last that is seen
    attacked.page.click("#correct")
    assert attacked.page.locator("#correction option").count() == 100
    attacked.page.keyboard.press("Escape")
    attacked.page.select_option("#model", "tagging")
    tagged = [{"word": label, "tag": f"B-{label}", "probability": 0.5} for label in labels]
    entities = [{"kind": label, "first": place, "end": place + 1} for place, label in enumerate(labels)]
    attacked.ask(" ".join(labels), {"answers": [[{"words": tagged, "entities": entities}]]})
    assert attacked.page.locator("#answer .entity").count() == 100
    attacked.page.select_option("#model", "question_answering")
    attacked.page.fill("#other", labels[0])
    attacked.ask("".join(labels), {"answers": [[{"answer": labels[5], "start": "".join(labels).index(labels[5]), "score": 1}]]})
    assert attacked.page.evaluate("document.querySelector('mark.found').textContent") == labels[5]
    attacked.check()


def test_names_and_texts_of_files(attacked: Attacked) -> None:
    attacked.models = [model("mt", "translation"), model("see", "captioning", reads="image")]
    attacked.open()
    for payload in PAYLOADS:
        file = {"name": payload, "mimeType": "text/html", "buffer": payload.encode()}
        attacked.page.set_input_files("#file", file)
        until(attacked.page, "text => document.querySelector('#source').value === text", payload.lstrip("\ufeff"))
    attacked.page.select_option("#model", "see")
    for payload in PAYLOADS:
        picture = f"<svg xmlns='http://www.w3.org/2000/svg'><script>{payload}</script></svg>"
        attacked.page.set_input_files("#file", {"name": payload, "mimeType": "image/svg+xml", "buffer": picture.encode()})
        assert attacked.page.evaluate("document.querySelector('#file-name').textContent")
    attacked.check()


def test_a_description_of_routes(attacked: Attacked) -> None:
    fields = {payload: {"type": payload, "description": payload, "default": payload, "enum": [payload]} for payload in PAYLOADS}
    operation = {
        "summary": PAYLOADS[0],
        "description": "\n\n".join(PAYLOADS),
        "parameters": [{"name": PAYLOADS[15], "in": PAYLOADS[16], "schema": {}}],
        "requestBody": {"content": {"application/json": {"schema": {"properties": fields, "required": list(PAYLOADS)}}}},
        "responses": {PAYLOADS[17]: {"description": PAYLOADS[18]}},
    }
    told = {"info": {"description": PAYLOADS[0]}, "paths": {f"/{payload}": {"post": operation} for payload in PAYLOADS[:8]}}
    attacked.context.route("**/openapi.json", lambda route: route.fulfill(json=told))
    attacked.page.goto(attacked.origin + "docs")
    others = [name for name in ELEMENTS if name not in ("a", "details")]  # it makes these itself
    before = attacked.page.evaluate(CENSUS, others)
    attacked.page.wait_for_selector("article >> nth=7")
    assert attacked.page.evaluate(CENSUS, others) == before
    links = attacked.page.evaluate("[...document.querySelectorAll('#contents a')].map(link => link.getAttribute('href'))")
    assert links == [f"#route-{place}" for place in range(8)]
    assert attacked.page.evaluate("[window.pwned, window.broken]") == [None, []]
    assert attacked.trouble == []
