// millrace: the command a person uses. Its subcommands are one file each; command.h has the list.
#include <csignal>

#include "control/cli/command.h"

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  return millrace::control::cli::run(argc, argv);
}
