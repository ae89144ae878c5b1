// CNI_ARGS of containerd, CRI-O, podman, and broken ones.
#include "cni-shim/cni_args.h"

#include "tests/cni/support.h"

namespace millrace::cni_shim::testing {
namespace {

TEST(CniArgs, ReadsWhatCallersSend) {
  struct Row {
    std::string name, text;
    std::string pod_namespace, pod_name, pod_uid;
    std::vector<std::string> addresses;
    std::string mac;
  };
  const Row rows[] = {
      {"none", "", "", "", "", {}, ""},
      {"containerd",
       "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0;K8S_POD_INFRA_CONTAINER_ID=0123ab;"
       "K8S_POD_UID=6f1c-11",
       "default",
       "web-0",
       "6f1c-11",
       {},
       ""},
      {"CRI-O, IgnoreUnknown last",
       "K8S_POD_UID=u;K8S_POD_NAME=n;K8S_POD_NAMESPACE=s;NEW=x;IgnoreUnknown=true",
       "s",
       "n",
       "u",
       {},
       ""},
      {"podman",
       "IgnoreUnknown=1;K8S_POD_NAME=box;IP=10.88.0.9;MAC=02:11:22:33:44:55",
       "",
       "box",
       "",
       {"10.88.0.9"},
       "02:11:22:33:44:55"},
      {"two addresses, one with a length", "IP=10.1.0.2/24,fd00::2", "", "", "", {"10.1.0.2", "fd00::2"}, ""},
      {"the last of two counts", "K8S_POD_NAME=a;K8S_POD_NAME=b", "", "b", "", {}, ""},
      {"separators with nothing between", ";;K8S_POD_NAME=a;", "", "a", "", {}, ""},
      {"a value with an equals sign", "K8S_POD_NAME=a=b", "", "a=b", "", {}, ""},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    const auto args = parse_cni_args(row.text);
    ASSERT_TRUE(args.ok()) << args.error().message;
    EXPECT_EQ(args->pod_namespace, row.pod_namespace);
    EXPECT_EQ(args->pod_name, row.pod_name);
    EXPECT_EQ(args->pod_uid, row.pod_uid);
    std::vector<std::string> addresses;
    for (const auto& address : args->addresses) addresses.push_back(address.to_string());
    EXPECT_EQ(addresses, row.addresses);
    EXPECT_EQ(args->mac ? args->mac->to_string() : "", row.mac);
  }
}

TEST(CniArgs, ReadsThePortThatIsWanted) {
  const auto args = parse_cni_args(
      "K8S_POD_NAME=a;MILLRACE_PORT_TYPE=vhost-user;MILLRACE_VHOST_LISTENER=pod;MILLRACE_VHOST_QUEUES=4");
  ASSERT_TRUE(args.ok()) << args.error().message;
  EXPECT_EQ(args->port.type, PortType::kVhostUser);
  EXPECT_TRUE(args->port.pod_listens);
  EXPECT_EQ(args->port.queue_pairs, 4U);
  EXPECT_EQ(parse_cni_args("")->port.type, PortType::kUnspecified);
  EXPECT_EQ(parse_cni_args("MILLRACE_PORT_TYPE=kernel")->port.type, PortType::kKernel);
}

TEST(CniArgs, RefusesWithCodeFourAndNamesTheKey) {
  struct Row {
    std::string name, text, message;
  };
  const Row rows[] = {
      {"an unknown key", "COLOUR=red", "\"COLOUR\""},
      {"an unknown key, not ignored", "IgnoreUnknown=0;COLOUR=red", "\"COLOUR\""},
      {"no equals sign", "K8S_POD_NAME", "\"K8S_POD_NAME\""},
      {"no key", "=x", "\"=x\""},
      {"IgnoreUnknown that is no flag", "IgnoreUnknown=perhaps", "IgnoreUnknown"},
      {"an address that is none", "IgnoreUnknown=1;IP=10.0.0", "IP"},
      {"a length beyond the family", "IP=10.0.0.1/33", "IP"},
      {"a length that is none", "IP=10.0.0.1/x", "IP"},
      {"17 addresses",
       "IP=1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,"
       "1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1",
       "16"},
      {"a MAC that is none", "MAC=02:11:22", "MAC"},
      {"a pod name of 254 bytes", "K8S_POD_NAME=" + std::string(254, 'a'), "K8S_POD_NAME"},
      {"a pod name that is no UTF-8", "K8S_POD_NAME=\xed\xa0\x80", "K8S_POD_NAME"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    const auto args = parse_cni_args(row.text);
    ASSERT_FALSE(args.ok());
    EXPECT_EQ(args.error().code, CniCode::kInvalidEnvironment);
    EXPECT_NE(args.error().message.find(row.message), std::string::npos) << args.error().message;
  }
}

}  // namespace
}  // namespace millrace::cni_shim::testing
