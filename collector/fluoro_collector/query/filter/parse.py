"""Text to tree. Precedence: "!", then AND (also when two terms just stand side by side), then OR.

Grammar (keywords, AND, OR and operators in any case; what each part means is in `compile`):

    expr    := and { OR and }            and := unary { [AND] unary }          unary := { "!" } primary
    primary := "(" expr ")" | KEYWORD [ operator value ] | annotation [ operator value ]
             | service "(" [ node ] ")" [ block ] | edge "(" node "," node ")" [ block ]
             | group.name = text | group.arn = text | rootcause.KIND.SUBJECT block | rootcause.json = "#" list
    annotation := annotation.KEY | annotation[KEY]
    node    := text | id "(" [ name: text ] [ , type: text ] [ , account.id: text ] ")"       block := "{" expr "}"
"""

from __future__ import annotations

import math

from . import tree
from .errors import FilterError
from .tokens import Token, tokenize

MAX_DEPTH = 50
MAX_TERMS = 50  # keywords; each is a condition on every row, or several aggregates of a trace


def parse(text: str) -> tree.Expression:
    """Raises FilterError with the position of the first thing that is wrong."""
    parser = _Parser(tokenize(text))
    expression = parser.either()
    parser.take("end", "AND", "OR", "the end")
    return expression


class _Parser:
    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._index = 0
        self._depth = 0
        self._terms = 0

    @property
    def _here(self) -> Token:
        return self._tokens[self._index]

    def take(self, kind: str, *expected: str) -> Token:
        token = self._here
        if token.kind != kind:
            raise self._unexpected(*(expected or (f'"{kind}"',)))
        self._index += 1
        return token

    def _unexpected(self, *expected: str) -> FilterError:
        token = self._here
        what = "the expression ends here" if token.kind == "end" else f"unexpected {token.text!r}"
        return FilterError(what, token.position, expected)

    def _is_word(self, word: str) -> bool:
        return self._here.kind == "word" and self._here.text.lower() == word

    def either(self) -> tree.Expression:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise FilterError(f"more than {MAX_DEPTH} levels", self._here.position)
        parts = [self._all()]
        while self._is_word("or"):
            self._index += 1
            parts.append(self._all())
        self._depth -= 1
        return parts[0] if len(parts) == 1 else tree.Or(tuple(parts))

    def _all(self) -> tree.Expression:
        parts = [self._unary()]
        while True:
            if self._is_word("and"):
                self._index += 1
            elif self._here.kind not in ("word", "!", "(") or self._is_word("or"):
                return parts[0] if len(parts) == 1 else tree.And(tuple(parts))
            parts.append(self._unary())

    def _unary(self) -> tree.Expression:
        negations = 0
        while self._here.kind == "!":
            self._index += 1
            negations += 1
        if negations > MAX_DEPTH:
            raise FilterError(f"more than {MAX_DEPTH} levels", self._here.position)
        expression = self._primary()
        for _ in range(negations):
            expression = tree.Not(expression)
        return expression

    def _primary(self) -> tree.Expression:
        token = self._here
        if token.kind == "(":
            self._index += 1
            expression = self.either()
            self.take(")", '")"', "AND", "OR")
            return expression
        if token.kind != "word" or token.text.lower() in ("and", "or"):
            raise self._unexpected("a keyword", '"("', '"!"')
        self._terms += 1
        if self._terms > MAX_TERMS:
            raise FilterError(f"more than {MAX_TERMS} conditions", token.position)
        self._index += 1
        word = token.text.lower()
        if word == "annotation":
            return self._annotation(self.take("key", "annotation.KEY", "annotation[KEY]"), token.position)
        if word.startswith("annotation."):
            return self._annotation(token._replace(text=token.text[len("annotation.") :]), token.position)
        if word in tree.BOOLEANS:
            return self._comparison(word, token.position, bool)
        if word in tree.NUMBERS:
            return self._comparison(word, token.position, float)
        if word in tree.STRINGS:
            return self._comparison(word, token.position, str)
        return self._complex(word, token)

    def _comparison(self, word: str, position: int, kind: type) -> tree.Comparison:
        operator, value = self._condition(kind)
        return tree.Comparison(word, operator, value, position)

    def _annotation(self, key: Token, position: int) -> tree.Annotation:
        if not key.text:
            raise FilterError("this annotation has no key", key.position, ("a key",))
        return tree.Annotation(key.text, *self._condition(None), position)

    def _condition(self, kind: type | None) -> tuple[str, tree.Value | None]:
        """An operator and a value of `kind` (None: any), or ("", None) when no operator follows."""
        token = self._here
        operator = token.text.upper()
        if operator not in {*tree.NUMBER_OPERATORS, *tree.STRING_OPERATORS} or token.kind in ("string", "key", "json"):
            return "", None
        self._index += 1
        value = self._value(kind)
        allowed = (
            tree.BOOLEAN_OPERATORS
            if isinstance(value, bool)
            else tree.STRING_OPERATORS
            if isinstance(value, str)
            else tree.NUMBER_OPERATORS
        )
        if operator not in allowed:
            raise FilterError(f"{operator} does not fit the value", token.position, allowed)
        return operator, value

    def _value(self, kind: type | None) -> tree.Value:
        token = self._here
        self._index += 1
        if token.kind == "string" and kind in (str, None):
            return token.text
        if token.kind == "number" and kind in (float, None):
            number = float(token.text)
            if not math.isfinite(number):
                raise FilterError("this number is too large", token.position)
            return number
        if token.kind == "word" and kind in (bool, None) and token.text.lower() in ("true", "false"):
            return token.text.lower() == "true"
        self._index -= 1
        expected = {str: ('"text"',), float: ("a number",), bool: ("true", "false")}
        raise self._unexpected(*(expected[kind] if kind else ('"text"', "a number", "true", "false")))

    def _complex(self, word: str, token: Token) -> tree.Expression:
        position = token.position
        if word == "service":
            self.take("(")
            node = None if self._here.kind == ")" else self._node(' ")"')
            self.take(")")
            return tree.Service(node, self._block(), position)
        if word == "edge":
            self.take("(")
            source = self._node()
            self.take(",")
            target = self._node()
            self.take(")")
            return tree.Edge(source, target, self._block(), position)
        if word in ("group.name", "group.arn"):
            self.take("=")
            return tree.Group(word[6:], self.take("string", '"text"').text, position)
        if word == "rootcause.json":
            self.take("=")
            return tree.RootCausePath(self.take("json", "#[…]").text, position)
        prefix, _, rest = word.partition(".")
        kind, _, subject = rest.partition(".")
        if prefix == "rootcause" and kind in tree.ROOT_CAUSE_KINDS and subject in tree.ROOT_CAUSE_SUBJECTS:
            block = self._block()
            if block is None:
                raise self._unexpected('"{"')
            return tree.RootCause(kind, subject, block, position)
        raise FilterError(
            f"unknown keyword {token.text!r}", position, ("a keyword such as fault, responsetime, http.url",)
        )

    def _block(self) -> tree.Expression | None:
        if self._here.kind != "{":
            return None
        self._index += 1
        expression = self.either()
        self.take("}", '"}"', "AND", "OR")
        return expression

    def _node(self, *also: str) -> tree.Identity:
        if self._here.kind == "string":
            return tree.Identity(name=self.take("string").text)
        if not self._is_word("id"):
            raise self._unexpected('"text"', "id(…)", *(each.strip() for each in also))
        self._index += 1
        self.take("(")
        found: dict[str, str] = {}
        fields = {"name": "name", "type": "type", "account.id": "account"}
        while self._here.kind != ")":
            if found:
                self.take(",", '","', '")"')
            word = self.take("word", "name:", "type:", "account.id:")
            field = fields.get(word.text.lower())
            if field is None or field in found:
                raise FilterError(f"unexpected {word.text!r}", word.position, ("name:", "type:", "account.id:"))
            self.take(":")
            found[field] = self.take("string", '"text"').text
        self._index += 1
        return tree.Identity(**found)
