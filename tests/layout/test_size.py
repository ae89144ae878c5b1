"""Files and functions small enough to hold in the head: a file has one subject, a function one thought."""

from sources import files, functions, read

FILE_LINES = 400
FUNCTION_LINES = 70

CODE = files(".h", ".cc", ".c", ".py", ".def", ".proto", ".build")


def test_files_are_short():
    long = {str(path): count for path in CODE if (count := read(path).count("\n")) > FILE_LINES}
    assert long == {}


def test_functions_are_short():
    long = [f"{path}:{first}: {last - first + 1} lines: {head.splitlines()[0]}"
            for path in files(".h", ".cc", ".c") for first, last, head in functions(read(path))
            if last - first + 1 > FUNCTION_LINES]
    assert long == []


def test_the_measure_of_functions_finds_them():
    text = """
namespace a {
struct S { int x; };
Result<int> one(int v) noexcept {
  if (v) { return 1; }
  auto f = [&](int q) { return q; };
  return f(2);
}
S::S(int a) : x(a) {
}
}  // namespace a
"""
    assert [(first, last) for first, last, _ in functions(text)] == [(4, 8), (9, 10)]
