#include "control/cli/message_json.h"

#include <algorithm>
#include <span>

#include <fmt/format.h>

#include "net/address.h"

namespace millrace::control::cli {

namespace {

using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using Json = nlohmann::ordered_json;

std::string lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

/// PORT_KIND_POD of PortKind -> "pod".
std::string enumerator_text(const EnumValueDescriptor& value) {
  std::string prefix;
  for (const char c : value.type()->name()) {
    if (c >= 'A' && c <= 'Z' && !prefix.empty()) prefix += '_';
    prefix += c;
  }
  std::string name = lower(value.name());
  prefix = lower(prefix) + "_";
  return name.starts_with(prefix) ? name.substr(prefix.size()) : name;
}

/// One value: the field itself (index -1) or an element of a repeated one.
Json value_of(const Message& message, const FieldDescriptor& field, int index) {
  const Reflection& reflection = *message.GetReflection();
  const bool one = index < 0;
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return one ? reflection.GetInt32(message, &field) : reflection.GetRepeatedInt32(message, &field, index);
    case FieldDescriptor::CPPTYPE_INT64:
      return one ? reflection.GetInt64(message, &field) : reflection.GetRepeatedInt64(message, &field, index);
    case FieldDescriptor::CPPTYPE_UINT32:
      return one ? reflection.GetUInt32(message, &field) : reflection.GetRepeatedUInt32(message, &field, index);
    case FieldDescriptor::CPPTYPE_UINT64:
      return one ? reflection.GetUInt64(message, &field) : reflection.GetRepeatedUInt64(message, &field, index);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return one ? reflection.GetDouble(message, &field) : reflection.GetRepeatedDouble(message, &field, index);
    case FieldDescriptor::CPPTYPE_FLOAT:
      return one ? reflection.GetFloat(message, &field) : reflection.GetRepeatedFloat(message, &field, index);
    case FieldDescriptor::CPPTYPE_BOOL:
      return one ? reflection.GetBool(message, &field) : reflection.GetRepeatedBool(message, &field, index);
    case FieldDescriptor::CPPTYPE_ENUM:
      return enumerator_text(one ? *reflection.GetEnum(message, &field)
                                 : *reflection.GetRepeatedEnum(message, &field, index));
    case FieldDescriptor::CPPTYPE_STRING: {
      std::string text =
          one ? reflection.GetString(message, &field) : reflection.GetRepeatedString(message, &field, index);
      return field.type() == FieldDescriptor::TYPE_BYTES ? address_text(text) : text;
    }
    case FieldDescriptor::CPPTYPE_MESSAGE:
      if (!one) return to_json(reflection.GetRepeatedMessage(message, &field, index));
      if (!reflection.HasField(message, &field)) return nullptr;
      return to_json(reflection.GetMessage(message, &field));
  }
  return nullptr;
}

/// Maps come in no order of their own: sorted by key, so that equal replies give equal texts.
Json map_of(const Message& message, const FieldDescriptor& field) {
  const FieldDescriptor& key = *field.message_type()->map_key();
  const FieldDescriptor& value = *field.message_type()->map_value();
  std::map<std::string, Json> sorted;
  for (int i = 0; i < message.GetReflection()->FieldSize(message, &field); ++i) {
    const Message& entry = message.GetReflection()->GetRepeatedMessage(message, &field, i);
    const Json name = value_of(entry, key, -1);
    sorted.emplace(name.is_string() ? name.get<std::string>() : name.dump(), value_of(entry, value, -1));
  }
  Json out = Json::object();
  for (auto& [name, entry] : sorted) out[name] = std::move(entry);
  return out;
}

}  // namespace

Json to_json(const Message& message) {
  Json out = Json::object();
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor& field = *message.GetDescriptor()->field(i);
    Json& place = out[field.name()];
    if (field.is_map()) {
      place = map_of(message, field);
    } else if (field.is_repeated()) {
      place = Json::array();
      for (int j = 0; j < message.GetReflection()->FieldSize(message, &field); ++j) {
        place.push_back(value_of(message, field, j));
      }
    } else {
      place = value_of(message, field, -1);
    }
  }
  return out;
}

std::string address_text(const std::string& bytes) {
  const std::span raw(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  if (raw.size() == 6) {
    net::Mac mac;
    std::ranges::copy(raw, mac.bytes.begin());
    return mac.to_string();
  }
  if (const auto address = net::IpAddress::from_bytes(raw); address.ok()) return address->to_string();
  std::string out;
  for (const std::uint8_t byte : raw) out += fmt::format("{:02x}", byte);
  return out;
}

std::string json_text(const Json& json) { return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"; }

}  // namespace millrace::control::cli
