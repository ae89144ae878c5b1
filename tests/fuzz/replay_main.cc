// Runs a fuzz target over every file of its corpus: what the fuzzer once found stays found.
// Each input lies in memory of exactly its size, so that the address sanitizer sees reads beyond it.
// Exit: 0 when all ran; 1 when a directory is missing, unreadable or empty. A failing input aborts; stderr names it.

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

std::string g_current;  // read by the abort handler of a failing input

void print_current() { std::fprintf(stderr, "while replaying %s\n", g_current.c_str()); }

bool replay(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> content{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!file.good() && !file.eof()) {
    std::fprintf(stderr, "%s: cannot be read\n", path.c_str());
    return false;
  }
  const auto exact = std::make_unique<std::uint8_t[]>(content.size());
  std::copy(content.begin(), content.end(), exact.get());
  g_current = path.string();
  LLVMFuzzerTestOneInput(exact.get(), content.size());
  return true;
}

/// How many inputs of the directory ran; -1 on an error.
int replay_directory(const char* directory) {
  std::error_code error;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  if (error || files.empty()) {
    std::fprintf(stderr, "%s: %s\n", directory, error ? error.message().c_str() : "no inputs");
    return -1;
  }
  std::sort(files.begin(), files.end());
  for (const auto& file : files) {
    if (!replay(file)) return -1;
  }
  return static_cast<int>(files.size());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s CORPUS_DIRECTORY...\n", argv[0]);
    return 1;
  }
  std::signal(SIGABRT, [](int) { print_current(); });
  int total = 0;
  for (int i = 1; i < argc; ++i) {
    const int count = replay_directory(argv[i]);
    if (count < 0) return 1;
    total += count;
  }
  std::printf("%d inputs replayed\n", total);
  return 0;
}
