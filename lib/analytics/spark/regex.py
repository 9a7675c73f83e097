"""DuckDB's regular expressions (RE2) as Java's: what the two read differently is written out, the rest is refused."""

from __future__ import annotations

from collections.abc import Iterator

# RE2's classes are ASCII, Java's \s has one character more and its \b knows Unicode
_WORD = "0-9A-Za-z_"
_SPACE = r"\t\n\f\r "
_BOUNDARY = f"(?:(?<=[{_WORD}])(?![{_WORD}])|(?<![{_WORD}])(?=[{_WORD}]))"
_OUTSIDE = {"s": f"[{_SPACE}]", "S": f"[^{_SPACE}]", "b": _BOUNDARY}
_INSIDE = {"s": _SPACE}
_INSIDE_OR = {**_INSIDE, "S": f"[^{_SPACE}]"}  # Java joins a class within a class that is not negated
_SAME = set("dDwWnrtf")  # ASCII in both
# letters that RE2 folds onto ASCII: the Kelvin sign and the long s
_FOLDED = {"k": "\u212a", "s": "\u017f"}


class RegexError(ValueError):
    """Something in a regular expression that is not known to mean the same in both."""


def to_java(pattern: str) -> str:
    """The Java expression that finds what RE2 finds with `pattern`.

    Raises:
        RegexError: a construct that is not known to be the same.
    """
    return "".join(_Translation(pattern).parts())


class _Translation:
    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0
        self.folds = False  # after (?i), to the end of the group

    def parts(self) -> Iterator[str]:
        outer: list[bool] = []
        while self.at < len(self.pattern):
            char = self.pattern[self.at]
            self.at += 1
            if char == "\\":
                yield self._escape(_OUTSIDE)
            elif char == "[":
                yield self._character_class()
            elif char == "(":
                if self.pattern.startswith("?i)", self.at):
                    self.at += 3
                    self.folds = True
                    continue
                outer.append(self.folds)
                yield char + self._group_start()
            elif char == ")":
                self.folds = outer.pop()
                yield char
            elif char == "$":
                yield r"\z"  # Java's $ also stands before a last line break
            elif char == ".":
                yield r"[^\n]"  # Java's . leaves out more line breaks
            else:
                yield self._letter(char, inside=False)

    def _group_start(self) -> str:
        if self.pattern.startswith("?:", self.at):
            self.at += 2
            return "?:"
        if self.pattern.startswith("?", self.at):
            raise RegexError(f"group (?{self.pattern[self.at + 1 : self.at + 2]}")
        return ""

    def _escape(self, classes: dict[str, str]) -> str:
        char = self.pattern[self.at : self.at + 1]
        self.at += 1
        if char in classes and char:
            return classes[char]
        if char in _SAME and char:
            return "\\" + char
        if not char or char.isalnum():
            raise RegexError(f"\\{char}")
        return "\\" + char

    def _letter(self, char: str, *, inside: bool) -> str:
        if not self.folds or not char.isalpha():
            return char
        if not char.isascii():
            raise RegexError(f"{char} after (?i)")
        both = char.lower() + char.upper() + _FOLDED.get(char.lower(), "")
        return both if inside else f"[{both}]"

    def _character_class(self) -> str:
        found, escapes = "[", _INSIDE_OR
        if self.pattern.startswith("^", self.at):
            self.at += 1
            found, escapes = "[^", _INSIDE
        first = self.at
        while True:
            char = self.pattern[self.at : self.at + 1]
            self.at += 1
            if not char:
                raise RegexError("[ without ]")
            if char == "]" and self.at > first + 1:
                return found + "]"
            if char == "\\":
                found += self._escape(escapes)
            elif char in "[&]":  # Java nests classes and takes && for an intersection
                if self.pattern.startswith(":", self.at) and char == "[":
                    raise RegexError("[[:")
                found += "\\" + char
            elif self._is_range():
                found += self._range(char)
            else:
                found += self._letter(char, inside=True)

    def _is_range(self) -> bool:
        return self.pattern[self.at : self.at + 1] == "-" and self.pattern[self.at + 1 : self.at + 2] not in ("", "]")

    def _range(self, first: str) -> str:
        last = self.pattern[self.at + 1]
        self.at += 2
        if not self.folds:
            return f"{first}-{last}"
        if first.isdigit() and last.isdigit():
            return f"{first}-{last}"
        if not (first.isascii() and last.isascii() and first.isalpha() and last.isalpha()):
            raise RegexError(f"[{first}-{last}] after (?i)")
        if first.islower() != last.islower():
            raise RegexError(f"[{first}-{last}] after (?i)")
        low, high = first.lower(), last.lower()
        extra = "".join(folded for letter, folded in _FOLDED.items() if low <= letter <= high)
        return f"{low}-{high}{low.upper()}-{high.upper()}{extra}"
