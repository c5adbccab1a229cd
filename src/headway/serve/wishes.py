"""What a request asks of its answers beside its texts: a glossary, forbidden texts, and how each answer begins."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from headway.serve.limits import Limits
from headway.serve.problems import Problem

Text = Annotated[str, StringConstraints(strict=True)]


def _of_texts(given: Any) -> Any:
    """Checked as a whole: a mistake that is told by its place would quote a term."""
    if not isinstance(given, dict) or not all(isinstance(one, str) for one in given.values()):
        raise PydanticCustomError("not_texts", "Input should be an object whose values are texts")
    return given


Terms = Annotated[dict[str, str], BeforeValidator(_of_texts)]


class Wishes(BaseModel):
    """Fields of a question, for models that write."""

    glossary: Terms = Field(default_factory=dict, description="terms, and what stands for them in the answer")
    forbidden: list[Text] = Field(default_factory=list, description="what no answer has as whole words")
    prefixes: list[Text] | None = Field(None, description="what each answer begins with: one for each text")

    def wishes(self, count: int, limits: Limits) -> Iterator[dict[str, Any]]:
        """Those of so many texts, as fields of a job. Raises Problem for what is too much, or too long."""
        self._refuse_many(limits)
        if self.prefixes is not None and len(self.prefixes) != count:
            problem = f"prefixes: {len(self.prefixes):,} of them for {count:,} texts"
            raise Problem(422, "not_valid", problem, "send one for each text; an empty one asks nothing")
        for prefix in self.prefixes or [""] * count:
            yield {"glossary": self.glossary, "forbidden": self.forbidden, "prefix": prefix}

    def _refuse_many(self, limits: Limits) -> None:
        given = {
            "glossary": [*self.glossary, *self.glossary.values()],
            "forbidden": self.forbidden,
            "prefixes": self.prefixes or (),
        }
        for name, count in (("glossary", len(self.glossary)), ("forbidden", len(self.forbidden))):
            if count > limits.terms:
                raise Problem(422, "too_many", f"{name}: {count:,}, more than {limits.terms:,}", "send fewer")
        for name, texts in given.items():
            if (longest := max(map(len, texts), default=0)) > limits.term_characters:
                problem = f"{name}: a text of {longest:,} characters, more than {limits.term_characters:,}"
                raise Problem(422, "too_long_text", problem, "send shorter ones")
