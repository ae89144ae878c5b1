// TLS against a real etcd that wants certificates of its clients: who is let in, and who lets itself in with whom.
#include <gtest/gtest.h>

#include "tests/etcd/server.h"

namespace millrace::control::etcd {
namespace {

using net::ErrorCode;

/// A certificate authority made by openssl, and what it signs.
class Authority {
 public:
  explicit Authority(const Directory& directory, const std::string& name) : directory_(directory), name_(name) {
    make({"-x509", "-subj", "/CN=" + name, "-keyout", key(), "-out", certificate()});
  }

  /// Of `host`: "IP:127.0.0.1", "DNS:etcd-1".
  Tls sign(const std::string& name, const std::string& host) const {
    Tls made{.ca_file = certificate(),
             .cert_file = directory_.file(name + ".pem"),
             .key_file = directory_.file(name + ".key"),
             .name = ""};
    make({"-x509", "-CA", certificate(), "-CAkey", key(), "-subj", "/CN=" + name, "-addext", "subjectAltName=" + host,
          "-addext", "basicConstraints=critical,CA:FALSE", "-keyout", made.key_file, "-out", made.cert_file});
    return made;
  }
  std::string certificate() const { return directory_.file(name_ + ".pem"); }

 private:
  std::string key() const { return directory_.file(name_ + ".key"); }
  static void make(const std::vector<std::string>& words) {
    std::vector<std::string> command = {"openssl", "req",   "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                                        "-nodes",  "-days", "2"};
    command.insert(command.end(), words.begin(), words.end());
    must_run(command);
  }

  const Directory& directory_;
  std::string name_;
};

class TlsTest : public testing::Test {
 protected:
  Options options(const Tls& mine, const std::string& url) const {
    return {.endpoints = {url},
            .ca_file = mine.ca_file,
            .cert_file = mine.cert_file,
            .key_file = mine.key_file,
            .user = "",
            .password_file = "",
            .timeout = std::chrono::seconds(3)};
  }

  Directory directory_;
  Authority ours_{directory_, "ours"}, theirs_{directory_, "theirs"};
  Tls server_tls_ = ours_.sign("server", "IP:127.0.0.1,DNS:localhost");
  Tls client_tls_ = ours_.sign("client", "DNS:node-1");
};

TEST_F(TlsTest, WhoeverShowsTheRightCertificatesIsLetIn) {
  const auto server = start_server({.name = "one", .cluster = "", .more = {}, .under = {}, .tls = &server_tls_});
  const std::string url = server->url();
  const std::string by_name = "https://localhost" + url.substr(url.rfind(':'));
  const Tls none{.ca_file = ours_.certificate(), .cert_file = "", .key_file = "", .name = ""};
  const Tls stranger = theirs_.sign("stranger", "DNS:node-1");
  const Tls strange_key{
      .ca_file = ours_.certificate(), .cert_file = stranger.cert_file, .key_file = stranger.key_file, .name = ""};
  const Tls strange_ca{.ca_file = theirs_.certificate(),
                       .cert_file = client_tls_.cert_file,
                       .key_file = client_tls_.key_file,
                       .name = ""};
  const struct {
    const char* name;
    Options options;
    bool is_let_in;
  } rows[] = {
      {"by address", options(client_tls_, url), true},
      {"by name", options(client_tls_, by_name), true},
      {"without a certificate", options(none, url), false},
      {"with one that the server does not trust", options(strange_key, url), false},
      {"when the server's is not trusted", options(strange_ca, url), false},
      {"without TLS", options(client_tls_, "http" + url.substr(5)), false},
  };
  for (const auto& row : rows) {
    const auto client = open(row.options);
    const auto put = client->put({.key = "/t/1", .value = row.name, .lease = 0});
    EXPECT_EQ(put.ok(), row.is_let_in) << row.name << ": " << (put ? "" : put.error().message);
    if (put.ok()) continue;
    // A certificate may be refused after the handshake (TLS 1.3): then the connection has been used.
    EXPECT_TRUE(put.error().code == ErrorCode::kUnavailable || put.error().code == ErrorCode::kDeadlineExceeded)
        << put.error().message;
    EXPECT_NE(put.error().message.find(row.options.endpoints[0]), std::string::npos) << put.error().message;
  }
}

TEST_F(TlsTest, AServerWithAnotherNameIsNotSpokenTo) {
  Tls other_name = ours_.sign("other", "DNS:etcd-7,IP:10.9.9.9");
  other_name.name = "etcd-7";
  const auto server = start_server({.name = "one", .cluster = "", .more = {}, .under = {}, .tls = &other_name});
  const auto got = open(options(client_tls_, server->url()))->get("/t/1");
  EXPECT_EQ(got.error().code, ErrorCode::kUnavailable);
  EXPECT_NE(got.error().message.find("is not in peer certificate"), std::string::npos) << got.error().message;
}

TEST_F(TlsTest, FilesThatCannotBeUsedAreNamedAtOpen) {
  const std::string not_pem = directory_.write("not.pem", "hello");
  const struct {
    const char* name;
    Tls tls;
    std::string says;
  } rows[] = {
      {"no such file",
       {.ca_file = directory_.file("none"), .cert_file = "", .key_file = "", .name = ""},
       "etcd.caFile " + directory_.file("none") + ": No such file or directory"},
      {"not PEM",
       {.ca_file = "", .cert_file = not_pem, .key_file = client_tls_.key_file, .name = ""},
       "etcd.certFile " + not_pem + ": is not PEM"},
      {"a certificate without its key",
       {.ca_file = "", .cert_file = client_tls_.cert_file, .key_file = "", .name = ""},
       "etcd.certFile and etcd.keyFile belong together"},
  };
  for (const auto& row : rows) {
    const auto client = Client::open(options(row.tls, "https://127.0.0.1:1"));
    ASSERT_FALSE(client.ok()) << row.name;
    EXPECT_EQ(client.error().code, ErrorCode::kInvalidArgument) << row.name;
    EXPECT_EQ(client.error().message, row.says) << row.name;
  }
}

}  // namespace
}  // namespace millrace::control::etcd
