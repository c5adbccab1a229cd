"""What a request asks of its answers beside its texts: a glossary, forbidden texts, and how each answer begins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from headway.serve.bounds import refuse_long, refuse_many
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
    forbidden: Annotated[list[Text], Field(fail_fast=True)] = Field(
        default_factory=list, description="what no answer has as whole words"
    )
    prefixes: Annotated[list[Text], Field(fail_fast=True)] | None = Field(
        None, description="what each answer begins with: one for each text"
    )

    def wishes(self, count: int, limits: Limits) -> Iterator[dict[str, Any]]:
        """Those of so many texts, as fields of a job. Raises Problem for what is too much, or too long."""
        self._refuse_many(count, limits)
        if self.prefixes is not None and len(self.prefixes) != count:
            problem = f"prefixes: {len(self.prefixes):,} of them for {count:,} texts"
            raise Problem(422, "not_valid", problem, "send one for each text; an empty one asks nothing")
        for prefix in self.prefixes or [""] * count:
            yield {"glossary": self.glossary, "forbidden": self.forbidden, "prefix": prefix}

    def _refuse_many(self, count: int, limits: Limits) -> None:
        refuse_many("glossary", len(self.glossary), limits.terms)
        refuse_many("forbidden", len(self.forbidden), limits.terms)
        refuse_long("glossary", [max((*self.glossary, *self.glossary.values()), key=len, default="")], limits.term_characters)
        refuse_long("forbidden", self.forbidden, limits.term_characters)
        refuse_long("prefixes", self.prefixes or (), limits.term_characters)
        refuse_heavy(self.glossary, self.forbidden, count, limits)


def refuse_heavy(glossary: Mapping[str, str], forbidden: Sequence[str], count: int, limits: Limits) -> None:
    """What goes to workers with each of so many texts. Raises Problem."""
    characters = count * sum(map(len, (*glossary, *glossary.values(), *forbidden)))
    remedy = "send fewer texts at a time, or of these what they need"
    refuse_many("characters of glossary and forbidden, for each text", characters, limits.wishes, remedy)
