/// What most files here include, compiled once: each of them would take most of its time to read it.

#include <fmt/format.h>
#include <grpcpp/grpcpp.h>
#include <spdlog/spdlog.h>

#include "control/api/switch.grpc.pb.h"
