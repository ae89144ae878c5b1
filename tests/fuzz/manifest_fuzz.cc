/// Any bytes as a manifest, through the production reader.
///
/// Shape:   the input is the text of a file.
/// Must be: a refusal is UTF-8 of a bounded length that names the file; what is taken has a canonical form that reads
///          as itself, from JSON and from the YAML that is printed of it.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "control/kube/manifest.h"

namespace {

using namespace millrace::control;  // NOLINT(google-build-using-namespace): the subject of the whole file

constexpr std::size_t kMaxErrorBytes = 64 << 10;

[[noreturn]] void fail(const char* what, std::string_view text) {
  std::fprintf(stderr, "%s: %.*s\n", what, static_cast<int>(text.size()), text.data());
  std::abort();
}

void check_error(const std::string& message) {
  if (!message.starts_with("fuzz.yaml:")) fail("an error names no file", message);
  if (message.size() > kMaxErrorBytes) fail("an error echoes too much", message);
  for (const char c : message) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x7f || (byte < 0x20 && c != '\n')) fail("an error has a byte that a terminal may obey", message);
  }
}

void check_form(const kube::Manifest& manifest) {
  const auto again = kube::parse_object(manifest.json);
  if (!again) fail("the canonical form is refused", again.error().message);
  if (again->object != manifest.object) fail("the canonical form is another object", manifest.json.dump());
  if (again->json != manifest.json) fail("the canonical form has another one", manifest.json.dump());
  const std::string yaml = kube::to_yaml(manifest.json);
  const auto from_yaml = kube::parse_manifests(yaml, "fuzz.yaml");
  if (!from_yaml) fail("the printed YAML is refused", from_yaml.error().message + "\n" + yaml);
  if (from_yaml->objects.size() != 1 || from_yaml->objects[0].json != manifest.json) fail("the YAML differs", yaml);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const bool skip = size % 2 == 0;
  const auto manifests = kube::parse_manifests(text, "fuzz.yaml", {.name_space = "", .skip_unrelated = skip});
  if (!manifests) {
    check_error(manifests.error().message);
    return 0;
  }
  for (const kube::Manifest& manifest : manifests->objects) check_form(manifest);
  return 0;
}
