/// What most files here include, compiled once: each of them would take most of its time to read it.

#include <fmt/format.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include "control/cli/command.h"
