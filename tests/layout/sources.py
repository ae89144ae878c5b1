"""The repository's files as the layout rules see them."""

import pathlib
import re

TOP = pathlib.Path(__file__).resolve().parents[2]
SKIPPED = re.compile(r"^(build|\.)")


def files(*suffixes):
    """Every file of the repository with one of these endings, as a path relative to its top."""
    return sorted(path.relative_to(TOP) for path in TOP.rglob("*")
                  if path.suffix in suffixes and path.is_file()
                  and not SKIPPED.match(path.relative_to(TOP).parts[0]))


def read(path):
    return (TOP / path).read_text()


def without_comments_and_strings(text):
    """C++ with comments, strings and character literals blanked out; line breaks stay where they are."""
    pattern = re.compile(r'R"([^(\s]*)\(.*?\)\1"|//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])\'(?:\\.|[^\'\\\n])+\'',
                         re.DOTALL)
    return pattern.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)


_CONTROL = re.compile(r"\b(if|for|while|switch|catch|do|else|try)\b")
# What may stand between a parameter list and the body.
_FUNCTION_HEAD = re.compile(r"\)\s*(const|noexcept(\s*\([^()]*\))?|override|final|mutable|&&?|->\s*[\w:<>,&*\s]+|requires[^;{]*"
                            r"|:\s*[^;]*)*\s*$", re.DOTALL)


def functions(text):
    """(first line, last line, head) of each outermost function body, found by its braces."""
    text = without_comments_and_strings(text)
    text = re.sub(r"^\s*#(?:[^\n]*\\\n)*[^\n]*", lambda match: re.sub(r"[^\n]", " ", match[0]), text, flags=re.MULTILINE)
    stack, last_boundary, found = [], 0, []
    for index, character in enumerate(text):
        if character == "{":
            head = text[last_boundary:index]
            is_function = (not any(kind == "function" for kind, _, _ in stack) and _FUNCTION_HEAD.search(head)
                           and not _CONTROL.search(head.split("(")[0]))
            start = last_boundary + len(head) - len(head.lstrip())
            stack.append(("function" if is_function else "other", start, head.strip()))
            last_boundary = index + 1
        elif character == "}":
            if stack:
                kind, start, head = stack.pop()
                if kind == "function":
                    found.append((text.count("\n", 0, start) + 1, text.count("\n", 0, index) + 1, head))
            last_boundary = index + 1
        elif character == ";":
            last_boundary = index + 1
    return found
