// The store as a file: locks, damage, versions, and SIGKILL at random moments.
#include "control/agent/store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <iterator>
#include <random>
#include <set>

#include "control/agent/interface_name.h"
#include "control/agent/schema.h"
#include "tests/agent/scratch.h"

namespace millrace::control::agent {
namespace {

std::vector<AddressBlock> blocks() {
  return {*AddressBlock::make(*net::Prefix::parse("10.9.0.0/16"), 28, 0),
          *AddressBlock::make(*net::Prefix::parse("fd00:9::/112"), 120, 0)};
}

Attachment attachment(const std::string& container) {
  Attachment a;
  a.key = {"net", container, "eth0"};
  a.netns = "/run/netns/" + container;
  a.pod_namespace = "default";
  a.pod_name = container;
  a.pod_uid = "uid-" + container;
  a.host_interface = host_interface_name("millrace0", a.key);
  a.host_mac = mac_of("millrace0", a.key, "host");
  a.mac = mac_of("millrace0", a.key, "pod");
  a.mtu = 1400;
  a.routes = {{*net::Prefix::parse("10.8.0.0/16"), 1300, 1200, 4000000000}, {*net::Prefix::parse("::/0"), 0, 0, 0}};
  return a;
}

std::unique_ptr<Store> open_store(const std::string& path) {
  auto store = Store::open(path);
  EXPECT_TRUE(store.ok()) << (store.ok() ? "" : store.error().message);
  return store.ok() ? *std::move(store) : nullptr;
}

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Store, gives_back_what_was_stored_after_a_restart) {
  const ScratchDirectory directory;
  const auto all_blocks = blocks();
  const StoredObject object{{kube::Kind::kPod, "default", "web-0"}, "{\"kind\":\"Pod\"}", 1700000000123};
  Attachment stored;
  {
    auto store = open_store(directory.path());
    auto begun = store->begin_add(attachment("c1"), {.blocks = &all_blocks, .wanted = {}, .delegated = {}});
    ASSERT_TRUE(begun.ok()) << begun.error().message;
    stored = *begun;
    ASSERT_TRUE(store->set_state(stored.id, AttachmentState::kActive).ok());
    ASSERT_TRUE(store->change_objects({object}, {}).ok());
    ASSERT_TRUE(store->set_meta("key", "value").ok());
  }
  auto store = open_store(directory.path());
  auto found = store->find(stored.key);
  ASSERT_TRUE(found.ok() && *found);
  const Attachment& a = **found;
  EXPECT_EQ(a.state, AttachmentState::kActive);
  EXPECT_EQ(a.netns, "/run/netns/c1");
  EXPECT_EQ(a.pod_uid, "uid-c1");
  EXPECT_EQ(a.host_interface, stored.host_interface);
  EXPECT_EQ(a.host_mac, stored.host_mac);
  EXPECT_EQ(a.mac, stored.mac);
  EXPECT_EQ(a.mtu, 1400u);
  EXPECT_EQ(a.created_unix_ms, stored.created_unix_ms);
  EXPECT_EQ(a.addresses, stored.addresses);
  EXPECT_EQ(a.routes, attachment("c1").routes);
  EXPECT_EQ(*store->objects(), (std::vector{object}));
  EXPECT_EQ(store->meta("key")->value_or(""), "value");
  EXPECT_FALSE(store->meta("other")->has_value());
}

TEST(Store, puts_and_removes_objects_as_a_whole) {
  const ScratchDirectory directory;
  auto store = open_store(directory.path());
  const auto object = [](const char* name, const char* json, std::uint64_t created) {
    return StoredObject{{kube::Kind::kService, "ns", name}, json, created};
  };
  ASSERT_TRUE(store->change_objects({object("a", "1", 5), object("b", "2", 6)}, {}).ok());
  ASSERT_TRUE(store->change_objects({object("b", "3", 9)}, {{kube::Kind::kService, "ns", "a"}}).ok());
  EXPECT_EQ(*store->objects(), (std::vector{object("b", "3", 6)})) << "a change keeps the time of the making";
  ASSERT_TRUE(store->change_objects({}, {{kube::Kind::kService, "ns", "a"}}).ok()) << "removing what is not there";
}

TEST(Store, refuses_a_second_attachment_of_one_key_or_one_interface) {
  const ScratchDirectory directory;
  const auto all_blocks = blocks();
  auto store = open_store(directory.path());
  const Store::AddressRequest request{.blocks = &all_blocks, .wanted = {}, .delegated = {}};
  ASSERT_TRUE(store->begin_add(attachment("c1"), request).ok());
  Attachment same_interface = attachment("c2");
  same_interface.host_interface = attachment("c1").host_interface;
  for (const Attachment& refused : {attachment("c1"), same_interface}) {
    auto begun = store->begin_add(refused, request);
    ASSERT_FALSE(begun.ok());
    EXPECT_EQ(begun.error().code, net::ErrorCode::kAlreadyExists);
    EXPECT_NE(begun.error().message.find("net/c1/eth0"), std::string::npos) << begun.error().message;
  }
  EXPECT_EQ(*store->used(all_blocks[0]), 1u);
}

TEST(Store, has_one_writer) {
  const ScratchDirectory directory;
  auto first = open_store(directory.path());
  auto second = Store::open(directory.path());
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, net::ErrorCode::kFailedPrecondition);
  EXPECT_NE(second.error().message.find("another millrace-agent holds it"), std::string::npos);
  first.reset();
  EXPECT_TRUE(Store::open(directory.path()).ok());
}

TEST(Store, leaves_a_file_it_cannot_read_as_it_is) {
  struct Row {
    const char* name;
    void (*spoil)(const std::string& path);
    const char* says;
  };
  const Row rows[] = {
      {"no database at all", [](const std::string& path) { std::ofstream(path) << "not a database, but some text\n"; },
       "not a database"},
      {"of a later version",
       [](const std::string& path) {
         auto database = Database::open(path);
         ASSERT_TRUE(database->execute("CREATE TABLE later (x); PRAGMA user_version = 99").ok());
       },
       "version 99"},
      {"damaged in the middle",
       [](const std::string& path) {
         {
           auto database = Database::open(path);
           ASSERT_TRUE(migrate(*database, schema_version()).ok());
         }
         std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
         file.seekp(4096);  // the second page: a table's root
         const std::string junk(3000, '\xa5');
         file.write(junk.data(), static_cast<std::streamsize>(junk.size()));
       },
       "agent.db"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    const ScratchDirectory directory;
    row.spoil(directory.file("agent.db"));
    const std::string before = contents(directory.file("agent.db"));
    auto opened = Store::open(directory.path());
    ASSERT_FALSE(opened.ok());
    EXPECT_EQ(opened.error().code, net::ErrorCode::kFailedPrecondition) << opened.error().message;
    EXPECT_NE(opened.error().message.find(row.says), std::string::npos) << opened.error().message;
    EXPECT_EQ(contents(directory.file("agent.db")), before);
  }
}

/// Adds and deletes for ever; says each answered step over the pipe: '+' or '-' and the container's number.
[[noreturn]] void churn(const std::string& directory, int pipe_fd, unsigned seed) {
  auto store = Store::open(directory);
  if (!store) _exit(1);
  const auto all_blocks = blocks();
  std::mt19937 random(seed);
  while (true) {
    const auto number = static_cast<std::uint8_t>(random() % 12);
    const Attachment planned = attachment(fmt::format("c{}", number));
    auto found = (*store)->find(planned.key);
    if (!found) _exit(2);
    char said[2] = {'+', static_cast<char>(number)};
    if (*found) {
      if (!(*store)->set_state((*found)->id, AttachmentState::kDeleting)) _exit(3);
      if (!(*store)->finish_delete((*found)->id, all_blocks)) _exit(4);
      said[0] = '-';
    } else {
      auto begun = (*store)->begin_add(planned, {.blocks = &all_blocks, .wanted = {}, .delegated = {}});
      if (!begun) _exit(5);
      if (!(*store)->set_state(begun->id, AttachmentState::kActive)) _exit(6);
    }
    if (write(pipe_fd, said, 2) != 2) _exit(7);
  }
}

void check_invariants(Store& store, const std::set<int>& answered_active) {
  auto all = store.list();
  ASSERT_TRUE(all.ok()) << all.error().message;
  std::set<net::IpAddress> seen;
  std::set<int> active;
  for (const Attachment& a : *all) {
    EXPECT_EQ(a.addresses.size(), 2u) << a.key.to_string() << " has not one address a family";
    for (const net::IpAddress& address : a.addresses) EXPECT_TRUE(seen.insert(address).second) << address.to_string();
    if (a.state == AttachmentState::kActive) active.insert(std::stoi(a.key.container_id.substr(1)));
  }
  for (const AddressBlock& block : blocks()) EXPECT_EQ(*store.used(block), all->size());
  // The one step that was under way may have ended without its answer; all others are as they were answered.
  std::vector<int> differ;
  std::set_symmetric_difference(active.begin(), active.end(), answered_active.begin(), answered_active.end(),
                                std::back_inserter(differ));
  EXPECT_LE(differ.size(), 1u);
}

TEST(Store, survives_sigkill_at_any_moment) {
  const ScratchDirectory directory;
  std::mt19937 random(7);
  std::set<int> active;
  for (unsigned round = 0; round < 25; ++round) {
    SCOPED_TRACE(testing::Message() << "round " << round);
    int ends[2];
    ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) churn(directory.path(), ends[1], round);
    close(ends[1]);
    // Killed within the step after some answered ones, at a moment that the scheduler and the disk choose.
    const unsigned steps = 1 + static_cast<unsigned>(random() % 12);
    char said[2];
    const auto take = [&] { (said[0] == '+') ? void(active.insert(said[1])) : void(active.erase(said[1])); };
    for (unsigned i = 0; i < steps && read(ends[0], said, 2) == 2; ++i) take();
    usleep(static_cast<useconds_t>(random() % 3000));
    ASSERT_EQ(kill(child, SIGKILL), 0);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself with " << WEXITSTATUS(status);
    while (read(ends[0], said, 2) == 2) take();  // what was answered before the signal
    close(ends[0]);

    auto store = open_store(directory.path());
    ASSERT_NE(store, nullptr);
    check_invariants(*store, active);
    // As reconcile() would: what was half done goes.
    const std::vector<Attachment> found = store->list().value();
    active.clear();
    for (const Attachment& a : found) {
      if (a.state == AttachmentState::kActive) {
        active.insert(std::stoi(a.key.container_id.substr(1)));
      } else {
        ASSERT_TRUE(store->finish_delete(a.id, blocks()).ok());
      }
    }
  }
}

}  // namespace
}  // namespace millrace::control::agent
