#include "cni-shim/json.h"

#include "cni-shim/text.h"

namespace millrace::cni_shim {
namespace {

/// Reads the text once without building anything, so that a text beyond the limits is refused before it costs memory.
class LimitCheck final : public nlohmann::json_sax<Json> {
 public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool key(string_t&) override { return true; }
  bool start_object(std::size_t) override { return enter(); }
  bool start_array(std::size_t) override { return enter(); }
  bool end_object() override { return leave(); }
  bool end_array() override { return leave(); }
  bool parse_error(std::size_t position, const std::string&, const Json::exception& error) override {
    message_ = "is not JSON at byte " + std::to_string(position) + ": " + error.what();
    return false;
  }

  const std::string& message() const { return message_; }

 private:
  bool enter() {
    if (++depth_ <= kMaxJsonDepth) return true;
    message_ = "is nested deeper than " + std::to_string(kMaxJsonDepth) + " levels";
    return false;
  }
  bool leave() {
    --depth_;
    return true;
  }

  int depth_ = 0;
  std::string message_;
};

}  // namespace

CniResult<Json> parse_json(std::string_view text, std::string_view what) {
  const std::string subject(what);
  if (text.size() > kMaxJsonBytes) {
    return CniError{CniCode::kDecodeFailure, subject + " is longer than " + std::to_string(kMaxJsonBytes) + " bytes",
                    ""};
  }
  LimitCheck check;
  if (!Json::sax_parse(text, &check)) { return CniError{CniCode::kDecodeFailure, subject + " " + check.message(), ""}; }
  return Json::parse(text, nullptr, /*allow_exceptions=*/false);
}

Json* find_member(Json& object, std::string_view key) {
  if (!object.is_object()) return nullptr;
  auto found = object.find(key);
  if (found == object.end()) {
    for (auto it = object.begin(); it != object.end() && found == object.end(); ++it) {
      if (equal_without_case(it.key(), key)) found = it;
    }
  }
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

const Json* find_member(const Json& object, std::string_view key) {
  return find_member(const_cast<Json&>(object), key);  // NOLINT(cppcoreguidelines-pro-type-const-cast): only reads
}

const std::string* find_string(const Json& object, std::string_view key) {
  const Json* member = find_member(object, key);
  return member == nullptr ? nullptr : member->get_ptr<const std::string*>();
}

std::string to_line(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"; }

}  // namespace millrace::cni_shim
