#include "control/agent/store.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <iterator>

#include "control/agent/schema.h"
#include "control/agent/store_addresses.h"
#include "control/agent/store_routes.h"

namespace millrace::control::agent {
namespace {

constexpr const char* kColumns =
    "id, network, container_id, ifname, state, netns, pod_namespace, pod_name, pod_uid, host_interface, host_mac, mac, "
    "mtu, delegated_ipam, created_unix_ms, dhcp, vhost_path, vhost_pod_listens, vhost_queue_pairs";

std::uint64_t unix_ms() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
}

net::Mac mac_of(const std::vector<std::uint8_t>& blob) {
  net::Mac mac;
  std::copy_n(blob.begin(), std::min(blob.size(), mac.bytes.size()), mac.bytes.begin());
  return mac;
}

net::Result<Attachment> read_attachment(Database& database, const Statement& row) {
  Attachment a;
  a.id = row.integer(0);
  a.key = {row.text(1), row.text(2), row.text(3)};
  a.state = static_cast<AttachmentState>(row.integer(4));
  a.netns = row.text(5);
  a.pod_namespace = row.text(6);
  a.pod_name = row.text(7);
  a.pod_uid = row.text(8);
  a.host_interface = row.text(9);
  a.host_mac = mac_of(row.blob(10));
  a.mac = mac_of(row.blob(11));
  a.mtu = static_cast<std::uint32_t>(row.integer(12));
  a.delegated_ipam = row.integer(13) != 0;
  a.created_unix_ms = static_cast<std::uint64_t>(row.integer(14));
  a.dhcp = row.integer(15) != 0;
  if (std::string path = row.text(16); !path.empty()) {
    a.vhost = VhostSocket{std::move(path), {row.integer(17) != 0, static_cast<std::uint32_t>(row.integer(18))}};
  }
  auto addresses = addresses_of(database, a.id);
  if (!addresses) return addresses.error();
  a.addresses = *std::move(addresses);
  auto routes = routes_of(database, a.id);
  if (!routes) return routes.error();
  a.routes = *std::move(routes);
  return a;
}

/// Refuses what the UNIQUE constraints would, with a sentence for a person.
net::Result<void> check_is_new(Database& database, const Attachment& attachment) {
  auto statement = database.prepare(
      "SELECT network || '/' || container_id || '/' || ifname, host_interface FROM attachments "
      "WHERE (network = ?1 AND container_id = ?2 AND ifname = ?3) OR host_interface = ?4 "
      "OR (?5 <> '' AND vhost_path = ?5)");
  if (!statement) return statement.error();
  const AttachmentKey& key = attachment.key;
  statement->bind(1, key.network).bind(2, key.container_id).bind(3, key.ifname).bind(4, attachment.host_interface);
  const std::string vhost_path = attachment.vhost ? attachment.vhost->path : "";
  statement->bind(5, vhost_path);
  auto row = statement->step();
  if (!row) return row.error();
  if (!*row) return {};
  const std::string other = statement->text(0);
  if (other == key.to_string()) return net::already_exists("attachment " + other + " is there already");
  const bool is_interface = statement->text(1) == attachment.host_interface;
  return net::already_exists(
      (is_interface ? "host interface " + attachment.host_interface : "vhost-user socket " + vhost_path) +
      " is that of attachment " + other);
}

net::Result<std::int64_t> insert_attachment(Database& database, const Attachment& a) {
  auto statement = database.prepare(
      "INSERT INTO attachments (network, container_id, ifname, state, netns, pod_namespace, pod_name, pod_uid, "
      "host_interface, host_mac, mac, mtu, delegated_ipam, created_unix_ms, dhcp, vhost_path, vhost_pod_listens, "
      "vhost_queue_pairs) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)");
  if (!statement) return statement.error();
  const VhostSocket vhost = a.vhost.value_or(VhostSocket{});
  statement->bind(1, a.key.network)
      .bind(2, a.key.container_id)
      .bind(3, a.key.ifname)
      .bind(4, static_cast<std::int64_t>(a.state))
      .bind(5, a.netns)
      .bind(6, a.pod_namespace)
      .bind(7, a.pod_name)
      .bind(8, a.pod_uid)
      .bind(9, a.host_interface)
      .bind(10, a.host_mac.bytes)
      .bind(11, a.mac.bytes)
      .bind(12, static_cast<std::int64_t>(a.mtu))
      .bind(13, static_cast<std::int64_t>(a.delegated_ipam))
      .bind(14, static_cast<std::int64_t>(a.created_unix_ms))
      .bind(15, static_cast<std::int64_t>(a.dhcp))
      .bind(16, vhost.path)
      .bind(17, static_cast<std::int64_t>(vhost.wish.pod_listens))
      .bind(18, static_cast<std::int64_t>(vhost.wish.queue_pairs));
  if (auto run = statement->run(); !run) return run.error();
  return database.last_insert_id();
}

std::string block_names(const std::vector<AddressBlock>& blocks) {
  std::string names;
  for (const AddressBlock& block : blocks) {
    names += (names.empty() ? "" : ", ") + block.first_pod().to_string() + " .. " + block.last_pod().to_string();
  }
  return names.empty() ? "nothing: no pool is configured" : names;
}

net::Result<void> assign_addresses(Database& database, std::int64_t id, const Store::AddressRequest& request) {
  for (const net::IpAddress& address : request.delegated) {
    if (auto taken = take_address(database, id, address); !taken) return taken.error();
  }
  if (!request.delegated.empty() || request.blocks == nullptr) return {};
  for (const net::IpAddress& address : request.wanted) {
    const auto& blocks = *request.blocks;
    if (std::none_of(blocks.begin(), blocks.end(), [&](const auto& b) { return b.is_for_pods(address); })) {
      return net::invalid_argument("addresses: " + address.to_string() +
                                   " cannot be had; allowed: " + block_names(blocks));
    }
    if (auto taken = take_address(database, id, address); !taken) return taken.error();
  }
  for (const std::uint8_t family : {std::uint8_t{4}, std::uint8_t{6}}) {
    if (std::ranges::find(request.wanted, family, &net::IpAddress::family) != request.wanted.end()) continue;
    std::vector<AddressBlock> blocks;
    std::ranges::copy_if(*request.blocks, std::back_inserter(blocks),
                         [&](const AddressBlock& block) { return block.family() == family; });
    if (blocks.empty()) continue;
    if (auto taken = take_next_address(database, id, blocks); !taken) return taken.error();
  }
  return {};
}

}  // namespace

net::Result<std::unique_ptr<Store>> Store::open(const std::string& state_dir) {
  std::error_code failed;
  std::filesystem::create_directories(state_dir, failed);
  if (failed) return net::permission_denied("stateDir: " + state_dir + " cannot be made: " + failed.message());
  auto lock = FileLock::take(state_dir + "/agent.lock");
  if (!lock) return lock.error();
  const std::string path = state_dir + "/agent.db";
  const auto named = [&](const net::Error& error) { return net::Error{error.code, path + ": " + error.message}; };
  auto database = Database::open(path);
  if (!database) return named(database.error());
  if (auto checked = check(*database); !checked) return named(checked.error());
  if (auto durable = database->make_durable(); !durable) return named(durable.error());
  if (auto migrated = migrate(*database, schema_version()); !migrated) return named(migrated.error());
  return std::unique_ptr<Store>(new Store(*std::move(lock), *std::move(database)));
}

net::Result<Attachment> Store::begin_add(Attachment attachment, const AddressRequest& request) {
  const std::lock_guard guard(mutex_);
  attachment.state = AttachmentState::kAdding;
  attachment.delegated_ipam = attachment.dhcp || !request.delegated.empty();
  attachment.created_unix_ms = unix_ms();
  auto transaction = Transaction::begin(database_);
  if (!transaction) return transaction.error();
  if (auto is_new = check_is_new(database_, attachment); !is_new) return is_new.error();
  auto id = insert_attachment(database_, attachment);
  if (!id) return id.error();
  if (auto assigned = assign_addresses(database_, *id, request); !assigned) return assigned.error();
  if (auto inserted = insert_routes(database_, *id, attachment.routes); !inserted) return inserted.error();
  auto addresses = addresses_of(database_, *id);
  if (!addresses) return addresses.error();
  if (auto committed = transaction->commit(); !committed) return committed.error();
  attachment.id = *id;
  attachment.addresses = *std::move(addresses);
  return attachment;
}

net::Result<Attachment> Store::give_addresses(Attachment attachment, const std::vector<net::IpAddress>& addresses) {
  const std::lock_guard guard(mutex_);
  auto transaction = Transaction::begin(database_);
  if (!transaction) return transaction.error();
  for (const net::IpAddress& address : addresses) {
    if (auto taken = take_address(database_, attachment.id, address); !taken) return taken.error();
  }
  if (auto set = insert_routes(database_, attachment.id, attachment.routes); !set) return set.error();
  auto all = addresses_of(database_, attachment.id);
  if (!all) return all.error();
  if (auto committed = transaction->commit(); !committed) return committed.error();
  attachment.addresses = *std::move(all);
  return attachment;
}

net::Result<void> Store::set_state(std::int64_t id, AttachmentState state) {
  const std::lock_guard guard(mutex_);
  auto statement = database_.prepare("UPDATE attachments SET state = ?2 WHERE id = ?1");
  if (!statement) return statement.error();
  statement->bind(1, id).bind(2, static_cast<std::int64_t>(state));
  if (auto run = statement->run(); !run) return run.error();
  if (database_.changes() == 0) return net::not_found("attachment number " + std::to_string(id) + " is not there");
  return {};
}

net::Result<void> Store::finish_delete(std::int64_t id, const std::vector<AddressBlock>& blocks) {
  const std::lock_guard guard(mutex_);
  auto transaction = Transaction::begin(database_);
  if (!transaction) return transaction.error();
  if (auto released = release_addresses(database_, id, blocks); !released) return released.error();
  auto statement = database_.prepare("DELETE FROM attachments WHERE id = ?1");
  if (!statement) return statement.error();
  statement->bind(1, id);
  if (auto run = statement->run(); !run) return run.error();
  return transaction->commit();
}

net::Result<std::optional<Attachment>> Store::find(const AttachmentKey& key) {
  const std::lock_guard guard(mutex_);
  auto statement = database_.prepare(std::string("SELECT ") + kColumns +
                                     " FROM attachments WHERE network = ?1 AND container_id = ?2 AND ifname = ?3");
  if (!statement) return statement.error();
  statement->bind(1, key.network).bind(2, key.container_id).bind(3, key.ifname);
  auto row = statement->step();
  if (!row) return row.error();
  if (!*row) return std::optional<Attachment>();
  auto attachment = read_attachment(database_, *statement);
  if (!attachment) return attachment.error();
  return std::optional(*std::move(attachment));
}

net::Result<std::vector<Attachment>> Store::list() {
  const std::lock_guard guard(mutex_);
  auto statement = database_.prepare(std::string("SELECT ") + kColumns + " FROM attachments ORDER BY id");
  if (!statement) return statement.error();
  std::vector<Attachment> all;
  while (true) {
    auto row = statement->step();
    if (!row) return row.error();
    if (!*row) return all;
    auto attachment = read_attachment(database_, *statement);
    if (!attachment) return attachment.error();
    all.push_back(*std::move(attachment));
  }
}

net::Result<void> Store::keep_only_blocks(const std::vector<AddressBlock>& blocks) {
  const std::lock_guard guard(mutex_);
  auto transaction = Transaction::begin(database_);
  if (!transaction) return transaction.error();
  if (auto forgotten = forget_other_blocks(database_, blocks); !forgotten) return forgotten.error();
  return transaction->commit();
}

net::Result<std::uint32_t> Store::used(const AddressBlock& block) {
  const std::lock_guard guard(mutex_);
  return used_addresses(database_, block);
}

net::Result<std::vector<ClaimedBlock>> Store::claimed_blocks() {
  const std::lock_guard guard(mutex_);
  return read_claimed_blocks(database_);
}

net::Result<void> Store::put_claimed_block(const ClaimedBlock& claim) {
  const std::lock_guard guard(mutex_);
  return agent::put_claimed_block(database_, claim);
}

net::Result<void> Store::erase_claimed_block(const net::Prefix& block) {
  const std::lock_guard guard(mutex_);
  return agent::erase_claimed_block(database_, block);
}

net::Result<std::vector<StoredObject>> Store::objects() {
  const std::lock_guard guard(mutex_);
  return read_objects(database_);
}

net::Result<void> Store::change_objects(const std::vector<StoredObject>& put,
                                        const std::vector<kube::ObjectKey>& gone) {
  const std::lock_guard guard(mutex_);
  auto transaction = Transaction::begin(database_);
  if (!transaction) return transaction.error();
  if (auto erased = erase_objects(database_, gone); !erased) return erased;
  if (auto written = put_objects(database_, put); !written) return written;
  return transaction->commit();
}

net::Result<std::optional<std::string>> Store::meta(const std::string& key) {
  const std::lock_guard guard(mutex_);
  auto statement = database_.prepare("SELECT value FROM meta WHERE key = ?1");
  if (!statement) return statement.error();
  statement->bind(1, key);
  auto row = statement->step();
  if (!row) return row.error();
  return *row ? std::optional(statement->text(0)) : std::nullopt;
}

net::Result<void> Store::set_meta(const std::string& key, const std::string& value) {
  const std::lock_guard guard(mutex_);
  auto statement = database_.prepare(
      "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value");
  if (!statement) return statement.error();
  statement->bind(1, key).bind(2, value);
  return statement->run();
}

}  // namespace millrace::control::agent
