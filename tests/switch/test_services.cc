#include "tests/switch/test_services.h"

#include "tests/switch/test_switch.h"

namespace millrace::control::switchd {
namespace {

std::string ipv4_bytes(std::uint32_t address) {
  return {static_cast<char>(address >> 24), static_cast<char>(address >> 16), static_cast<char>(address >> 8),
          static_cast<char>(address)};
}

void add_frontend(api::Service& wire, const std::string& address_bytes, std::uint32_t port) {
  api::Frontend* frontend = wire.add_frontends();
  frontend->set_address(address_bytes);
  frontend->set_protocol(6);
  frontend->set_port(port);
  for (api::FrontendRule* rule :
       {frontend->mutable_from_pod(), frontend->mutable_from_node(), frontend->mutable_from_external()}) {
    rule->set_action(api::FRONTEND_ACTION_BALANCE);
  }
}

}  // namespace

std::string backend_address(unsigned i) { return ipv4_bytes(0x0a800000u + i); }

void add_backend(api::BackendSet& set, const std::string& address_bytes, std::uint32_t port) {
  api::Backend* backend = set.add_backends();
  backend->set_address(address_bytes);
  backend->set_port(port);
}

api::Service service(const std::string& name, const std::string& address, std::uint32_t port,
                     const std::vector<std::string>& backends) {
  api::Service wire;
  wire.set_name(name);
  add_frontend(wire, bytes_of(address), port);
  api::BackendSet* set = wire.add_backend_sets();
  for (const std::string& backend : backends) add_backend(*set, bytes_of(backend), 8080);
  return wire;
}

api::Service numbered_service(unsigned i, unsigned backends) {
  api::Service wire;
  wire.set_name("ns/service-" + std::to_string(i));
  add_frontend(wire, ipv4_bytes(0x0a600001u + i), 80);
  api::BackendSet* set = wire.add_backend_sets();
  for (unsigned j = 0; j < backends; ++j) add_backend(*set, backend_address(i * backends + j), 8080);
  return wire;
}

}  // namespace millrace::control::switchd
