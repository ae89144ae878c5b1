/// What most files here include, compiled once: each of them would take most of its time to read it.

#include <fmt/format.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include "control/api/agent.grpc.pb.h"
#include "control/api/switch.grpc.pb.h"
