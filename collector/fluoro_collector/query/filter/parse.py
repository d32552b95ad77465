"""Text to tree. Precedence: "!", then AND (also when two terms just stand side by side), then OR.

Grammar (keywords, AND, OR and operators in any case; the words and where they may stand are in `grammar`, what each part
means is in `compile`):

    expr    := and { OR and }            and := unary { [AND] unary }          unary := { "!" } primary
    primary := "(" expr ")" | KEYWORD [ operator value ] | annotation [ operator value ]
             | service "(" [ node ] ")" [ block ] | edge "(" node "," node ")" [ block ]
             | group.name = text | group.arn = text | rootcause.KIND.SUBJECT block | rootcause.json = "#" list
    annotation := annotation.KEY | annotation[KEY]
    node    := text | id "(" [ name: text ] [ , type: text ] [ , account.id: text ] ")"       block := "{" expr "}"

The parser looks one token ahead and notes each thing it would have taken there (`Parser.expected`).
"""

from __future__ import annotations

import math
from difflib import get_close_matches

from . import grammar, tree
from .errors import FilterError
from .grammar import Expectation, Scope
from .root_cause import PathError, pattern
from .tokens import NO_END, NO_JSON, NO_KEY_END, Token, tokenize

MAX_DEPTH = 50
MAX_TERMS = 50  # each is a condition on every trace, or on every row of the traces looked at

_BAD = {NO_END: ('"',), NO_KEY_END: ("]",), NO_JSON: ("a JSON list",)}
# What other languages say → what this one does; asked where it is expected.
_HABITS = {"not": '"!"', "like": "CONTAINS", "~": "CONTAINS", "&": "AND", "|": "OR"}
_OPERATORS: dict[type | None, tuple[str, ...]] = {
    bool: grammar.BOOLEAN_OPERATORS,
    float: grammar.NUMBER_OPERATORS,
    str: grammar.STRING_OPERATORS,
    None: (*grammar.NUMBER_OPERATORS, *sorted(grammar.WORD_OPERATORS)),
}


def parse(text: str) -> tree.Expression:
    """Raises FilterError with the position of the first thing that is wrong."""
    return Parser(tokenize(text)).whole()


class Parser:
    """`expected` is what could stand where the parser is: after an error, at the token that is wrong."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._index = 0
        self._depth = 0
        self._terms = 0
        self.expected: dict[str, Expectation] = {}

    @property
    def here(self) -> Token:
        return self._tokens[self._index]

    def whole(self) -> tree.Expression:
        """The expression that all tokens are."""
        expression = self._either(Scope.TRACE)
        self._note(grammar.END)
        if self.here.kind != "end":
            raise self._unexpected()
        return expression

    def _note(self, *expectations: Expectation) -> None:
        for each in expectations:
            self.expected.setdefault(each.label, each)

    def _advance(self) -> Token:
        token = self.here
        self._index += 1
        self.expected = {}
        return token

    def _unexpected(self, message: str = "") -> FilterError:
        token = self.here
        labels = tuple(each.label for each in self.expected.values() if not each.aside)
        if token.kind == "bad":
            habit = _HABITS.get(token.text.removeprefix("unexpected ").strip("'"), "")
            return FilterError(token.text, token.position, _BAD.get(token.text, labels), habit)
        nearest = _HABITS.get(token.text.lower(), "") if token.kind == "word" else ""
        if token.kind == "word" and not nearest:
            words = {each.label.lower(): each.label for each in self.expected.values() if each.label[0].isalpha()}
            nearest = next(iter(words[each] for each in get_close_matches(token.text.lower(), words, 1, 0.7)), "")
        what = "the expression ends here" if token.kind == "end" else f"unexpected {token.text!r}"
        return FilterError(message or what, token.position, labels, nearest)

    def _sign(self, sign: str, *, must: bool = True) -> bool:
        """Take `sign` if it is here."""
        self._note(Expectation("sign", f'"{sign}"', sign))
        if self.here.kind == sign:
            self._advance()
            return True
        if must:
            raise self._unexpected()
        return False

    def _is_word(self, expectation: Expectation) -> bool:
        self._note(expectation)
        return self.here.kind == "word" and self.here.text.upper() == expectation.label

    def _text(self, values: str) -> str:
        self._note(Expectation("text", '"text"', values=values))
        if self.here.kind != "string":
            raise self._unexpected()
        return self._advance().text

    def _either(self, scope: Scope) -> tree.Expression:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise FilterError(f"more than {MAX_DEPTH} levels", self.here.position)
        parts = [self._all(scope)]
        while self._is_word(grammar.OR):
            self._advance()
            parts.append(self._all(scope))
        self._depth -= 1
        return parts[0] if len(parts) == 1 else tree.Or(tuple(parts))

    def _all(self, scope: Scope) -> tree.Expression:
        parts = [self._unary(scope)]
        while True:
            if self._is_word(grammar.AND):
                self._advance()
            else:
                self._note(*(each._replace(aside=True) for each in grammar.terms(scope)))
                is_term = self.here.kind in ("word", "!", "(") and not self._is_word(grammar.OR)
                if not is_term:
                    return parts[0] if len(parts) == 1 else tree.And(tuple(parts))
            parts.append(self._unary(scope))

    def _unary(self, scope: Scope) -> tree.Expression:
        negations = 0
        self._note(*grammar.terms(scope))
        while self.here.kind == "!":
            self._advance()
            self._note(*grammar.terms(scope))
            negations += 1
        self._depth += negations
        if self._depth > MAX_DEPTH:
            raise FilterError(f"more than {MAX_DEPTH} levels", self.here.position)
        expression = self._primary(scope)
        self._depth -= negations
        for _ in range(negations):
            expression = tree.Not(expression)
        return expression

    def _primary(self, scope: Scope) -> tree.Expression:
        token = self.here
        if token.kind == "(":
            self._advance()
            expression = self._either(scope)
            self._sign(")")
            return expression
        if token.kind != "word" or token.text.upper() in ("AND", "OR"):
            raise self._unexpected()
        self._terms += 1
        if self._terms > MAX_TERMS:
            raise FilterError(f"more than {MAX_TERMS} conditions", token.position)
        word = token.text.lower()
        keyword = grammar.KEYWORDS.get(word)
        if keyword is not None:
            if scope not in keyword.scopes:
                raise self._unexpected(f"{word} means nothing {scope.value}")
            self._advance()
            operator, value = self._condition(keyword.kind, word)
            return tree.Comparison(word, operator, value, token.position)
        first = word.partition(".")[0]
        if first not in ("service", "edge", "annotation", "group", "rootcause"):
            raise self._unexpected(f"unknown keyword {token.text[:100]!r}")
        if scope is not Scope.TRACE:
            raise self._unexpected(f"{first} cannot be asked {scope.value}")
        return self._annotation(token) if first == "annotation" else self._complex(word, token)

    def _annotation(self, token: Token) -> tree.Annotation:
        key = token.text[len("annotation.") :]
        self._advance()
        if not key and not token.text.endswith("."):
            self._note(Expectation("sign", "annotation[KEY]", '["'))
            if self.here.kind != "key":
                raise self._unexpected()
            bracketed = self._advance()
            key = bracketed.text
            if not key:
                raise FilterError("this annotation has no key", bracketed.position, (grammar.KEY.label,))
        elif not key or key.endswith("."):
            raise FilterError("this annotation's key has no end", token.end, (grammar.KEY.label,))
        operator, value = self._condition(None, f"annotation.{key}")
        return tree.Annotation(key, operator, value, token.position)

    def _condition(self, kind: type | None, values: str) -> tuple[str, tree.Value | None]:
        """An operator and a value of `kind` (None: any), or ("", None) when no operator follows."""
        operators = _OPERATORS[kind]
        self._note(*(Expectation("operator", each, each) for each in operators))
        operator = self.here.text.upper()
        if self.here.kind not in ("word", operator) or operator not in operators:
            return "", None
        self._advance()
        if kind is None and operator not in grammar.BOOLEAN_OPERATORS:
            kind = str if operator in grammar.WORD_OPERATORS else float
        return operator, self._value(kind, values)

    def _value(self, kind: type | None, values: str) -> tree.Value:
        token = self.here
        if kind in (str, None):
            self._note(Expectation("text", '"text"', values=values))
            if token.kind == "string":
                return self._advance().text
        if kind in (float, None):
            self._note(grammar.NUMBER)
            if token.kind == "number":
                number = float(self._advance().text)
                if not math.isfinite(number):
                    raise FilterError("this number is too large", token.position)
                return number
        if kind in (bool, None):
            self._note(*grammar.BOOLEANS)
            if token.kind == "word" and token.text.lower() in ("true", "false"):
                return self._advance().text.lower() == "true"
        raise self._unexpected()

    def _complex(self, word: str, token: Token) -> tree.Expression:
        """service, edge, group.… or rootcause.…"""
        position = token.position
        if word not in grammar.COMPLEX:
            raise self._unexpected(f"unknown keyword {token.text[:100]!r}")
        self._advance()
        if word == "service":
            self._sign("(")
            node = None
            if not self._sign(")", must=False):
                node = self._node()
                self._sign(")")
            return tree.Service(node, self._block(Scope.SERVICE), position)
        if word == "edge":
            self._sign("(")
            source = self._node()
            self._sign(",")
            target = self._node()
            self._sign(")")
            return tree.Edge(source, target, self._block(Scope.EDGE), position)
        if word in ("group.name", "group.arn"):
            self._sign("=")
            return tree.Group(word[6:], self._text(word), position)
        if word == "rootcause.json":
            self._sign("=")
            return self._path(position)
        _, kind, subject = word.split(".")
        block = self._block(grammar.CAUSE_SCOPES[subject])
        if block is None:
            raise self._unexpected()
        return tree.RootCause(kind, subject, block, position)

    def _path(self, position: int) -> tree.RootCausePath:
        self._note(grammar.JSON)
        if self.here.kind != "json":
            raise self._unexpected()
        try:
            pattern(self.here.text)
        except PathError as error:
            raise FilterError(str(error), self.here.position, (grammar.JSON.label,)) from None
        return tree.RootCausePath(self._advance().text, position)

    def _block(self, scope: Scope) -> tree.Expression | None:
        if not self._sign("{", must=False):
            return None
        expression = self._either(scope)
        self._sign("}")
        return expression

    def _node(self) -> tree.Identity:
        self._note(Expectation("text", '"text"', values="service"), grammar.ID)
        if self.here.kind == "string":
            return tree.Identity(name=self._advance().text)
        if self.here.kind != "word" or self.here.text.lower() != "id":
            raise self._unexpected()
        self._advance()
        self._sign("(")
        found: dict[str, str] = {}
        while not self._sign(")", must=False):
            if found:
                self._sign(",")
            fields = {word: each for word, each in grammar.FIELDS.items() if each[0] not in found}
            self._note(*(expectation for _, expectation, _ in fields.values()))
            word = self.here.text.lower()
            if self.here.kind != "word" or word not in fields:
                raise self._unexpected()
            field, _, values = fields[word]
            self._advance()
            self._sign(":")
            found[field] = self._text(values)
        return tree.Identity(**found)
