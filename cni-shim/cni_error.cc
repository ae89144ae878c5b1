#include "cni-shim/cni_error.h"

#include "cni-shim/json.h"

namespace millrace::cni_shim {

std::string render_error(const CniError& error, const std::string& cni_version) {
  Json object = Json::object();
  object["cniVersion"] = cni_version;
  object["code"] = static_cast<int>(error.code);
  object["msg"] = error.message;
  if (!error.details.empty()) object["details"] = error.details;
  return to_line(object);
}

}  // namespace millrace::cni_shim
