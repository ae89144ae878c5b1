/// What most files here include, compiled once: each of them would take most of its time to read it.

#include <fmt/format.h>
#include <grpcpp/grpcpp.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "control/api/agent.grpc.pb.h"
#include "control/api/switch.grpc.pb.h"
