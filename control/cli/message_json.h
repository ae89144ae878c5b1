/// A reply of a daemon as JSON: what `-o json` prints.
///
/// Shape:   the names of the proto's fields; every field is there, also one that is 0 or empty (a message that is not
///          set is null); numbers are numbers; addresses and MACs are text; an enumerator is its name in lower case
///          without its type's prefix ("pod" of PORT_KIND_POD). So the .proto files describe the output, and it is as
///          stable.
/// Thread:  pure functions.
#pragma once

#include <google/protobuf/message.h>
#include <nlohmann/json.hpp>

#include <string>

namespace millrace::control::cli {

nlohmann::ordered_json to_json(const google::protobuf::Message& message);

/// 4 or 16 bytes: an IP address; 6: a MAC; none: ""; else hexadecimal.
std::string address_text(const std::string& bytes);

/// As printed: indented, one newline at the end. Bytes that are no UTF-8 are replaced.
std::string json_text(const nlohmann::ordered_json& json);

}  // namespace millrace::control::cli
